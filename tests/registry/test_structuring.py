"""Stored configuration read strictly: nothing is converted that was not written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import field, frozen, validators

from croupier.contract import Currency, SettingsError
from croupier.registry import problems, structure


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen(kw_only=True)
class Inner:
    port: int = field(default=1, validator=validators.ge(1))
    colour: Colour = Colour.RED


@frozen(kw_only=True)
class Everything:
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    exact: Decimal = Decimal(0)
    path: Path | None = None
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner = Inner()
    rows: tuple[Inner, ...] = ()
    names: list[str] = field(factory=list)
    codes: frozenset[str] = frozenset()
    order: Sequence[int] = ()
    scales: Mapping[str, int] = field(factory=dict)
    tables: dict[str, Inner] = field(factory=dict)
    either: str | int = ""
    maybe: Inner | None = None
    currencies: tuple[Currency, ...] = ()


def test_every_kind_of_field_is_read() -> None:
    value = {
        "text": "a",
        "number": 3,
        "ratio": 2,
        "flag": True,
        "exact": "0.10",
        "path": "/var/lib",
        "mode": "slow",
        "inner": {"port": 2, "colour": "blue"},
        "rows": [{"port": 3}, {}],
        "names": ["x"],
        "codes": ["EUR", "BTC"],
        "order": [2, 1],
        "scales": {"BTC": 8},
        "tables": {"a": {"port": 4}},
        "either": 5,
        "maybe": None,
        "currencies": [{"code": "BTC", "scale": 8}],
    }
    assert structure(value, Everything, where="x") == Everything(
        text="a",
        number=3,
        ratio=2.0,
        flag=True,
        exact=Decimal("0.10"),
        path=Path("/var/lib"),
        mode="slow",
        inner=Inner(port=2, colour=Colour.BLUE),
        rows=(Inner(port=3), Inner()),
        names=["x"],
        codes=frozenset({"EUR", "BTC"}),
        order=[2, 1],
        scales={"BTC": 8},
        tables={"a": Inner(port=4)},
        either=5,
        maybe=None,
        currencies=(Currency("BTC", 8),),
    )


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"text": 1}, "text", "expected text, not a whole number"),
        ({"number": "1"}, "number", "expected a whole number, not text"),
        ({"number": True}, "number", "expected a whole number, not true or false"),
        ({"number": 1.0}, "number", "expected a whole number, not a number with a point"),
        ({"number": None}, "number", "expected a whole number, not nothing"),
        ({"ratio": "1"}, "ratio", "expected a number, not text"),
        ({"flag": 1}, "flag", "expected true or false, not a whole number"),
        ({"exact": 0.1}, "exact", "expected a decimal number as text, not a number with a point"),
        ({"exact": "NaN"}, "exact", "expected a decimal number as text"),
        ({"exact": "ten"}, "exact", "expected a decimal number as text"),
        ({"path": 1}, "path", "expected a path as text, not a whole number"),
        ({"mode": "medium"}, "mode", 'expected "fast" or "slow"'),
        ({"inner": {"colour": "green"}}, "inner.colour", 'expected "red" or "blue"'),
        ({"inner": []}, "inner", "expected a table of keys and values, not a list"),
        ({"inner": {"prot": 1}}, "inner.prot", "unknown key: did you mean port?"),
        ({"inner": {"zzz": 1}}, "inner.zzz", "unknown key: expected colour or port"),
        ({"inner": {"port": 0}}, "inner", "'port' must be >= 1: 0"),
        ({"rows": [{}, {"port": "1"}]}, "rows.1.port", "expected a whole number, not text"),
        ({"names": "abc"}, "names", "expected a list, not text"),
        ({"names": ["a", 1]}, "names.1", "expected text, not a whole number"),
        ({"codes": "EUR"}, "codes", "expected a list, not text"),
        ({"codes": ["EUR", "EUR"]}, "codes", "the same value stands twice in the list"),
        ({"order": {"a": 1}}, "order", "expected a list, not a table"),
        ({"scales": {"BTC": "8"}}, "scales.BTC", "expected a whole number, not text"),
        ({"tables": {"a": {"port": "4"}}}, "tables.a.port", "expected a whole number, not text"),
        ({"either": 1.5}, "either", "expected text or a whole number, not a number with a point"),
        ({"maybe": {"port": "x"}}, "maybe.port", "expected a whole number, not text"),
        (
            {"currencies": [{"code": "BTC", "scale": 12}]},
            "currencies.0.BTC",
            "a currency's scale is 0 to 9 digits, not 12",
        ),
        ({"currencies": [{"code": "BTC"}]}, "currencies.0.scale", "is missing: expected a whole number"),
        ([], "", "expected a table of keys and values, not a list"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(value: Any, path: str, message: str) -> None:
    (problem,) = problems(value, Everything)
    assert (problem.place(), problem.message) == (path, message)


def test_every_problem_is_told_at_once() -> None:
    value = {"text": 1, "inner": {"port": "x", "zzz": 1}, "scales": {"A": "1", "B": "2"}}
    assert [problem.place("file") for problem in problems(value, Everything)] == [
        "file.text",
        "file.inner.port",
        "file.inner.zzz",
        "file.scales.A",
        "file.scales.B",
    ]
    with pytest.raises(SettingsError) as caught:
        structure(value, Everything, where="file")
    assert caught.value.where == "file.text"
    assert caught.value.hint == "also wrong: file.inner.port, file.inner.zzz, file.scales.A, file.scales.B"


def test_a_message_never_repeats_the_text_that_was_given() -> None:
    secret = "hunter2"
    for name in ("number", "ratio", "flag", "exact", "mode", "inner", "names", "scales", "maybe"):
        (problem,) = problems({name: secret}, Everything)
        assert secret not in problem.message
