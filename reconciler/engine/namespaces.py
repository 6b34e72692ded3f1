"""Missing namespaces: created for all applications, for those that ask, or for none (`--create-namespaces`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from reconciler.cluster.protocol import AlreadyExistsError
from reconciler.engine.applications import Application
from reconciler.engine.reach import Reach
from reconciler.model.identity import AppKey
from reconciler.model.names import ANNOTATION_RELEASED

Creation = Literal["all", "asked", "none"]


class Namespaces:
    """`asks`: whether the application's manifest says `reconciler.dev/create-namespace: "true"`. What is created here is never pruned."""

    def __init__(self, reach: Reach, creation: Creation, asks: Callable[[AppKey], bool]) -> None:
        self._reach, self._creation, self._asks = reach, creation, asks

    async def create(self, app: Application, name: str) -> bool:
        """Whether the namespace is there now."""
        if self._creation == "none" or (self._creation == "asked" and not self._asks(app.key)):
            return False
        try:
            annotations = {ANNOTATION_RELEASED: str(app.key)}  # it may declare the namespace later
            await self._reach.unchecked(app).create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}})
        except AlreadyExistsError:
            return True
        return True
