"""The ledger's time: steady, over restarts too, and no matter of anybody's wall clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from attrs import evolve

from croupier.ledger.clock_marks import ClockMark, ClockReading
from croupier.runtime import clocks
from croupier.runtime.clocks import boot_of_machine, steady_ms
from croupier.runtime.ledger_clock import (
    FOLLOWED_MS,
    FRESH_MS,
    SLOWLY,
    LedgerClock,
    may_be_told_more,
    time_at_start,
)
from croupier.wallet.ports import Clock

START = 1_900_000_000_000
HOUR = 3_600_000
CLOCK: Clock = LedgerClock(START)
"""What the type checker proves here: it is a clock."""
HERE, THERE = "this boot", "another machine's"
MARK = ClockMark(boot=HERE, steady_ms=50_000, ledger_ms=START, database_ms=START)
OTHER = evolve(MARK, boot=THERE, steady_ms=9)


class Counted(LedgerClock):
    """One whose steady clock a test moves."""

    def __init__(self, ledger_ms: int = START) -> None:
        self.passed = 70_000
        super().__init__(ledger_ms, HERE, lambda: self.passed)

    def shown(self, database_ms: int, *marks: ClockMark) -> int:
        """Compare with the database's clock and marks."""
        return self.compare(ClockReading(database_ms, marks))


def test_it_begins_with_the_time_it_is_given_and_counts_on_by_itself() -> None:
    clock = Counted()
    clock.passed += 90_500
    assert clock.now_ms() == START + 90_500


def test_a_wall_clock_that_is_set_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LedgerClock(START)
    for jump in (-3600, 86_400, 10**9):
        monkeypatch.setattr(time, "time_ns", lambda jump=jump: 1_900_000_000 * 10**9 + jump * 10**9)
        assert 0 <= clock.now_ms() - START < 60_000


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux counts sleep")
def test_it_counts_the_time_for_which_the_machine_sleeps_and_deadlines_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LedgerClock(START)
    before, shows = clock.monotonic(), time.clock_gettime_ns
    slept = {time.CLOCK_BOOTTIME: HOUR * 1_000_000}
    monkeypatch.setattr(time, "clock_gettime_ns", lambda which: shows(which) + slept.get(which, 0))
    assert 0 <= clock.now_ms() - START - HOUR < 60_000
    assert clock.monotonic() - before < 60


def test_drift_is_made_good_and_time_never_goes_back() -> None:
    clock = Counted()
    clock.passed += 60_000
    assert clock.now_ms() == START + 60_000
    assert clock.shown(START + 59_500) == -500
    assert clock.now_ms() == START + 60_000
    clock.passed += 400
    assert clock.now_ms() == START + 60_000
    clock.passed += 200
    assert clock.now_ms() == START + 60_100
    assert clock.shown(START + 60_900) == 800
    assert clock.now_ms() == START + 60_900


@pytest.mark.parametrize("jump", [-24 * HOUR, -FOLLOWED_MS - 300, FOLLOWED_MS + 300, HOUR])
def test_a_database_whose_clock_was_set_is_followed_by_one_part_in_a_hundred_and_told_of(jump: int) -> None:
    clock = Counted()
    database, before = START + jump, clock.now_ms()
    for _ in range(5):
        clock.passed += 5_000
        database += 5_000
        assert clock.shown(database) == database - before - 5_000
        followed = clock.now_ms() - before - 5_000
        assert followed == (5_000 // SLOWLY if jump > 0 else -5_000 // SLOWLY)
        before = clock.now_ms()


@pytest.mark.parametrize("jump", [-60_000, 60_000])
def test_a_database_whose_clock_was_set_is_reached_in_the_end(jump: int) -> None:
    clock = Counted()
    database = START + jump
    for _ in range(1_200):
        clock.passed += 5_000
        database += 5_000
        clock.shown(database)
    assert clock.now_ms() == database
    assert clock.apart_ms == 0


def test_after_a_long_sleep_a_clock_that_was_set_is_still_followed_slowly() -> None:
    clock = Counted()
    clock.passed += 8 * HOUR
    clock.shown(START + 9 * HOUR)
    assert clock.now_ms() == START + 8 * HOUR + FOLLOWED_MS


def test_a_process_whose_machine_stood_still_follows_the_others_at_once() -> None:
    clock = Counted()
    clock.passed += 5_000
    database = START + 65_000
    mark = evolve(OTHER, ledger_ms=START + 61_000, database_ms=database - 4_000)
    assert clock.shown(database, mark) == 0
    assert clock.now_ms() == START + 65_000


def test_a_process_follows_none_that_is_behind_and_none_that_is_gone_beyond_what_it_told() -> None:
    clock = Counted()
    clock.passed += 5_000
    behind = evolve(OTHER, ledger_ms=START - HOUR, database_ms=START + 4_000)
    gone = evolve(OTHER, ledger_ms=START - HOUR, database_ms=START - 2 * HOUR)
    assert clock.shown(START + 5_000, behind, gone) == 0
    assert clock.now_ms() == START + 5_000
    assert clock.shown(START + 5_000, evolve(gone, ledger_ms=START + 9_000)) == -4_000
    assert clock.now_ms() == START + 9_000


def test_a_process_follows_another_of_its_machine() -> None:
    clock = Counted()
    clock.passed += 5_000
    mark = evolve(MARK, steady_ms=72_000, ledger_ms=START + 10_000, database_ms=START + 10_000)
    assert clock.shown(START + 13_000, mark) == 0
    assert clock.now_ms() == START + 13_000


def test_a_machine_that_was_set_back_to_an_earlier_state_goes_back_behind_no_mark_of_its_own() -> None:
    clock = Counted()
    later = evolve(MARK, steady_ms=clock.passed + HOUR, ledger_ms=START + HOUR, database_ms=START + HOUR)
    assert clock.shown(START + HOUR, later) == 0
    assert clock.now_ms() == START + HOUR


@pytest.mark.parametrize("apart", [HOUR, -HOUR])
def test_copies_of_a_running_machine_that_tell_one_boot_do_not_drive_each_other_ahead(apart: int) -> None:
    """The steady clock of one is an hour behind the other's, and a third machine follows both."""
    passed, marks = 0, dict[str, ClockMark]()
    machines = (
        LedgerClock(START, HERE, lambda: 2 * HOUR + passed),
        LedgerClock(START, HERE, lambda: 2 * HOUR - apart + passed),
        LedgerClock(START, THERE, lambda: passed),
    )
    for _ in range(50):
        for clock in machines:
            passed += 1_700
            clock.compare(ClockReading(START + passed, tuple(marks.values())))
            mark = clock.mark(START + passed)
            if mark.boot not in marks or marks[mark.boot].ledger_ms < mark.ledger_ms:
                marks[mark.boot] = mark
            assert clock.now_ms() == START + passed
    begun_there = time_at_start(ClockReading(START + passed, tuple(marks.values())), HERE, 3 * HOUR + passed)
    assert begun_there == START + passed


def test_a_database_whose_clock_was_set_forward_a_little_moves_no_machine_by_a_mark_of_before() -> None:
    clock = Counted()
    clock.shown(START)
    clock.passed += 5_000
    before = evolve(OTHER, ledger_ms=START + 3_500, database_ms=START + 3_500)
    assert clock.shown(START + 9_000, before) == 4_000
    assert clock.now_ms() == START + 5_000 + 5_000 // SLOWLY
    clock.passed += 5_000
    after = evolve(OTHER, ledger_ms=START + 8_500, database_ms=START + 12_500)
    clock.shown(START + 14_000, after)
    assert clock.now_ms() == START + 10_000 + 10_000 // SLOWLY


def test_a_process_that_stood_still_follows_the_others_with_its_second_comparison() -> None:
    clock = Counted()
    clock.shown(START)
    for passed in (5_000, 10_000):
        clock.passed += 5_000
        others = START + passed + HOUR
        clock.shown(others, evolve(OTHER, ledger_ms=others - 2_000, database_ms=others - 2_000))
    assert clock.now_ms() == START + HOUR + 10_000


def test_a_mark_is_one_moment_on_three_clocks() -> None:
    clock = Counted()
    clock.passed += 5_000
    told = clock.mark(START + HOUR)
    assert told == ClockMark(boot=HERE, steady_ms=75_000, ledger_ms=START + 5_000, database_ms=START + HOUR)
    assert time_at_start(ClockReading(START, (told,)), HERE, 76_000) == START + 6_000


def begun(database_ms: int, *marks: ClockMark, steady: int = MARK.steady_ms + 20_000) -> int:
    return time_at_start(ClockReading(database_ms, marks), HERE, steady)


def test_the_very_first_process_begins_with_the_databases_clock() -> None:
    assert begun(START) == START


@pytest.mark.parametrize("set_by", [0, HOUR, -HOUR])
def test_a_process_counts_on_from_the_mark_of_its_machine_whatever_was_done_to_the_databases_clock(set_by: int) -> None:
    assert begun(START + 20_000 + set_by, MARK) == START + 20_000


@pytest.mark.parametrize("set_by", [0, HOUR, -HOUR])
def test_a_process_of_another_machine_keeps_the_distance_that_those_at_work_have(set_by: int) -> None:
    mark = evolve(OTHER, database_ms=START + set_by)
    assert begun(START + set_by + 3_000, mark) == START + 3_000


def test_the_mark_of_a_process_at_work_goes_before_an_earlier_one_of_the_machine_itself() -> None:
    """The machine's may be of before the others had followed a clock that was set."""
    others = evolve(OTHER, ledger_ms=START + 18_000, database_ms=START + 17_000)
    assert begun(START + 19_000, MARK, others) == START + 20_000
    earlier = evolve(others, ledger_ms=START - 1)
    assert begun(START + 19_000, MARK, earlier) == START + 20_000


def test_the_mark_of_the_machine_itself_goes_before_one_of_another_that_is_gone() -> None:
    gone = evolve(OTHER, ledger_ms=START + 1_000, database_ms=START + 1_000)
    assert begun(START + 1_000 + FRESH_MS, MARK, gone) == START + 1_000 + FRESH_MS
    assert begun(START + 1_001 + FRESH_MS, MARK, gone) == START + 20_000
    assert begun(START + 1_001 + FRESH_MS, MARK, gone, steady=MARK.steady_ms) == START + 1_000


def test_a_machine_that_was_off_keeps_the_distance_of_its_latest_mark_and_begins_never_before_it() -> None:
    before = (evolve(OTHER, ledger_ms=START - HOUR), evolve(OTHER, boot="third", database_ms=START - 2_000))
    assert begun(START + HOUR, *before) == START + HOUR + 2_000
    assert begun(START - HOUR, *before) == START


def test_a_mark_that_is_older_than_what_the_steady_clock_counts_from_is_none_of_this_machine() -> None:
    assert begun(START + HOUR, MARK, steady=MARK.steady_ms - 1) == START + HOUR


def test_only_who_knows_no_better_waits_for_the_mark_of_another_process() -> None:
    assert not may_be_told_more(ClockReading(START), HERE, 0)
    assert not may_be_told_more(ClockReading(START + HOUR, (MARK,)), HERE, MARK.steady_ms)
    assert not may_be_told_more(ClockReading(START + FRESH_MS, (OTHER,)), HERE, 0)
    assert may_be_told_more(ClockReading(START + FRESH_MS + 1, (OTHER,)), HERE, 0)
    assert may_be_told_more(ClockReading(START - 1, (OTHER,)), HERE, 0)


def test_a_machine_tells_its_boot_and_its_time_namespace_and_another_system_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    boot = boot_of_machine()
    if boot is not None:
        assert boot == boot_of_machine()
        assert len(boot) > 30
    monkeypatch.setattr(clocks, "_BOOT", tmp_path / "boot_id")
    monkeypatch.setattr(clocks, "_TIME_NAMESPACE", tmp_path / "time")
    assert boot_of_machine() is None
    (tmp_path / "boot_id").write_text("8204eb27\n")
    assert boot_of_machine() == "8204eb27"
    (tmp_path / "time").touch()
    assert boot_of_machine() == f"8204eb27/{(tmp_path / 'time').stat().st_ino}"


def test_the_steady_clock_counts_milliseconds_that_pass() -> None:
    before, counted = time.monotonic_ns(), steady_ms()
    time.sleep(0.02)
    passed = steady_ms() - counted
    assert 19 <= passed <= (time.monotonic_ns() - before) // 1_000_000 + 1
