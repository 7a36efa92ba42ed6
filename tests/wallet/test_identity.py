"""Computed ids: the same for ever, and never the same for two things."""

from itertools import combinations, pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from croupier.ledger.records import Key
from croupier.wallet.identity import derived_id, movement_id, rollback_id, round_id

PARTS = st.lists(st.text(max_size=6), max_size=5)


def test_the_ids_of_known_things_never_change() -> None:
    """An operator may hold these ids for years: a change of any of them is a second payment."""
    assert derived_id() == "56cea762-9fc4-8e94-84d0-ef125e7417b6"
    assert derived_id("a", "b") == "96e2e12f-4f82-82cb-89b8-1f4becea1a7c"
    assert derived_id("ключ", "§") == "e33690ee-616d-8121-aa97-530210ed9a09"
    assert movement_id(Key("operator-1", "connection-1", "tx", "b1")) == "1ee5ab8a-29b3-8094-bebc-7d06b73c1908"
    assert round_id("operator-1", "connection-1", "player-1", "r1") == "151e56ac-7a4d-8ac5-94ad-662acb0bd1f0"
    assert rollback_id("operator-1", "movement-1", 0) == "3db205ee-ba42-8d04-bed8-cbd1d701b6d2"
    assert rollback_id("operator-1", "movement-1", 1) == "c0b0017e-ce8f-88e0-a649-71c7c624c740"


@given(PARTS, PARTS)
def test_two_lists_of_parts_have_two_ids(first: list[str], second: list[str]) -> None:
    assert (derived_id(*first) == derived_id(*second)) is (first == second)


def test_parts_that_read_the_same_when_they_are_joined_have_different_ids() -> None:
    lists = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", ""),
        ("", "abc"),
        ("a|1:b", "c"),
        ("a", "1:b|c"),
        ("a", "b", "c"),
    ]
    ids = [derived_id(*parts) for parts in lists]
    assert len(set(ids)) == len(lists)


@given(PARTS)
def test_an_id_is_a_uuid_of_version_8(parts: list[str]) -> None:
    found = UUID(derived_id(*parts))
    assert found.version == 8
    assert str(found) == derived_id(*parts)


def test_every_column_of_a_key_counts() -> None:
    keys = [
        Key("operator", "scope", "namespace", "value"),
        Key("other", "scope", "namespace", "value"),
        Key("operator", "other", "namespace", "value"),
        Key("operator", "scope", "other", "value"),
        Key("operator", "scope", "namespace", "other"),
    ]
    assert len({movement_id(key) for key in keys}) == len(keys)


def test_players_of_one_provider_round_have_rounds_of_their_own() -> None:
    rounds = [
        round_id("o", "c", "p", "r"),
        round_id("o", "c", "q", "r"),
        round_id("o", "d", "p", "r"),
        round_id("x", "c", "p", "r"),
        round_id("o", "c", "p", "s"),
    ]
    assert len(set(rounds)) == len(rounds)


def test_the_rounds_of_a_player_lie_together() -> None:
    rounds = sorted((round_id("o", "c", f"player-{n % 7}", f"r{n}"), n % 7) for n in range(700))
    players = [player for _, player in rounds]
    assert sum(one != other for one, other in pairwise(players)) == 6
    assert len({found for found, _ in rounds}) == 700


def test_kinds_of_ids_never_meet() -> None:
    ids = (
        movement_id(Key("o", "t", "0", "x")),
        round_id("o", "t", "0", "x"),
        rollback_id("o", "t", 0),
        derived_id("delivery", "o", "t", "0"),
    )
    assert all(first != second for first, second in combinations(ids, 2))
