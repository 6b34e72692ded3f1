"""From a push over a gate to what is promoted, by a daemon on a real API server, and what it asks of it meanwhile."""

from tests.e2e.place import config_map_app

GATE = """  workflow:
    steps:
    - {type: suspend, name: approve}
    - {type: apply-component, name: apply, properties: {component: shop}}
"""
CHANGES = ("create", "update", "patch", "delete")


def gated(place, value, annotations=None):
    return config_map_app(place.namespace, "shop", value, **(annotations or {})) + GATE


def changes(place):
    """What the daemon wrote, without the Events that are told of it whenever there is time."""
    return place.done_by_daemons(*CHANGES)


def test_a_commit_with_the_code_lets_a_run_go_on_and_a_daemon_that_comes_back_has_nothing_to_do(place):
    place.clone.push({"shop.yaml": gated(place, "one")})
    with place.daemon() as daemon:
        gate = daemon.ready().until("shop", lambda status: status["gate"], "at the gate")["gate"]
        assert place.value("shop") == "", "nothing is applied before it opens"
        place.clone.push({"shop.yaml": gated(place, "one", {gate["key"]: gate["continue"]})})
        daemon.until("shop", lambda status: status["sync"] == "Synced" and status["running"], "promoted")
        daemon.wait_for(lambda: place.stored("shop"), "the status is stored, too")
    assert place.value("shop") == "one"
    assert [run["status"]["phase"] for run in place.state("workflowruns")] == ["Succeeded"]
    before, earlier = changes(place), len(place.done_by_daemons("get", "list"))
    with place.daemon() as daemon:
        daemon.leading().until("shop", lambda status: status["sync"] == "Synced", "synced again")
        asked = place.done_by_daemons("get", "list")[earlier:]
    assert changes(place) == before
    assert not [one for one in asked if one.verb == "get" and one.resource in {"workflowruns", "applicationrevisions"}], "state is read by lists"


def test_rule_10a_nothing_is_sent_for_an_object_of_which_nothing_differs(place):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one", "second")})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
        text = config_map_app(place.namespace, "shop", "one", "second").replace(
            "name: second}\n        data: {value: 'one'}", "name: second}\n        data: {value: 'two'}"
        )
        place.clone.push({"shop.yaml": text})
        daemon.until("shop", lambda status: status["running"] and status["running"]["revision"] == "shop-v2", "the second revision")
    assert (place.value("shop"), place.value("second")) == ("one", "two")
    sent = [one.name for one in place.done_by_daemons("patch") if one.resource == "configmaps" and one.namespace == place.namespace]
    assert sorted(sent) == ["second", "second", "shop"]


def test_at_most_four_calls_lie_between_a_new_head_and_the_first_apply(place):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one")})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
        daemon.wait_for(lambda: place.stored("shop"), "the status is stored, too")
        for value, revision in (("two", "shop-v2"), ("three", "shop-v3")):  # the second of them with what runs at hand, whatever the start was like
            place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", value)})
            daemon.until("shop", lambda status, new=revision: status["running"] and status["running"]["revision"] == new, revision)
            daemon.wait_for(lambda: place.stored("shop"), "the status is stored, too")
    calls = place.done_by_daemons(*CHANGES, "get")
    [_, _, last] = [number for number, one in enumerate(calls) if one.verb == "patch" and one.namespace == place.namespace]
    look = max(number for number, one in enumerate(calls[:last]) if one.verb == "update" and one.name.startswith("reconciler-source-"))
    assert [f"{one.verb} {one.resource}" for one in calls[look : last + 1]] == [
        "update configmaps",
        "create applicationrevisions",
        "create workflowruns",
        "patch configmaps",
    ]
