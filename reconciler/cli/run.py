"""`reconciler run`: the daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from reconciler.cli.errors import CommandError, ConflictError, RefusedError, UsageError
from reconciler.cli.main import Serve
from reconciler.settings import Setting, Settings, SettingsError, describe_settings, load_settings, show_default

_VALUES: Final = {
    "paths": "FOLDER",
    "kubeconfig": "FILE",
    "state": "FILE",
    "listen": "HOST:PORT",
    "allow_egress": "HOST[:PORT]",
    "allow_cluster_scoped": "KIND",
    "cluster_definitions": "NAMESPACE",
    "lease_duration": "DURATION",
    "poll_interval": "SECONDS",
    "speed": "FACTOR",
}


def _describe_option(setting: Setting) -> click.Option:
    """The flag of a setting. Values stay text here: `load_settings` checks them, wherever they come from."""
    shown = show_default(setting)
    default = f"  [default: {shown}]" if shown else ""
    words = "on|off" if setting.switch else "|".join(setting.choices)
    return click.Option(
        [setting.flag, setting.field],
        multiple=setting.many,
        metavar=words or _VALUES.get(setting.field, "NAME"),
        help=setting.description + default,
    )


def run(config: Path | None, repo: str | None, **flags: Any) -> int:
    """
    Watch REPO, the top of a git repository, and run what it declares until Ctrl-C or SIGTERM.

    Each flag is also a variable (--write-back: RECONCILER_WRITE_BACK) and a key of the file of --config (writeBack).
    """
    given = {name: (list(value) or None) if isinstance(value, tuple) else value for name, value in flags.items()}
    try:
        settings = load_settings({**given, "repo": repo}, os.environ, config)
    except SettingsError as error:
        raise UsageError(str(error)) from None
    if not settings.repo:
        raise UsageError("no repository: name the top of one, as in `reconciler run path/to/repository`")
    return _start(click.get_current_context().obj, settings)


def _start(serve: Serve, settings: Settings) -> int:
    """Runs the daemon. What a user can mend ends with a sentence; anything else is our mistake and keeps its trace."""
    from reconciler.cluster.embedded.storage import StateError as FileError
    from reconciler.cluster.protocol import ClusterError
    from reconciler.engine.leadership import LeadLostError
    from reconciler.engine.plugins.loading import PluginError
    from reconciler.engine.store import StateError
    from reconciler.source.protocol import SourceError
    from reconciler.tokens import TokenError

    mendable = (SourceError, TokenError, FileError, StateError, PluginError, ClusterError, LeadLostError, OSError)
    try:
        return serve(settings)
    except mendable as error:
        raise _explain(error) from error
    except ExceptionGroup as group:
        found, rest = group.split(mendable)
        if found is None or rest is not None:
            raise
        first: BaseException = found
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise _explain(first) from group


def _explain(error: BaseException) -> CommandError:
    from reconciler.cluster.embedded.storage import StateLockedError
    from reconciler.cluster.protocol import KindUnknownError, KubeconfigError, NamespaceMissingError
    from reconciler.engine.leadership import LeadLostError
    from reconciler.engine.plugins.loading import PluginError
    from reconciler.source.protocol import NotARepositoryError

    if isinstance(error, NotARepositoryError | PluginError | KubeconfigError):
        return UsageError(str(error))
    if isinstance(error, NamespaceMissingError):
        return RefusedError(f"{error}. The daemon's own namespace is not there: `kubectl create namespace` it, or name another by --namespace")
    if isinstance(error, KindUnknownError):
        return RefusedError(f"{error}. The daemon's own kinds are not there: `reconciler install`")
    return ConflictError(str(error)) if isinstance(error, StateLockedError | LeadLostError) else RefusedError(str(error))


command = click.Command(
    "run",
    callback=run,
    help=run.__doc__,
    params=[
        click.Argument(["repo"], required=False, metavar="REPO"),
        click.Option(["--config"], type=click.Path(path_type=Path), metavar="FILE", help="YAML file of settings; docs/settings.md lists its keys."),
        *(_describe_option(setting) for setting in describe_settings() if setting.flag.startswith("--")),
    ],
)
