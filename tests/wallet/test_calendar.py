"""When owed work is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.wallet.calendar import LATE_MS, STEADY_FOR_MS, STEADY_MS, STEPS_MS, Calendar

JITTERS = st.floats(0, 1, exclude_max=True)


def test_the_waits_grow_as_the_calendar_says() -> None:
    """The first attempt is due at once; after it come 1 s, 5 s, 30 s, 2, 5 and 10 minutes, then quarters of hours."""
    waits = [Calendar().wait_ms(attempts, 0, 0.999999) for attempts in range(1, 10)]
    assert waits == [999, 4_999, 29_999, 119_999, 299_999, 599_999, 899_999, 899_999, 899_999]


@pytest.mark.parametrize("attempts", range(12))
@given(jitter=JITTERS)
def test_a_wait_is_spread_over_the_upper_half_of_its_step(attempts: int, jitter: float) -> None:
    step = STEPS_MS[attempts] if attempts < len(STEPS_MS) else STEADY_MS
    assert step // 2 <= Calendar().wait_ms(attempts, 0, jitter) <= step


@given(jitter=JITTERS, attempts=st.integers(len(STEPS_MS), 10_000))
def test_after_three_days_it_is_hourly(jitter: float, attempts: int) -> None:
    assert Calendar().wait_ms(attempts, STEADY_FOR_MS, jitter) <= STEADY_MS
    assert LATE_MS // 2 <= Calendar().wait_ms(attempts, STEADY_FOR_MS + 1, jitter) <= LATE_MS


def test_work_is_late_after_three_days() -> None:
    assert not Calendar().is_late(72 * 3_600_000)
    assert Calendar().is_late(72 * 3_600_000 + 1)


@given(jitter=JITTERS, attempts=st.integers(0, 20), age=st.integers(0, STEADY_FOR_MS))
def test_a_scale_shortens_waits_and_lateness_alike(jitter: float, attempts: int, age: int) -> None:
    plain, fast = Calendar(), Calendar(scale=100.0)
    assert abs(fast.wait_ms(attempts, age // 100, jitter) - plain.wait_ms(attempts, age, jitter) / 100) <= 1
    assert fast.is_late(STEADY_FOR_MS // 100 + 1)
    assert not fast.is_late(STEADY_FOR_MS // 100)


@given(jitter=JITTERS, attempts=st.integers(1, 10_000), age=st.integers(0, 10**12))
def test_nothing_is_ever_given_up_or_tried_without_a_pause(jitter: float, attempts: int, age: int) -> None:
    assert 500 <= Calendar().wait_ms(attempts, age, jitter) <= LATE_MS
