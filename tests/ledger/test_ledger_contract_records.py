"""What every engine of the ledger promises: the vault, sessions, grants, configuration, lists and exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from croupier.contract.errors import ConflictError
from croupier.ledger.port import Change, Committed, Ledger, Look, MovementFilter, Page, Refused, RoundFilter
from croupier.ledger.records import AliasRow, ExchangeRow, MovementState, PlayerRow, RoundState, SessionState

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

Store = Callable[[Change], Awaitable[int]]


def player(surrogate: str, operator_player: str, operator: str = "casino") -> PlayerRow:
    return PlayerRow(operator=operator, player=surrogate, operator_player=operator_player, created_at=10)


def alias(name: str, surrogate: str, connection: str = "c1") -> AliasRow:
    return AliasRow(operator="casino", connection=connection, alias=name, player=surrogate)


async def test_the_vault_keeps_the_first_surrogate_of_a_player(ledger: Ledger) -> None:
    rows = [player(f"s{i}", "4711") for i in range(20)]
    kept = await asyncio.gather(*map(ledger.ensure_player, rows))
    assert set(kept) == {kept[0]}
    assert await ledger.ensure_player(player("later", "4711")) == kept[0]
    assert await ledger.player("casino", kept[0].player) == kept[0]
    assert await ledger.player_by_operator_id("casino", "4711") == kept[0]
    assert await ledger.player("casino", "later") is None
    theirs = player(kept[0].player, "4711", operator="other")
    assert await ledger.ensure_player(theirs) == theirs


async def test_a_surrogate_never_means_two_players(ledger: Ledger) -> None:
    await ledger.ensure_player(player("s1", "4711"))
    with pytest.raises(ConflictError):
        await ledger.ensure_player(player("s1", "4712"))
    assert await ledger.player_by_operator_id("casino", "4712") is None


async def test_a_player_keeps_the_first_alias_in_a_connection(ledger: Ledger) -> None:
    first = await ledger.ensure_alias(alias("a1", "s1"))
    assert await ledger.ensure_alias(alias("a2", "s1")) == first == alias("a1", "s1")
    await ledger.ensure_alias(alias("a1", "s2", connection="c2"))
    assert await ledger.player_by_alias("casino", "c1", "a1") == "s1"
    assert await ledger.player_by_alias("casino", "c2", "a1") == "s2"
    assert await ledger.player_by_alias("casino", "c1", "a2") is None
    assert await ledger.alias_of("casino", "c1", "s1") == "a1"
    assert await ledger.alias_of("casino", "c2", "s1") is None


async def test_an_alias_never_means_two_players(ledger: Ledger) -> None:
    drawn = [alias("same", f"s{i}") for i in range(10)]
    results = await asyncio.gather(*map(ledger.ensure_alias, drawn), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AliasRow"] + ["ConflictError"] * 9
    (kept,) = [result for result in results if isinstance(result, AliasRow)]
    assert await ledger.player_by_alias("casino", "c1", "same") == kept.player


async def test_a_session_is_found_by_either_hash(ledger: Ledger, rows: Rows, store: Store) -> None:
    launched = rows.session(launch_hash="one")
    await store(rows.change(sessions=(launched,)))
    assert await ledger.session_by_hash("casino", "c1", "one") == launched
    active = attrs.evolve(
        launched, state=SessionState.ACTIVE, token_hash="two", operator_session="theirs", seen_at=20, version=2
    )
    await store(rows.change(sessions=(active,)))
    for token_hash in ("one", "two"):
        assert await ledger.session_by_hash("casino", "c1", token_hash) == active
    assert await ledger.session_by_hash("casino", "c2", "two") is None
    assert await ledger.session_by_hash("other", "c1", "two") is None
    assert await ledger.session_by_hash("casino", "c1", "three") is None
    again = attrs.evolve(active, launch_hash="four", token_hash="five", player="bob", version=3)
    await store(rows.change(sessions=(again,)))
    assert await ledger.session_by_hash("casino", "c1", "one") is None
    assert await ledger.session_by_hash("casino", "c1", "four") == again == await ledger.session("casino", "s1")


async def test_a_round_ends_or_takes_one_more_bet_of_two_who_come_at_once_and_goes_on_without_an_end(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(rounds=(rows.round(bets=1),)))
    ended = rows.round(bets=1, state=RoundState.CLOSED, closed_at=20, version=2)
    entering = rows.change(
        movements=(rows.movement(round="r1"),),
        keys=((rows.key(), "m1"),),
        rounds=(rows.round(bets=2, version=2),),
    )
    told = await asyncio.gather(ledger.commit(rows.change(rounds=(ended,))), ledger.commit(entering))
    assert [type(one) for one in told] in ([Committed, Refused], [Refused, Committed])
    found = await ledger.look(Look(operator=rows.operator, round="r1", round_movements=True))
    assert found.round is not None
    assert (found.round.state is RoundState.CLOSED) is (found.round_movements == ())
    for version, state, closed_at in ((3, RoundState.CLOSED, 30), (4, RoundState.OPEN, None)):
        row = rows.round(bets=2, state=state, closed_at=closed_at, version=version)
        await store(rows.change(rounds=(row,)))
        assert await ledger.round(rows.operator, "r1") == row


async def test_the_latest_session_is_the_newest_ended_or_not(ledger: Ledger, rows: Rows, store: Store) -> None:
    old = rows.session("s1", created_at=20)
    new = rows.session("s0", created_at=30, state=SessionState.ENDED)
    elsewhere = rows.session("s3", created_at=40, connection="c2")
    await store(rows.change(sessions=(new, old, elsewhere)))
    assert await ledger.latest_session("casino", "c1", "alice") == new
    assert await ledger.latest_session("casino", "c1", "bob") is None


async def test_a_grant_is_found_by_its_reference_in_its_connection(ledger: Ledger, rows: Rows, store: Store) -> None:
    theirs = rows.grant(connection="c2", rounds=5)
    await store(rows.change(grants=(rows.grant(), theirs)))
    active = rows.grant(state="active", bet=20, operator_grant="o1", version=2)
    await store(rows.change(grants=(active,)))
    assert await ledger.grant("casino", "c1", "f1") == active
    assert await ledger.grant("casino", "c2", "f1") == theirs
    assert await ledger.grant("casino", "c1", "f2") is None


async def test_the_newest_version_of_configuration_is_in_force_and_history_stays(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    assert await ledger.configuration_versions() == 0
    first = rows.configuration(body={"url": "old", "limits": {"b": 1, "a": [2]}})
    key = rows.configuration("k1", kind="key")
    await store(rows.change(configuration=(first, key)))
    second = rows.configuration(version=2, body={"url": "new"}, who="bob")
    deleted = rows.configuration("k1", kind="key", version=2, active=False)
    await store(rows.change(configuration=(second, deleted)))
    theirs = rows.configuration(operator="another")
    await ledger.commit(Change(operator="another", configuration=(theirs,)))
    assert await ledger.configuration() == [theirs, second, deleted]
    assert await ledger.configuration_versions() == 5
    assert await ledger.configuration("casino") == [second, deleted]
    assert await ledger.configuration(kind="connection") == [theirs, second]
    assert await ledger.configuration("casino", "key") == [deleted]
    assert await ledger.configuration_history("casino", "connection", "c1") == [first, second]
    for version in (1, 2, 4):
        assert isinstance(
            await ledger.commit(rows.change(configuration=(rows.configuration(version=version),))), Refused
        )
    steps = (rows.configuration(version=3), rows.configuration(version=4))
    await store(rows.change(configuration=steps))
    assert await ledger.configuration_history("casino", "connection", "c1") == [first, second, *steps]
    assert await ledger.configuration_versions() == 7


async def all_pages(fetch: Callable[[Page], Awaitable[Any]], place: Callable[[Any], tuple[int, str]]) -> list[Any]:
    """Everything, page by page of three."""
    found: list[Any] = []
    page = Page(limit=3)
    while batch := await fetch(page):
        assert len(batch) <= 3
        found += batch
        page = Page(after=place(batch[-1]), limit=3)
    return found


async def test_movements_are_listed_in_stable_pages(ledger: Ledger, rows: Rows, store: Store) -> None:
    stored = [
        rows.movement(
            f"m{i:02}",
            created_at=i // 4,
            player="bob" if i % 3 else "alice",
            connection="c1" if i % 5 else "c2",
            round=f"r{i % 2}",
            state=MovementState.APPLIED if i % 7 else MovementState.OWED,
        )
        for i in range(40)
    ]
    shuffled = sorted(stored, key=lambda row: row.movement[::-1])
    await store(rows.change(movements=tuple(shuffled)))
    await ledger.commit(Change(operator="other", movements=(rows.movement(operator="other"),)))
    filters: list[tuple[MovementFilter, Callable[[Any], bool]]] = [
        (MovementFilter(), lambda row: True),
        (MovementFilter(player="alice"), lambda row: row.player == "alice"),
        (MovementFilter(connection="c2", round="r0"), lambda row: row.connection == "c2" and row.round == "r0"),
        (MovementFilter(state="owed"), lambda row: row.state is MovementState.OWED),
        (MovementFilter(since=3, until=6, player="bob"), lambda row: 3 <= row.created_at < 6 and row.player == "bob"),
    ]
    for which, keeps in filters:
        listed = await all_pages(
            lambda page, which=which: ledger.movements("casino", which, page),  # type: ignore[misc]  # bound to this turn
            lambda row: (row.created_at, row.movement),
        )
        assert listed == [row for row in stored if keeps(row)]


async def test_a_page_that_was_read_does_not_shift_when_more_is_stored(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    for i in range(4):
        await store(rows.bet(f"m{i}", created_at=i))
    first = await ledger.movements("casino", MovementFilter(), Page(limit=2))
    await store(rows.bet("m9", created_at=0))
    second = await ledger.movements("casino", MovementFilter(), Page(after=(1, "m1"), limit=2))
    assert [row.movement for row in (*first, *second)] == ["m0", "m1", "m2", "m3"]


async def test_rounds_sessions_and_grants_are_listed_in_order(ledger: Ledger, rows: Rows, store: Store) -> None:
    for i in (5, 3, 8, 1, 0, 2, 7):
        whose = "alice" if i % 2 else "bob"
        await store(
            rows.change(
                rounds=(rows.round(f"r{i}", opened_at=i // 2, player=whose),),
                sessions=(rows.session(f"s{i}", created_at=i // 2, player=whose),),
                grants=(rows.grant(f"f{i}", created_at=i // 2, player=whose),),
            )
        )
    players: list[tuple[str | None, str]] = [(None, "0123578"), ("alice", "1357"), ("bob", "028")]
    for who, expected in players:
        rounds = await all_pages(
            lambda page, who=who: ledger.rounds("casino", who, page),  # type: ignore[misc]  # bound to this turn
            lambda row: (row.opened_at, row.round),
        )
        sessions = await all_pages(
            lambda page, who=who: ledger.sessions("casino", who, page),  # type: ignore[misc]  # bound to this turn
            lambda row: (row.created_at, row.session),
        )
        grants = await all_pages(
            lambda page, who=who: ledger.grants("casino", who, page),  # type: ignore[misc]  # bound to this turn
            lambda row: (row.created_at, row.grant),
        )
        assert [row.round for row in rounds] == [f"r{i}" for i in expected]
        assert [row.session for row in sessions] == [f"s{i}" for i in expected]
        assert [row.grant for row in grants] == [f"f{i}" for i in expected]


async def test_rounds_are_listed_by_state_and_by_the_time_in_which_they_were_opened(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    for i in range(8):
        closed: dict[str, Any] = {"state": RoundState.CLOSED, "closed_at": 20} if i % 2 else {}
        whose = "alice" if i < 6 else "bob"
        await store(rows.change(rounds=(rows.round(f"r{i}", opened_at=i, player=whose, **closed),)))
    for player, which, expected in (
        (None, RoundFilter(state="open"), "0246"),
        (None, RoundFilter(state="open", since=2, until=6), "24"),
        (None, RoundFilter(state="closed", until=5), "13"),
        ("bob", RoundFilter(state="open"), "6"),
        ("alice", RoundFilter(since=4), "45"),
        ("bob", RoundFilter(until=6), ""),
    ):
        found = [row.round for row in await ledger.rounds("casino", player, Page(), which)]
        assert found == [f"r{i}" for i in expected], which
    first = await ledger.rounds("casino", None, Page(limit=2), RoundFilter(state="open"))
    second = await ledger.rounds("casino", None, Page(after=(2, "r2"), limit=9), RoundFilter(state="open"))
    assert [row.round for row in (*first, *second)] == ["r0", "r2", "r4", "r6"]


async def until_exchange(ledger: Ledger, exchange: ExchangeRow) -> None:
    """Wait until an exchange is stored, and with it those that were noted before: it may take moments."""
    for _ in range(500):
        if exchange in await ledger.exchanges(exchange.operator, trace=exchange.trace):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never stored")


async def test_exchanges_are_found_by_trace_and_by_movement_in_order(ledger: Ledger, rows: Rows, store: Store) -> None:
    inner = rows.exchange("inner", started_at=20, movement="m1", side="operator_out", status=200, verdict="applied")
    outer = rows.exchange("outer", started_at=10)
    other = rows.exchange("other", trace="t2", movement="m1", started_at=30)
    early = rows.exchange("early", trace="t3", movement="m2", started_at=30)
    late = rows.exchange("late", trace="t4", movement="m2", started_at=40)
    theirs = rows.exchange("theirs", operator="other", movement="m2")
    for exchange in (inner, outer, other, early):
        ledger.note(exchange)
    await store(rows.bet())
    await until_exchange(ledger, early)
    await store(rows.bet("m2"))
    ledger.note(late)
    ledger.note(theirs)
    await store(rows.change(events=(rows.event(),)))
    await until_exchange(ledger, theirs)
    assert await ledger.exchanges("casino", trace="t1") == [outer, inner]
    assert await ledger.exchanges("casino", movement="m1") == [inner, other]
    assert await ledger.exchanges("casino", trace="t2", movement="m1") == [other]
    assert await ledger.exchanges("casino", movement="m2") == [early, late]
    assert await ledger.exchanges("other", movement="m2") == [theirs]
    assert await ledger.exchanges("casino") == []


async def test_an_exchange_that_cannot_be_stored_costs_no_money(ledger: Ledger, rows: Rows, store: Store) -> None:
    ledger.note(rows.exchange("first"))
    ledger.note(rows.exchange("broken", decision={"what": object()}))
    ledger.note(rows.exchange("huge", duration_us=2**80))
    ledger.note(rows.exchange("first", verdict="a second time"))
    ledger.note(rows.exchange("last"))
    assert await store(rows.bet()) == 1
    await until_exchange(ledger, rows.exchange("last"))
    assert await ledger.exchanges("casino", trace="t1") == [rows.exchange("first"), rows.exchange("last")]
