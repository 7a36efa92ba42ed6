"""Broken adapters for the layer of scenarios: each loses money, or the truth about it, in one way."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from tests.certification.broken_adapters.bent import (
    each_movement,
    each_outcome,
    each_play,
    pragmatic,
    reading,
    softswiss,
    telling,
)

from croupier.contract import (
    Applied,
    AppliedEffect,
    Balance,
    Declined,
    DeclineReason,
    HttpResponse,
    Movement,
    MovementKey,
    MovementKind,
    PeerAction,
    PeerAnswer,
    Play,
    PlayMode,
    Unknown,
    UnknownCause,
    Verdict,
    WireAmount,
)
from croupier_conformance.certification.subject import AdapterSubject
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_softswiss.peer import SoftswissPeer

AGAIN = Unknown(cause=UnknownCause.NO_ANSWER)


def asks_again_for(*reasons: DeclineReason, base: type[Any] | None = None) -> Any:
    """An adapter in whose table of codes these reasons are missing, so that they mean "try again"."""

    def change(_call: Any, outcome: Any) -> Any:
        return AGAIN if isinstance(outcome, Declined) and outcome.reason in reasons else outcome

    return telling(each_outcome(change), base) if base else telling(each_outcome(change))


def _kinds(call: Any) -> set[MovementKind]:
    return {item.kind for item in call.movements} if isinstance(call, Play) else set()


def _refuses_the_unknown(kind: MovementKind) -> Any:
    """An adapter that takes an unknown outcome of one kind of movement for a refusal."""

    def change(call: Any, outcome: Any) -> Any:
        unknown = isinstance(outcome, Unknown) and kind in _kinds(call)
        return Declined(reason=DeclineReason.OTHER) if unknown else outcome

    return telling(each_outcome(change))


def closed_rounds_are_tried_again() -> AdapterSubject:
    return softswiss(asks_again_for(DeclineReason.ROUND_CLOSED))


def repeats_have_other_ids() -> AdapterSubject:
    def change(_call: Any, outcome: Any) -> Any:
        repeated = isinstance(outcome, Applied) and outcome.effect is AppliedEffect.REPEATED
        return evolve(outcome, transaction=outcome.transaction + "-2") if repeated else outcome

    return softswiss(telling(each_outcome(change)))


def repeats_are_refused() -> AdapterSubject:
    def change(call: Any, outcome: Any) -> Any:
        repeated = isinstance(outcome, Applied) and outcome.effect is AppliedEffect.REPEATED
        return Declined(reason=DeclineReason.DUPLICATE) if repeated and MovementKind.BET in _kinds(call) else outcome

    return softswiss(telling(each_outcome(change)))


def late_bets_are_tried_again() -> AdapterSubject:
    def change(call: Any, outcome: Any) -> Any:
        late = isinstance(outcome, Applied) and outcome.effect is AppliedEffect.NOTHING
        return AGAIN if late and MovementKind.BET in _kinds(call) else outcome

    return softswiss(telling(each_outcome(change)))


def second_rollbacks_are_refused() -> AdapterSubject:
    def change(call: Any, outcome: Any) -> Any:
        again = isinstance(outcome, Applied) and outcome.effect is not AppliedEffect.MOVED
        refused = again and MovementKind.ROLLBACK in _kinds(call)
        return Declined(reason=DeclineReason.TARGET_UNKNOWN) if refused else outcome

    return softswiss(telling(each_outcome(change)))


def settled_bets_are_tried_again() -> AdapterSubject:
    return pragmatic(asks_again_for(DeclineReason.TARGET_SETTLED, base=PragmaticAdapter))


def conflicts_are_tried_again() -> AdapterSubject:
    return softswiss(asks_again_for(DeclineReason.CONFLICT))


def the_rounds_end_is_not_read() -> AdapterSubject:
    return softswiss(reading(each_play(lambda play: evolve(play, closes_round=False))))


def wins_are_keyed_by_their_round() -> AdapterSubject:
    def change(play: Play, item: Movement) -> Movement:
        key = MovementKey("win", play.round or "")
        return evolve(item, keys=(key,)) if item.kind is MovementKind.WIN else item

    return pragmatic(reading(each_movement(change), PragmaticAdapter))


def members_of_a_batch_go_one_by_one() -> AdapterSubject:
    return softswiss(reading(each_play(lambda play: evolve(play, mode=PlayMode.INDEPENDENT))))


def ids_are_keyed_by_player() -> AdapterSubject:
    def of(play: Play, key: MovementKey) -> MovementKey:
        return evolve(key, value=f"{play.player}:{key.value}")

    def change(play: Play, item: Movement) -> Movement:
        target = item.target
        if target is not None and target.key is not None:
            target = evolve(target, key=of(play, target.key))
        return evolve(item, keys=tuple(of(play, key) for key in item.keys), target=target)

    return softswiss(reading(each_movement(change)))


def poverty_is_tried_again() -> AdapterSubject:
    return softswiss(asks_again_for(DeclineReason.INSUFFICIENT_FUNDS))


def balances_are_off_by_one() -> AdapterSubject:
    def bend(_calls: Any, results: Any) -> Any:
        return tuple(_richer(result) for result in results)

    return softswiss(telling(bend))


def _richer(result: Any) -> Any:
    balance = getattr(result, "balance", None)
    if not isinstance(balance, Balance):
        return result
    return evolve(result, balance=evolve(balance, cash=evolve(balance.cash, minor=balance.cash.minor + 1)))


def ended_sessions_are_tried_again() -> AdapterSubject:
    return softswiss(asks_again_for(DeclineReason.SESSION_EXPIRED))


def every_play_is_a_resend() -> AdapterSubject:
    return softswiss(reading(each_play(lambda play: evolve(play, resend=True))))


def disabled_games_are_tried_again() -> AdapterSubject:
    return softswiss(asks_again_for(DeclineReason.GAME_DISABLED))


def currencies_are_not_handed_over() -> AdapterSubject:
    def amount(item: Movement) -> Any:
        return evolve(item.amount, currency=None) if isinstance(item.amount, WireAmount) else item.amount

    def change(play: Play) -> Play:
        movements = tuple(evolve(item, amount=amount(item)) for item in play.movements)
        return evolve(play, currency=None, movements=movements)

    return softswiss(reading(each_play(change)))


def strangers_are_asked_again() -> AdapterSubject:
    return softswiss(asks_again_for(DeclineReason.PLAYER_UNKNOWN))


def maintenance_is_tried_again() -> AdapterSubject:
    return softswiss(asks_again_for(DeclineReason.MAINTENANCE))


def unknown_bets_are_refused() -> AdapterSubject:
    return softswiss(_refuses_the_unknown(MovementKind.BET))


def unknown_wins_are_refused() -> AdapterSubject:
    return softswiss(_refuses_the_unknown(MovementKind.WIN))


def unknown_rollbacks_are_refused() -> AdapterSubject:
    return softswiss(_refuses_the_unknown(MovementKind.ROLLBACK))


class TakesPagesForRefusals(SoftswissPeer):
    """A provider that reads a proxy's error page as a definite no."""

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        if response.status == 502 and not response.body.startswith(b"{"):
            return PeerAnswer(verdict=Verdict.REFUSED, code="502")
        return super().answer(action, response)


def pages_are_taken_for_refusals() -> AdapterSubject:
    return softswiss(peer=TakesPagesForRefusals)


def _of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Rule to a subject that breaks it, and all rules of its layer that the subject breaks.
BROKEN: dict[str, Any] = {
    "any-order": (closed_rounds_are_tried_again, _of("any-order wallet-declines")),
    "repeat-is-equal": (repeats_have_other_ids, _of("any-order copies-at-once repeat-is-equal")),
    "rollback-first": (late_bets_are_tried_again, _of("any-order rollback-first")),
    "rollback-once": (
        second_rollbacks_are_refused,
        _of(
            "any-order copies-at-once hub-dies rollback-first rollback-once silent-wallet-rollback three-books "
            "too-little-money"
        ),
    ),
    "rollback-after-win": (settled_bets_are_tried_again, _of("any-order rollback-after-win wallet-declines")),
    "conflict-refused": (conflicts_are_tried_again, _of("conflict-refused same-id-two-players wallet-declines")),
    "zero-win-ends": (the_rounds_end_is_not_read, _of("zero-win-ends")),
    "several-wins": (wins_are_keyed_by_their_round, _of("several-wins")),
    "batch-by-its-mode": (members_of_a_batch_go_one_by_one, _of("batch-by-its-mode")),
    "same-id-two-players": (ids_are_keyed_by_player, _of("same-id-two-players")),
    "too-little-money": (poverty_is_tried_again, _of("batch-by-its-mode too-little-money wallet-declines")),
    "balance-is-the-wallets": (balances_are_off_by_one, _of("balance-is-the-wallets")),
    "session-expired": (ended_sessions_are_tried_again, _of("session-ended session-expired wallet-declines")),
    "session-ended": (every_play_is_a_resend, _of("session-ended session-expired")),
    "game-disabled": (disabled_games_are_tried_again, _of("game-disabled wallet-declines")),
    "foreign-currency": (currencies_are_not_handed_over, _of("foreign-currency")),
    "unknown-player": (strangers_are_asked_again, _of("unknown-player wallet-declines")),
    "wallet-declines": (maintenance_is_tried_again, _of("wallet-declines")),
    "silent-wallet-bet": (unknown_bets_are_refused, _of("silent-wallet-bet")),
    "silent-wallet-win": (unknown_wins_are_refused, _of("silent-wallet-win three-books")),
    "silent-wallet-rollback": (unknown_rollbacks_are_refused, _of("hub-dies silent-wallet-rollback three-books")),
    "copies-at-once": (
        repeats_are_refused,
        _of("any-order copies-at-once game-disabled repeat-is-equal session-ended session-expired"),
    ),
    "hub-dies": (pages_are_taken_for_refusals, _of("hub-dies")),
    "three-books": (unknown_wins_are_refused, _of("silent-wallet-win three-books")),
}
