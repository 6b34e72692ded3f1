"""
Values of charts from the cluster, read when a revision is made. ConfigMaps as they are; of Secrets the chart sees tokens, as of values that SOPS
encrypted, and what they stand for is put back where it may stand (rules 12, 13c).
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from reconciler.charts.protocol import ChartError
from reconciler.cluster.protocol import ClusterError, NotFoundError
from reconciler.dialects.documents import parse
from reconciler.engine.applications import Application
from reconciler.engine.reach import Reach
from reconciler.model.consent import read_consents
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import ALLOW_STEPS
from reconciler.model.sealed import make_token
from reconciler.model.text import one_line

CONSENT: Final = "helm-values"
"""Before the `@` of a Secret's consent; behind it stands the application's name."""
_WORDS: Final = {"true": True, "false": False, "null": None}
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)


async def read_object(reach: Reach, app: Application, kind: str, name: str) -> JsonObject | None:
    """Of the application's own namespace and in its own name; None where it is not there. Raises ChartError."""
    try:
        return await reach.of(app).get(ObjectRef("v1", kind, app.key.namespace, name))
    except NotFoundError:
        return None
    except ClusterError as error:
        raise ChartError(f"{kind} {one_line(name, 80)} can't be read: {one_line(error, 300)}", retry=True) from None


async def read_values(reach: Reach, app: Application, component: str, source: JsonObject, salt: str, sealed: dict[str, str]) -> JsonObject:
    """
    What one of `valuesFrom` gives: `{configMap | secret, key, optional, target}`. What tokens of a Secret stand for is added to `sealed`; `salt`:
    the application's, so that nobody can tell by a token what it stands for. Raises ChartError, which holds nothing of a Secret.
    """
    kind = "Secret" if "secret" in source else "ConfigMap"
    name, key, target = str(source.get("secret") or source.get("configMap")), str(source["key"]), str(source.get("target") or "")
    place = one_line(f"component {component}: valuesFrom: {kind} {app.key.namespace}/{name}", 300)
    found = await read_object(reach, app, kind, name)
    if found is not None and kind == "Secret":
        _check_consent(found, app, place)
    text = _entry(found, key, place) if found is not None else None
    if text is None:
        if source.get("optional"):
            return {}
        raise ChartError(f"{place} is not there" if found is None else f"{place} has no entry {one_line(key, 80)}", retry=True)
    if kind == "ConfigMap":
        return _below(target, _typed(text)) if target else _read(name, key, text, place)
    values: Any = text
    if not target:
        try:
            values = _read(name, key, text, place)
        except ChartError:  # what is wrong may be told by a part of it
            raise ChartError(f"{place}: the entry {one_line(key, 80)} is no YAML of values; targetPath takes it as one text", retry=True) from None
    hidden = _hide(values, app.key.namespace, salt, sealed, place)
    return _below(target, hidden) if target else hidden


def _check_consent(found: JsonObject, app: Application, place: str) -> None:
    said = str((found["metadata"].get("annotations") or {}).get(ALLOW_STEPS) or "")
    if not any(consent.step_type == CONSENT and consent.host == app.key.name.lower() for consent in read_consents(said)):
        raise ChartError(
            f"{place} may not be used: its owner allows that by the annotation {ALLOW_STEPS}: {CONSENT}@{one_line(app.key.name, 80)}", retry=True
        )


def _entry(found: JsonObject, key: str, place: str) -> str | None:
    value = (found.get("data") or {}).get(key)
    if value is None or found.get("kind") != "Secret":
        return None if value is None else str(value)
    try:
        return base64.b64decode(value, validate=True).decode().removesuffix("\n")
    except (ValueError, TypeError):
        raise ChartError(f"{place}: the entry {one_line(key, 80)} is no text", retry=True) from None


def _read(name: str, key: str, text: str, place: str) -> JsonObject:
    documents, problems = parse(one_line(f"{name}/{key}", 120), text)
    broken = next((problem for problem in problems if problem.severity == "error"), None)
    if broken is not None or len(documents) > 1:
        raise ChartError(f"{place}: {one_line(broken, 300) if broken is not None else 'values are one document'}", retry=True)
    return documents[0].content if documents else {}


def _hide(value: Any, namespace: str, salt: str, sealed: dict[str, str], place: str) -> Any:
    """Texts alone: a chart that asks whether a token is true, or counts with it, would go wrong silently."""
    if isinstance(value, dict):
        return {key: _hide(item, namespace, salt, sealed, place) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide(item, namespace, salt, sealed, place) for item in value]
    if not isinstance(value, str):
        raise ChartError(f"{place}: it holds a value that is no text: what is no secret stands in values, and a number in quotes", retry=True)
    token = make_token(value, salt, namespace)
    sealed[token] = value
    return token


def _below(path: str, value: Any) -> JsonObject:
    for name in reversed(path.split(".")):
        value = {name: value}
    found: JsonObject = value
    return found


def _typed(text: str) -> Any:
    """As `helm --set` reads a value."""
    text = text.strip()
    return _WORDS[text] if text in _WORDS else int(text) if _WHOLE.fullmatch(text) else text
