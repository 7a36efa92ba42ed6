"""Money: exact decimals on the wire, integers of a currency's minor unit inside.

An adapter never converts money. It reads a number from the wire into a `WireAmount`, and writes a
balance with `Balance.display`. The hub does the conversion, because only the hub knows the currency's
registered scale. There is no float anywhere: a float near money is a bug.

Example:
    >>> WireAmount.of("10.50", MAJOR, "EUR").to_minor(Currency("EUR", 2))
    1050
    >>> WireAmount.of(1050, MINOR).to_minor(Currency("EUR", 2))
    1050
    >>> WireAmount.of(356000, Unit(-5), "EUR").to_minor(Currency("EUR", 2))
    356
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Context, Decimal
from functools import cache
from typing import Final

from attrs import field, frozen

from croupier.contract.errors import AmountError, UnknownCurrencyError
from croupier.contract.values import immutable

MAX_MINOR: Final = 2**63 - 1
"""The largest amount the hub holds, in minor units: a signed 64-bit integer."""

MAX_DIGITS: Final = 40
"""More digits than this in one number are refused before any arithmetic."""

_ONE: Final = Decimal(1)
# Exact for everything here: a wire number has at most 40 digits.
_EXACT: Final = Context(prec=120, rounding=ROUND_DOWN)


@frozen
class Unit:
    """What one step of a wire number is worth.

    Attributes:
        power: `wire value * 10**power` is the amount in major units (euros); `None` means the currency's
            own minor unit (cents for EUR, yen for JPY).
    """

    power: int | None


MAJOR: Final = Unit(0)
"""Decimal major units: `10.5` is ten euros and fifty cents."""

MINOR: Final = Unit(None)
"""Integers of the currency's minor unit: `1050` is ten euros and fifty cents."""


@frozen
class Currency:
    """A currency as the hub registers it.

    Attributes:
        code: The ISO 4217 code, or the hub's code for what has none (`BTC`).
        scale: Digits after the point that the hub keeps, 0 to 9: amounts are integers of `10**-scale`.
    """

    code: str
    scale: int = field()

    @scale.validator
    def _scale_is_registered(self, _attribute: object, value: int) -> None:
        if not 0 <= value <= 9:
            raise AmountError(f"a currency's scale is 0 to 9 digits, not {value}", where=self.code)


@immutable
class Money:
    """An amount inside the hub.

    Attributes:
        minor: Integer of the currency's minor unit at its registered scale; may be negative.
        currency: The currency.
    """

    minor: int
    currency: Currency

    def __str__(self) -> str:
        """Plain decimal text with exactly the currency's digits, then its code: `10.50 EUR`."""
        return f"{minor_to_text(self.minor, self.currency.scale)} {self.currency.code}"


@frozen
class WireAmount:
    """An exact number as it stood on the wire, with what it counts.

    Attributes:
        value: The exact decimal.
        unit: What one step of `value` is worth.
        currency: The currency's code on the wire, or `None` where the request carries none: the hub then
            takes it from the session, the free-round grant or the movement that is referred to.
    """

    value: Decimal
    unit: Unit = MAJOR
    currency: str | None = None

    @classmethod
    def of(cls, value: str | int | Decimal, unit: Unit = MAJOR, currency: str | None = None) -> WireAmount:
        """Read a number; text is parsed exactly.

        Raises:
            AmountError: The text is no finite decimal number, or is absurdly long.

        Example:
            >>> WireAmount.of("0.10").value
            Decimal('0.10')
        """
        if isinstance(value, str):
            if len(value) > MAX_DIGITS or not _is_plain_number(value):
                raise AmountError(f"{value[:MAX_DIGITS]!r} is not a decimal number")
        elif isinstance(value, int) and not isinstance(value, bool):
            if not -MAX_MINOR <= value <= MAX_MINOR:
                raise AmountError("the amount does not fit 64 bits")
        elif isinstance(value, Decimal):
            _check_digits(value)
        else:
            raise AmountError(f"an amount is a decimal number, not {type(value).__name__}")
        return cls(Decimal(value), unit, currency)

    @property
    def is_negative(self) -> bool:
        """Whether the number is below zero (`-0` is not)."""
        return self.value < 0

    def negated(self) -> WireAmount:
        """The same amount with the other sign, for protocols that send a stake as a negative number."""
        return WireAmount(-self.value, self.unit, self.currency)

    def to_minor(self, currency: Currency, ratio: Decimal = _ONE) -> int:
        """The exact integer of minor units; never rounded.

        Args:
            currency: The currency and its registered scale.
            ratio: Major units of `currency` per major unit on the wire (1000 for a "K" currency).

        Raises:
            AmountError: The digits do not fit the scale, or the number does not fit 64 bits.
        """
        minor = self.value if ratio is _ONE else _EXACT.multiply(self.value, ratio)
        power = self.unit.power
        if power is not None:
            minor = _EXACT.scaleb(minor, power + currency.scale)
        whole = _EXACT.to_integral_value(minor)
        if whole != minor:
            raise AmountError(f"{self.value} has more digits than {currency.code} keeps ({currency.scale})")
        if not -MAX_MINOR <= whole <= MAX_MINOR:
            raise AmountError("the amount does not fit 64 bits")
        return int(whole)


def _is_plain_number(text: str) -> bool:
    if not text.isascii():
        return False
    whole, _, fraction = (text[1:] if text[:1] in "+-" else text).partition(".")
    return whole.isdigit() and (not fraction or fraction.isdigit())


def _check_digits(number: Decimal) -> None:
    if not number.is_finite():
        raise AmountError("an amount must be finite")
    _, digits, exponent = number.as_tuple()
    if len(digits) > MAX_DIGITS or abs(int(exponent)) > MAX_DIGITS:
        raise AmountError("the amount has too many digits")


def minor_to_decimal(minor: int, scale: int) -> Decimal:
    """The exact decimal of an integer of minor units.

    Example:
        >>> minor_to_decimal(1050, 2)
        Decimal('10.50')
    """
    return _EXACT.scaleb(minor, -scale)


def minor_to_text(minor: int, scale: int) -> str:
    """Like `minor_to_decimal`, as plain text; and much cheaper.

    Example:
        >>> minor_to_text(-5, 2), minor_to_text(1050, 0)
        ('-0.05', '1050')
    """
    if scale <= 0:
        return str(minor * 10**-scale)
    digits = f"{minor:0{scale + 1 + (minor < 0)}d}"
    return f"{digits[:-scale]}.{digits[-scale:]}"


@frozen
class WireCurrency:
    """How a provider names and scales a currency.

    Attributes:
        code: The provider's code (`RMB`, `IDR2`).
        currency: The hub's code (`CNY`, `IDR`).
        ratio: Major units of the hub's currency per major unit on the wire: 1, or 1000 for a "K" currency.
    """

    code: str
    currency: str
    ratio: Decimal = Decimal(1)


@immutable
class Balance:
    """A player's balance as the operator told it.

    Attributes:
        cash: The real-money balance.
        bonus: The bonus balance, where the operator keeps one apart.
        wire: How this connection's provider names and scales the currency.
        digits: The most digits after the point that this connection shows, by its policy.
    """

    cash: Money
    bonus: Money | None = None
    wire: WireCurrency | None = None
    digits: int | None = None

    @property
    def code(self) -> str:
        """The currency's code for the wire."""
        return self.wire.code if self.wire else self.cash.currency.code

    def display(self, unit: Unit = MAJOR, digits: int | None = None) -> Decimal:
        """The cash balance as a number for the wire, cut (never rounded up) to `digits` after the point.

        Without `digits`: the currency's own for major units, none for every other unit. Never minus zero.

        Example:
            >>> Balance(Money(99999, Currency("KWD", 3))).display(digits=2)
            Decimal('99.99')
        """
        return minor_to_decimal(*self._shown(self.cash, unit, digits))

    def display_bonus(self, unit: Unit = MAJOR, digits: int | None = None) -> Decimal:
        """The bonus balance as a number for the wire; zero where the operator keeps none apart."""
        return minor_to_decimal(*self._shown(self.bonus or Money(0, self.cash.currency), unit, digits))

    def text(self, unit: Unit = MAJOR, digits: int | None = None) -> str:
        """What `display` says, as plain text.

        Example:
            >>> Balance(Money(5, Currency("EUR", 2))).text()
            '0.05'
        """
        return minor_to_text(*self._shown(self.cash, unit, digits))

    def text_bonus(self, unit: Unit = MAJOR, digits: int | None = None) -> str:
        """What `display_bonus` says, as plain text."""
        return minor_to_text(*self._shown(self.bonus or Money(0, self.cash.currency), unit, digits))

    def whole(self, unit: Unit = MINOR) -> int:
        """The cash balance as a whole number of a unit's steps, cut.

        Example:
            >>> Balance(Money(1050, Currency("EUR", 2))).whole(Unit(-5))
            1050000
        """
        return self._shown(self.cash, unit, 0)[0]

    def _shown(self, money: Money, unit: Unit, digits: int | None) -> tuple[int, int]:
        """An amount as a whole number of `unit / 10**places`, cut towards zero, and these places."""
        scale, power = money.currency.scale, unit.power
        places = digits if digits is not None else scale if power == 0 else 0
        over, under = (1, 1) if self.wire is None else self.wire.ratio.as_integer_ratio()
        steps, kept = money.minor * under, scale
        if self.digits is not None:
            steps, kept, over = _cut(steps, over, self.digits - scale), self.digits, 1
        return _cut(steps, over, places - kept - (-scale if power is None else power)), places


def _cut(value: int, divisor: int, power: int) -> int:
    """`value / divisor * 10**power`, cut towards zero."""
    if power >= 0:
        value *= 10**power
    else:
        divisor *= 10**-power
    return value // divisor if value >= 0 else -(-value // divisor)


class Currencies:
    """The registered currencies: code to scale. Immutable.

    Example:
        >>> Currencies().get("JPY").scale
        0
    """

    def __init__(self, extra: Mapping[str, int] | None = None) -> None:
        """Start from the built-in table; `extra` adds or overrides codes (an operator's own token, say)."""
        self._table = {**_builtin(), **{code: Currency(code, scale) for code, scale in (extra or {}).items()}}

    def get(self, code: str) -> Currency:
        """The currency of a code.

        Raises:
            UnknownCurrencyError: The code is not registered.
        """
        try:
            return self._table[code]
        except KeyError:
            raise UnknownCurrencyError(f"the currency {code[:12]!r} is not registered") from None

    def codes(self) -> Iterable[str]:
        """Every registered code."""
        return self._table.keys()


_TWO_DIGITS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY
COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR
MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD
SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG XXX FUN
"""


@cache
def _builtin() -> Mapping[str, Currency]:
    return {code: Currency(code, scale) for code, scale in _builtin_scales().items()}


def _builtin_scales() -> dict[str, int]:
    """ISO 4217 minor-unit exponents, and common crypto units cut to the nine digits the hub keeps."""
    scales = dict.fromkeys(_TWO_DIGITS.split(), 2)
    scales |= dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0)
    scales |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    scales |= {
        "BTC": 8,
        "LTC": 8,
        "BCH": 8,
        "DOGE": 8,
        "ETH": 9,
        "BNB": 8,
        "USDT": 6,
        "USDC": 6,
        "TRX": 6,
        "XRP": 6,
    }
    scales |= {"MBTC": 5, "UBTC": 2, "METH": 6}
    return scales
