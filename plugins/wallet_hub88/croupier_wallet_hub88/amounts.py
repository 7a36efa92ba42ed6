"""Money on the wire: whole numbers of a hundred-thousandth, for every currency.

Source: `reference/protocols/hub88.md`, "Amounts": 64-bit integers, money times 100 000.
"""

from __future__ import annotations

from typing import Final

from croupier.contract import MAX_MINOR, AmountError, Currency, Money

DIGITS: Final = 5
LARGEST: Final = 2**63 - 1

_MORE: Final = tuple([int(10**digits) for digits in range(DIGITS + 1)])
"""What a minor unit is on the wire, by the digits that it has less than the wire."""
_LESS: Final = tuple([int(10**digits) for digits in range(10)])


def write(money: Money) -> int:
    """An amount as it is sent.

    Raises:
        AmountError: It has more than five digits after the point, or does not fit 64 bits on the wire.

    Example:
        >>> write(Money(356, Currency("EUR", 2))), write(Money(7, Currency("JPY", 0)))
        (356000, 700000)
    """
    scale = money.currency.scale
    if scale <= DIGITS:
        value = money.minor * _MORE[DIGITS - scale]
    else:
        value, rest = divmod(money.minor, _LESS[scale - DIGITS])
        if rest:
            raise AmountError("the wire has five digits after the point", where="amount")
    if value > LARGEST:
        raise AmountError("the amount does not fit the wire", where="amount")
    return value


def read(value: object, currency: Currency) -> int:
    """A balance in minor units: cut, never rounded up; a deficit shows as zero.

    Raises:
        AmountError: It is no whole number, or does not fit 64 bits.

    Example:
        >>> read(356999, Currency("EUR", 2)), read(-1, Currency("EUR", 2))
        (356, 0)
    """
    if type(value) is not int:
        raise AmountError("expected a whole number", where="balance")
    scale = currency.scale
    minor = value // _MORE[DIGITS - scale] if scale <= DIGITS else value * _LESS[scale - DIGITS]
    if minor > MAX_MINOR:
        raise AmountError("it does not fit 64 bits", where="balance")
    return max(minor, 0)
