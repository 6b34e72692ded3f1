"""`approve`, `reject`, `rollback`, `suspend`, `resume`: one commit in a clone, with the right line in it and nothing else."""

import os
import subprocess

import pytest

from reconciler.cli.manifest import find_manifest
from reconciler.model.status import StopView
from tests.unit.api.fakes import application, condition, gate, revision, run, waiting

MANIFEST = """\
# the shop's page
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: web
  namespace: shop  # not default
spec:
  components:
    - name: web
      type: webservice
      properties:
        image: nginx:1.27   # keep in step with the base image
"""
OTHER = MANIFEST.replace("name: web\n  namespace", "name: other\n  namespace")
PATH = "apps/web.yaml"


@pytest.fixture(autouse=True)
def _git_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "gitconfig").write_text("[user]\n name = Ann\n email = ann@example.com\n[init]\n defaultBranch = main\n")


def git(folder, *args):
    return subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True, text=True).stdout


class Clone:
    def __init__(self, top):
        self.top = top

    def git(self, *args):
        return git(self.top, *args)

    @property
    def text(self):
        return (self.top / PATH).read_text()

    def commit(self, text, path=PATH):
        place = self.top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        self.git("add", ".")
        self.git("commit", "-qm", "change")

    @property
    def changed(self):
        """Lines that the last commit took away and added."""
        lines = self.git("show", "--format=", "-U0", "HEAD").splitlines()
        return [line for line in lines if line[:1] in "+-" and not line.startswith(("+++", "---"))]


@pytest.fixture
def clone(tmp_path):
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(tmp_path, "clone", "-q", "origin.git", "clone")
    clone = Clone(tmp_path / "clone")
    clone.commit(f"{OTHER}---\n{MANIFEST}")
    clone.git("push", "-q", "-u", "origin", "main")
    return clone


def of_shop(**fields):
    return waiting("web", "shop", path=PATH, **fields)


@pytest.fixture
def decide(ask, clone, reader):
    """Runs a command in the clone with the daemon at a gate of what the clone holds."""
    status = of_shop()
    status.desired.digest = find_manifest(clone.top, status).digest
    reader.statuses = [status]

    def decide(command, *args):
        return ask(command, "web", "--repo", clone.top, *args)

    return decide


def test_approve_commits_the_line_and_shows_it(decide, clone):
    answer = decide("approve")
    assert (answer.code, answer.err) == (0, "")
    assert clone.changed == ["+  annotations:", "+    gates.reconciler.dev/approve: continue@0123456789ab"]
    assert "# not default" in clone.text
    assert clone.git("log", "-1", "--format=%an %s").strip() == "Ann Approve web-v2 of shop/web at gate approve"
    assert "continue@0123456789ab" in answer.out
    assert clone.git("rev-parse", "HEAD").strip() in answer.out
    assert "Not pushed yet" in answer.out


@pytest.mark.parametrize(
    ("command", "value"), [("approve", "continue@0123456789ab"), ("reject", "end@0123456789ab"), ("rollback", "rollback@0123456789ab")]
)
def test_rule_4a_each_command_writes_its_value_with_the_code(decide, clone, command, value):
    answer = decide(command, "--output", "json")
    assert answer.code == 0
    assert answer.json().items() >= {"key": "gates.reconciler.dev/approve", "value": value, "path": PATH, "pushed": False}.items()
    assert answer.json()["commit"] == clone.git("rev-parse", "HEAD").strip()
    manifest = find_manifest(clone.top, of_shop())
    assert manifest.app.annotations == {"gates.reconciler.dev/approve": value}


def test_only_the_application_that_was_named_is_edited(decide, clone):
    decide("approve")
    assert clone.text.startswith(f"{OTHER}---\n")


def test_a_spent_decision_is_replaced(decide, clone):
    assert decide("approve").code == 0
    assert decide("reject").code == 0
    assert find_manifest(clone.top, of_shop()).app.annotations == {"gates.reconciler.dev/approve": "end@0123456789ab"}
    assert len(clone.changed) == 2


def test_the_same_decision_twice_is_a_conflict_and_no_commit(decide, clone):
    decide("approve")
    head = clone.git("rev-parse", "HEAD")
    answer = decide("approve")
    assert answer.code == 5
    assert "already" in answer.err
    assert clone.git("rev-parse", "HEAD") == head


def test_push_brings_it_to_the_origin(decide, clone):
    answer = decide("approve", "--push", "--message", "Ship it")
    assert answer.code == 0
    assert "Pushed main to origin." in answer.out
    assert clone.git("ls-remote", "origin", "main").split()[0] == clone.git("rev-parse", "HEAD").strip()
    assert clone.git("log", "-1", "--format=%s").strip() == "Ship it"


def test_a_push_that_somebody_preceded_is_a_conflict_that_says_what_to_do(decide, clone, tmp_path):
    git(tmp_path, "clone", "-q", "origin.git", "second")
    second = Clone(tmp_path / "second")
    second.commit("a: b\n", "else.yaml")
    second.git("push", "-q")
    answer = decide("approve", "--push")
    assert answer.code == 5
    assert "git pull --rebase" in answer.err


def test_the_gate_may_be_named_where_several_wait(decide, clone, reader):
    reader.statuses = [of_shop(gates=[gate("one", "1" * 12), gate("two", "2" * 12)])]
    assert decide("approve", "--step", "two", "--output", "json").json()["value"] == "continue@222222222222"
    assert decide("approve", "--output", "json").json()["value"] == "continue@111111111111"
    answer = decide("approve", "--step", "tow")
    assert answer.code == 4
    assert "did you mean two?" in answer.err


@pytest.mark.parametrize("command", ["approve", "reject"])
def test_where_no_gate_waits_it_is_refused_with_the_reason(decide, clone, reader, command):
    reader.statuses = [application("web", "shop", path=PATH)]
    answer = decide(command)
    assert answer.code == 1
    assert "no gate waits for a decision: shop/web is at web-v1, as git declares it" in answer.err
    assert clone.git("rev-list", "--count", "HEAD").strip() == "1"


def test_rule_4b_a_manifest_that_is_not_the_waiting_one_is_warned_of(decide, clone):
    clone.commit(f"{OTHER}---\n{MANIFEST.replace('1.27', '1.28')}")
    answer = decide("approve")
    assert answer.code == 0
    assert "Warning: apps/web.yaml in this clone is not what web-v2 was made of" in answer.err


def test_uncommitted_work_in_the_manifest_is_left_alone(decide, clone):
    (clone.top / PATH).write_text(clone.text + "# mine\n")
    answer = decide("approve")
    assert answer.code == 1
    assert "uncommitted changes" in answer.err
    assert clone.text.endswith("# mine\n")
    assert clone.git("rev-list", "--count", "HEAD").strip() == "1"


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("apps/gone.yaml", None, 4),
        ("../outside.yaml", None, 4),
        (".git/config", None, 4),
        ("", None, 4),
        (PATH, OTHER, 5),
        (PATH, "a: [\n", 5),
        (PATH, MANIFEST.replace("webservice", "webservce"), 5),
    ],
)
def test_a_manifest_that_is_not_where_the_daemon_saw_it_is_told(decide, clone, reader, path, text, code):
    reader.statuses = [waiting("web", "shop", path=path)]
    if text:
        clone.commit(text)
    answer = decide("approve")
    assert answer.code == code
    assert answer.out == ""


def test_a_folder_that_is_no_clone_is_a_mistake_of_the_caller(ask, decide, tmp_path):
    answer = ask("approve", "web", "--repo", tmp_path)
    assert answer.code == 2
    assert "clone" in answer.err


def test_rule_13e_what_is_committed_is_shown_without_its_control_characters(decide, clone):
    answer = decide("approve", "--message", "Ship\x1b[2J it")
    assert answer.code == 0
    assert "\x1b" not in answer.out


def record(number, manifest, promoted=True, rejected=False):
    spec = manifest.app.spec
    return {"revision": f"web-v{number}", "digest": manifest.digest, "promoted": promoted, "rejected": rejected, "commit": "c" * 40, "spec": spec}


@pytest.fixture
def history(decide, clone, reader):
    """web-v1 to web-v3 (1.25 to 1.27), v3 desired and running; nothing waits."""
    made = []
    for number in (1, 2, 3):
        clone.commit(f"{OTHER}---\n{MANIFEST.replace('1.27', f'1.{24 + number}')}" + f"# {number}\n")
        made.append(record(number, find_manifest(clone.top, of_shop())))
    desired = revision(3)
    desired.digest = made[-1]["digest"]
    status = application("web", "shop", path=PATH, desired=desired, running=desired)
    reader.statuses, reader.kept = [status], {status.key: made[::-1]}
    return made


def test_rollback_without_a_gate_restores_the_spec_promoted_before(decide, clone, history):
    answer = decide("rollback")
    assert (answer.code, answer.err) == (0, "")
    assert clone.changed == [
        "-        image: nginx:1.27   # keep in step with the base image",
        "+        image: nginx:1.26   # keep in step with the base image",
    ]
    assert clone.git("log", "-1", "--format=%s").strip() == "Roll shop/web back to web-v2"


def test_rule_7a_rollback_passes_over_what_was_rejected_or_never_promoted(decide, clone, history):
    history[1]["rejected"] = True
    assert decide("rollback").code == 0
    assert clone.git("log", "-1", "--format=%s").strip() == "Roll shop/web back to web-v1"
    history[0]["promoted"] = False
    answer = decide("rollback")
    assert answer.code == 1
    assert "no earlier promoted revision" in answer.err


def test_rollback_to_a_revision_by_name_even_at_a_gate(decide, clone, reader, history):
    reader.statuses = [of_shop(desired=reader.statuses[0].desired)]
    assert decide("rollback", "--to", "web-v1").code == 0
    assert "nginx:1.25" in clone.text.partition("---")[2]
    assert decide("rollback", "--to", "web-v1").code == 5
    answer = decide("rollback", "--to", "web-v9")
    assert answer.code == 4
    assert "web-v3, web-v2, web-v1" in answer.err


def test_going_back_to_a_rejected_revision_is_warned_of(decide, history):
    history[0]["rejected"] = True
    answer = decide("rollback", "--to", "web-v1")
    assert answer.code == 0
    assert "is rejected: going back to it is a new revision" in answer.err


def test_a_restore_that_is_not_exactly_the_revision_is_warned_of(decide, history):
    history[1]["digest"] = "f" * 64
    answer = decide("rollback")
    assert answer.code == 0
    assert "still not what web-v2 was made of" in answer.err


def test_a_step_is_no_matter_of_a_restore(decide, history):
    assert decide("rollback", "--to", "web-v1", "--step", "approve").code == 2
    assert decide("rollback", "--step", "approve").code == 1


@pytest.fixture
def running(decide, reader):
    """A run under way at no gate."""
    stop = StopView(key="gates.reconciler.dev/run", rollback="rollback@999999999999", end="end@999999999999")
    reader.statuses = [of_shop(gates=[], run=run(stop=stop))]


def test_rule_4f_the_whole_run_can_be_ended_where_no_gate_waits(decide, running):
    answer = decide("reject", "--output", "json")
    assert answer.json().items() >= {"key": "gates.reconciler.dev/run", "value": "end@999999999999"}.items()


def test_rule_4f_the_whole_run_can_be_rolled_back_by_its_name(decide, running):
    answer = decide("rollback", "--step", "run", "--output", "json")
    assert answer.json().items() >= {"key": "gates.reconciler.dev/run", "value": "rollback@999999999999"}.items()


def test_rule_4f_a_run_takes_no_continue(decide, running):
    assert decide("approve").code == 1
    assert decide("approve", "--step", "run").code == 1


def test_a_waiting_gate_is_decided_before_the_run(decide, reader, running):
    reader.statuses = [of_shop(run=reader.statuses[0].run)]
    assert decide("reject", "--output", "json").json()["key"] == "gates.reconciler.dev/approve"


def test_rule_12_a_masked_secret_is_never_committed_in_place_of_the_secret(decide, clone, history):
    history[1]["spec"] = {"components": [{"name": "web", "type": "webservice", "properties": {"image": "https://***@registry/x"}}]}
    head = clone.git("rev-parse", "HEAD")
    answer = decide("rollback")
    assert answer.code == 1
    assert "git checkout cccccccccccc -- apps/web.yaml" in answer.err
    assert clone.git("rev-parse", "HEAD") == head


SUSPEND = "reconciler.dev/suspend"


def test_suspend_commits_the_reason_and_resume_takes_out_just_that(decide, clone):
    before = clone.text
    answer = decide("suspend", "--reason", "wait for Ada")
    assert (answer.code, answer.err) == (0, "")
    assert clone.changed == ["+  annotations:", f"+    {SUSPEND}: wait for Ada"]
    assert clone.git("log", "-1", "--format=%s").strip() == "Suspend shop/web: wait for Ada"
    answer = decide("resume", "--push", "--output", "json")
    assert answer.json().items() >= {"key": SUSPEND, "value": "", "path": PATH, "pushed": True, "message": "Resume shop/web"}.items()
    assert clone.text == before
    assert clone.git("ls-remote", "origin", "main").split()[0] == answer.json()["commit"]


def test_resume_leaves_other_annotations_alone(decide, clone):
    decide("approve")
    decide("suspend", "--reason", "x")
    assert decide("resume").code == 0
    assert find_manifest(clone.top, of_shop()).app.annotations == {"gates.reconciler.dev/approve": "continue@0123456789ab"}


def test_rule_5a_suspending_makes_no_other_revision(decide, clone):
    before = find_manifest(clone.top, of_shop()).digest
    decide("suspend", "--reason", "x")
    assert find_manifest(clone.top, of_shop()).digest == before


def test_a_suspension_gets_another_reason_but_never_the_same_twice(decide, clone):
    assert decide("suspend", "--reason", "one").code == 0
    assert decide("suspend", "--reason", "two", "--output", "json").json()["value"] == "two"
    assert len(clone.changed) == 2
    answer = decide("suspend", "--reason", "two")
    assert answer.code == 5
    assert "already" in answer.err


@pytest.mark.parametrize("args", [(), ("--reason", " "), ("--reason", "x", "--step", "approve")])
def test_suspend_wants_a_reason_and_no_gate(decide, clone, args):
    assert decide("suspend", *args).code == 2
    assert clone.git("rev-list", "--count", "HEAD").strip() == "1"


def test_resume_of_what_was_suspended_at_once_names_the_command_that_ends_it(decide, clone, reader):
    reader.statuses = [of_shop(suspended="holidays, ordered by Ada", conditions=[condition("Suspended", "Ordered")])]
    answer = decide("resume")
    assert answer.code == 1
    assert "`reconciler workflow resume shop/web`" in answer.err
    assert clone.git("rev-list", "--count", "HEAD").strip() == "1"


@pytest.mark.parametrize(("seen", "hint"), [("", "does not suspend shop/web"), ("holidays", "sees it suspended (holidays)")])
def test_resume_of_what_this_clone_does_not_suspend_is_refused(decide, clone, reader, seen, hint):
    reader.statuses = [of_shop(suspended=seen)]
    answer = decide("resume")
    assert answer.code == 1
    assert hint in answer.err
    assert clone.git("rev-list", "--count", "HEAD").strip() == "1"
