from __future__ import annotations

import os
from itertools import product

import pytest
from attrs import evolve

from croupier.configuration.secretbox import Place, SecretBox
from croupier.contract import FixConfigurationError, SettingsError

PLACE = Place(operator="one", kind="connection", id="c1", field="secrets.signing.0")
OLD, NEW = b"o" * 32, b"n" * 32


def box(current: str = "old", **keys: bytes) -> SecretBox:
    return SecretBox(keys or {"old": OLD}, current, os.urandom)


def test_a_sealed_secret_opens_in_its_place_and_does_not_show_itself() -> None:
    sealed = box().seal("hunter2", PLACE)
    assert "hunter2" not in sealed
    assert box().open(sealed, PLACE) == "hunter2"


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert box().seal("s", PLACE) != box().seal("s", PLACE)


@pytest.mark.parametrize(
    "moved",
    [
        evolve(PLACE, operator="two"),
        evolve(PLACE, kind="operator"),
        evolve(PLACE, id="c2"),
        evolve(PLACE, field="secrets.signing.1"),
    ],
)
def test_a_secret_moved_to_another_place_does_not_open(moved: Place) -> None:
    sealed = box().seal("hunter2", PLACE)
    with pytest.raises(FixConfigurationError, match="does not open"):
        box().open(sealed, moved)


def test_no_changed_character_of_a_sealed_secret_opens() -> None:
    sealed = box().seal("hunter2", PLACE)
    for place, sign in product(range(len(sealed)), "A_"):
        changed = sealed[:place] + sign + sealed[place + 1 :]
        if changed != sealed:
            with pytest.raises(FixConfigurationError):
                box().open(changed, PLACE)


def test_another_key_of_the_same_name_opens_nothing_and_an_unknown_one_is_named() -> None:
    sealed = box().seal("hunter2", PLACE)
    with pytest.raises(FixConfigurationError, match="does not open"):
        box(old=NEW).open(sealed, PLACE)
    with pytest.raises(FixConfigurationError, match="'old'"):
        box("new", new=NEW).open(sealed, PLACE)


def test_rewrapping_needs_both_keys_and_afterwards_the_new_one_alone() -> None:
    sealed = box().seal("hunter2", PLACE)
    both = box("new", old=OLD, new=NEW)
    anew = both.rewrap(sealed, PLACE)
    assert both.rewrap(anew, PLACE) == anew
    assert box("new", new=NEW).open(anew, PLACE) == "hunter2"


@pytest.mark.parametrize(
    ("keys", "current"), [({"a": b"short"}, "a"), ({"a": OLD}, "b"), ({"a.b": OLD}, "a.b"), ({}, "a")]
)
def test_a_box_without_a_proper_key_is_refused(keys: dict[str, bytes], current: str) -> None:
    with pytest.raises(SettingsError):
        SecretBox(keys, current, os.urandom)


def test_a_source_of_nonces_that_gives_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="nonces"):
        SecretBox({"a": OLD}, "a", lambda _: b"").seal("s", PLACE)
