"""The command `reconciler`, and `python -m reconciler`."""

from __future__ import annotations

import sys
from typing import NoReturn

from reconciler.settings import Settings


def serve(settings: Settings) -> int:
    """Runs the daemon until it is told to end. The only way from the command line to it: no command imports the daemon."""
    from reconciler.daemon import serve as serve_daemon

    return serve_daemon(settings)


def main() -> NoReturn:
    from reconciler.cli.main import execute

    sys.exit(execute(serve))


if __name__ == "__main__":
    main()
