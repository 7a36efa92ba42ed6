"""Decoded messages read field by field: every refusal names the field, no value is trusted.

`Fields` reads what a provider asks (a JSON object, a form), `Told` what it answers the hub: the same reading, but what
is wrong in an answer is an `UpstreamError`.

Example:
    >>> bet = Fields({"player": "p-1", "amount": 150, "actions": [{"id": "a-1"}]})
    >>> bet.text("player"), bet.steps("amount").value, bet.objects("actions")[0].text("id")
    ('p-1', Decimal('150'), 'a-1')
    >>> bet.objects("actions")[0].text("kind")
    Traceback (most recent call last):
    croupier.contract.errors.MalformedRequestError: actions[0].kind: the field is missing
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from croupier.contract.errors import (
    AmountError,
    CroupierError,
    MalformedRequestError,
    ProviderRefusedError,
    SettingsError,
    UpstreamError,
)
from croupier.contract.http import HttpResponse
from croupier.contract.money import MAJOR, MINOR, Unit, WireAmount
from croupier.contract.strict_json import read_json_object
from croupier.contract.times import from_epoch_ms
from croupier.contract.values import immutable

MAX_ID: Final = 200
"""The longest id that a movement's key may have."""
_MAX_MOMENT: Final = 14
_BUSY: Final = frozenset({408, 425, 429})


@immutable
class Fields:
    """An object or a form, read field by field; `None` counts as absent.

    Every method raises `MalformedRequestError` (`Told`: `UpstreamError`) for what is not as it says; an `optional_`
    method returns `None` for what is absent.

    Attributes:
        values: The fields.
        path: Where they stand in the message, for the messages of errors.
    """

    values: Mapping[str, Any]
    path: str = ""

    wrong: ClassVar[type[CroupierError]] = MalformedRequestError
    no_amount: ClassVar[type[CroupierError]] = AmountError

    @classmethod
    def of_form(cls, fields: Mapping[str, str]) -> Self:
        """The fields of a form, in which an empty field counts as absent."""
        return cls({name: value for name, value in fields.items() if value})

    def text(self, name: str, longest: int = MAX_ID) -> str:
        """An id or a code: a text of 1 to `longest` printable characters."""
        value = self.values.get(name)
        if type(value) is str and 0 < len(value) <= longest and value.isprintable():
            return value
        raise self._no_text(name, value, longest)

    def optional_text(self, name: str, longest: int = MAX_ID) -> str | None:
        """Like `text`, or `None` if it is absent."""
        value = self.values.get(name)
        if value is None or (type(value) is str and 0 < len(value) <= longest and value.isprintable()):
            return value
        raise self._no_text(name, value, longest)

    def code(self, name: str) -> str:
        """An id or a code that may also be sent as a whole number."""
        value = self.values.get(name)
        return str(value) if type(value) is int else self.text(name)

    def flag(self, name: str) -> bool:
        """A truth value, false if it is absent."""
        value = self.values.get(name)
        if value is None or value is False:
            return False
        if value is True:
            return True
        raise self.wrong("expected true or false", where=self.where(name))

    def steps(self, name: str, unit: Unit = MINOR, currency: str | None = None) -> WireAmount:
        """An amount as a whole number of a unit's steps, from zero; text is none."""
        value = self.values.get(name)
        if type(value) is not int:
            problem = "the field is missing" if value is None else "expected a whole number"
            raise self.wrong(problem, where=self.where(name))
        if value < 0:
            raise self.wrong("must not be negative", where=self.where(name))
        return self._amount(name, value, unit, currency)

    def signed_amount(self, name: str, unit: Unit = MAJOR, currency: str | None = None) -> WireAmount:
        """An exact amount of either sign: a number, or its text."""
        value = self.values.get(name)
        if value is None:
            raise self.wrong("the field is missing", where=self.where(name))
        return self._amount(name, value, unit, currency)

    def amount(self, name: str, unit: Unit = MAJOR, currency: str | None = None) -> WireAmount:
        """An exact amount from zero: a number, or its text."""
        amount = self.signed_amount(name, unit, currency)
        if amount.value < 0:
            raise self.wrong("must not be negative", where=self.where(name))
        return amount

    def optional_amount(self, name: str, unit: Unit = MAJOR, currency: str | None = None) -> WireAmount | None:
        """Like `amount`, or `None` if it is absent."""
        return None if self.values.get(name) is None else self.amount(name, unit, currency)

    def optional_moment(self, name: str) -> datetime | None:
        """A time (UTC): whole milliseconds since 1970, as a number or its text."""
        value = self.values.get(name)
        if value is None:
            return None
        digits = str(value) if type(value) is int else value
        if not (isinstance(digits, str) and len(digits) <= _MAX_MOMENT and digits.isascii() and digits.isdigit()):
            raise self.wrong("expected milliseconds since 1970", where=self.where(name))
        return from_epoch_ms(int(digits))

    def items(self, name: str) -> Sequence[Any]:
        """A list."""
        value = self.values.get(name)
        if isinstance(value, list):
            return value
        raise self.wrong("the list is missing" if value is None else "expected a list", where=self.where(name))

    def optional_items(self, name: str) -> Sequence[Any]:
        """Like `items`, or empty if it is absent."""
        return () if self.values.get(name) is None else self.items(name)

    def amounts(self, name: str, unit: Unit = MAJOR, currency: str | None = None) -> tuple[WireAmount, ...]:
        """A list of exact amounts, empty if it is absent."""
        return tuple([self._amount(name, value, unit, currency) for value in self.optional_items(name)])

    def objects(self, name: str) -> tuple[Self, ...]:
        """A list of objects."""
        place = self.where(name)
        return tuple([self._member(item, f"{place}[{index}]") for index, item in enumerate(self.items(name))])

    def optional_objects(self, name: str) -> tuple[Self, ...]:
        """Like `objects`, or empty if it is absent."""
        return () if self.values.get(name) is None else self.objects(name)

    def named(self, names: Sequence[str]) -> dict[str, str]:
        """The texts among some fields, as far as they were sent and are not empty; for what is shown to people."""
        values = self.values
        return {name: value for name in names if (value := values.get(name)) and isinstance(value, str)}

    def where(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def _member(self, item: Any, where: str) -> Self:
        if not isinstance(item, dict):
            raise self.wrong("expected an object", where=where)
        return type(self)(item, where)

    def _amount(self, name: str, value: Any, unit: Unit, currency: str | None) -> WireAmount:
        try:
            return WireAmount.of(value, unit, currency)
        except AmountError as error:
            raise self.no_amount(error.message, where=self.where(name)) from None

    def _no_text(self, name: str, value: Any, longest: int) -> CroupierError:
        if value is None:
            return self.wrong("the field is missing", where=self.where(name))
        if not isinstance(value, str):
            return self.wrong("expected a text", where=self.where(name))
        return self.wrong(f"expected 1 to {longest} printable characters", where=self.where(name))


@immutable
class Told(Fields):
    """What the other side told: like `Fields`, but what is wrong is an `UpstreamError`.

    The lenient methods are for descriptions (a catalogue's entries), of which half is better than none.
    """

    wrong: ClassVar[type[CroupierError]] = UpstreamError
    no_amount: ClassVar[type[CroupierError]] = UpstreamError

    def address(self, name: str) -> str:
        """An http or https address."""
        value = self.values.get(name)
        if isinstance(value, str) and is_address(value):
            return value
        raise self.wrong("expected an address", where=self.where(name))

    def word(self, name: str) -> str | None:
        """A text or a number as text, lenient: `None` for all else and for what is empty."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            return None
        return (f"{value:f}" if isinstance(value, Decimal) else str(value).strip()) or None

    def words(self, name: str) -> tuple[str, ...]:
        """The texts in a list, lenient."""
        value = self.values.get(name)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def refuse_status(response: HttpResponse, where: str) -> None:
    """Accept nothing but HTTP 200.

    Raises:
        UpstreamError: The other side cannot answer now.
        ProviderRefusedError: It will not answer this.
    """
    status = response.status
    if 400 <= status < 500 and status not in _BUSY:
        raise ProviderRefusedError(f"the provider answered {status}", provider_code=str(status), where=where)
    if status != 200:
        raise UpstreamError(f"the provider answered {status}", where=where)


def told_by(response: HttpResponse, where: str = "") -> Told:
    """The JSON object of an answer, whatever its status.

    Raises:
        UpstreamError: There is none.
    """
    try:
        return Told(read_json_object(response.body), where)
    except MalformedRequestError as error:
        raise UpstreamError(
            f"HTTP {response.status} without readable JSON: {error.message}", where=where or None
        ) from None


def told_rows(text: str, columns: Collection[str], where: str, absent: Collection[str] = ("",)) -> tuple[Told, ...]:
    """The rows of a CSV text whose first line names its columns.

    Args:
        text: The text; empty, or with a header.
        columns: The columns that there must be; there may be more.
        where: What it is, for errors.
        absent: The words for a cell without a value.

    Raises:
        UpstreamError: It is no CSV, or has other columns.
    """
    try:
        table = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        raise UpstreamError("it is no CSV", where=where) from None
    if not table:
        return ()
    header, *lines = table
    if not set(columns) <= set(header) or any(len(line) != len(header) for line in lines):
        raise UpstreamError("it has not the columns that were expected", where=where)
    rows = [zip(header, line, strict=True) for line in lines]
    return tuple([Told({name: cell for name, cell in row if cell not in absent}, where) for row in rows])


def is_host(text: str) -> bool:
    """Whether a text is a host name, with a port or without."""
    try:
        return bool(text) and urlsplit(f"//{text}").netloc == text
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether a text is an absolute http or https address."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def check_base_address(text: str, where: str) -> None:
    """Refuse a setting that is no address below which paths can lie: absolute, http or https, and no more.

    Args:
        text: The setting.
        where: Its path.

    Raises:
        SettingsError: It is none, or has a query, a fragment or credentials.
    """
    problem = "expected an absolute http address without query"
    try:
        parts = urlsplit(text)
        is_base = is_address(text) and parts.port != 0 and text.isprintable() and not set(text) & set("?# ")
    except ValueError:
        raise SettingsError(problem, where=where) from None
    if not is_base:
        raise SettingsError(problem, where=where)
    if "@" in parts.netloc:
        raise SettingsError("credentials do not belong into an address", where=where)


def check_path(text: str, where: str) -> None:
    """Refuse a setting that is no path to be put behind an address.

    Raises:
        SettingsError: It does not begin with a slash, or has a query.
    """
    if not text.startswith("/") or not text.isprintable() or set(text) & set("?# "):
        raise SettingsError("a path begins with / and has no query", where=where)
