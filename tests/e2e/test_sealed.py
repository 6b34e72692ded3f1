"""Encrypted values on a real API server: the daemon has its keys from a Secret, and what it decrypts stands in Secrets and nowhere else."""

from __future__ import annotations

import base64
import re
import zlib

from tests.e2e.place import Place
from tests.unit.sealing.encrypting import Person, as_yaml, seal, sealed_secret

CANARY = "c4n4ry-Wer-das-liest"
FORMS = [CANARY, base64.b64encode(CANARY.encode()).decode().rstrip("=")[:-1]]
PERSON = Person()


def manifest(namespace: str, token: str) -> str:
    properties = seal({"image": "shop:1", "env": [{"name": "TOKEN", "value": token}]}, PERSON, regex="^value$")
    components = [
        {"name": "secrets", "type": "manifests", "properties": {"path": "secrets"}},
        {"name": "web", "type": "webservice", "properties": properties},
    ]
    meta = {"name": "shop", "namespace": namespace}
    return as_yaml({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": meta, "spec": {"components": components}})


def files(namespace: str, **values: str) -> dict[str, str | None]:
    return {"shop.yaml": manifest(namespace, f"{CANARY}-env"), "secrets/db.yaml": as_yaml(sealed_secret("db", values, PERSON))}


def data(place: Place, name: str) -> dict[str, str]:
    found = (place.object("v1", "secrets", name) or {}).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def packed(text: str) -> str:
    """The text, and what is compressed in it."""
    return text + "".join(zlib.decompress(base64.b64decode(part)).decode() for part in re.findall(r"'(eJ[A-Za-z0-9+/=]{20,})'", text))


def test_rule_12_secrets_are_applied_as_they_are_encrypted_and_a_key_that_left_git_leaves_them(place: Place) -> None:
    keys = {"metadata": {"name": "sops"}, "stringData": {"me.agekey": PERSON.secret}}
    place.plane.api("POST", f"/api/v1/namespaces/{place.home}/secrets", keys)
    place.clone.push(files(place.namespace, password=f"{CANARY}-1", user="shop"))
    with place.daemon("--sops-secret", f"{place.home}/sops", "--log-level", "debug") as daemon:
        daemon.ready().until("shop", lambda status: status["running"] is not None, "running")
        assert data(place, "db") == {"password": f"{CANARY}-1", "user": "shop"}
        assert data(place, "web-sealed") == {"deployment.web.TOKEN": f"{CANARY}-env"}
        head = place.clone.push(files(place.namespace, password=f"{CANARY}-2"))
        daemon.until("shop", lambda status: status["running"] and status["running"]["commit"] == head, "the next")
        assert data(place, "db") == {"password": f"{CANARY}-2"}
        shown = daemon.said
    kinds = ["configmaps", "events", "pods", "services"]
    found = [place.plane.api("GET", place.path("v1", kind, namespace=space))["items"] for kind in kinds for space in (place.namespace, place.home)]
    found += [place.plane.api("GET", place.path("apps/v1", "deployments"))["items"]]
    found += [place.state(plural) for plural in ("applications", "applicationrevisions", "workflowruns")]
    text = packed(repr(found)) + shown
    assert [form for form in FORMS if form in text] == []
