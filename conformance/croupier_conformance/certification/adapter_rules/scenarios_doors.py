"""Layer of scenarios: what is refused at the door, and what is let in all the same because it is owed to a player."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from attrs import evolve

from croupier.configuration.documents import Kind
from croupier.contract import (
    Capability,
    DeclineReason,
    PeerBalance,
    PeerPlayer,
    RetryClass,
    Verdict,
)
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleNotApplicableError, Tier
from croupier_conformance.certification.stage import Stage, bet, closing, named, tell_story, undo, win

BETS: Final = (frozenset({Capability.BET}),)
LIFETIME_SECONDS: Final = 300

_NEVER_SAID: Final = frozenset({DeclineReason.DUPLICATE, DeclineReason.CANCELLED})
"""What no wallet can refuse with: a repeat moved money before, and only the hub cancels."""


@ADAPTER_RULES.rule(
    "session-expired",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="On a session that expired no bet is taken, and what is owed is paid",
    expects="after the session's lifetime a new bet is refused definitely, and wins, rollbacks, the round's end and "
    "repeats of older bets are accepted",
    needs=BETS,
)
def an_expired_session(bench: AdapterBench) -> None:
    """Wins come hours after the player has gone. They are owed; a new bet is not.

    The rule lets a session run out between a bet and its win. It is usually broken by an adapter that sends a win's
    session token into a check that only bets need, or by a code for ended sessions that makes the provider ask again.
    A policy with `session_for_bet = false` leaves the check of bets to the provider.
    """

    async def expire(stage: Stage) -> None:
        await stage.hub.clock.sleep(LIFETIME_SECONDS + 1)

    tell_story(bench, _behind(expire, needs_session=True))


@ADAPTER_RULES.rule(
    "session-ended",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="On a session that the operator ended no bet is taken, and what is owed is paid",
    expects="after the operator ended the session a new bet is refused definitely, and wins, rollbacks, the round's "
    "end and repeats of older bets are accepted",
    needs=BETS,
)
def an_ended_session(bench: AdapterBench) -> None:
    """An operator ends sessions to protect players; a bet that slips through then is the operator's liability.

    The rule ends the session by the operator API between a bet and its win. It is broken like `session-expired`.
    """

    async def end(stage: Stage) -> None:
        for session in (await stage.hub.api("GET", "/v1/sessions"))["sessions"]:
            await stage.hub.api("DELETE", f"/v1/sessions/{session['id']}")

    tell_story(bench, _behind(end, needs_session=True))


@ADAPTER_RULES.rule(
    "game-disabled",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="In a disabled game no bet is taken, and what is owed is paid",
    expects="after the operator disabled the game a new bet is refused definitely, and wins, rollbacks, the round's "
    "end and repeats of older bets are accepted",
    needs=BETS,
)
def a_disabled_game(bench: AdapterBench) -> None:
    """A game that loses its certificate is switched off in the middle of rounds.

    The rule disables the game between a bet and its win. It is usually broken by an adapter that does not hand over the
    game's code, so that the hub cannot know what is played, or by an answer that lets the provider try again for ever.
    """

    async def disable(stage: Stage) -> None:
        await stage.hub.put(Kind.GAME, stage.hub.games[next(iter(stage.bench.subject.games))], enabled=False)

    tell_story(bench, _behind(disable, needs_session=False))


def _behind(close: Callable[[Stage], Awaitable[None]], *, needs_session: bool) -> Callable[[Stage], Awaitable[None]]:
    async def story(stage: Stage) -> None:
        seat = await stage.sit(lifetime_seconds=LIFETIME_SECONDS)
        played, cancelled = stage.new_round(), stage.new_round()
        stood, taken_back = bet(seat, played, stage.new_id(), 100), bet(seat, cancelled, stage.new_id(), 40)
        first = await stage.done(stood, "a bet while the door is open")
        # Read now: a proof may hold for a minute only.
        operation = stage.parsed(first.request).items[0].operation
        await stage.done(taken_back, "a bet while the door is open")
        await close(stage)
        told = await stage.tell(bet(seat, stage.new_round(), stage.new_id(), 70))
        stage.note(told, "a bet behind the closed door")
        if stage.policies.of(operation).session_for_bet or not needs_session:
            told.expect(Verdict.REFUSED, why="a new bet behind a closed door")
            stage.expect_change(-140, told, "a refused bet takes nothing")
        held = stage.change()
        owed = [
            (win(seat, played, stage.new_id(), 250, stood.moves[0].id), Capability.WIN, 250),
            (undo(stage.peer, taken_back), Capability.ROLLBACK_BET, 40),
            (closing(stage.peer, seat, played, stage.new_id(), stood.moves[0].id), Capability.CLOSE_ROUND, 0),
            (stood, Capability.BET, 0),
        ]
        for action, capability, change in owed:
            if capability not in stage.peer.capabilities or not stage.can_say(action):
                continue
            held += change
            told = (await stage.tell(action)).expect(Verdict.DONE, why="what is owed does not ask about the door")
            stage.note(told, f"{named(action)} behind the closed door")
            stage.expect_change(held, told, "what is owed is done once")

    return story


@ADAPTER_RULES.rule(
    "foreign-currency",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A bet in another currency than the session's is refused",
    expects="a bet that names another currency is refused definitely, and moves nothing",
    needs=BETS,
)
def a_foreign_currency(bench: AdapterBench) -> None:
    """Ten of one currency taken as ten of another is a loss of any size.

    The rule bets with another currency in the request; a protocol whose bets name none is not asked. It is usually
    broken by an adapter that reads the field and does not hand it over.
    """
    tell_story(bench, _foreign)


async def _foreign(stage: Stage) -> None:
    seat = await stage.sit()
    placed = bet(seat, stage.new_round(), stage.new_id(), 100)
    elsewhere = evolve(placed, player=evolve(seat, currency="USD"))
    now, secrets = stage.hub.clock.now(), stage.bench.credentials
    if stage.peer.request(placed, secrets, now) == stage.peer.request(elsewhere, secrets, now):
        raise RuleNotApplicableError("the protocol's bets name no currency")
    told = (await stage.tell(elsewhere)).expect(Verdict.REFUSED, why="another currency than the session's")
    stage.expect_change(0, told, "a foreign currency moves nothing")
    stage.note(told, "a bet in another currency")


@ADAPTER_RULES.rule(
    "unknown-player",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="Nothing is done for a player whom nobody knows",
    expects="a bet of an unknown player is refused definitely, a win and the balance are not answered with success, "
    "and the wallet is asked nothing",
    needs=BETS,
)
def an_unknown_player(bench: AdapterBench) -> None:
    """A provider's test accounts and another casino's players turn up at the wrong address now and then.

    The rule bets, wins and asks for the balance as a player who was never launched. It is usually broken by a code
    that the provider takes for a passing failure, so that it asks for ever.
    """
    tell_story(bench, _unknown)


async def _unknown(stage: Stage) -> None:
    nobody = _nobody(stage, await stage.sit())
    asked, round_id = stage.operator.asked, stage.new_round()
    placed = bet(nobody, round_id, stage.new_id(), 100)
    told = (await stage.tell(placed)).expect(Verdict.REFUSED, why="nobody knows this player")
    stage.note(told, "a bet of an unknown player")
    others = (win(nobody, round_id, stage.new_id(), 100, placed.moves[0].id), PeerBalance(player=nobody))
    for action in others:
        if stage.can_say(action):
            told = (await stage.tell(action)).expect(Verdict.REFUSED, Verdict.RETRY, why="nobody knows this player")
            stage.note(told, f"{named(action)} of an unknown player")
    stage.expect_change(0, told, "an unknown player moves nobody's money")
    if stage.operator.asked != asked:
        told.breaks("the wallet was asked to move money for a player whom nobody knows")


def _nobody(stage: Stage, seat: PeerPlayer) -> PeerPlayer:
    """A player as well-formed as the one who sits, and unknown."""
    rule = stage.bench.subject.spec.aliases
    length = max(rule.length - len(rule.prefix), 1)
    alias = rule.prefix + "".join(stage.dice.choice(rule.alphabet) for _ in range(length))
    token = stage.new_id() if seat.token else ""
    return evolve(seat, player=alias if seat.player else "", token=token)


@ADAPTER_RULES.rule(
    "wallet-declines",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="What the wallet declines is refused in the protocol's words",
    expects="for every reason that a wallet may have, a bet is refused definitely, unless `retry_class` says that the "
    "provider asks again; nothing moves",
    needs=BETS,
)
def what_the_wallet_declines(bench: AdapterBench) -> None:
    """A refusal of the operator must end the bet at the provider, whatever its reason.

    The rule lets the wallet refuse a bet for every reason in turn. It is usually broken by a reason that is missing in
    the code table and falls to a default which means "try again", or to success.
    """
    tell_story(bench, _declines)


async def _declines(stage: Stage) -> None:
    seat = await stage.sit()
    for reason in DeclineReason:
        if reason in _NEVER_SAID:
            continue
        stage.operator.refuses = reason
        told = await stage.tell(bet(seat, stage.new_round(), stage.new_id(), 100))
        policy = stage.policies.of(stage.parsed(told.request).items[0].operation)
        final = policy.retry_class.get(reason.value, RetryClass.FINAL) is RetryClass.FINAL
        verdict = Verdict.REFUSED if final else Verdict.RETRY
        told.expect(verdict, why=f"the wallet declined it: {reason.value}", hint="see the adapter's table of codes")
        stage.expect_change(0, told, "what the wallet declined moves nothing")
        if reason is DeclineReason.INSUFFICIENT_FUNDS:
            stage.note(told, f"the wallet declined: {reason.value}")
    stage.operator.refuses = None
