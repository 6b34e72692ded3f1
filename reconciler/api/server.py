"""The HTTP server of the API, in the event loop that is already running."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from reconciler.api.guard import guard
from reconciler.api.routes import Routes
from reconciler.api.token import admit
from reconciler.model.command import Commands
from reconciler.model.workflow import WorkflowReader

# Well within the five seconds in which the whole daemon must end.
SHUTDOWN_SECONDS: Final = 2.0
KEEPALIVE_SECONDS: Final = 75.0
LARGEST_BODY: Final = 8192


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(
    reader: WorkflowReader,
    render_metrics: Callable[[], bytes],
    now: Callable[[], datetime] = _utc_now,
    commands: Commands | None = None,
    token: str = "",
) -> web.Application:
    """
    The application with all its routes. It may be served by any aiohttp runner. `commands`: who carries out what is ordered by those who have
    `token`; without both nothing can be ordered.
    """
    app = web.Application(middlewares=[guard], client_max_size=LARGEST_BODY)
    routes = Routes(reader, render_metrics, now, commands)
    for path, handler in routes.table().items():
        app.router.add_get(path, handler)
    for path, handler in routes.hints().items():
        app.router.add_post(path, handler)
    if commands is not None and token:
        for path, handler in routes.orders().items():
            app.router.add_post(path, admit(token, handler))
    return app


class Server:
    """Serves one application. `start` and `stop` once each, in that order, in one event loop."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS, keepalive_timeout=KEEPALIVE_SECONDS
        )

    async def start(self, host: str, port: int) -> str:
        """Binds and answers the URL, with the port that was taken where `port` is 0. Raises OSError where it cannot bind."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        bound = self._runner.addresses[0]
        return f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Accepts nothing more and closes within `SHUTDOWN_SECONDS`, whatever clients hold open."""
        await self._runner.cleanup()
