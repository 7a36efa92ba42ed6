"""Exact amounts: from the wire to minor units and back, at every scale."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import (
    MAJOR,
    MAX_MINOR,
    MINOR,
    AmountError,
    Balance,
    Currencies,
    Currency,
    Money,
    Unit,
    UnknownCurrencyError,
    WireAmount,
    WireCurrency,
)

scales = st.integers(0, 9)
minors = st.integers(-MAX_MINOR, MAX_MINOR)


@given(minor=minors, scale=scales)
def test_what_is_shown_in_major_units_reads_back_as_the_same_minor_units(minor: int, scale: int) -> None:
    currency = Currency("TST", scale)
    shown = Balance(Money(minor, currency)).display()
    assert WireAmount.of(shown).to_minor(currency) == minor


@given(minor=minors, scale=scales)
def test_minor_units_are_taken_as_they_are(minor: int, scale: int) -> None:
    assert WireAmount.of(minor, MINOR).to_minor(Currency("TST", scale)) == minor


@given(minor=st.integers(0, 10**12), scale=scales, power=st.integers(-9, 3))
def test_a_unit_of_any_power_is_exact_or_refused(minor: int, scale: int, power: int) -> None:
    currency = Currency("TST", scale)
    exact = Decimal(minor).scaleb(power + scale)
    if exact == exact.to_integral_value():
        assert WireAmount.of(minor, Unit(power)).to_minor(currency) == int(exact)
    else:
        with pytest.raises(AmountError):
            WireAmount.of(minor, Unit(power)).to_minor(currency)


@pytest.mark.parametrize(
    "text", ["", " ", "1 ", "1e3", "NaN", "Infinity", "-", ".5", "1.2.3", "٣", "1_000", "0x1", "9" * 41]
)
def test_text_that_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        WireAmount.of(text)


@pytest.mark.parametrize("value", [1.5, True, None])
def test_floats_and_booleans_are_no_amounts(value: object) -> None:
    with pytest.raises(AmountError):
        WireAmount.of(value)  # type: ignore[arg-type] # that is what is tried


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), Decimal("1e99"), 2**63, -(2**64)])
def test_numbers_beyond_reason_are_refused(value: int | Decimal) -> None:
    with pytest.raises(AmountError):
        WireAmount.of(value)


def test_an_amount_that_overflows_at_its_scale_is_refused() -> None:
    with pytest.raises(AmountError, match="64 bits"):
        WireAmount.of(MAX_MINOR, MAJOR).to_minor(Currency("EUR", 2))


def test_an_amount_is_never_rounded() -> None:
    with pytest.raises(AmountError, match="more digits"):
        WireAmount.of("10.005").to_minor(Currency("EUR", 2))


def test_a_thousand_for_one_currency_is_scaled_both_ways() -> None:
    rupiah = Currency("IDR", 2)
    ratio = Decimal(1000)
    assert WireAmount.of("1.5").to_minor(rupiah, ratio) == 150_000
    shown = Balance(Money(150_000, rupiah), wire=WireCurrency("IDR2", "IDR", ratio))
    assert (shown.code, shown.display(digits=4)) == ("IDR2", Decimal("1.5000"))


@given(minor=st.integers(0, 10**15), digits=st.integers(0, 6))
def test_a_shown_balance_is_cut_and_never_more_than_what_there_is(minor: int, digits: int) -> None:
    currency = Currency("KWD", 3)
    shown = Balance(Money(minor, currency)).display(digits=digits)
    exact = Decimal(minor).scaleb(-3)
    assert shown <= exact < shown + Decimal(1).scaleb(-digits)
    assert -shown.as_tuple().exponent == digits  # type: ignore[operator] # finite numbers have whole exponents


def test_a_connection_may_show_fewer_digits_than_its_protocol_has() -> None:
    balance = Balance(Money(99_999, Currency("KWD", 3)), digits=1)
    assert balance.display(digits=2) == Decimal("99.90")
    assert balance.display(MINOR) == Decimal(99900)


def test_a_currency_that_is_not_registered_is_an_error_and_one_may_be_added() -> None:
    with pytest.raises(UnknownCurrencyError):
        Currencies().get("XTS")
    assert Currencies({"XTS": 4}).get("XTS") == Currency("XTS", 4)
    assert [Currencies().get(code).scale for code in ("EUR", "JPY", "KWD", "BTC")] == [2, 0, 3, 8]
