"""`reconciler cluster get|events`: objects of the cluster as the daemon sees it, secrets masked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from reconciler.cli.client import Client
from reconciler.cli.errors import NotFoundError, UsageError
from reconciler.cli.output import output_option, print_json, print_table, server_option
from reconciler.cluster.health import assess
from reconciler.model.duration import format_duration
from reconciler.model.identity import JsonObject

namespace_option = click.option("--namespace", "-n", default="", metavar="NAMESPACE", help="Only there; else in all of them.")


@click.group()
def command() -> None:
    """Look at the objects of the cluster."""


@command.command()
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="[NAME]", required=False, default="")
@namespace_option
@output_option
@server_option
def get(kind: str, name: str, namespace: str, output: str, server: str) -> None:
    """List the objects of KIND (as `deployment`, `deploy` or `deployments.apps`), or show the one called NAME."""
    found: list[JsonObject] = Client(server).decode("/v1/objects", list[JsonObject], kind=kind, namespace=namespace, name=name)
    if name and not found:
        raise NotFoundError(f"no {kind} is called {name!r}" + (f" in namespace {namespace}" if namespace else ""))
    if name and len(found) > 1:
        places = ", ".join(str(_meta(obj).get("namespace", "")) for obj in found)
        raise UsageError(f"{kind} {name!r} is in several namespaces: say which of {places} with -n")
    if output == "json":
        print_json(found[0] if name else found)
        return
    now = datetime.now(UTC)
    rows = [
        (_meta(obj).get("namespace", "-"), _meta(obj).get("name", ""), _describe(obj), _age(_meta(obj).get("creationTimestamp"), now))
        for obj in found
    ]
    print_table(("NAMESPACE", "NAME", "STATUS", "AGE"), rows, f"No {kind}.")


@command.command()
@namespace_option
@output_option
@server_option
def events(namespace: str, output: str, server: str) -> None:
    """List what the cluster's controllers reported, oldest first."""
    found: list[JsonObject] = Client(server).decode("/v1/objects", list[JsonObject], kind="Event", namespace=namespace)
    found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    if output == "json":
        print_json(found)
        return
    now = datetime.now(UTC)
    print_table(("SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"), [_describe_event(event, now) for event in found], "No events.")


def _describe_event(event: JsonObject, now: datetime) -> tuple[str, ...]:
    about = event.get("involvedObject") or event.get("regarding") or {}
    where = "/".join(str(about[part]) for part in ("namespace", "name") if about.get(part))
    seen = _age(event.get("lastTimestamp") or event.get("eventTime"), now)
    return (
        seen,
        str(event.get("type", "")),
        str(event.get("reason", "")),
        f"{about.get('kind', '')} {where}",
        str(event.get("message") or event.get("note") or ""),
    )


def _meta(obj: JsonObject) -> JsonObject:
    meta = obj.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _describe(obj: JsonObject) -> str:
    """The two numbers or the word that people look for first."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    if not isinstance(status, dict) or not isinstance(spec, dict):
        return "-"
    if "replicas" in spec:
        return f"{status.get('readyReplicas', 0)}/{spec['replicas']} ready, {status.get('updatedReplicas', 0)} updated"
    return str(status.get("phase") or assess(obj)[1] or "-")


def _age(stamp: Any, now: datetime) -> str:
    try:
        return format_duration(now - datetime.fromisoformat(str(stamp)))
    except (ValueError, TypeError):
        return "-"
