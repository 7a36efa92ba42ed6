"""Money on the wire: whole subunits, or decimal text in major units; exact both ways.

A balance may have more digits than the hub keeps: it is cut, never rounded up, and a deficit shows as zero.
"""

from __future__ import annotations

from typing import Final

from croupier.contract import MAX_MINOR, AmountError, Currency, Money, minor_to_text
from croupier_wallet_softswiss.settings import AmountForm, SoftswissWalletSettings

MAX_WHOLE: Final = 18
MAX_FRACTION: Final = 12
"""What decimal text may hold (`reference/wallet-semantics.md`, section 4, row "A8R v2")."""


class Amounts:
    """Writes and reads amounts as one operator's wallet has them.

    Args:
        settings: The operator's settings.

    Example:
        >>> eur, eth = Currency("EUR", 2), Currency("ETH", 9)
        >>> whole = Amounts(SoftswissWalletSettings(url="https://wallet.example", subunits={"ETH": 18}))
        >>> whole.write(Money(1050, eur)), whole.write(Money(1, eth)), whole.read(1050, eur)
        (1050, 1000000000, 1050)
        >>> text = Amounts(SoftswissWalletSettings(url="https://wallet.example", amounts=AmountForm.DECIMAL))
        >>> text.write(Money(1050, eur)), text.read("10.509", eur)
        ('10.50', 1050)
    """

    def __init__(self, settings: SoftswissWalletSettings) -> None:
        self._decimal = settings.amounts is AmountForm.DECIMAL
        self._digits = dict(settings.subunits)

    def write(self, money: Money) -> int | str:
        """An amount as it is sent.

        Raises:
            AmountError: The wire has fewer digits for this currency than the amount, or no room for it.
        """
        minor, currency = money.minor, money.currency
        if self._decimal:
            if minor >= 10 ** (MAX_WHOLE + currency.scale):
                raise AmountError("the amount has more digits than the protocol carries", where="amount")
            return minor_to_text(minor, currency.scale)
        more = self._digits.get(currency.code, currency.scale) - currency.scale
        if more >= 0:
            return minor * _power(more)
        whole, rest = divmod(minor, _power(-more))
        if rest:
            raise AmountError(f"the wire has fewer digits of {currency.code} than the amount", where="amount")
        return whole

    def read(self, value: object, currency: Currency) -> int:
        """A balance in minor units; never below zero.

        Raises:
            AmountError: It is not written as the settings say, or does not fit 64 bits.
        """
        minor = self._read_text(value, currency) if self._decimal else self._read_whole(value, currency)
        if minor > MAX_MINOR:
            raise AmountError("it does not fit 64 bits", where="balance")
        return max(minor, 0)

    def exactly(self, value: object, currency: Currency) -> int:
        """An amount in minor units, from zero, without a digit more than the hub keeps.

        Raises:
            AmountError: It is none.
        """
        minor = self.read(value, currency)
        written = self.write(Money(minor, currency))
        same = written == value if not isinstance(value, str) else _plain(str(written)) == _plain(value)
        if not same:
            raise AmountError("it is no amount of this currency", where="amount")
        return minor

    def _read_whole(self, value: object, currency: Currency) -> int:
        if type(value) is not int:
            raise AmountError("expected a whole number", where="balance")
        more = self._digits.get(currency.code, currency.scale) - currency.scale
        return value // _power(more) if more >= 0 else value * _power(-more)

    def _read_text(self, value: object, currency: Currency) -> int:
        if type(value) is not str:
            raise AmountError("expected decimal text", where="balance")
        sign, digits = (-1, value[1:]) if value.startswith("-") else (1, value)
        whole, point, fraction = digits.partition(".")
        fits = 0 < len(whole) <= MAX_WHOLE and len(fraction) <= MAX_FRACTION and bool(point) == bool(fraction)
        if not fits or not digits.isascii() or not (whole + fraction).isdigit():
            raise AmountError("expected decimal text", where="balance")
        return sign * int(whole + fraction[: currency.scale].ljust(currency.scale, "0"))


def _power(digits: int) -> int:
    return int(10**digits)


def _plain(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
