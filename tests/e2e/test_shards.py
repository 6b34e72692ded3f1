"""Two daemons, each of its own shard, over one repository and one namespace of a real API server."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.e2e.place import Place, config_map_app, in_shard
from tests.integration.process import Process


def acts(daemon: Process, name: str, shard: str, revision: str) -> None:
    daemon.until(
        name,
        lambda status: status["shard"] == shard and status["sync"] == "Synced" and status["running"]["revision"] == revision,
        f"{name} runs {revision}, for which shard {shard!r} acts",
    )


def test_each_acts_for_its_own_and_what_moves_is_handed_over_while_both_run(place: Place) -> None:
    def push(**values: tuple[str, str]) -> None:
        place.clone.push({f"{name}.yaml": in_shard(config_map_app(place.namespace, name, value), shard) for name, (value, shard) in values.items()})

    push(web=("1", ""), api=("1", "b"))
    with place.daemon() as plain, place.daemon("--shard", "b") as other:
        for daemon in (plain, other):
            daemon.leading()
            acts(daemon, "web", "", "web-v1")
            acts(daemon, "api", "b", "api-v1")
        before = (place.object("v1", "configmaps", "web") or {})["metadata"]["uid"]
        push(web=("1", "b"))
        for daemon in (plain, other):
            acts(daemon, "web", "b", "web-v1")
        push(web=("2", "b"), api=("2", ""))
        for daemon in (plain, other):
            acts(daemon, "web", "b", "web-v2")
            acts(daemon, "api", "", "api-v2")
        assert (place.value("web"), place.value("api")) == ("2", "2")
        assert (place.object("v1", "configmaps", "web") or {})["metadata"]["uid"] == before
        told = [sorted(name for name in ("web", "api") if f'name="{name}"' in daemon.text("/metrics")) for daemon in (plain, other)]
        assert told == [["api"], ["web"]], "each counts its own"
        body = json.dumps({"timeout": 5}).encode()
        asked = Request(f"{plain.url}/v1/applications/{place.namespace}/web/reconcile", body, {"Content-Type": "application/json"})
        with pytest.raises(HTTPError) as refused:
            urlopen(asked, timeout=10)
        assert refused.value.code == 421
        assert "--shard b" in refused.value.read().decode()
    assert place.deletions() == []
    labels = {mirror["metadata"]["name"].partition(".")[2]: mirror["metadata"].get("labels") for mirror in place.state("applications")}
    assert labels["web"] == {"reconciler.dev/shard": "b"}
    assert not labels["api"]
    leases = place.plane.api("GET", place.path("coordination.k8s.io/v1", "leases", namespace=place.home))["items"]
    assert sorted(lease["metadata"]["name"] for lease in leases) == ["reconciler", "reconciler-b"]
