"""`reconciler reconcile`: what it sends, prints and ends with."""

import pytest

from tests.unit.api.fakes import application


@pytest.fixture(autouse=True)
def _application(reader):
    reader.statuses = [application("web", "prod")]


@pytest.mark.parametrize(("result", "code"), [("Unchanged", 0), ("Changed", 0), ("Healed", 0), ("BackOff", 1), ("Failed", 1), ("TimedOut", 6)])
def test_it_says_what_happened_and_fails_where_that_failed(ask, reader, result, code):
    reader.result = result
    answer = ask("reconcile", "web", "--timeout", "2")
    assert (answer.code, answer.out) == (code, "looked at commit 0123: nothing is new\n")
    assert reader.wishes == [("prod/web", 2.0)]


def test_scripts_get_what_the_daemon_said(ask):
    answer = ask("reconcile", "web", "-o", "json")
    assert answer.json()["result"] == "Unchanged"
    assert answer.code == 0


@pytest.mark.parametrize("timeout", ["0", "301", "soon"])
def test_a_time_that_cannot_be_waited_is_a_mistake_of_the_caller(ask, reader, timeout):
    assert ask("reconcile", "web", "--timeout", timeout).code == 2
    assert reader.wishes == []


def test_an_application_that_is_not_there_is_not_found(ask):
    assert ask("reconcile", "nobody").code == 4
