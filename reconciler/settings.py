"""
What an operator may set. Flags win over `RECONCILER_*` variables, those over the file of `--config`, that over the defaults.

One definition: flags, variables, keys of the file and docs/settings.md all follow from the fields below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from reconciler.model.access import Access, check_rule
from reconciler.model.duration import parse_duration
from reconciler.model.names import DNS_LABEL, KUBECTL_MANAGERS
from reconciler.model.text import one_line
from reconciler.settings_checks import check_egress, check_endpoints, check_namespace, check_paths, check_secret
from reconciler.settings_parts import Backoff, ControllerConfig, SopsKeys
from reconciler.settings_places import Place, PlaceError, check_keys, find_slashes, named_place, not_one_of, unknown

DEFAULT_LISTEN: Final = "127.0.0.1:7373"
DEFAULT_SERVER: Final = f"http://{DEFAULT_LISTEN}"
DAEMON_NAMESPACE: Final = "reconciler-system"

# A Service named `reconciler` in the daemon's namespace makes Kubernetes set such variables in the pod: they are nobody's mistake.
_SERVICE_LINK: Final = re.compile(r"RECONCILER_(?:.*_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)?)")
_CLIENT_VARIABLES: Final = ("RECONCILER_SERVER", "RECONCILER_CONFIG", "RECONCILER_TOKEN")
_WORDS: Final = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


class SettingsError(Exception):
    """A setting that cannot be used. The message names where it was given and what would be right."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """All settings, checked. `create_namespaces` is never empty here; paths are as given, relative to the working folder."""

    repo: Annotated[str, Meta(description="The git repository: the top of a work tree, or a bare repository.", extra={"flag": "REPO"})] = ""
    branch: Annotated[
        str, Meta(description="Branch, tag or commit to follow; empty: what the repository's HEAD names.", extra={"flag": "--branch"})
    ] = ""
    paths: Annotated[list[str], Meta(description="Folders to read, relative to the top; none: all of it.", extra={"flag": "--path"})] = []
    cluster: Annotated[
        Literal["embedded", "kubernetes"],
        Meta(description="Where to apply: the simulated cluster inside the daemon, or Kubernetes.", extra={"flag": "--cluster"}),
    ] = "embedded"
    lease_duration: Annotated[
        str, Meta(description="How long a replica on Kubernetes leads without a sign of life, from 1s to 10m.", extra={"flag": "--lease-duration"})
    ] = "15s"
    identity: Annotated[str, Meta(description="This replica's name on Kubernetes; empty: the machine's or pod's.", extra={"flag": "--identity"})] = ""
    shard: Annotated[
        str,
        Meta(
            description="Act on Kubernetes for the applications alone whose label reconciler.dev/shard says this; empty: for those without it.",
            extra={"flag": "--shard"},
        ),
    ] = ""
    kubeconfig: Annotated[
        str,
        Meta(description="Kubeconfig of the cluster; empty: KUBECONFIG, in a pod its own account, ~/.kube/config.", extra={"flag": "--kubeconfig"}),
    ] = ""
    context: Annotated[str, Meta(description="Context of the kubeconfig; empty: its current one.", extra={"flag": "--context"})] = ""
    install_crds: Annotated[
        bool,
        Meta(
            description="Whether the daemon brings and renews the definitions of its own kinds on a Kubernetes cluster: on or off.",
            extra={"flag": "--install-crds"},
        ),
    ] = False
    state: Annotated[
        str, Meta(description="File that holds the embedded cluster; empty: one file for each repository and branch.", extra={"flag": "--state"})
    ] = ""
    listen: Annotated[
        str, Meta(description="HOST:PORT of the read API; port 0 takes a free one. The bound address is printed.", extra={"flag": "--listen"})
    ] = DEFAULT_LISTEN
    token_file: Annotated[
        str,
        Meta(
            description="File with the token of who may order; empty: one of its own (`run` prints which), made where it is missing.",
            extra={"flag": "--token-file"},
        ),
    ] = ""
    write_back: Annotated[bool, Meta(description="Whether a rollback owes its commit to git: on or off.", extra={"flag": "--write-back"})] = True
    create_namespaces: Annotated[
        Literal["", "all", "asked", "none"],
        Meta(
            description="Which missing namespaces are created: all, those of applications that ask, or none. "
            "Not set: all on the embedded cluster, else none.",
            extra={"flag": "--create-namespaces"},
        ),
    ] = ""
    allow_egress: Annotated[
        list[str],
        Meta(description="HOST[:PORT] that may be reached although its address is private or loopback.", extra={"flag": "--allow-egress"}),
    ] = []
    chart_hosts: Annotated[
        list[str],
        Meta(
            description="HOST[:PORT] from which charts may be fetched, with the hosts that those send it on to; empty: from every public one.",
            extra={"flag": "--chart-host"},
        ),
    ] = []
    metrics_endpoints: Annotated[
        list[str],
        Meta(
            description="URL of a Prometheus that `check-metrics` steps may ask, at whatever address; the first unless they name one.",
            extra={"flag": "--metrics-endpoint"},
        ),
    ] = []
    allow_cluster_scoped: Annotated[
        list[str], Meta(description="Cluster-scoped kinds that manifests may apply.", extra={"flag": "--allow-cluster-scoped"})
    ] = []
    cluster_definitions: Annotated[
        str,
        Meta(
            description="Namespace of the cluster whose definitions are used for types that nothing else defines; KubeVela's is `vela-system`. "
            "Empty: none.",
            extra={"flag": "--cluster-definitions"},
        ),
    ] = ""
    step_plugins: Annotated[
        list[str],
        Meta(
            description="Name of an installed plug-in (entry point of `reconciler.steps`) whose step type may be used.",
            extra={"flag": "--step-plugin"},
        ),
    ] = []
    poll_interval: Annotated[
        float, Meta(gt=0, le=86400, description="Seconds between two looks at the repository, jittered.", extra={"flag": "--poll-interval"})
    ] = 30.0
    speed: Annotated[
        float, Meta(gt=0, le=1_000_000, description="How many times faster than a clock the embedded cluster moves.", extra={"flag": "--speed"})
    ] = 1.0
    log_format: Annotated[
        Literal["auto", "human", "json"], Meta(description="Lines of the log; auto: human in a terminal, else JSON.", extra={"flag": "--log-format"})
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe line to log.", extra={"flag": "--log-level"})
    ] = "info"
    namespace: Annotated[str, Meta(description="The daemon's own namespace, where its state objects are.", extra={"flag": "--namespace"})] = (
        DAEMON_NAMESPACE
    )
    rpc_timeout_mill_seconds: Annotated[
        int, Meta(gt=0, le=600_000, description="How long callbacks and `http` steps wait for a whole answer (only in the file).", extra={"flag": ""})
    ] = 5000
    idle_timeout_mill_seconds: Annotated[
        int, Meta(gt=0, le=3_600_000, description="How long an unused connection to a receiver is kept (only in the file).", extra={"flag": ""})
    ] = 200_000
    access: Annotated[list[Access], Meta(description="What the manifests below each folder may do (only in the file).", extra={"flag": ""})] = []
    sops_age_key_file: Annotated[
        str, Meta(description="File with age identities that encrypted values are decrypted with.", extra={"flag": "--sops-age-key-file"})
    ] = ""
    sops_secret: Annotated[
        str,
        Meta(
            description="Secret (`NAMESPACE/NAME`) in the cluster that holds keys to decrypt with: age identities in entries `*.agekey`, armored "
            "PGP keys in `*.asc`.",
            extra={"flag": "--sops-secret"},
        ),
    ] = ""
    sops_keys: Annotated[list[SopsKeys], Meta(description="Keys of single folders of the repository (only in the file).", extra={"flag": ""})] = []
    sops_command: Annotated[
        str,
        Meta(
            description="The `sops` command, which is needed for PGP and for key services; empty: it is not used.", extra={"flag": "--sops-command"}
        ),
    ] = ""
    sops_services: Annotated[
        list[Literal["kms", "gcp_kms", "azure_kv", "hc_vault", "hckms"]],
        Meta(description="Key services that the `sops` command may ask (only in the file).", extra={"flag": ""}),
    ] = []
    throttle_qps: Annotated[
        float, Meta(ge=0, description="How many effects of steps are started in a second; 0: as many as there are.", extra={"flag": ""})
    ] = msgspec.field(default=0.0, name="throttleQPS")
    controller_config: Annotated[
        ControllerConfig, Meta(description="Queues, and limits of single step types (only in the file).", extra={"flag": ""})
    ] = ControllerConfig()
    retry: Annotated[
        Backoff, Meta(description="How failed steps are tried again where no manifest says so (only in the file).", extra={"flag": ""})
    ] = Backoff()
    health_timeout_seconds: Annotated[
        float, Meta(gt=0, le=604800, description="How long a step waits for health where no manifest says so, in seconds.", extra={"flag": ""})
    ] = 600.0

    take_over_from: Annotated[
        list[str],
        Meta(description="Field managers whose fields in an applied object become the daemon's (only in the file).", extra={"flag": ""}),
    ] = msgspec.field(default_factory=lambda: list(KUBECTL_MANAGERS))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`; the host without brackets."""
        return split_address(self.listen)


class Setting(NamedTuple):
    """
    One setting as it is named everywhere. `flag` and `variable` are empty where it stands in the file alone;
    `flag` of the repository is its argument, REPO. `choices` are the words that it takes, if it takes only some. `parts`: of what it consists,
    each, where it is a list.
    """

    field: str
    key: str
    flag: str
    variable: str
    default: Any
    description: str
    many: bool
    switch: bool
    choices: tuple[str, ...]
    parts: type[msgspec.Struct] | None = None


def describe_settings(struct: type[msgspec.Struct] = Settings) -> list[Setting]:
    """Every setting (or key of a part of them), in the order of the fields."""
    hints = get_type_hints(struct, include_extras=True)
    found = []
    for info in msgspec.structs.fields(struct):
        base, meta = get_args(hints[info.name])
        flag = (meta.extra or {}).get("flag", "")
        variable = "RECONCILER_" + flag.lstrip("-").replace("-", "_").upper() if flag else ""
        default = info.default_factory() if info.default_factory is not msgspec.NODEFAULT else info.default
        choices = tuple(word for word in get_args(base) if word) if get_origin(base) is Literal else ()
        many = get_origin(base) is list
        inner = get_args(base)[0] if many else base
        parts = inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None
        found.append(Setting(info.name, info.encode_name, flag, variable, default, meta.description, many, base is bool, choices, parts))
    return found


def show_default(setting: Setting) -> str:
    """As it is written; empty where there is none."""
    if setting.switch:
        return "on" if setting.default else "off"
    if setting.default in ("", []) or setting.parts:
        return ""
    return ", ".join(setting.default) if setting.many else str(setting.default)


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str], file: Path | None = None) -> Settings:
    """
    Merges and checks. `flags`: values by field name, None where not given. Raises SettingsError.

    `file` falls back to the variable RECONCILER_CONFIG.
    """
    known = describe_settings()
    path = file or (Path(environ["RECONCILER_CONFIG"]) if environ.get("RECONCILER_CONFIG") else None)
    settings = Settings() if path is None else _load_file(path, known)
    settings = _merge(settings, _read_environ(environ, known))
    for setting in known:
        if flags.get(setting.field) is not None:
            settings = _merge(settings, {setting.field: (flags[setting.field], setting.flag)})
    _check_cluster(settings)
    policy = settings.create_namespaces or ("all" if settings.cluster == "embedded" else "none")
    return msgspec.structs.replace(settings, create_namespaces=policy)


def _check_cluster(settings: Settings) -> None:
    """What is said of the other cluster than the one that is named would look as if it were heeded."""
    if settings.cluster == "kubernetes" and settings.state:
        raise SettingsError("--state is the embedded cluster's file; with --cluster kubernetes the state is in the cluster")
    if settings.cluster == "embedded" and settings.shard:
        raise SettingsError("--shard needs --cluster kubernetes: the embedded cluster has one daemon, which acts for all applications")
    if settings.cluster == "embedded" and (settings.kubeconfig or settings.context):
        raise SettingsError(f"{'--kubeconfig' if settings.kubeconfig else '--context'} needs --cluster kubernetes")


def split_address(text: str) -> tuple[str, int]:
    """Reads HOST:PORT, the host of an IPv6 address in brackets. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed) or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError(f"not HOST:PORT: {one_line(text, 80)!r} (write for example 127.0.0.1:7373)")
    return (host[1:-1] if bracketed else host), int(port)


def _merge(settings: Settings, given: Mapping[str, tuple[Any, str]]) -> Settings:
    """`settings` with the given values, each with the name by which it was given."""
    values = msgspec.structs.asdict(settings)
    kinds = {setting.field: setting for setting in describe_settings()}
    for field, (value, name) in given.items():
        try:
            values[field] = _check(kinds[field], value)
        except (ValueError, msgspec.ValidationError) as error:
            raise SettingsError(f"{name}: {str(error).replace(' - at `$', f' - at `{kinds[field].key}')}") from None
    return Settings(**values)


def _check(setting: Setting, value: Any) -> Any:
    if setting.switch:
        value = _read_switch(value)
    if setting.choices and value not in setting.choices:
        raise ValueError(not_one_of(value, setting.choices))
    hint = get_type_hints(Settings, include_extras=True)[setting.field]
    checked = msgspec.convert(value, hint, strict=not isinstance(value, str))
    if setting.field == "listen":
        split_address(checked)
    if setting.field == "lease_duration" and not 1 <= parse_duration(checked).total_seconds() <= 600:
        raise ValueError(f"{one_line(checked, 40)} is not from 1s to 10m")
    if setting.field == "shard" and checked and not DNS_LABEL.fullmatch(checked):
        raise ValueError(f"no shard can be called {one_line(checked, 80)!r}: a-z, 0-9 and -, at most 63, beginning and ending with a letter or digit")
    if setting.field == "paths":
        check_paths(checked)
    if setting.field == "sops_secret":
        check_secret(checked)
    if setting.field == "cluster_definitions":
        check_namespace(checked)
    if setting.field == "sops_keys":
        for keys in checked:
            check_secret(keys.secret)
            check_paths([keys.path])
    if setting.field in ("allow_egress", "chart_hosts"):
        check_egress(checked)
    if setting.field == "metrics_endpoints":
        check_endpoints(checked)
    if setting.field == "access":
        for index, rule in enumerate(checked):
            check_rule(rule, f"[{index}]")
    return checked


def _read_switch(value: Any) -> bool:
    """On and off; also the booleans that YAML makes of the bare words."""
    word = _WORDS.get(str(value).lower())
    if word is None:
        raise ValueError(f"{one_line(value, 80)!r} is neither on nor off")
    return word


def _read_environ(environ: Mapping[str, str], known: list[Setting]) -> dict[str, tuple[Any, str]]:
    variables = {setting.variable: setting for setting in known if setting.variable}
    given: dict[str, tuple[Any, str]] = {}
    for name in sorted(environ):
        if not name.startswith("RECONCILER_") or name in _CLIENT_VARIABLES:
            continue
        setting = variables.get(name)
        if setting is not None:
            text = environ[name]
            given[setting.field] = ([item.strip() for item in text.split(",") if item.strip()] if setting.many else text, name)
        elif not _SERVICE_LINK.fullmatch(name):
            raise SettingsError(unknown("environment variable", name, [*variables, *_CLIENT_VARIABLES]))
    return given


def _load_file(path: Path, known: list[Setting]) -> Settings:
    # Imported here: only `run` reads a file, and the other commands must start fast.
    from reconciler.dialects.documents import MAX_BYTES, lines_of, parse

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    documents, problems = parse(str(path), data)
    if problems:
        raise SettingsError(f"{problems[0]}{find_slashes(data)}")
    if not documents and any(line.strip() not in (b"", b"---") and not line.lstrip().startswith(b"#") for line in data.splitlines()):
        raise SettingsError(f"{path}: a mapping of settings is expected")
    if len(documents) > 1:
        raise SettingsError(f"{path}:{documents[1].line}: one document is expected, not {len(documents)}")
    settings, keys = Settings(), {setting.key: setting for setting in known}
    for key, value in documents[0].content.items() if documents else ():
        where: Place = (key,)
        try:
            if key not in keys:
                raise PlaceError((key,), unknown("key", key, keys))
            if keys[key].parts is not None:
                check_keys(value, get_type_hints(Settings)[keys[key].field], (key,))
            settings = _merge(settings, {keys[key].field: (value, key)})
        except (PlaceError, SettingsError) as error:
            where = error.place if isinstance(error, PlaceError) else named_place(str(error)) or where
            raise SettingsError(f"{path}:{lines_of(documents[0], [where])[where]}: {error}{find_slashes(data)}") from None
    return settings
