"""Charts, and values from the cluster, for a new revision: found and fetched before it is made, and pinned in it (rule 5a)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec

from reconciler.charts.fetching import Charts
from reconciler.charts.protocol import ChartError, Credentials
from reconciler.cluster.protocol import Cluster, ClusterError
from reconciler.engine.applications import Application
from reconciler.engine.chart_values import read_object, read_values
from reconciler.engine.reach import Reach
from reconciler.model.application import Application as Compiled
from reconciler.model.application import Component
from reconciler.model.canonical import digest
from reconciler.model.chart import Capabilities, ChartPin, ChartSource, source_of
from reconciler.model.consent import read_consents
from reconciler.model.identity import AppKey, JsonObject
from reconciler.model.names import ALLOW_STEPS
from reconciler.model.records import Content
from reconciler.model.text import one_line

T = TypeVar("T")
CHART: str = "helm"


class Supply(NamedTuple):
    """`application`: with the values from the cluster in it. `charts`: pins by component id; `archives`: what they name; `pins`: for the record.
    `capabilities`: of the cluster, where there are charts or definitions. `sealed`: what tokens in values stand for, which came from Secrets."""

    application: Compiled
    charts: dict[str, ChartPin]
    archives: dict[str, bytes]
    pins: dict[str, str]
    capabilities: Capabilities = Capabilities()
    sealed: Mapping[str, str] = MappingProxyType({})


class _Asked(NamedTuple):
    what: str
    task: asyncio.Task[Any]


class Charting:
    """
    `charts`: None where no connection is made. What is slow goes on beside the turns of applications (rule 8a): who asks gets another turn when
    it is there.
    """

    def __init__(self, charts: Charts | None, cluster: Cluster, reach: Reach, hint: Callable[[AppKey], None]) -> None:
        self._charts, self._cluster, self._reach, self._hint = charts, cluster, reach, hint
        self._asked: dict[tuple[AppKey, str], _Asked] = {}

    def close(self) -> None:
        for asked in self._asked.values():
            asked.task.cancel()
        self._asked.clear()

    async def supply(self, app: Application, of_git: str, compiled: Compiled, salt: str = "", *, wait: bool) -> Supply | None:
        """
        For a revision of that git digest. `salt`: the application's, needed where values come from Secrets. None, unless it is to `wait`: not
        there yet, the application gets another turn when it is.

        Raises ChartError, of which `retry` says whether it may come right with nothing changed in git.
        """
        charted = [component for component in compiled.components if component.is_built_in(CHART)]
        if not charted and not compiled.definitions:
            return Supply(compiled, {}, {}, {})
        if not any(source_of(component.properties) or component.properties.get("valuesFrom") for component in charted):
            return await self._supply(app, compiled, charted, salt)
        if wait:
            return await self._supply(app, compiled, charted, salt)
        return self._ask(app.key, "", of_git, lambda: self._supply(app, compiled, charted, salt))

    def archive(self, app: Application, content: Content, component: str) -> bytes | None:
        """What a component is rendered from again: that of its pin, or what is stored of a folder; empty where it has no chart. None: not there
        yet. Raises ChartError."""
        if component in content.folders:
            return content.folders[component]
        pin = content.charts.get(component)
        if pin is None:
            return b""
        source = source_of(content.application.component(component).properties)
        return self._ask(app.key, component, pin.text, lambda: self._archive(app, pin, source.secret if source is not None else ""))

    def _ask(self, key: AppKey, slot: str, what: str, make: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """What comes of it, once; None while it is under way. What was asked for before in the same slot is not wanted any more."""
        asked = self._asked.get((key, slot))
        if asked is not None and asked.what == what:
            if not asked.task.done():
                return None
            del self._asked[key, slot]
            found: T = asked.task.result()
            return found
        if asked is not None:
            asked.task.cancel()
        task = asyncio.create_task(make())
        self._asked[key, slot] = _Asked(what, task)
        task.add_done_callback(lambda done: self._tell(key, done))
        return None

    def _tell(self, key: AppKey, done: asyncio.Task[Any]) -> None:
        if not done.cancelled():
            done.exception()  # it is raised where it is asked for
            self._hint(key)

    async def _supply(self, app: Application, compiled: Compiled, charted: list[Component], salt: str) -> Supply:
        changed: dict[str, Component] = {}
        charts: dict[str, ChartPin] = {}
        archives: dict[str, bytes] = {}
        capabilities = await self._capabilities()
        pins = {"cluster": capabilities.text}
        sealed: dict[str, str] = {}
        known: dict[ChartSource, tuple[ChartPin, bytes]] = {}
        for component in charted:
            properties, listed = component.properties, component.properties.get("valuesFrom") or []
            if any("values" not in source for source in listed):
                read = [{"values": await self._values(app, component.name, source, salt, sealed)} for source in listed]
                properties = {**properties, "valuesFrom": read}
                changed[component.id] = msgspec.structs.replace(component, properties=properties)
                pins[f"values/{component.id}"] = digest(read)
            source = source_of(properties)
            if source is not None:
                if source not in known:
                    known[source] = await self._resolve(app, source)
                charts[component.id], archives[component.id] = known[source]
                pins[f"chart/{component.id}"] = charts[component.id].text
        components = [changed.get(component.id, component) for component in compiled.components]
        return Supply(msgspec.structs.replace(compiled, components=components), charts, archives, pins, capabilities, sealed)

    async def _values(self, app: Application, component: str, source: JsonObject, salt: str, sealed: dict[str, str]) -> JsonObject:
        found: JsonObject = source["values"] if "values" in source else await read_values(self._reach, app, component, source, salt, sealed)
        return found

    async def _capabilities(self) -> Capabilities:
        try:
            return await self._cluster.capabilities()
        except ClusterError as error:
            raise ChartError(f"what the cluster serves can't be asked for: {one_line(error, 300)}", retry=True) from None

    async def _resolve(self, app: Application, source: ChartSource) -> tuple[ChartPin, bytes]:
        if self._charts is None:
            raise ChartError(f"{source.label} is not fetched: no connection is made here")
        credentials = await self._credentials(app, source.secret)
        pin = await self._charts.resolve(source, credentials)
        return pin, await self._charts.archive(pin, credentials)

    async def _archive(self, app: Application, pin: ChartPin, secret: str) -> bytes:
        if self._charts is None:
            raise ChartError(f"{pin.label} is not fetched: no connection is made here")
        return await self._charts.archive(pin, await self._credentials(app, secret))

    async def _credentials(self, app: Application, name: str) -> Credentials | None:
        """Rule 13c: of the application's own namespace, for the hosts that the Secret's owner names."""
        if not name:
            return None
        found = await read_object(self._reach, app, "Secret", name)
        if found is None:
            raise ChartError(f"the Secret {one_line(name, 80)} of secretRef is not in the namespace {app.key.namespace}", retry=True)
        said = (found["metadata"].get("annotations") or {}).get(ALLOW_STEPS, "")
        hosts = [
            (f"[{consent.host}]" if ":" in consent.host else consent.host, consent.port)
            for consent in read_consents(said)
            if consent.step_type == CHART
        ]
        if not hosts:
            raise ChartError(
                f"the Secret {one_line(name, 80)} of secretRef may not be used: its owner allows that by the annotation {ALLOW_STEPS}: {CHART}@HOST",
                retry=True,
            )
        data = found.get("data") or {}
        try:
            username, password = (base64.b64decode(data[key], validate=True).decode().strip("\n") for key in ("username", "password"))
        except (KeyError, ValueError, TypeError):
            raise ChartError(f"the Secret {one_line(name, 80)} of secretRef holds no username and password as text", retry=True) from None
        return Credentials(username, password, frozenset(f"{host}:{port}" if port else host for host, port in hosts))


def takes_secrets(compiled: Compiled) -> bool:
    """Whether values of its charts come from Secrets."""
    charted = (component for component in compiled.components if component.is_built_in(CHART))
    return any("secret" in source for component in charted for source in component.properties.get("valuesFrom") or [])
