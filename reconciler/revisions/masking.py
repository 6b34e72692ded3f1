"""Objects without what must not be seen (rules 12, 13c)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.model.identity import JsonObject
from reconciler.model.names import ANNOTATION_SEALED
from reconciler.model.text import MASK

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_USERINFO = re.compile(r"://[^/?#\s]*@")
# A Secret that is written as text, in YAML or JSON, within a field of something else.
_SECRET_TEXT = re.compile(r"""kind["']?\s{0,8}:\s{0,8}["']?Secret\b""")
_DATA_TEXT = re.compile(r"""(?:stringData|data)["']?\s{0,8}:""")
_DEEPEST = 64
CREDENTIALS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "http": (("headers",),),
    "request": (("header",),),
    "webhook": (("url", "value"),),
    "notification": (*((channel, "url", "value") for channel in ("lark", "dingding", "slack")), ("email", "from", "password", "value")),
    "export2secret": (("data",), ("dockerRegistry", "password")),
    "export-data": (("data",),),
}
"""Places in the properties of steps, by type, whose values are credentials more often than not."""


def mask_object(obj: JsonObject) -> JsonObject:
    """A copy with secret values replaced: `data` and `stringData` of a Secret, last-applied annotations, user parts of URLs."""
    return {key: mask_at(obj, (key,), value) for key, value in obj.items()}


def mask_manifests(value: Any, depth: int = 0) -> Any:
    """The same for Secrets that stand anywhere in plain data, as in the properties of a component, and for the credentials of steps. A text
    that holds a Secret is hidden whole."""
    if depth > _DEEPEST:
        return MASK
    if isinstance(value, dict):
        if is_secret(value):
            return mask_object(value)
        shown = {key: mask_manifests(item, depth + 1) for key, item in value.items()}
        return _mask_step(shown, CREDENTIALS[shown["type"]]) if isinstance(shown.get("type"), str) and shown["type"] in CREDENTIALS else shown
    if isinstance(value, list):
        return [mask_manifests(item, depth + 1) for item in value]
    if isinstance(value, str) and _SECRET_TEXT.search(value) and _DATA_TEXT.search(value):
        return MASK
    return _mask(value, (), secret=False)


def _mask_step(step: dict[str, Any], places: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """What a step is given that is a credential more often than not, so that nobody has to know which is."""
    for field in ("properties", "parameters"):
        for place in places:
            step = _mask_below(step, (field, *place))
    return step


def _mask_below(value: Any, place: tuple[str, ...]) -> Any:
    """A mapping at that place keeps its keys."""
    if not place:
        return dict.fromkeys(value, MASK) if isinstance(value, dict) else MASK
    if not isinstance(value, dict) or value.get(place[0]) is None:
        return value
    return {**value, place[0]: _mask_below(value[place[0]], place[1:])}


def mask_at(obj: JsonObject, path: tuple[Any, ...], value: Any) -> Any:
    """`value`, which stands at `path` of `obj`, as it may be shown. The shape stays; of a secret value neither length nor hash shows."""
    secret = is_secret(obj)
    return _mask(value, tuple(str(part) for part in path), secret)


def is_secret(obj: JsonObject) -> bool:
    return obj.get("kind") == "Secret" and str(obj.get("apiVersion", "")).rpartition("/")[0] == ""


def _mask(value: Any, path: tuple[str, ...], secret: bool) -> Any:
    hidden = (secret and path[:1] in (("data",), ("stringData",)) and len(path) > 1) or path[-1:] == (LAST_APPLIED,)
    hidden = hidden or (secret and path[-1:] == (ANNOTATION_SEALED,))
    if hidden or len(path) > _DEEPEST:
        return MASK
    if isinstance(value, dict):
        return {key: _mask(item, (*path, str(key)), secret) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item, (*path, str(index)), secret) for index, item in enumerate(value)]
    if secret and path in (("data",), ("stringData",)) and value is not None:
        return MASK
    return _USERINFO.sub(f"://{MASK}@", value) if isinstance(value, str) else value
