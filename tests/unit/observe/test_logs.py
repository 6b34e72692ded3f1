"""Logs: with context, on one line each, without credentials."""

import io
import json
import logging

import pytest
import structlog

from reconciler.model.event import KINDS, Event
from reconciler.model.identity import AppKey
from reconciler.observe.logs import EventLog, configure_logs


@pytest.fixture(autouse=True)
def _restore_logging():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def out():
    return io.StringIO()


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_lines_carry_application_revision_run_and_step(out):
    configure_logs("json", "info", out)
    with structlog.contextvars.bound_contextvars(application="dev/web", revision="web-v2", run="web-v2-1", step="apply"):
        structlog.get_logger("reconciler.engine").info("applied", objects=3)
    (line,) = lines(out)
    assert (
        line.items()
        >= {
            "application": "dev/web",
            "revision": "web-v2",
            "run": "web-v2-1",
            "step": "apply",
            "event": "applied",
            "level": "info",
            "logger": "reconciler.engine",
            "objects": 3,
        }.items()
    )
    assert line["timestamp"].endswith("Z")


def test_lines_of_the_standard_library_look_the_same(out):
    configure_logs("json", "info", out)
    logging.getLogger("somewhere").warning("%s of %d", "one", 2, extra={"step": "x"})
    (line,) = lines(out)
    assert line.items() >= {"event": "one of 2", "level": "warning", "logger": "somewhere", "step": "x"}.items()


def test_lines_below_the_level_are_not_there(out):
    configure_logs("json", "warning", out)
    structlog.get_logger("a").info("no")
    logging.getLogger("a").info("no")
    logging.getLogger("apscheduler.executors").info("no")
    structlog.get_logger("a").error("yes")
    assert [line["event"] for line in lines(out)] == ["yes"]


@pytest.mark.parametrize("style", ["human", "json"])
def test_rule_13e_untrusted_text_stays_on_its_line(out, style):
    configure_logs(style, "info", out)
    structlog.get_logger("a").info("read\nERROR forged", message="a\r\nb\x1b[2J\u202ec", nested=["x\ny"])
    logging.getLogger("a").info("read\nERROR forged")
    assert len(out.getvalue().splitlines()) == 2
    assert "\x1b[2J" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


@pytest.mark.parametrize("style", ["human", "json"])
def test_rule_12_credentials_of_urls_are_never_logged(out, style):
    configure_logs(style, "info", out)
    log = structlog.get_logger("a")
    log.info("https://ann:s3cret@git.example.com/x failed", url="ssh://tok-s3cret@host", nested={"u": "http://a:p@ss-s3cret@h/"})
    try:
        raise ValueError("https://ann:s3cret@git.example.com")
    except ValueError:
        log.exception("failed")
    assert "s3cret" not in out.getvalue()
    assert "https://***@git.example.com/x failed" in out.getvalue()


@pytest.mark.parametrize("style", ["human", "json"])
def test_rule_12_traces_show_no_local_variables(out, style):
    configure_logs(style, "info", out)

    def fail(password):
        raise ValueError("no\nERROR forged")

    try:
        fail("hun" + "ter2")
    except ValueError:
        structlog.get_logger("a").exception("failed")
    assert "hunter2" not in out.getvalue()
    assert "ValueError" in out.getvalue()


def test_auto_is_json_where_nobody_watches_and_human_in_a_terminal(out):
    configure_logs("auto", "info", out)
    structlog.get_logger("a").info("hello")
    assert lines(out)[0]["event"] == "hello"
    out.isatty = lambda: True
    configure_logs("auto", "info", out)
    structlog.get_logger("a").info("again")
    assert "\x1b[" in out.getvalue().splitlines()[1]


def test_events_are_told_with_their_application(out):
    configure_logs("json", "info", out)
    log = EventLog()
    log.emit(Event("run", AppKey("dev", "web"), {"run": "web-v2-1", "revision": "web-v2", "from": "Running", "to": "Waiting", "seconds": 1}))
    log.emit(Event("step", AppKey("dev", "web"), {"run": "web-v2-1", "step": "apply", "type": "x", "from": "", "to": "Pending", "seconds": 0}))
    log.emit(Event("queue", None, {"depth": 3}))
    (line,) = lines(out)
    assert line.items() >= {"event": "run Waiting", "application": "dev/web", "run": "web-v2-1", "revision": "web-v2"}.items()


@pytest.mark.parametrize("kind", [*KINDS, "of tomorrow"])
def test_an_event_without_its_fields_never_raises_into_the_engine(out, kind):
    configure_logs("json", "debug", out)
    EventLog().emit(Event(kind))


def test_a_look_that_goes_on_failing_is_told_once_until_it_fails_otherwise(out):
    configure_logs("json", "info", out)
    log = EventLog()
    missing, broken = (Event("look-failed", None, {"reason": reason}) for reason in ("RefMissing", "Unreadable"))
    for event in (missing, missing, broken, broken, Event("look", None, {}), broken):
        log.emit(event)
    assert [line["reason"] for line in lines(out)] == ["RefMissing", "Unreadable", "Unreadable"]
