"""Key groups: the data key is shared out, and some of the groups together have it (Shamir's secret sharing)."""

from __future__ import annotations

import copy
import os
from itertools import combinations
from typing import Any

import pytest

from reconciler.sealing.command import Command
from reconciler.sealing.opening import unseal_files
from reconciler.sealing.protocol import Keys, SealError
from reconciler.sealing.shares import SharesError, combine
from tests.unit.sealing.encrypting import Person, as_yaml, in_groups, seal, share_out

ONE, TWO, THREE = Person(), Person(), Person()
KEY = os.urandom(32)
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "hunter2"}}
PGP = {"pgp": [{"fp": "ABCD", "enc": "-----BEGIN PGP MESSAGE-----"}]}


def shared(threshold: int, *groups: Any) -> dict[str, Any]:
    return in_groups(seal(SECRET, regex="^stringData$", key=KEY), KEY, threshold, *groups)


def opened(document: dict[str, Any], *people: Person) -> list[str]:
    keys = Keys(tuple(person.secret for person in people), (), "a test")
    return list(unseal_files({"s.yaml": as_yaml(document)}, keys, Command()).values())


def refused(document: dict[str, Any], *people: Person) -> SealError:
    with pytest.raises(SealError) as caught:
        opened(document, *people)
    assert "hunter2" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("count", "threshold"), [(2, 2), (3, 2), (5, 4), (255, 3)])
def test_as_many_shares_as_are_needed_give_the_key_and_fewer_another_one(count: int, threshold: int) -> None:
    shares = share_out(KEY, count, threshold)
    for some in list(combinations(shares, threshold))[:20]:
        assert combine(some) == KEY
        assert threshold == 2 or combine(some[1:]) != KEY
    assert combine(shares[: threshold + 2]) == KEY, "nor do more of them harm"


@pytest.mark.parametrize(
    "shares", [[], [b""], [b"a\1", b"b\1"], [b"a\1", b"bb\2"], [b"a\0", b"b\1"]], ids=["none", "empty", "twice", "longer", "at 0"]
)
def test_shares_that_do_not_belong_together_are_refused(shares: list[bytes]) -> None:
    with pytest.raises(SharesError):
        combine(shares)


def test_identities_of_as_many_groups_as_are_needed_open_it_whichever_they_are() -> None:
    document = shared(2, [ONE], [TWO, Person()], [THREE])
    assert [opened(document, *people) for people in combinations((ONE, TWO, THREE), 2)] == [["hunter2"]] * 3
    assert opened(shared(3, [ONE], [ONE], [ONE]), ONE) == ["hunter2"], "one may be of several"


def test_too_few_groups_are_told_with_how_many_it_takes_and_a_key_may_still_come() -> None:
    error = refused(shared(2, [ONE], [TWO], PGP), ONE)
    assert f"2 of 3 key groups (age {ONE.recipient}; age {TWO.recipient}; PGP ABCD)" in str(error)
    assert "--sops-command" in str(error)
    assert (error.field, error.retry) == ("sops", True)
    assert "--sops-command" not in str(refused(shared(2, [ONE], [TWO]), ONE)), "which could do no more"


def test_without_a_threshold_all_groups_are_needed() -> None:
    document = shared(2, [ONE], [TWO])
    del document["sops"]["shamir_threshold"]
    assert opened(document, ONE, TWO) == ["hunter2"]
    assert "all of 2 key groups" in str(refused(document, ONE))


def test_a_single_group_holds_the_key_itself() -> None:
    document = seal(SECRET, ONE, regex="^stringData$", key=KEY)
    document["sops"]["key_groups"] = [{"age": document["sops"].pop("age")}]
    assert opened(document, ONE) == ["hunter2"]


def test_groups_do_not_count_where_somebody_is_named_beside_them() -> None:
    document = seal(SECRET, ONE, regex="^stringData$", key=KEY)
    document["sops"] |= {"key_groups": [PGP, {"pgp": []}], "shamir_threshold": 2}
    assert opened(document, ONE) == ["hunter2"]


@pytest.mark.parametrize("threshold", [0, 1, 4, -1, "many", "9" * 400, [2]])
def test_a_threshold_that_can_not_be_is_refused_where_it_stands(threshold: Any) -> None:
    document = shared(2, [ONE], [TWO], [THREE])
    document["sops"]["shamir_threshold"] = threshold
    error = refused(document, ONE, TWO, THREE)
    assert (error.field, error.line, error.retry) == ("sops.shamir_threshold", 8, False)
    assert "from 2 to 3" in str(error)


def test_shares_of_different_keys_open_nothing() -> None:
    document, other = shared(2, [ONE], [TWO]), shared(2, [ONE], [TWO])
    document["sops"]["key_groups"][0] = other["sops"]["key_groups"][0]
    error = refused(document, ONE, TWO)
    assert error.field in ("stringData.password", "sops.key_groups")
    assert not error.retry


def test_more_groups_than_places_are_refused() -> None:
    document = shared(2, [ONE], [TWO])
    document["sops"] |= {"key_groups": [copy.deepcopy(group) for group in document["sops"]["key_groups"] * 200], "shamir_threshold": 400}
    assert refused(document, ONE, TWO).field == "sops.key_groups"
