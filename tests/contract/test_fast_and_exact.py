"""What the contract does quickly, held against the same said slowly: in decimals, and by Python's own readers."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from croupier.contract import (
    MAX_MINOR,
    AmountError,
    Balance,
    Currency,
    Headers,
    MalformedRequestError,
    Money,
    Movement,
    MovementKey,
    MovementKind,
    Target,
    Unit,
    WireAmount,
    WireCurrency,
    digest_hex,
    hmac_hex,
    iso_utc,
    minor_to_decimal,
    minor_to_text,
    read_form,
    read_json,
    safe_fields,
    safe_form,
    safe_json,
    write_json,
)
from croupier.contract.strict_json import _read_slowly, _written

scales = st.integers(0, 9)
minors = st.integers(-MAX_MINOR, MAX_MINOR) | st.integers(-2000, 2000)
powers = st.none() | st.integers(-18, 6)
ratios = st.sampled_from([Decimal(1), Decimal(1000), Decimal("0.001"), Decimal("2.5"), Decimal(3), Decimal("1.0")])
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**22), max_value=10**22)


def outcome(work: Callable[[], object]) -> object:
    """What it returns, or the kind and text of its refusal."""
    try:
        return work()
    except MalformedRequestError as error:
        return type(error), str(error)


def minor_in_decimals(amount: WireAmount, currency: Currency, ratio: Decimal) -> int:
    power = -currency.scale if amount.unit.power is None else amount.unit.power
    with localcontext() as context:
        context.prec = 120
        minor = (amount.value * ratio).scaleb(power + currency.scale)
        whole = minor.to_integral_value(rounding=ROUND_DOWN)
    if whole != minor:
        raise AmountError(f"{amount.value} has more digits than {currency.code} keeps ({currency.scale})")
    if abs(whole) > MAX_MINOR:
        raise AmountError("the amount does not fit 64 bits")
    return int(whole)


@given(value=decimals, power=powers, scale=scales, ratio=ratios)
def test_the_minor_units_of_an_amount_are_those_of_decimal_arithmetic(
    value: Decimal, power: int | None, scale: int, ratio: Decimal
) -> None:
    amount, currency = WireAmount(value, Unit(power)), Currency("TST", scale)
    expected = outcome(lambda: minor_in_decimals(amount, currency, ratio))
    assert outcome(lambda: amount.to_minor(currency, ratio)) == expected


def shown_in_decimals(balance: Balance, unit: Unit, digits: int | None) -> Decimal:
    scale = balance.cash.currency.scale
    power = -scale if unit.power is None else unit.power
    places = digits if digits is not None else scale if unit.power == 0 else 0
    ratio = balance.wire.ratio if balance.wire else Decimal(1)
    with localcontext() as context:
        context.prec = 80
        major = Decimal(balance.cash.minor).scaleb(-scale) / ratio
        if balance.digits is not None:
            major = major.quantize(Decimal(1).scaleb(-balance.digits), rounding=ROUND_DOWN)
        return major.scaleb(-power).quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN)


@st.composite
def balances(draw: st.DrawFn) -> Balance:
    money, ratio = Money(draw(minors), Currency("TST", draw(scales))), draw(st.none() | ratios)
    wire = WireCurrency("WIRE", "TST", ratio) if ratio else None
    return Balance(money, money, wire, draw(st.none() | st.integers(0, 6)))


@given(balance=balances(), unit=st.builds(Unit, powers), digits=st.none() | st.integers(0, 9))
def test_a_shown_balance_is_that_of_decimal_arithmetic_in_every_form(
    balance: Balance, unit: Unit, digits: int | None
) -> None:
    expected = shown_in_decimals(balance, unit, digits)
    shown = balance.display(unit, digits)
    assert (shown, shown.as_tuple().exponent) == (expected, expected.as_tuple().exponent)
    assert not (shown.is_signed() and shown == 0)
    assert balance.text(unit, digits) == f"{shown:f}" == balance.text_bonus(unit, digits)
    assert balance.display_bonus(unit, digits) == shown
    assert balance.whole(unit) == shown_in_decimals(balance, unit, 0)


@given(minor=minors, scale=scales)
def test_the_text_of_minor_units_is_that_of_their_decimal(minor: int, scale: int) -> None:
    assert minor_to_text(minor, scale) == f"{minor_to_decimal(minor, scale):f}"
    assert minor_to_decimal(minor, scale).as_tuple() == Decimal(minor).scaleb(-scale).as_tuple()


@given(st.text("0123456789.+-e _²٣", max_size=45) | st.text(max_size=5))
def test_text_is_an_amount_exactly_if_it_is_a_plain_number(text: str) -> None:
    body = text[1:] if text[:1] in "+-" else text
    plain = body.isascii() and body.count(".") <= 1 and body.replace(".", "", 1).isdigit() and body[:1] != "."
    if plain and len(text) <= 40:
        assert WireAmount.of(text).value.as_tuple() == Decimal(text).as_tuple()
    else:
        with pytest.raises(AmountError):
            WireAmount.of(text)


numbers = st.integers(-(10**45), 10**45) | decimals
keys = st.text(max_size=4) | st.sampled_from(["a", "b", "a:b"])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """JSON in one of the ways in which it is written; now and then broken, or with a key twice."""
    written = _written(draw(values))
    match draw(st.integers(0, 5)):
        case 0:
            return written
        case 1:
            return msgspec.json.format(written, indent=0)
        case 2:
            return msgspec.json.format(written, indent=2)
        case 3:
            return json.dumps(draw(st.text(max_size=9)), ensure_ascii=draw(st.booleans()))
        case 4:
            return f'{{"a":1,{written[1:]}' if written.startswith('{"') else f'{{"a":{written},"a":1}}'
        case _:
            at = draw(st.integers(0, len(written)))
            return written[:at] + draw(st.sampled_from(["", ",", "0", '"', "[", "\\u0041", "\x1f", "é"]))


@given(documents().map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=40))
@example(b'{"a":1,"a":1}')
@example(b'{"a": {"b": 1, "b": 1}}')
@example(b"1" * 41)
@example(b"-" + b"1" * 40)
@example(b"1e400")
@example(b"0.10")
@example(b"1E+2")
@example(b"NaN")
@example(b"-0")
@example(b'"\\ud800"')
@example(b'"\xed\xa0\x80"')
@example(b'\xef\xbb\xbf{"a":1}')
@example(b"[" * 32 + b"]" * 32)
@example(b"[" * 33 + b"]" * 33)
def test_json_is_read_or_refused_as_by_the_reader_that_looks_at_every_key(body: bytes) -> None:
    expected, told = outcome(lambda: _read_slowly(body)), outcome(lambda: read_json(body))
    assert told == expected
    assert repr(told) == repr(expected)  # 1 and Decimal("1.0") are equal, and not the same


@given(values)
def test_written_json_says_the_same_as_python_does_and_is_ascii(value: Any) -> None:
    written = write_json(value)
    assert written.isascii()
    assert json.loads(written, parse_float=Decimal) == json.loads(_written(value), parse_float=Decimal)


def test_any_text_can_be_written_and_what_is_no_json_cannot() -> None:
    assert json.loads(write_json({"a": "\ud800é"})) == {"a": "\ud800é"}
    assert write_json([Decimal("1E+2"), Decimal("1E-9"), (1, None)]) == b"[100,0.000000001,[1,null]]"
    for wrong in (Decimal("NaN"), Decimal("Infinity")):
        with pytest.raises(ValueError, match="finite"):
            write_json({"a": wrong})
    with pytest.raises(TypeError):
        write_json({"a": object()})


@given(st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,5}", fullmatch=True), st.text("aé&=+% .", max_size=9)))
def test_a_form_is_read_as_the_standard_library_reads_it(fields: dict[str, str]) -> None:
    form = urlencode(fields)
    assert read_form(form.encode()) == dict(parse_qsl(form, keep_blank_values=True)) == fields


@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"%61=1&a=2", b"a=%", b"a=%4", b"a=%zz", b"a=%00", b"a=\0", b"a=\xff", b"a=%ff", b"1=2", b"=1"]
)
def test_a_form_that_could_be_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read_form(body)


SAFE = frozenset({"amount", "actions", "id"})


def test_a_redacted_message_holds_the_safe_fields_alone_at_every_depth() -> None:
    body = {"amount": 5, "token": "t", "actions": [{"id": "a", "token": "t"}, [{"token": "t"}], "x"], "id": {"a": "t"}}
    assert safe_json(json.dumps(body).encode(), SAFE) == b'{"amount":5,"actions":[{"id":"a"},[{}],"x"]}'
    assert safe_fields(body, SAFE) == b'{"amount":5,"actions":[{"id":"a"},[{}],"x"]}'
    assert safe_form(b"amount=5%2E0&token=t&id=&idx=1&%69d=t&=t&id", SAFE) == b"amount=5%2E0&id=&id"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"amount": 1, "amount": 2}', b"\xff"])
def test_what_cannot_be_read_is_redacted_to_nothing(body: bytes) -> None:
    assert safe_json(body, SAFE) == b""


@pytest.mark.parametrize("body", [b"amount=\xff", b"amount=\0", b"amount=1\nid=2"])
def test_a_form_with_what_a_form_escapes_is_redacted_to_nothing(body: bytes) -> None:
    assert safe_form(body, SAFE) == b""


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))])), st.integers(0, 6))
def test_a_moment_is_cut_and_written_in_utc(moment: datetime, digits: int) -> None:
    utc = moment.replace(year=max(moment.year, 2)).astimezone(UTC)
    fraction = f".{utc.microsecond:06d}"[: digits + 1] if digits else ""
    assert iso_utc(utc, digits) == f"{utc.year:04d}-{utc:%m-%dT%H:%M:%S}{fraction}Z"


@given(st.lists(st.tuples(st.sampled_from(["A", "a", "B"]), st.text(max_size=3)), max_size=5), st.sampled_from("aAbBc"))
def test_header_fields_are_found_without_regard_to_case(items: list[tuple[str, str]], name: str) -> None:
    headers = Headers(tuple(items))
    found = [value for key, value in items if key.lower() == name.lower()]
    assert headers.all(name) == tuple(found)
    assert headers.get(name, "none") == (found[0] if found else "none")


def test_digests_are_those_of_the_standard_library() -> None:
    import hashlib
    import hmac

    for algorithm in ("md5", "sha1", "sha256", "sha512", "sha3_256"):
        assert digest_hex("é", algorithm) == hashlib.new(algorithm, "é".encode()).hexdigest()
        assert hmac_hex("key", b"text", algorithm) == hmac.new(b"key", b"text", algorithm).hexdigest()


KEY = (MovementKey("id", "1"),)


@pytest.mark.parametrize("name", ["amount", "win_amount", "stake", "funds_required"])
def test_no_amount_of_a_movement_is_below_zero_but_an_adjustments_own(name: str) -> None:
    below = WireAmount.of("-1")
    amounts: dict[str, Any] = {"amount": WireAmount.of("1"), "win_amount": WireAmount.of("1"), name: below}
    with pytest.raises(MalformedRequestError, match=name):
        Movement(MovementKind.BET_AND_WIN, keys=KEY, **amounts)
    if name == "amount":
        assert Movement(MovementKind.ADJUSTMENT, keys=KEY, amount=below).direction.value == "debit"


@pytest.mark.parametrize("kind", MovementKind)
def test_every_kind_of_movement_has_its_direction(kind: MovementKind) -> None:
    debits = {"bet", "bet_and_win", "free_bet", "tip", "transfer_out"}
    expected = "reversal" if kind.value == "rollback" else "debit" if kind.value in debits else "credit"
    win = WireAmount.of(0) if kind is MovementKind.BET_AND_WIN else None
    movement = Movement(kind, keys=KEY, amount=WireAmount.of(1), win_amount=win, target=Target(key=KEY[0]))
    assert movement.direction.value == expected
