"""Every class of difference is found among many rows, nothing else is, and no more is held than one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from tests.reconciliation import seeded

from croupier.contract import SettingsError
from croupier.reconciliation.compare import CaseKind, Count, Entry, Side, Standing, Window, compare
from croupier.reconciliation.hub_book import by_kind
from croupier.reconciliation.logs import Shelf, read_log

BET = Entry(id="t1", kind="bet", amount=100, currency="EUR", player="anna", at=1_000)


def kinds(window: Window | None = None, **books: list[Entry]) -> list[tuple[str, ...]]:
    told = compare({Side(name): book for name, book in books.items()}, window)
    return [tuple(kind.value for kind in case.kinds) for case in told]


def test_one_of_each_class_among_a_hundred_thousand_is_found_and_nothing_else(tmp_path: Path) -> None:
    expected = seeded.write_logs(tmp_path, 100_000, seed=7)
    count = Count()
    found = dict(seeded.found_in(tmp_path, count))
    assert found == {id_: (kind,) for id_, kind in expected.items()}
    assert set(expected.values()) == set(CaseKind) - {CaseKind.UNDECIDED}
    assert 90_000 < count.transactions < 100_000


def test_no_more_is_held_than_one_transaction_however_long_the_books_are() -> None:
    ahead = 0

    def endless() -> Iterator[Entry]:
        nonlocal ahead
        for number in range(10_000_000):
            ahead = number
            yield evolve(BET, id=f"t{number:09}", amount=1 if number % 1000 == 999 else 100)

    other = (evolve(BET, id=f"t{number:09}") for number in range(10_000_000))
    cases = compare({Side.HUB: endless(), Side.OPERATOR: other})
    assert next(cases).id == "t000000999"
    assert ahead < 1_010


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ([BET], []),
        ([], ["missing_at_operator"]),
        ([BET, BET], ["duplicate"]),
        ([evolve(BET, amount=101)], ["amount"]),
        ([evolve(BET, currency="SEK", amount=7)], ["currency"]),
        ([evolve(BET, currency="", player="")], []),
        ([evolve(BET, state=Standing.ROLLED_BACK)], ["state"]),
        ([evolve(BET, state=Standing.DECLINED, amount=7)], ["state"]),
        ([evolve(BET, kind="win", player="bob")], ["kind", "player"]),
        ([evolve(BET, state=Standing.OPEN)], []),
    ],
)
def test_a_transaction_is_told_with_everything_that_differs(operator: list[Entry], expected: list[str]) -> None:
    assert kinds(hub=[BET], operator=operator) == ([tuple(expected)] if expected else [])


@pytest.mark.parametrize(
    ("state", "operator", "expected"),
    [
        (Standing.HELD, [BET], ["undecided"]),
        (Standing.HELD, [evolve(BET, amount=101, player="bob")], ["undecided", "player", "amount"]),
        (Standing.HELD, [evolve(BET, state=Standing.ROLLED_BACK)], []),
        (Standing.HELD, [], []),
        (Standing.OPEN, [BET], []),
    ],
)
def test_what_the_hub_holds_is_told_if_it_stands_in_the_operators_book(
    state: Standing, operator: list[Entry], expected: list[str]
) -> None:
    held = [evolve(BET, state=state)]
    assert kinds(hub=held, operator=operator) == ([tuple(expected)] if expected else [])
    assert kinds(hub=held, provider=operator) == []


def test_what_is_watched_is_told_once_every_book_has_it_and_they_agree() -> None:
    def told(**books: list[Entry]) -> list[tuple[str, ...]]:
        cases = compare({Side(name): book for name, book in books.items()}, watched={"t1"})
        return [tuple(kind.value for kind in case.kinds) for case in cases]

    assert told(hub=[BET], operator=[BET]) == [()]
    assert told(hub=[evolve(BET, id="t2")], operator=[evolve(BET, id="t2")]) == []
    assert told(hub=[BET], operator=[evolve(BET, amount=7)]) == [("amount",)]
    gone = evolve(BET, state=Standing.ROLLED_BACK)
    assert told(hub=[gone], operator=[gone]) == [()]
    assert told(hub=[gone], operator=[]) == told(hub=[], operator=[gone]) == []  # a log that lacks it proves nothing
    assert told(hub=[evolve(BET, state=Standing.OPEN)], operator=[BET]) == []
    assert told(hub=[evolve(BET, state=Standing.HELD)], operator=[gone]) == []


@pytest.mark.parametrize("state", [Standing.ROLLED_BACK, Standing.DECLINED, Standing.OPEN, Standing.HELD])
def test_what_moved_no_money_need_not_stand_in_every_book(state: Standing) -> None:
    assert kinds(hub=[evolve(BET, state=state)], operator=[]) == []
    assert kinds(provider=[], hub=[], operator=[evolve(BET, state=state)]) == []


def test_an_edge_of_the_time_makes_no_case() -> None:
    window = Window(since=1_000, until=2_000, grace=100)
    late = evolve(BET, at=2_050)
    assert kinds(window, hub=[evolve(BET, at=1_990)], operator=[late]) == []
    assert kinds(window, hub=[evolve(BET, at=2_000)], operator=[]) == []  # another time's
    assert kinds(window, hub=[evolve(BET, at=1_999)], operator=[]) == [("missing_at_operator",)]


def test_two_errors_that_cancel_out_are_two_cases() -> None:
    other = evolve(BET, id="t2")
    wrong = [evolve(BET, amount=90), evolve(other, amount=110)]
    assert kinds(hub=[BET, other], operator=wrong) == [("amount",), ("amount",)]


def test_a_book_that_is_not_in_order_is_refused() -> None:
    with pytest.raises(ValueError, match="operator's book is not in order"):
        list(compare({Side.HUB: [], Side.OPERATOR: [evolve(BET, id="t2"), BET]}))


_ENTRIES = st.builds(
    Entry,
    id=st.sampled_from("abc"),
    kind=st.sampled_from(["bet", "win"]),
    amount=st.integers(0, 1),
    state=st.sampled_from([Standing.APPLIED, Standing.ROLLED_BACK]),
)
_BOOKS = st.lists(_ENTRIES, max_size=4)


@given(_BOOKS, _BOOKS, _BOOKS)
def test_books_have_no_case_exactly_if_the_same_stands_in_all_of_them_once(
    provider: list[Entry], hub: list[Entry], operator: list[Entry]
) -> None:
    books = {Side.PROVIDER: provider, Side.HUB: hub, Side.OPERATOR: operator}
    shelf = Shelf()
    for side, book in books.items():
        assert shelf.put(side, book) == len(book)
    told = {case.id for case in compare({side: shelf.book(side) for side in Side})}
    shelf.close()
    expected = set()
    for name in "abc":
        of_name = [[entry for entry in book if entry.id == name] for book in books.values()]
        standing = {tuple((one.kind, one.amount) for one in of if one.state is Standing.APPLIED) for of in of_name}
        if any(len(of) > 1 for of in of_name) or len(standing) > 1:
            expected.add(name)
    assert told == expected


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"amount": 1.5}, "int"),
        ({"amount": -1}, "negative"),
        ({"id": ""}, "an id"),
        ({"kind": "rollback"}, "rollback"),
        ({"state": "owed"}, "owed"),
        ({"at": "2026-11-23T10:00:00"}, "offset"),
        ({"at": "9999-12-31T23:59:59-12:00"}, "UTC"),
        ({"amount": 2**63}, "below"),
        ({"currency": None}, "str"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_by_its_number(
    tmp_path: Path, change: dict[str, object], match: str
) -> None:
    file = tmp_path / "log.jsonl"
    good = seeded.line_of(BET)
    file.write_text(f"{json.dumps(good)}\n\n{json.dumps({**good, **change})}\n")
    lines = read_log(file)
    assert next(lines) == BET
    with pytest.raises(SettingsError, match=match) as wrong:
        next(lines)
    assert wrong.value.where == f"{file}:3"


def test_control_characters_in_a_log_are_written_out_alike_in_the_hubs_book(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps({**seeded.line_of(BET), "id": "a\x1b[31m\nb", "currency": "EUR\x00"}) + "\n")
    (entry,) = read_log(file)
    assert (entry.id, entry.currency) == ("a\\x1b[31m\\x0ab", "EUR\\x00")
    assert by_kind(entry.id, "bet") == by_kind("a\x1b[31m\nb", "bet") == "a\\x1b[31m\\x0ab/bet"
    assert by_kind("Zoë-\u00a0\\x1b", "win") == "Zoë-\u00a0\\x1b/win"
