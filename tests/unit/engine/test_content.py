"""Stored contents of revisions: what was packed comes back, anything else is refused (rule 3b)."""

import base64
import random
import zlib

import msgspec
import pytest

from reconciler.engine import content
from reconciler.engine.content import ContentError, holds_secret, pack, part_names, part_object, part_text, unpack
from reconciler.model.identity import AppKey

KEY = AppKey("default", "web")


def large(seed=1):
    return {"blob": base64.b64encode(random.Random(seed).randbytes(2_000_000)).decode()}


@pytest.mark.parametrize("value", [{}, {"a": [1, None, "ü"]}, large()], ids=["empty", "small", "large"])
def test_what_was_packed_comes_back_through_its_part_objects(value):
    packed = pack(value)
    kind, names = part_names(KEY, packed.mark)
    parts = [part_object("system", name, chunk, None, secret=packed.secret) for name, chunk in zip(names, packed.chunks, strict=True)]
    assert {part["kind"] for part in parts} == {kind}
    assert msgspec.json.decode(unpack(packed.mark.split("/")[0], [part_text(part) for part in parts])) == value


def test_rule_3b_every_part_stays_below_a_megabyte():
    packed = pack(large())
    assert len(packed.chunks) > 1
    for chunk in packed.chunks:
        assert len(msgspec.json.encode(part_object("system", "n" * 253, chunk, None, secret=True))) < 1024 * 1024


def test_rule_3b_parts_are_immutable_and_named_by_what_they_hold():
    one, other = pack(large(1)), pack(large(2))
    assert set(part_names(KEY, one.mark)[1]).isdisjoint(part_names(KEY, other.mark)[1])
    assert part_object("system", "n", one.chunks[0], None, secret=False)["immutable"] is True


@pytest.mark.parametrize(
    "chunks",
    [
        pack({"other": 1}).chunks,
        [],
        ["not base64!"],
        [base64.b64encode(b"not compressed").decode()],
        [pack({"a": 1}).chunks[0][:-8]],
        [base64.b64encode(zlib.compress(b"{}") + b"more").decode()],
    ],
    ids=["another", "none", "no-base64", "no-zlib", "cut", "longer"],
)
def test_rule_3b_what_does_not_have_its_digest_is_refused(chunks):
    with pytest.raises(ContentError):
        unpack(pack({"a": 1}).digest, chunks)


def test_rule_3b_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(content, "_LARGEST", 1000)
    bomb = pack({"zeros": "0" * 1_000_000})
    with pytest.raises(ContentError):
        unpack(bomb.digest, bomb.chunks)


def test_rule_3b_a_part_without_text_is_refused():
    for broken in ({"kind": "ConfigMap"}, {"kind": "Secret", "data": {}}, {"kind": "ConfigMap", "data": {"content": 7}}):
        with pytest.raises(ContentError):
            part_text(broken)


def test_rule_3b_content_with_a_secret_goes_into_secrets():
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "hunter2"}}
    packed = pack({"rendered": {"web": [{"kind": "ConfigMap"}, secret]}})
    assert holds_secret(secret)
    assert packed.secret
    part = part_object("system", "n", packed.chunks[0], None, secret=packed.secret)
    assert part["kind"] == "Secret"
    assert not pack({"rendered": {"web": [{"kind": "ConfigMap", "data": {"kind": "Secretive"}}]}}).secret
