"""Settings: where they come from, who wins, and what is said of a wrong one."""

import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.model.access import Access
from reconciler.places import files_of, state_file
from reconciler.settings import (
    Settings,
    SettingsError,
    describe_settings,
    load_settings,
    split_address,
)
from reconciler.settings_parts import ControllerConfig, KindLimit, Queues


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "reconciler.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_defaults_are_those_of_a_first_try():
    settings = load_settings({"repo": "somewhere"}, {})
    assert settings == Settings(repo="somewhere", create_namespaces="all")
    assert settings.address == ("127.0.0.1", 7373)
    assert settings.namespace == "reconciler-system"
    assert settings.write_back is True


def test_flags_win_over_variables_and_those_over_the_file(write):
    path = write("branch: file\nlisten: 127.0.0.1:1\nspeed: 2\n")
    settings = load_settings({"branch": "flag", "listen": None}, {"RECONCILER_BRANCH": "variable", "RECONCILER_LISTEN": "127.0.0.1:2"}, path)
    assert (settings.branch, settings.listen, settings.speed) == ("flag", "127.0.0.1:2", 2.0)


def test_the_file_may_be_named_by_a_variable(write):
    assert load_settings({}, {"RECONCILER_CONFIG": str(write("branch: x"))}).branch == "x"


def test_lists_come_from_repeated_flags_commas_and_yaml(write):
    path = write("allowClusterScoped: [ClusterRole]")
    settings = load_settings({"paths": ["a", "b"]}, {"RECONCILER_ALLOW_EGRESS": "one:80, two ,[::1]:443"}, path)
    assert settings.paths == ["a", "b"]
    assert settings.allow_egress == ["one:80", "two", "[::1]:443"]
    assert settings.allow_cluster_scoped == ["ClusterRole"]


@pytest.mark.parametrize(("text", "expected"), [("on", True), ("off", False), ('"off"', False), ("false", False)])
def test_on_and_off_are_read_as_yaml_and_as_people_write_them(write, text, expected):
    assert load_settings({}, {}, write(f"writeBack: {text}")).write_back is expected
    assert load_settings({"write_back": text.strip('"')}, {}).write_back is expected


def test_rule_13a_the_mapping_stands_in_the_file(write):
    path = write(
        "access:\n- path: teams/a\n  namespaces: [a]\n  kinds: [Deployment]\n  denyKinds: [Secret]\n  serviceAccount: a:deployer\n- path: ''\n"
    )
    assert load_settings({}, {}, path).access == [
        Access(path="teams/a", namespaces=["a"], kinds=["Deployment"], deny_kinds=["Secret"], service_account="a:deployer"),
        Access(),
    ]


WRONG_FILES = {
    "brnach: x": "unknown key brnach; did you mean branch?",
    "write_back: off": "unknown key write_back; did you mean writeBack?",
    "access: [{path: a, denykinds: [b]}]": "access[0]: unknown key denykinds; did you mean denyKinds?",
    "access: [{denyKinds: [secret]}]": "'secret' is no kind: write it as Deployment or Deployment.apps - at `access[0].denyKinds[0]`",
    "access: [{kinds: [A, apps/Deployment]}]": "'apps/Deployment' is no kind: write it as Deployment or Deployment.apps - at `access[0].kinds[1]`",
    "access: [{path: /teams}]": "'/teams' is not below the repository's top: name a folder relative to it - at `access[0].path`",
    "access: [{namespaces: [Team]}]": "'Team' is no namespace - at `access[0].namespaces[0]`",
    "access: [{serviceAccount: 'a:b:c'}]": "a:b:c names no service account: write NAME or NAMESPACE:NAME - at `access[0].serviceAccount`",
    "access: [{serviceAccounts: ['*:ci-*', '!']}]": "! names no service account",
    "access: {path: a}": "access: Expected `array`, got `object`",
    "access: [{path: 3}]": "Expected `str`, got `int` - at `access[0].path`",
    "branch: 1.10": "branch: Expected `str`, got `float`",
    "listen: 7373": "listen: Expected `str`, got `int`",
    "listen: localhost": "listen: not HOST:PORT: 'localhost' (write for example 127.0.0.1:7373)",
    "listen: '::1:80'": "listen: not HOST:PORT",
    "listen: a:70000": "listen: not HOST:PORT",
    "pollInterval: 0": "pollInterval: Expected `float` > 0.0",
    "pollInterval: .inf": "infinity and NaN have no place",
    "pollInterval: .nan": "infinity and NaN have no place",
    "writeBack: maybe": "writeBack: 'maybe' is neither on nor off",
    "createNamespaces: al": "createNamespaces: 'al' is not one of all, asked, none; did you mean all?",
    "cluster: [embedded]": "is not one of embedded, kubernetes",
    "allowEgress: ['http://x']": "allowEgress: not HOST[:PORT]: 'http://x' (no scheme, no path)",
    "allowEgress: ['x:0']": "allowEgress: not HOST[:PORT]",
    "branch: a\nbranch: b": "reconciler.yaml:2: duplicate key branch",
    "branch: [": "not valid YAML",
    "- branch": "a mapping of settings is expected",
    "a: 1\n---\nb: 2": "reconciler.yaml:3: one document is expected, not 2",
    "paths: [/etc]": "paths: '/etc' is not below the repository's top",
    "paths: [a/../../b]": "is not below the repository's top",
    "paths: a": "paths: Expected `array`, got `str`",
}


@pytest.mark.parametrize("text", WRONG_FILES)
def test_a_wrong_file_is_told_with_its_name_and_what_would_be_right(write, text):
    with pytest.raises(SettingsError) as error:
        load_settings({}, {}, write(text))
    assert "reconciler.yaml" in str(error.value)
    assert WRONG_FILES[text] in str(error.value)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_sets_nothing(write, text):
    assert load_settings({}, {}, write(text)) == load_settings({}, {})


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_settings({}, {}, tmp_path / "none.yaml")


WRONG_PARTS = {
    "\naccess:\n- path: a\n  denykinds: [b]": ":4: access[0]: unknown key denykinds; did you mean denyKinds?",
    "\naccess:\n- path: a\n- path: 3": ":4: access: Expected `str`, got `int` - at `access[1].path`",
    "controllerConfig:\n  queues: {}": ":2: controllerConfig: unknown key queues; did you mean queue?",
    "controllerConfig:\n  queue:\n    strategie: FIFO": ":3: controllerConfig.queue: unknown key strategie; did you mean strategy?",
    "controllerConfig:\n  queue:\n    strategy: FILO": ":3: controllerConfig.queue.strategy: 'FILO' is not one of FIFO, FAIR; did you mean FIFO?",
    "controllerConfig:\n  queue:\n    strategy: FIFO\n    maxRunningCount: 0": ":4: controllerConfig: Expected `int` >= 1",
    "controllerConfig:\n  steps:\n  - kind: random\n    qsp: 1": ":4: controllerConfig.steps[0]: unknown key qsp; did you mean qps?",
    "controllerConfig:\n  steps:\n  - {kind: random, qps: 1}\n  - kind: random\n    qps: 2": ":4: controllerConfig.steps[1]: random is there already",
    "controllerConfig:\n  steps:\n  - kind: random": ":3: controllerConfig: Object missing required field `qps`",
    "throttleQps: 1": ":1: unknown key throttleQps; did you mean throttleQPS?",
    "throttleQPS: -1": ":1: throttleQPS: Expected `float` >= 0.0",
    "retry:\n  factor: 0.5": ":2: retry: Expected `float` >= 1.0",
    "branch: x\nretry: 3": ":2: retry: Expected `object`, got `int`",
}


@pytest.mark.parametrize("text", WRONG_PARTS)
def test_a_wrong_part_of_a_setting_is_told_with_its_line_and_what_would_be_right(write, text):
    with pytest.raises(SettingsError) as error:
        load_settings({}, {}, write(text))
    assert f"reconciler.yaml{WRONG_PARTS[text]}" in str(error.value)


SEED = """\
namespace: workflows
throttleQPS: 100
idleTimeoutMillSeconds: 200000
rpcTimeoutMillSeconds: 5000
controllerConfig:
  queue:
    strategy: "FIFO"{0}
    maxRunningCount: 100{1}
  steps:
  - kind: "random"
    qps: 1{2}
"""


def test_seed_004_the_configuration_of_step_flow_loads(write):
    settings = load_settings({}, {}, write(SEED.format("  # or FAIR", "", "")))
    assert (settings.namespace, settings.throttle_qps) == ("workflows", 100.0)
    assert (settings.idle_timeout_mill_seconds, settings.rpc_timeout_mill_seconds) == (200000, 5000)
    assert settings.controller_config == ControllerConfig(Queues("FIFO", 100), [KindLimit("random", 1.0)])


@pytest.mark.parametrize("line", [7, 8, 11])
def test_seed_004_a_comment_that_is_none_is_told_by_its_line(write, line):
    texts = ["   // 限制" if number == line else "" for number in (7, 8, 11)]
    with pytest.raises(SettingsError, match=rf"\(line {line}: // begins no comment in YAML; write #\)"):
        load_settings({}, {}, write(SEED.format(*texts)))


def test_an_unknown_variable_is_told_with_the_nearest():
    with pytest.raises(SettingsError, match=r"unknown environment variable RECONCILER_BRANHC; did you mean RECONCILER_BRANCH\?"):
        load_settings({}, {"RECONCILER_BRANHC": "x"})


def test_variables_that_kubernetes_sets_for_a_service_are_nobodys_mistake():
    names = [
        "RECONCILER_SERVICE_HOST",
        "RECONCILER_SERVICE_PORT_HTTP",
        "RECONCILER_PORT",
        "RECONCILER_PORT_7373_TCP_ADDR",
        "RECONCILER_WEB_SERVICE_HOST",
    ]
    assert load_settings({}, dict.fromkeys(names, "x")) == load_settings({}, {})


def test_a_wrong_value_is_told_by_the_name_it_was_given_by():
    with pytest.raises(SettingsError, match=r"^--speed: "):
        load_settings({"speed": "fast"}, {})
    for odd in ("nan", "inf", "-inf", "0", "1e400"):
        with pytest.raises(SettingsError, match=r"^--poll-interval: "):
            load_settings({"poll_interval": odd}, {})
    with pytest.raises(SettingsError, match=r"^RECONCILER_SPEED: "):
        load_settings({}, {"RECONCILER_SPEED": "-1"})


@pytest.mark.parametrize(
    ("flags", "told"), [({"state": "s"}, "--state is the embedded"), ({"cluster": "embedded", "context": "c"}, "--context needs")]
)
def test_what_is_said_of_the_other_cluster_is_refused(flags, told):
    with pytest.raises(SettingsError, match=told):
        load_settings({"cluster": "kubernetes", **flags}, {})


@pytest.mark.parametrize(
    ("text", "address"), [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80)), ("localhost:65535", ("localhost", 65535))]
)
def test_addresses(text, address):
    assert split_address(text) == address


def test_state_is_one_file_for_each_repository_and_branch(tmp_path):
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    places = {
        state_file(Settings(repo=str(tmp_path / repo)), branch, environ)
        for repo in ("shop", "other/shop", "shop.git")
        for branch in ("refs/heads/main", "refs/heads/next")
    }
    assert len(places) == 6
    assert {place.parent for place in places} == {tmp_path / "state" / "reconciler"}
    assert all(place.name.startswith("shop-") and place.suffix == ".db" for place in places)


def test_state_is_the_same_however_the_repository_is_spelled(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    (tmp_path / "link").symlink_to("shop")
    monkeypatch.chdir(tmp_path)
    spellings = [str(tmp_path / "shop"), "shop", "./shop/", "link", "shop/../shop"]
    assert len({state_file(Settings(repo=spelling), "main", {"HOME": "/"}) for spelling in spellings}) == 1


def test_state_goes_to_the_home_folder_unless_told_otherwise(tmp_path):
    assert state_file(Settings(repo="x", state="here.db"), "main") == Path("here.db")
    for environ in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert state_file(Settings(repo="x"), "main", environ).is_relative_to(Path.home() / ".local/state/reconciler")


@pytest.mark.parametrize("name", ["-rf", "..", "a b\n", "日本", "x" * 300])
def test_a_repository_of_any_name_gives_a_plain_file_name(tmp_path, name):
    place = state_file(Settings(repo=str(tmp_path / name)), "main", {"XDG_STATE_HOME": str(tmp_path)})
    assert place.name.isascii()
    assert place.name[0] not in "-."
    assert len(place.name) < 100


def test_no_two_settings_share_a_name():
    known = describe_settings()
    for names in ([s.key for s in known], [s.flag for s in known if s.flag], [s.variable for s in known if s.variable]):
        assert len(set(names)) == len(names)


def test_on_kubernetes_a_token_and_a_cache_are_all_that_is_kept_here(tmp_path):
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def files(**more):
        return files_of(Settings(repo="x", cluster="kubernetes", **more), "main", environ)

    assert files().state is None
    assert files().token.parent == tmp_path / "state" / "reconciler"
    assert files().looks.parent == tmp_path / "cache" / "reconciler"
    assert files(token_file="mine").token == Path("mine")
    assert len({files().looks, files(context="a").looks, files(kubeconfig="k").looks, files(shard="b").looks}) == 4
    assert files(shard="b").token != files().token


def test_the_embedded_cluster_does_not_pay_for_the_real_one():
    code = "import sys, reconciler.daemon, reconciler.clusters; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["B", "-b", "b_c", "b.c", "x" * 64])
def test_a_shard_that_cannot_be_called_so_is_refused(name):
    with pytest.raises(SettingsError, match="--shard: no shard can be called"):
        load_settings({"repo": "x", "cluster": "kubernetes", "shard": name}, {})


def test_a_shard_is_for_kubernetes_and_no_name_is_one():
    with pytest.raises(SettingsError, match="--shard needs --cluster kubernetes"):
        load_settings({"repo": "x", "shard": "b"}, {})
    assert load_settings({"repo": "x", "cluster": "kubernetes"}, {"RECONCILER_SHARD": "b"}).shard == "b"


def test_where_one_daemon_has_the_cluster_to_itself_it_acts_for_every_shard():
    from reconciler.wiring import read_options

    chosen = [read_options(Settings(repo="x", cluster=cluster, shard=shard), 5.0, None, None).shard for cluster, shard in CASES]
    assert chosen == [None, "", "b"]


CASES = [("embedded", ""), ("kubernetes", ""), ("kubernetes", "b")]
