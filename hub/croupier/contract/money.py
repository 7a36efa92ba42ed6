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
from decimal import ROUND_DOWN, Decimal, InvalidOperation, localcontext
from typing import Final

from attrs import field, frozen

from croupier.contract.errors import AmountError, UnknownCurrencyError

MAX_MINOR: Final = 2**63 - 1
"""The largest amount the hub holds, in minor units: a signed 64-bit integer."""

MAX_DIGITS: Final = 40
"""More digits than this in one number are refused before any arithmetic."""


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


@frozen
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
        return f"{minor_to_decimal(self.minor, self.currency.scale)} {self.currency.code}"


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
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise AmountError(f"an amount is a decimal number, not {type(value).__name__}")
        if isinstance(value, str) and (len(value) > MAX_DIGITS or not _is_plain_number(value)):
            raise AmountError(f"{value[:MAX_DIGITS]!r} is not a decimal number")
        if isinstance(value, int) and abs(value) > MAX_MINOR:
            raise AmountError("the amount does not fit 64 bits")
        try:
            number = Decimal(value)
        except InvalidOperation as error:  # pragma: no cover - guarded above, kept for Decimal's own rules
            raise AmountError(f"{value!r} is not a decimal number") from error
        if not number.is_finite():
            raise AmountError("an amount must be finite")
        exponent = number.as_tuple().exponent
        if len(number.as_tuple().digits) > MAX_DIGITS or not isinstance(exponent, int) or abs(exponent) > MAX_DIGITS:
            raise AmountError("the amount has too many digits")
        return cls(number, unit, currency)

    @property
    def is_negative(self) -> bool:
        """Whether the number is below zero (`-0` is not)."""
        return self.value < 0

    def negated(self) -> WireAmount:
        """The same amount with the other sign, for protocols that send a stake as a negative number."""
        return WireAmount(-self.value, self.unit, self.currency)

    def to_minor(self, currency: Currency, ratio: Decimal = Decimal(1)) -> int:
        """The exact integer of minor units; never rounded.

        Args:
            currency: The currency and its registered scale.
            ratio: Major units of `currency` per major unit on the wire (1000 for a "K" currency).

        Raises:
            AmountError: The digits do not fit the scale, or the number does not fit 64 bits.
        """
        power = -currency.scale if self.unit.power is None else self.unit.power
        with localcontext() as context:
            context.prec = 120
            minor = (self.value * ratio).scaleb(power + currency.scale)
            whole = minor.to_integral_value(rounding=ROUND_DOWN)
        if whole != minor:
            raise AmountError(f"{self.value} has more digits than {currency.code} keeps ({currency.scale})")
        if abs(whole) > MAX_MINOR:
            raise AmountError("the amount does not fit 64 bits")
        return int(whole)


def _is_plain_number(text: str) -> bool:
    body = text[1:] if text[:1] in "+-" else text
    return body.isascii() and body.count(".") <= 1 and body.replace(".", "", 1).isdigit() and body[:1] != "."


def minor_to_decimal(minor: int, scale: int) -> Decimal:
    """The exact decimal of an integer of minor units.

    Example:
        >>> minor_to_decimal(1050, 2)
        Decimal('10.50')
    """
    with localcontext() as context:
        context.prec = 60
        return Decimal(minor).scaleb(-scale)


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


@frozen
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

        Example:
            >>> Balance(Money(99999, Currency("KWD", 3))).display(digits=2)
            Decimal('99.99')
        """
        return self._shown(self.cash, unit, digits)

    def display_bonus(self, unit: Unit = MAJOR, digits: int | None = None) -> Decimal:
        """The bonus balance as a number for the wire; zero where the operator keeps none apart."""
        return self._shown(self.bonus or Money(0, self.cash.currency), unit, digits)

    def _shown(self, money: Money, unit: Unit, digits: int | None) -> Decimal:
        scale = money.currency.scale
        power = -scale if unit.power is None else unit.power
        places = digits if digits is not None else scale if unit == MAJOR else 0
        ratio = self.wire.ratio if self.wire else Decimal(1)
        with localcontext() as context:
            context.prec = 60
            major = Decimal(money.minor).scaleb(-scale) / ratio
            if self.digits is not None:
                major = major.quantize(Decimal(1).scaleb(-self.digits), rounding=ROUND_DOWN)
            return major.scaleb(-power).quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN)


class Currencies:
    """The registered currencies: code to scale. Immutable.

    Example:
        >>> Currencies().get("JPY").scale
        0
    """

    def __init__(self, extra: Mapping[str, int] | None = None) -> None:
        """Start from the built-in table; `extra` adds or overrides codes (an operator's own token, say)."""
        self._table = {code: Currency(code, scale) for code, scale in {**_builtin_scales(), **(extra or {})}.items()}

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
