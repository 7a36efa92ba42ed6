from __future__ import annotations

import random
from base64 import urlsafe_b64encode
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import AliasRule, FixRequestError, SettingsError
from croupier.sessions.players import check_operator_player, draw_alias


class Tokens:
    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)

    def new_id(self) -> str:
        return self.nonce()

    def nonce(self) -> str:
        return self.random.randbytes(16).hex()

    def token(self) -> str:
        return urlsafe_b64encode(self.random.randbytes(32)).decode().rstrip("=")

    def jitter(self) -> float:
        return self.random.random()


@pytest.mark.parametrize(
    "player",
    [
        "ann@example.com",
        "ann.b+c@mail.example.co.uk",
        "+4930123456789",
        "+49 30 1234567",
        "(030) 123-4567",
        "030-123-4567",
        "555.123.4567",
    ],
)
def test_an_id_that_tells_who_the_player_is_is_refused_without_repeating_it(player: str) -> None:
    with pytest.raises(FixRequestError, match="looks like") as caught:
        check_operator_player(player)
    assert player not in str(caught.value)


@pytest.mark.parametrize("player", ["", "x" * 129, "two words", "tab\tbed", "null\x00", "line\n"])
def test_what_can_be_no_id_is_refused(player: str) -> None:
    with pytest.raises(FixRequestError):
        check_operator_player(player)


@pytest.mark.parametrize(
    "player",
    [
        "1",
        "12345678",
        "0012345678",
        "493012345678",
        "player-1",
        "brand1-204455",
        "12-345678",
        "5f0c8a52-3b1d-4c0a-9a0e-0d9a3c1b2e4f",
        "usr_01HZX3",
        "@handle",
        "a:b|c",
        "игрок7",
    ],
)
def test_an_opaque_id_is_accepted(player: str) -> None:
    check_operator_player(player)


@given(
    st.integers(),
    st.sets(st.characters(codec="ascii", categories=["L", "N"]), min_size=2),
    st.integers(min_value=1, max_value=200),
    st.sampled_from(["", "p_", "croupier-"]),
)
def test_a_drawn_name_fits_its_rule(seed: int, alphabet: set[str], room: int, prefix: str) -> None:
    rule = AliasRule(alphabet="".join(alphabet), length=len(prefix) + room, prefix=prefix)
    drawn = draw_alias(rule, Tokens(seed))
    assert len(drawn) == rule.length
    assert drawn.startswith(prefix)
    assert set(drawn[len(prefix) :]) <= alphabet


def test_every_sign_of_the_alphabet_is_about_as_likely_at_every_place() -> None:
    ids, rule = Tokens(), AliasRule(alphabet="abcdefghij", length=90)
    drawn = [draw_alias(rule, ids) for _ in range(2000)]
    for place in (0, 37, 38, 76, 89):
        counts = Counter(name[place] for name in drawn)
        assert set(counts) == set("abcdefghij")
        assert min(counts.values()) > 130
        assert max(counts.values()) < 270


@pytest.mark.parametrize("rule", [AliasRule(length=3, prefix="abc"), AliasRule(alphabet="aaaa")])
def test_a_rule_that_leaves_no_room_is_refused(rule: AliasRule) -> None:
    with pytest.raises(SettingsError):
        draw_alias(rule, Tokens())
