"""The ledger's time: the database's, steady, and no matter of anybody's wall clock."""

from __future__ import annotations

import time

import pytest

from croupier.runtime.ledger_clock import FOLLOWED_MS, LedgerClock
from croupier.wallet.ports import Clock

START = 1_900_000_000_000
CLOCK: Clock = LedgerClock(START)
"""What the type checker proves here: it is a clock."""


class Counted(LedgerClock):
    """One whose monotonic clock a test moves."""

    passed = 0.0

    def _counted(self) -> int:
        return int(self.passed * 1000)


def test_it_begins_with_what_the_database_shows_and_counts_on_by_itself() -> None:
    clock = Counted(START)
    clock.passed += 90.5
    assert clock.now_ms() == START + 90_500


def test_a_wall_clock_that_is_set_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LedgerClock(START)
    for jump in (-3600, 86_400, 10**9):
        monkeypatch.setattr(time, "time_ns", lambda jump=jump: 1_900_000_000 * 10**9 + jump * 10**9)
        assert 0 <= clock.now_ms() - START < 60_000


def test_drift_is_made_good_and_time_never_goes_back() -> None:
    clock = Counted(START)
    clock.passed += 60
    assert clock.now_ms() == START + 60_000
    assert clock.compare(START + 59_500) == -500
    assert clock.now_ms() == START + 60_000
    clock.passed += 0.4
    assert clock.now_ms() == START + 60_000
    clock.passed += 0.2
    assert clock.now_ms() == START + 60_100
    assert clock.compare(START + 60_900) == 800
    assert clock.now_ms() == START + 60_900


@pytest.mark.parametrize("jump", [-86_400_000, -FOLLOWED_MS - 1, FOLLOWED_MS + 1, 3_600_000])
def test_a_database_whose_clock_was_set_is_not_followed_but_told_of(jump: int) -> None:
    clock = Counted(START)
    clock.passed += 60
    assert clock.compare(START + 60_000 + jump) == jump
    assert clock.now_ms() == START + 60_000
