"""From the name of an installed plug-in to its class and what its parameters are (rule 13f: only those that the operator names)."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NamedTuple, get_type_hints

import msgspec

from reconciler.model.text import nearest, one_line
from reconciler.steps.plugin import PluginStep
from reconciler.steps.validation import Finding

ENTRY_POINTS: Final = "reconciler.steps"
LONGEST_CALL: Final = 600.0
_SECONDS: Final = 60.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_AT: Final = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)


class PluginError(Exception):
    """A plug-in can't be used; the message names it and says why."""


class Plugin(NamedTuple):
    """
    A class that is a plug-in. `made_of`: the class, called for each call. `parameters`: what its parameters are read as. `step`: what the
    machine knows of it.
    """

    name: str
    made_of: Callable[[], Any]
    parameters: type
    seconds: float
    step: PluginStep


class NoParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a step without parameters takes."""


def load_plugins(names: Iterable[str], reserved: Collection[str]) -> dict[str, Plugin]:
    """The plug-ins of those names. Raises PluginError: not installed, built in (`reserved`), not to be imported, or not what a plug-in is."""
    found: dict[str, Plugin] = {}
    for name in names:
        if name in reserved:
            raise PluginError(f"step plug-in {name}: a step type of that name is built in, and no plug-in takes its place")
        if name not in found:
            found[name] = read_plugin(name, _import(_find(name)))
    return found


def _find(name: str) -> EntryPoint:
    installed = {(point.name, point.value): point for point in entry_points(group=ENTRY_POINTS)}
    fitting = [point for point in installed.values() if point.name == name]
    if len(fitting) > 1:
        owners = ", ".join(sorted(point.dist.name if point.dist else point.value for point in fitting))
        raise PluginError(f"step plug-in {name}: several packages have one of that name: {owners}")
    if not fitting:
        others = sorted({point.name for point in installed.values()})
        close = nearest(name, others)
        known = f"installed are {', '.join(one_line(other, 80) for other in others[:20])}" if others else "no package installed here has any"
        raise PluginError(f"step plug-in {one_line(name, 80)} is not installed{f'; did you mean {close}?' if close else ''} ({known})")
    return fitting[0]


def _import(point: EntryPoint) -> object:
    try:
        return point.load()
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        message = f"step plug-in {point.name}: {point.value} can't be imported: {type(error).__name__}: {one_line(error, 200)}"
        raise PluginError(message) from error


def read_plugin(name: str, found: object) -> Plugin:
    """What a class says of itself. Raises PluginError where it is no plug-in. Nothing of it is called."""
    wrong = f"step plug-in {name}: "
    if not _NAME.fullmatch(name):
        raise PluginError(f"{wrong}a name is at most 63 of A-Z, a-z, 0-9, - _ and .")
    if not isinstance(found, type):
        raise PluginError(f"{wrong}{type(found).__name__} is not a class with run and rollback")
    missing = [method for method in ("run", "rollback") if not callable(getattr(found, method, None))]
    if missing:
        raise PluginError(f"{wrong}the class {found.__name__} has no method {' and no method '.join(missing)}")
    sync = getattr(found, "sync", None)
    if sync is not None and not callable(sync):
        raise PluginError(f"{wrong}sync of {found.__name__} is not a method")
    seconds = getattr(found, "seconds", _SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds) or not 0 < seconds <= LONGEST_CALL:
        raise PluginError(f"{wrong}seconds of {found.__name__} is how long a call may take: more than 0, at most {LONGEST_CALL:.0f}")
    parameters = getattr(found, "Parameters", NoParameters)
    try:
        fields = _read_fields(parameters)
    except (TypeError, NameError, ValueError) as error:
        raise PluginError(f"{wrong}Parameters of {found.__name__}: {one_line(error, 200)}") from error
    step = PluginStep(
        name,
        {encoded: described for encoded, (_, described, _) in fields.items()},
        tuple(encoded for encoded, (_, _, required) in fields.items() if required),
        _checker({encoded: hint for encoded, (hint, _, _) in fields.items()}),
        syncs=sync is not None,
    )
    return Plugin(name, found, parameters, float(seconds), step)


def _read_fields(parameters: object) -> dict[str, tuple[Any, str, bool]]:
    """Name in a manifest to (type, meaning, whether it must be there). Raises TypeError, NameError, ValueError."""
    if not isinstance(parameters, type) or not (issubclass(parameters, msgspec.Struct) or dataclasses.is_dataclass(parameters)):
        raise TypeError("a msgspec Struct or a dataclass is expected")
    info = msgspec.inspect.type_info(parameters)
    for part in _walk(info):
        if isinstance(part, msgspec.inspect.CustomType):
            raise TypeError(f"{part.cls.__name__} is not a plain type")
        if hasattr(getattr(part, "cls", None), "__post_init__"):
            raise TypeError(f"{part.cls.__name__} has a __post_init__: parameters hold types and limits; what runs code belongs into run")  # type: ignore[attr-defined]  # looked for above
    assert isinstance(info, msgspec.inspect.StructType | msgspec.inspect.DataclassType)
    hints = get_type_hints(parameters, include_extras=True)
    return {field.encode_name: (hints[field.name], _describe(field.type), field.required) for field in info.fields}


def _describe(kind: msgspec.inspect.Type) -> str:
    return str((kind.extra_json_schema or {}).get("description", "")) if isinstance(kind, msgspec.inspect.Metadata) else ""


def _walk(value: object, seen: set[int] | None = None) -> Iterator[msgspec.inspect.Type]:
    """All types that one is made of."""
    seen = set() if seen is None else seen
    if isinstance(value, tuple):
        for item in value:
            yield from _walk(item, seen)
    elif isinstance(value, msgspec.inspect.Type | msgspec.inspect.Field) and id(value) not in seen:
        seen.add(id(value))
        if isinstance(value, msgspec.inspect.Type):
            yield value
        for name in value.__struct_fields__:
            if name not in ("default", "default_factory", "cls"):
                yield from _walk(getattr(value, name), seen)


def _checker(hints: Mapping[str, Any]) -> Any:
    """Checks the properties that are there, each by its type. Those that are missing are told by who knows what inputs bring."""

    def check(properties: dict[str, Any]) -> list[Finding]:
        found: list[Finding] = []
        for name, value in properties.items():
            if name not in hints:
                continue
            try:
                msgspec.convert(value, hints[name], strict=False)
            except (msgspec.ValidationError, RecursionError) as error:
                found.append(_explain(name, str(error)))
        return found

    return check


def _explain(name: str, message: str) -> Finding:
    """`Expected `int`, got `str` - at `$.a[0]`` as (`name.a[0]`, what is wrong)."""
    at = _AT.search(message)
    inside = at[1] if at is not None and "`" not in at[1] and "..." not in at[1] else ""
    text = message[: at.start()] if at is not None else message
    joint = "" if not inside or inside.startswith("[") else "."
    return f"{name}{joint}{inside}", one_line(text[:1].lower() + text[1:], 200)


def read_parameters(plugin: Plugin, properties: dict[str, Any]) -> Any:
    """An object of the plug-in's `Parameters`. Numbers may be written as text, as the step-flow family does. Raises ValueError."""
    unknown = [name for name in properties if name not in plugin.step.params]
    if unknown:
        raise ValueError(f"{one_line(unknown[0], 80)} is not known here")
    try:
        return msgspec.convert(properties, plugin.parameters, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(one_line(str(error).replace(" - at `$.", " - at `"), 300)) from None
