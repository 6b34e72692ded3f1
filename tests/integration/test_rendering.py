"""Rendering beside everything else: a slow template holds up no look at git and no other application (rule 8a)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from reconciler.render.engine import ComponentRenderer
from tests.integration.harness import Clone, config_map_app, running


async def test_rule_8a_two_templates_that_never_end_hold_up_neither_git_nor_others(tmp_path: Path, monkeypatch: Any) -> None:
    clone = Clone(tmp_path)
    done, begun, render = threading.Event(), threading.Semaphore(0), ComponentRenderer.render

    def slow(self: ComponentRenderer, component: Any, context: Any, files: Any) -> Any:
        if context.application.startswith("slow"):
            begun.release()
            assert done.wait(60)
        return render(self, component, context, files)

    monkeypatch.setattr(ComponentRenderer, "render", slow)
    clone.push({f"{name}.yaml": config_map_app(name, "1") for name in ("slow-1", "slow-2")})
    async with running(clone) as daemon:
        try:
            await daemon.until(lambda: begun.acquire(blocking=False), "the first is under way")
            await daemon.until(lambda: begun.acquire(blocking=False), "and the second beside it")
            clone.push({"quick.yaml": config_map_app("quick", "1")})
            await daemon.synced("quick")
            assert [shown for name in ("slow-1", "slow-2") if (shown := daemon.status(name)) is not None and shown.running] == []
            done.set()
            await daemon.synced("slow-1")
            await daemon.synced("slow-2")
        finally:
            done.set()
