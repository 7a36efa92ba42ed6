from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from croupier.contract import (
    AliasRule,
    CallPersonError,
    DeclinedError,
    DeclineReason,
    FixRequestError,
    NotFoundError,
    RetryLaterError,
    SettingsError,
    UnknownCurrencyError,
    UnsupportedOperationError,
)
from croupier.ledger.port import Change, CommitResult
from croupier.ledger.records import SessionRow, SessionState
from croupier.sessions.cache import SessionCache
from croupier.sessions.service import SessionService, SessionSettings
from croupier.wallet.parties import Admission, Connection

if TYPE_CHECKING:
    from tests.sessions.conftest import Desk


async def admitted(desk: Desk, token: str, *, rotate: bool) -> Admission:
    answer = await desk.sessions.admit(desk.connection, token, rotate=rotate)
    assert isinstance(answer, Admission)
    return answer


async def test_a_launch_opens_a_session_under_a_name_that_is_not_the_operators(desk: Desk) -> None:
    launch = await desk.launch("player-1", facts={"country": "DE"}, operator_session="theirs")
    row = launch.session
    assert (row.state, row.game, row.route, row.currency) == (SessionState.LAUNCHED, "toy--book", "17", "EUR")
    assert (row.facts, row.operator_session) == ({"country": "DE"}, "theirs")
    assert "player-1" not in {row.player, launch.alias}
    assert launch.alias.startswith("cr_")
    assert await desk.sessions.player(desk.connection, launch.alias) == row.player
    known = await desk.ledger.player(row.operator, row.player)
    assert known is not None
    assert known.operator_player == "player-1"
    assert await desk.ledger.session(row.operator, row.session) == row


async def test_a_player_keeps_surrogate_and_alias_and_has_another_alias_elsewhere(desk: Desk) -> None:
    first, second = await desk.launch(), await desk.launch()
    assert first.session.session != second.session.session
    assert (first.session.player, first.alias) == (second.session.player, second.alias)
    other = evolve(desk.live, connection=evolve(desk.connection, id="c2"))
    desk.use(other)
    third = await desk.launch()
    assert third.session.player == first.session.player
    assert third.alias != first.alias
    assert await desk.sessions.player(desk.connection, first.alias) is None


async def test_tokens_are_not_in_the_file(desk: Desk, tmp_path: Path) -> None:
    launch = await desk.launch()
    session_token = (await admitted(desk, launch.token, rotate=True)).token
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        dump = "\n".join(database.iterdump())
    database.close()
    assert launch.session.launch_hash in dump
    assert launch.token not in dump
    assert session_token not in dump
    assert launch.token not in repr(launch)


async def test_a_kept_launch_token_becomes_the_session_token_and_may_be_repeated(desk: Desk) -> None:
    launch = await desk.launch()
    first = await admitted(desk, launch.token, rotate=False)
    assert (first.token, first.session.state) == (launch.token, SessionState.ACTIVE)
    desk.clock.ms += 3_500_000
    again = await admitted(desk, launch.token, rotate=False)
    assert again == first
    assert (await admitted(desk, launch.token, rotate=True)).token == launch.token


async def test_a_rotated_launch_token_is_spent_after_the_grace(desk: Desk) -> None:
    launch = await desk.launch()
    first = await admitted(desk, launch.token, rotate=True)
    assert first.token != launch.token
    desk.clock.ms += 30_000
    assert await desk.sessions.admit(desk.connection, launch.token, rotate=True) is DeclineReason.SESSION_UNKNOWN
    assert await desk.sessions.admit(desk.connection, launch.token, rotate=False) is DeclineReason.SESSION_UNKNOWN
    assert (await admitted(desk, first.token, rotate=False)).session == first.session


async def test_a_lost_answer_gets_the_same_token_again_within_the_grace(desk: Desk) -> None:
    launch = await desk.launch()
    desk.clock.ms += 599_999
    first = await admitted(desk, launch.token, rotate=True)
    desk.clock.ms += 29_999
    assert await admitted(desk, launch.token, rotate=True) == first
    assert await desk.sessions.by_token(desk.connection, first.token) == first.session


async def test_a_session_token_is_never_rotated_away(desk: Desk) -> None:
    launch = await desk.launch()
    first = await admitted(desk, launch.token, rotate=True)
    assert await admitted(desk, first.token, rotate=True) == first


async def test_a_session_token_cannot_be_worked_out_without_the_hubs_key(desk: Desk) -> None:
    launch = await desk.launch()
    right = await admitted(desk, launch.token, rotate=True)
    stranger = desk.service(token_key=b"x" * 32)
    assert await stranger.admit(desk.connection, launch.token, rotate=True) is DeclineReason.SESSION_UNKNOWN
    assert await stranger.admit(desk.connection, right.token, rotate=True) == right


async def test_a_launch_token_expires_for_authentication_and_the_session_still_takes_bets(desk: Desk) -> None:
    launch = await desk.launch()
    desk.clock.ms += 600_000
    answer = await desk.sessions.admit(desk.connection, launch.token, rotate=False)
    assert answer is DeclineReason.SESSION_EXPIRED
    assert desk.sessions.is_live(launch.session)


async def test_a_session_that_was_never_authenticated_takes_bets_until_it_expires(desk: Desk) -> None:
    launch = await desk.launch()
    found = await desk.sessions.latest(desk.connection, launch.session.player)
    assert found == launch.session
    assert desk.sessions.is_live(found)
    desk.clock.ms += 3_600_000
    assert not desk.sessions.is_live(found)


async def test_an_expired_session_is_found_and_admits_nobody(desk: Desk) -> None:
    launch = await desk.launch(lifetime_ms=1000)
    first = await admitted(desk, launch.token, rotate=False)
    desk.clock.ms += 1000
    assert await desk.sessions.admit(desk.connection, launch.token, rotate=False) is DeclineReason.SESSION_EXPIRED
    assert await desk.sessions.by_token(desk.connection, launch.token) == first.session


async def test_an_ended_session_takes_no_bets_and_is_still_found_for_its_wins(desk: Desk) -> None:
    launch = await desk.launch()
    ended = await desk.sessions.end(launch.session.operator, launch.session.session)
    assert await desk.sessions.end(launch.session.operator, launch.session.session) == ended
    assert not desk.sessions.is_live(ended)
    assert await desk.sessions.by_token(desk.connection, launch.token) == ended
    assert await desk.sessions.latest(desk.connection, launch.session.player) == ended
    assert await desk.sessions.admit(desk.connection, launch.token, rotate=False) is DeclineReason.SESSION_EXPIRED


async def test_a_session_of_another_operator_is_not_found(desk: Desk) -> None:
    launch = await desk.launch()
    with pytest.raises(NotFoundError):
        await desk.sessions.end("op2", launch.session.session)


@pytest.mark.parametrize("token", ["", "x", "A" * 43])
async def test_an_unknown_token_opens_nothing(desk: Desk, token: str) -> None:
    await desk.launch()
    assert await desk.sessions.admit(desk.connection, token, rotate=False) is DeclineReason.SESSION_UNKNOWN
    assert await desk.sessions.by_token(desk.connection, token) is None


async def test_a_token_of_another_connection_or_operator_opens_nothing(desk: Desk) -> None:
    launch = await desk.launch()
    elsewhere: list[Connection] = [
        evolve(desk.connection, id="c2"),
        evolve(desk.connection, operator=evolve(desk.connection.operator, id="op2")),
    ]
    for connection in elsewhere:
        assert await desk.sessions.admit(connection, launch.token, rotate=False) is DeclineReason.SESSION_UNKNOWN


async def test_a_session_at_hand_is_believed_for_its_own_connection_alone(desk: Desk) -> None:
    launch = await desk.launch()
    cache = SessionCache()
    cache.keep(launch.session, launch.session.launch_hash)
    assert cache.near(desk.connection, launch.session.launch_hash) == launch.session
    assert cache.near(evolve(desk.connection, id="c2"), launch.session.launch_hash) is None


async def test_a_demo_has_no_player_and_takes_no_bets(desk: Desk) -> None:
    launch = await desk.launch("", demo=True)
    assert (launch.token, launch.alias, launch.session.player) == ("", "", "")
    assert not desk.sessions.is_live(launch.session)
    assert await desk.sessions.latest(desk.connection, "") is None


async def test_a_launch_of_what_is_disabled_is_declined(desk: Desk) -> None:
    desk.disable(operator=True)
    with pytest.raises(DeclinedError):
        await desk.launch()
    desk.disable(connection=True)
    with pytest.raises(DeclinedError):
        await desk.launch()
    assert await desk.ledger.player_by_operator_id("op1", "player-1") is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"player": "ann@example.com"}, FixRequestError),
        ({"facts": {"email": "x"}}, FixRequestError),
        ({"facts": {"country": "x" * 201}}, FixRequestError),
        ({"lifetime_ms": 0}, FixRequestError),
    ],
)
async def test_a_wrong_launch_is_refused_and_leaves_no_player(
    desk: Desk, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await desk.launch(**change)
    assert await desk.ledger.player_by_operator_id("op1", "player-1") is None


async def test_an_unregistered_currency_and_a_refused_game_cannot_be_launched(desk: Desk) -> None:
    route = desk.route()
    with pytest.raises(UnknownCurrencyError):
        await desk.sessions.launch(desk.live, route, "player-1", "ZZZ")
    disabled = evolve(route, route=evolve(route.route, refusal=DeclineReason.GAME_DISABLED))
    with pytest.raises(DeclinedError):
        await desk.sessions.launch(desk.live, disabled, "player-1", "EUR")
    elsewhere = evolve(route, document=evolve(route.document, connection="c2"))
    with pytest.raises(FixRequestError):
        await desk.sessions.launch(desk.live, elsewhere, "player-1", "EUR")
    no_demo = evolve(route, document=evolve(route.document, demo=False))
    with pytest.raises(UnsupportedOperationError):
        await desk.sessions.launch(desk.live, no_demo, "", "EUR", demo=True)


async def test_an_alias_that_is_taken_is_drawn_again_until_none_is_left(desk: Desk) -> None:
    sessions = desk.service(rule=AliasRule(alphabet="ab", length=1))
    assert {await sessions.alias(desk.connection, "one"), await sessions.alias(desk.connection, "two")} == {"a", "b"}
    with pytest.raises(CallPersonError):
        await sessions.alias(desk.connection, "three")


class Meddling:
    """A ledger where somebody else changes the session just before each of the first commits."""

    def __init__(self, desk: Desk, times: int) -> None:
        self._desk = desk
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk.ledger, name)

    async def commit(self, change: Change) -> CommitResult:
        (row,) = change.sessions
        if self._times > 0 and row.version > 1:
            self._times -= 1
            stored = await self._desk.ledger.session(row.operator, row.session)
            assert isinstance(stored, SessionRow)
            touched = evolve(stored, seen_at=self._times, version=stored.version + 1)
            await self._desk.ledger.commit(Change(operator=row.operator, sessions=(touched,)))
        return await self._desk.ledger.commit(change)


def meddled(desk: Desk, times: int) -> SessionService:
    settings = SessionSettings(token_key=b"k" * 32)
    ledger: Any = Meddling(desk, times)
    return SessionService(ledger, desk.clock, desk.ids, settings, lambda _: AliasRule())


async def test_a_change_in_between_is_read_and_decided_again(desk: Desk) -> None:
    launch = await desk.launch()
    answer = await meddled(desk, 2).admit(desk.connection, launch.token, rotate=True)
    assert isinstance(answer, Admission)
    assert (answer.session.state, answer.session.version) == (SessionState.ACTIVE, 4)
    ended = await meddled(desk, 2).end(launch.session.operator, launch.session.session)
    assert (ended.state, ended.version) == (SessionState.ENDED, 7)


async def test_a_session_that_keeps_changing_is_answered_retryable(desk: Desk) -> None:
    launch = await desk.launch()
    with pytest.raises(RetryLaterError):
        await meddled(desk, 99).admit(desk.connection, launch.token, rotate=True)
    with pytest.raises(RetryLaterError):
        await meddled(desk, 99).end(launch.session.operator, launch.session.session)


async def test_launch_admission_and_end_are_events_without_tokens(desk: Desk) -> None:
    launch = await desk.launch("player-1")
    await admitted(desk, launch.token, rotate=True)
    await admitted(desk, launch.token, rotate=True)
    await desk.sessions.end("op1", launch.session.session)
    events = [one.event for one in await desk.ledger.events_after("op1", 0, 10)]
    assert [one.kind for one in events] == ["session.launched", "session.activated", "session.ended"]
    assert "player-1" not in str(events)
    assert launch.token not in str(events)


@pytest.mark.parametrize("settings", [{"token_key": b"short"}, {"token_key": b"k" * 32, "launch_ms": 0}])
def test_unsafe_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        SessionSettings(**settings)
