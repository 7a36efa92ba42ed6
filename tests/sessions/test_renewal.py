"""Session tokens that are replaced at every exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from croupier.contract import AliasRule, DeclineReason
from croupier.ledger.records import SessionState
from croupier.sessions.cache import SessionCache
from croupier.sessions.service import SessionService, SessionSettings
from croupier.wallet.parties import Admission

if TYPE_CHECKING:
    from tests.sessions.conftest import Desk


async def renewed(desk: Desk, token: str) -> Admission:
    answer = await desk.sessions.admit(desk.connection, token, rotate=True, renew=True)
    assert isinstance(answer, Admission)
    return answer


async def test_every_exchange_gives_a_new_token_for_the_same_session(desk: Desk) -> None:
    launch = await desk.launch()
    first = await renewed(desk, launch.token)
    second = await renewed(desk, first.token)
    third = await renewed(desk, second.token)
    assert len({launch.token, first.token, second.token, third.token}) == 4
    assert {item.session.session for item in (first, second, third)} == {launch.session.session}
    assert (third.session.state, third.session.version) == (SessionState.ACTIVE, 4)
    assert await desk.sessions.by_token(desk.connection, third.token) == third.session


async def test_a_lost_answer_to_a_renewal_is_given_again_within_the_grace_and_not_after_it(desk: Desk) -> None:
    first = await renewed(desk, (await desk.launch()).token)
    second = await renewed(desk, first.token)
    desk.clock.ms += 29_999
    assert await renewed(desk, first.token) == second
    desk.clock.ms += 1
    again = await desk.sessions.admit(desk.connection, first.token, rotate=True, renew=True)
    assert again is DeclineReason.SESSION_UNKNOWN
    assert (await renewed(desk, second.token)).token != second.token


async def test_a_token_before_the_last_one_is_unknown_at_once(desk: Desk) -> None:
    launch = await desk.launch()
    await renewed(desk, (await renewed(desk, launch.token)).token)
    again = await desk.sessions.admit(desk.connection, launch.token, rotate=True, renew=True)
    assert again is DeclineReason.SESSION_UNKNOWN
    assert await desk.sessions.by_token(desk.connection, launch.token) is None


async def test_only_the_newest_token_is_the_present_one(desk: Desk) -> None:
    launch = await desk.launch()
    assert desk.sessions.is_current(launch.session, launch.token)
    first = await renewed(desk, launch.token)
    second = await renewed(desk, first.token)
    assert desk.sessions.is_current(first.session, first.token)
    assert not desk.sessions.is_current(first.session, launch.token)
    assert not desk.sessions.is_current(second.session, first.token)


async def test_a_token_that_stays_is_the_present_one_before_and_after_its_exchange(desk: Desk) -> None:
    launch = await desk.launch()
    admitted = await desk.sessions.admit(desk.connection, launch.token, rotate=False)
    assert isinstance(admitted, Admission)
    assert desk.sessions.is_current(admitted.session, launch.token)


async def test_a_session_that_ended_is_renewed_no_more(desk: Desk) -> None:
    first = await renewed(desk, (await desk.launch()).token)
    await desk.sessions.end("op1", first.session.session)
    again = await desk.sessions.admit(desk.connection, first.token, rotate=True, renew=True)
    assert again is DeclineReason.SESSION_EXPIRED


async def test_what_is_at_hand_for_a_replaced_token_is_forgotten(desk: Desk) -> None:
    settings = SessionSettings(token_key=b"k" * 32)
    cache = SessionCache()
    desk.sessions = SessionService(desk.ledger, desk.clock, desk.ids, settings, lambda _: AliasRule(), cache=cache)
    first = await renewed(desk, (await desk.launch()).token)
    assert await desk.sessions.by_token(desk.connection, first.token, fresh=False) == first.session
    second = await renewed(desk, first.token)
    assert await desk.sessions.by_token(desk.connection, first.token, fresh=False) == second.session


async def test_renewals_are_events_without_tokens(desk: Desk) -> None:
    launch = await desk.launch()
    first = await renewed(desk, launch.token)
    second = await renewed(desk, first.token)
    events = [one.event for one in await desk.ledger.events_after("op1", 0, 10)]
    assert [one.kind for one in events] == ["session.launched", "session.activated", "session.renewed"]
    assert not any(token in str(events) for token in (launch.token, first.token, second.token))


async def test_a_stranger_to_the_hubs_key_gives_no_lost_answer_again(desk: Desk) -> None:
    first = await renewed(desk, (await desk.launch()).token)
    await renewed(desk, first.token)
    stranger = desk.service(token_key=b"x" * 32)
    elsewhere = evolve(desk.connection, id="c2")
    assert await stranger.admit(desk.connection, first.token, rotate=True) is DeclineReason.SESSION_UNKNOWN
    assert await desk.sessions.admit(elsewhere, first.token, rotate=True) is DeclineReason.SESSION_UNKNOWN
