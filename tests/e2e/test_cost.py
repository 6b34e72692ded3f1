"""The daemon as a process, on a real API server: the whole way from a push to objects, and what it costs there."""

from collections import Counter

from tests.e2e.place import config_map_app


def test_rule_3d_a_plain_application_costs_six_writes_on_a_real_server_too(place):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one")})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
        daemon.wait_for(lambda: place.stored("shop"), "the status is stored, too")
    assert place.value("shop") == "one"
    writes = Counter(one.resource for one in place.done_by_daemons("create", "update", "patch") if "shop" in one.name)
    assert writes == {"applications": 1, "applicationrevisions": 1, "workflowruns": 2, "configmaps": 1, "applications/status": 1}


def test_a_daemon_that_comes_back_writes_nothing_while_nothing_changed(place):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one")})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
        daemon.wait_for(lambda: place.stored("shop"), "the status is stored, too")
    before = place.done_by_daemons("create", "update", "patch", "delete")
    with place.daemon() as daemon:
        daemon.leading().until("shop", lambda status: status["sync"] == "Synced", "synced")
    assert place.done_by_daemons("create", "update", "patch", "delete") == before


def test_all_that_the_daemon_stores_is_one_field_or_two_to_the_server(place):
    place.clone.push({"shop.yaml": config_map_app(place.namespace, "shop", "one")})
    with place.daemon() as daemon:
        daemon.ready().until("shop", lambda status: status["sync"] == "Synced", "synced")
        daemon.wait_for(lambda: place.stored("shop"), "the status is stored, too")
    for plural in ("applications", "applicationrevisions", "workflowruns"):
        [stored] = place.state(plural)
        entries = stored["metadata"].get("managedFields", [])
        assert bool(entries) == (plural != "workflowruns"), "a run that was written again has no managers"
        for entry in entries:
            fields = entry["fieldsV1"].items()
            assert all(name == "f:metadata" or below == {} for name, below in fields), f"{plural}: {entry}"
