"""What was decrypted stands in Secrets and nowhere else (rules 12, 13c)."""

from __future__ import annotations

import base64
import re
import sqlite3
import zlib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.model.identity import AppKey
from reconciler.observe.logs import EventLog
from reconciler.observe.metrics import Metrics
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sealed import CANARY, PERSON, Keys, annotate, app, folder, pass_gate
from tests.integration.sequences import phases, push
from tests.unit.sealing.encrypting import as_yaml, seal, sealed_secret


async def everything_shown(daemon: Daemon) -> str:
    """All that the read API can answer, and all that was told as events."""
    reader, key = daemon.engine.reader, AppKey("default", "web")
    kinds = ("Secret", "Deployment", "ConfigMap", "Application.reconciler.dev", "ApplicationRevision", "WorkflowRun", "Pod", "Event")
    answers: list[Any] = [reader.application(key), reader.problems(), await reader.diff(key), await reader.revisions(key), await reader.history(key)]
    answers += [await reader.objects(kind, "", "") for kind in kinds]
    answers += [await reader.workflow(key, line.run) for line in reader.workflows()]
    return repr(answers) + repr(daemon.sink.events)


async def test_rule_12_a_decrypted_value_is_in_secrets_and_nowhere_else(tmp_path: Path, capsys: Any) -> None:
    """Through a push, a diff, a change, a rollback and failures; searched are the whole state, what is shown, told and logged."""
    clone, state, metrics = Clone(tmp_path), tmp_path / "state.db", Metrics(lambda: datetime.now(UTC), [])
    steps = [{"type": "deploy", "name": "all"}, {"type": "suspend", "name": "approve"}]
    seen = ""

    def files(value: str, image: str) -> dict[str, str | None]:
        properties = seal({"image": image, "env": [{"name": "TOKEN", "value": f"{value}-env"}]}, PERSON, regex="^value$")
        web = {"name": "web", "type": "webservice", "properties": properties}
        return {"web.yaml": app(folder(), web, steps=steps), "secrets/db.yaml": as_yaml(sealed_secret("db", {"password": value}, PERSON))}

    async with running(clone, str(state), unsealer=Keys(tmp_path, PERSON).unsealer(), sinks=(metrics, EventLog())) as daemon:
        commit = await push(daemon, clone, files(f"{CANARY}-1", "nginx:1"))
        await pass_gate(daemon, clone)
        await daemon.synced("web")
        seen += await everything_shown(daemon)
        await push(daemon, clone, files(f"{CANARY}-2", "nginx:2"))
        gate = (await daemon.waiting("web", revision="web-v2")).gate
        assert gate is not None
        diff = await daemon.engine.reader.diff(AppKey("default", "web"))
        assert diff is not None
        assert "Secret default/db" in [change["object"] for change in diff["objects"]]
        seen += await everything_shown(daemon)
        await annotate(clone, gate.key, gate.rollback)
        await daemon.until(lambda: phases(daemon, "web")[-1] == "web-v1-2 Succeeded", "restored")
        seen += await everything_shown(daemon)
        broken = sealed_secret("db", {"password": "x"}, PERSON, field="data")
        await push(daemon, clone, {**files(f"{CANARY}-3", "nginx:3"), "secrets/db.yaml": as_yaml(broken)})
        await daemon.until(lambda: "not base64" in daemon.conditions("web").get("ManifestInvalid", ""), "told")
        await push(daemon, clone, files(f"{CANARY}-4", "-not an image:"))
        await daemon.until(lambda: phases(daemon, "web")[-1].startswith("web-v3-1"), "begun")
        seen += await everything_shown(daemon)
        assert commit
    seen += metrics.render().decode() + capsys.readouterr().out
    forms = [CANARY, base64.b64encode(CANARY.encode()).decode().rstrip("=")[:-1]]
    assert not [form for form in forms if form in seen]
    assert stored_elsewhere(state, forms) == set()


def stored_elsewhere(state: Path, forms: list[str]) -> set[str]:
    """Kinds of objects other than Secrets that hold one of those texts, packed or not; read from the file itself."""
    found: set[str] = set()
    with closing(sqlite3.connect(state)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]
    for row in rows:
        for cell in row:
            text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
            packed = [unpacked(part) for part in re.findall(r"eJ[A-Za-z0-9+/=]{20,}", text)]
            if '"kind":"Secret"' not in text and any(form in body for form in forms for body in (text, *packed)):
                found.add(text[:120])
    return found


def unpacked(text: str) -> str:
    """What was compressed and written in base64."""
    try:
        return zlib.decompress(base64.b64decode(text)).decode("utf-8", "replace")
    except (ValueError, zlib.error):
        return ""


async def test_a_secret_in_clear_text_is_refused_where_the_repository_wants_it_encrypted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": CANARY}}
    files = {"web.yaml": app(folder()), "secrets/db.yaml": as_yaml(secret)}
    clone.push({**files, "secrets/.sops.yaml": "creation_rules: [{encrypted_regex: ^stringData$}]\n"})
    async with running(clone) as daemon:
        told = await daemon.until(lambda: daemon.conditions("web").get("ManifestInvalid"), "told")
        assert "secrets/db.yaml:6: Application web: stringData.password: Secret db: stands in clear text" in told
        assert CANARY not in told
