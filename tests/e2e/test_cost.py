"""The daemon as a process, on a real API server: the whole way from a push to objects, and what it costs there."""

from collections import Counter

from tests.e2e.place import config_map_app


def test_rule_3d_a_plain_application_costs_six_writes_on_a_real_server_too(place):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one")})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
    assert place.value("shop") == "one"
    # Events of transitions come beside them, later and within bounds of their own, or are lost.
    writes = Counter(one.resource for one in place.done_by_daemons("create", "update", "patch") if "shop" in one.name and one.resource != "events")
    assert writes == {"applications": 1, "applicationrevisions": 1, "workflowruns": 2, "configmaps": 1, "applications/status": 1}


def test_a_daemon_that_comes_back_writes_nothing_while_nothing_changed(place):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one")})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
    before = changes(place)
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
    assert changes(place) == before


def changes(place):
    return [one for one in place.done_by_daemons("create", "update", "patch", "delete") if one.resource != "events"]
