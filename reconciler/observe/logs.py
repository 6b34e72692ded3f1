"""Logs: lines for people in a terminal, JSON otherwise, with application, revision, run and step. Untrusted text stays one line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from reconciler.model.event import Event
from reconciler.model.run import Phase
from reconciler.model.text import one_line

LONGEST: Final = 2000
LONGEST_TRACE: Final = 200  # lines

# What stands before the @ of a URL is a credential. It begins at `://`, so that no text costs more than one pass.
_USERINFO: Final = re.compile(r"://[^\s/?#]*@")
_TRACES: Final = frozenset({"exception", "stack"})
# Of each kind of event that is told: level, words, and the field that completes them.
_MESSAGES: Final[Mapping[str, tuple[str, str, str]]] = {
    "look": ("debug", "looked at the repository", ""),
    "look-failed": ("warning", "the repository could not be looked at", ""),
    "application-gone": ("info", "application removed", ""),
    "application-moved": ("info", "application moved to shard", "shard"),
    "run": ("info", "run", "to"),
    "step": ("info", "step", "to"),
    "decision": ("info", "decision", "verb"),
    "callback": ("debug", "callback", "result"),
    "lead": ("info", "lead", ""),
    "command": ("info", "command", "verb"),
    "write-back": ("info", "write-back", "result"),
    "drift-healed": ("info", "drift healed", ""),
    "object-released": ("info", "object left as it is and no longer managed", ""),
}


def configure_logs(style: Literal["auto", "human", "json"], level: str, stream: TextIO | None = None) -> None:
    """
    Sets up structlog and the standard library's loggers alike, on standard error unless a stream is given.

    Context comes by `structlog.contextvars.bound_contextvars(application=…, revision=…, run=…, step=…)`.
    """
    out = stream if stream is not None else sys.stderr
    human = style == "human" or (style == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        clean,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    # Plain traces: the rich ones print local variables, and those hold secrets.
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if human
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # One line for each poll is noise, at whatever level people ask for ours.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


def clean(_: WrappedLogger, __: str, entry: EventDict) -> EventDict:
    """Each value on one line and without the credentials of URLs; traces keep their lines, and nothing else."""
    for name, value in entry.items():
        if name in _TRACES:
            lines = str(value).split("\n")
            entry[name] = "\n".join(_clean_text(line) for line in lines[-LONGEST_TRACE:])
        elif not (value is None or isinstance(value, bool | int | float)) and not name.startswith("_"):
            entry[name] = _clean_text(value)
    return entry


def _clean_text(value: object) -> str:
    return _USERINFO.sub("://***@", one_line(value, LONGEST))


class EventLog:
    """A `Sink` that tells in the log what became of runs, steps, decisions and looks. A look that goes on failing is told once."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("reconciler")
        self._failing: Event | None = None

    def emit(self, event: Event) -> None:
        told = _MESSAGES.get(event.kind)
        if told is None or (event.kind == "step" and event.fields.get("to") == Phase.PENDING):
            return
        level, words, completion = told
        if event.kind in ("look", "look-failed"):
            again, self._failing = event == self._failing, event
            level = "debug" if again else level
        if event.kind == "callback" and event.fields.get("result") == "Dropped":
            level = "warning"
        fields: dict[str, Any] = {name: value for name, value in event.fields.items() if name not in ("from", "to")}
        if event.app is not None:
            fields = {"application": str(event.app), **fields}
        getattr(self._log, level)(f"{words} {event.fields.get(completion, '')}".rstrip(), **fields)
