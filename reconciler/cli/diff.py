"""`reconciler diff`: what would change if the desired revision ran."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from reconciler.cli.client import Client
from reconciler.cli.errors import Exit
from reconciler.cli.output import MARKS, output_option, print_json, print_line, server_option
from reconciler.model.identity import AppKey


class FieldChange(msgspec.Struct, rename={"before": "from", "after": "to"}):
    """One field; `before` or `after` is absent where the field is."""

    path: str
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET


class ObjectChange(msgspec.Struct):
    object: str
    change: str
    fields: list[FieldChange] = []


class Difference(msgspec.Struct, rename={"before": "from", "after": "to"}):
    """Revisions, or null where there is none, and the objects that differ. Secrets are masked."""

    application: str
    namespace: str
    before: Any
    after: Any
    objects: list[ObjectChange]


@click.command()
@click.argument("application", metavar="APP")
@click.option("--exit-code", is_flag=True, help="End with 1 where something differs, as `git diff` does; with 0 otherwise.")
@output_option
@server_option
def command(application: str, exit_code: bool, output: str, server: str) -> int:
    """Show which objects and fields differ between the running and the desired revision of APP."""
    client = Client(server)
    key = client.find(application).key
    difference: Difference = client.decode(client.locate(key, "diff"), Difference)
    if output == "json":
        print_json(difference)
    else:
        _print(key, difference)
    return Exit.REFUSED if exit_code and difference.objects else Exit.OK


def _print(key: AppKey, difference: Difference) -> None:
    print_line(f"{key}: {_name(difference.before)} -> {_name(difference.after)}")
    if not difference.objects:
        print_line("No object differs.")
    for changed in difference.objects:
        print_line(f"{MARKS.get(changed.change, '?')} {changed.object}")
        for field in changed.fields:
            print_line(f"    {field.path}: {_show(field.before)} -> {_show(field.after)}")


def _name(revision: Any) -> str:
    """A revision is a name, or an object that holds one."""
    name = revision.get("revision") or revision.get("digest", "")[:12] if isinstance(revision, dict) else revision
    return str(name) if name else "nothing"


def _show(value: Any) -> str:
    return "(absent)" if value is msgspec.UNSET else json.dumps(value, ensure_ascii=False)
