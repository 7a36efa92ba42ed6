"""What must come of messages by a declared policy: a small model of money, independent of the engine.

It knows one player of unlimited means, one message at a time and a wallet that always answers. For every message it
says how the provider must understand the answer, and by how much the wallet's balance changes. It is meant to be read
as the definition of right for any order of messages: compare `reference/wallet-semantics.md`, sections 1.2 to 1.6.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Final

from attrs import define, field, frozen

from croupier.contract import (
    DeclineReason,
    LateOriginal,
    MovementKind,
    PeerMove,
    PeerPlay,
    Policy,
    RepeatAnswer,
    RetryClass,
    RollbackAfterWin,
    RolledBackRepeat,
    RoundEnd,
    UnknownRollback,
    Verdict,
    WinWithoutBet,
)

_DONE: Final = frozenset({Verdict.DONE})
_AGAIN: Final = frozenset({Verdict.RETRY})
_OVER: Final = frozenset({Verdict.DONE, Verdict.REFUSED})
"""Codes such as "duplicate" or "not found" end the matter; which of the two they are is the protocol's affair."""


@frozen(kw_only=True)
class Expected:
    """What must come of one message.

    Attributes:
        verdicts: How the provider may understand the answer.
        change: What the balance changes by, in minor units.
        why: The reason, in words.
        repeat: Whether the same was answered before.
    """

    verdicts: frozenset[Verdict]
    change: int
    why: str
    repeat: bool = False


@unique
class _State(Enum):
    STANDS = "stands"
    REFUSED = "refused"
    UNDONE = "undone"
    NEVER = "never"
    """It was rolled back before it came."""


_GONE: Final = frozenset({_State.UNDONE, _State.NEVER})


@define
class _Known:
    kind: MovementKind
    round: str
    minor: int
    state: _State
    order: int
    reason: DeclineReason | None = None
    pays: str | None = None
    """Of a win that names its bet on the wire: that bet."""


@define
class Oracle:
    """The state of one player's rounds by the provider's rules.

    Attributes:
        scale: Digits of the currency.
        rollback_key_is_target: Whether two rollbacks of one movement are always one message.
    """

    scale: int
    rollback_key_is_target: bool
    _known: dict[str, _Known] = field(factory=dict)
    _undos: dict[str, str] = field(factory=dict)
    _rounds: dict[str, bool] = field(factory=dict)

    def told(self, play: PeerPlay, policy: Policy, *, names_bet: bool) -> Expected:
        """What must come of a request that moves money; the model then stands as it is after it.

        Args:
            play: The request.
            policy: That of its operation.
            names_bet: Whether a win in it names its bet on the wire; else it belongs to its round.
        """
        if play.moves[0].kind is MovementKind.ROLLBACK:
            parts = [self._undo(play, move, policy) for move in play.moves]
            expected = _whole(parts)
        else:
            expected = self._together(play, policy, names_bet=names_bet)
        if expected.verdicts == _DONE:
            self._after(play, policy)
        return expected

    def ends(self, round: str) -> Expected:
        """What must come of the request that ends a round."""
        if round in self._rounds:
            self._rounds[round] = True
        return Expected(verdicts=_DONE, change=0, why="a round's end is always accepted")

    # --- bets and wins ------------------------------------------------------------------------------------------------

    def _together(self, play: PeerPlay, policy: Policy, *, names_bet: bool) -> Expected:
        """All of a request's bets and wins, or none."""
        before = {name: _copy(known) for name, known in self._known.items()}
        gone = any(move.id in before and before[move.id].state in _GONE for move in play.moves)
        if gone and any(move.id not in before for move in play.moves):
            for move in play.moves:
                if move.kind is MovementKind.BET and move.id not in before:
                    self._refuse(play, move, DeclineReason.ALREADY_ROLLED_BACK)
            return _declined(policy, DeclineReason.ALREADY_ROLLED_BACK)
        parts = []
        for move in play.moves:
            with_bet = any(other.kind is MovementKind.BET for other in play.moves)
            parts.append(self._one(play, move, policy, names_bet=names_bet, with_bet=with_bet))
        expected = _whole(parts)
        news = [move for move in play.moves if move.id not in before]
        if expected.verdicts != _DONE and len(play.moves) > 1:
            self._known = before
            for move in news:
                if move.kind is MovementKind.BET:
                    self._refuse(play, move, DeclineReason.OTHER)
            return Expected(verdicts=expected.verdicts, change=0, why=expected.why, repeat=expected.repeat)
        return expected

    def _one(self, play: PeerPlay, move: PeerMove, policy: Policy, *, names_bet: bool, with_bet: bool) -> Expected:
        known = self._known.get(move.id)
        if known is not None:
            again = self._repeat(known, policy)
            if again is not None:
                return again
        is_bet = move.kind is MovementKind.BET
        refusal = (
            self._bet_refusal(play, policy)
            if is_bet
            else self._win_refusal(play, move, policy, names_bet=names_bet, with_bet=with_bet)
        )
        if refusal is None:
            minor = int(move.amount.scaleb(self.scale))
            self._rounds.setdefault(play.round, False)
            pays = move.target if names_bet and not is_bet else None
            self._known[move.id] = _Known(move.kind, play.round, minor, _State.STANDS, len(self._known), pays=pays)
            return Expected(verdicts=_DONE, change=-minor if is_bet else minor, why="nothing speaks against it")
        if isinstance(refusal, Expected):
            return refusal
        if is_bet:
            self._refuse(play, move, refusal)
        return _declined(policy, refusal)

    def _refuse(self, play: PeerPlay, move: PeerMove, reason: DeclineReason) -> None:
        """A bet that was refused stays refused."""
        minor = int(move.amount.scaleb(self.scale))
        self._rounds.setdefault(play.round, False)
        self._known[move.id] = _Known(move.kind, play.round, minor, _State.REFUSED, len(self._known), reason=reason)

    def _repeat(self, known: _Known, policy: Policy) -> Expected | None:
        """What a repeat is answered; `None` where it is judged anew."""
        match known.state:
            case _State.NEVER if policy.late_original is LateOriginal.ACCEPT:
                return Expected(verdicts=_DONE, change=0, why="late_original = accept")
            case _State.NEVER:
                return _declined(policy, DeclineReason.ALREADY_ROLLED_BACK)
            case _State.STANDS if policy.repeat is RepeatAnswer.SUCCESS:
                return Expected(verdicts=_DONE, change=0, why="it was done before", repeat=True)
            case _State.STANDS:
                return Expected(verdicts=_OVER, change=0, why="repeat = decline", repeat=True)
            case _State.UNDONE if policy.rolled_back_repeat is RolledBackRepeat.STORED:
                return Expected(verdicts=_DONE, change=0, why="rolled_back_repeat = stored", repeat=True)
            case _State.UNDONE:
                return _declined(policy, DeclineReason.ALREADY_ROLLED_BACK)
            case _:
                stays = known.kind is MovementKind.BET
                return _declined(policy, known.reason or DeclineReason.OTHER) if stays else None

    def _bet_refusal(self, play: PeerPlay, policy: Policy) -> DeclineReason | None:
        if self._rounds.get(play.round) and not policy.bet_on_closed_round:
            return DeclineReason.ROUND_CLOSED
        full = (
            policy.bets_per_round is not None and self._standing(play.round, MovementKind.BET) >= policy.bets_per_round
        )
        return DeclineReason.ROUND_LIMIT if full else None

    def _win_refusal(
        self, play: PeerPlay, move: PeerMove, policy: Policy, *, names_bet: bool, with_bet: bool
    ) -> DeclineReason | Expected | None:
        if self._rounds.get(play.round) and not policy.win_on_closed_round:
            return DeclineReason.ROUND_CLOSED
        if policy.wins_per_round is not None and self._standing(play.round, MovementKind.WIN) >= policy.wins_per_round:
            return DeclineReason.ROUND_LIMIT
        if with_bet:
            return None
        if names_bet and policy.wins_per_bet is not None and self._wins_of(move) >= policy.wins_per_bet:
            return DeclineReason.TARGET_SETTLED
        bets = self._bets_of(play, move, names_bet=names_bet)
        states = {bet.state for bet in bets}
        if _State.STANDS in states:
            return None
        if states:
            return DeclineReason.ALREADY_ROLLED_BACK if states & _GONE else DeclineReason.TARGET_DECLINED
        match policy.win_without_bet:
            case WinWithoutBet.ACCEPT:
                return None
            case WinWithoutBet.DECLINE:
                return DeclineReason.TARGET_UNKNOWN
            case WinWithoutBet.RETRY:
                return Expected(verdicts=_AGAIN, change=0, why="win_without_bet = retry")

    def _bets_of(self, play: PeerPlay, move: PeerMove, *, names_bet: bool) -> list[_Known]:
        if names_bet:
            bet = self._known.get(move.target or "")
            return [] if bet is None else [bet]
        of_round = [known for known in self._known.values() if known.round == play.round]
        return [known for known in of_round if known.kind is MovementKind.BET and known.state is not _State.NEVER]

    def _wins_of(self, move: PeerMove) -> int:
        return sum(known.state is _State.STANDS and known.pays == move.target for known in self._known.values())

    def _standing(self, round: str, kind: MovementKind) -> int:
        found = (known for known in self._known.values() if known.round == round and known.kind is kind)
        return sum(known.state is _State.STANDS for known in found)

    # --- rollbacks ----------------------------------------------------------------------------------------------------

    def _undo(self, play: PeerPlay, move: PeerMove, policy: Policy) -> Expected:
        target, own = move.target or "", move.id
        key = target if self.rollback_key_is_target else own
        if key in self._undos:
            return self._undone_before(policy)
        known = self._known.get(target)
        if known is None or known.state is _State.NEVER:
            return self._of_unknown(play, move, key, policy)
        refusal = self._undo_refusal(target, known, policy)
        if refusal is not None:
            return _declined(policy, refusal)
        if known.state is _State.UNDONE:
            if policy.repeat_rollback is RepeatAnswer.SUCCESS:
                self._undos[key] = target
            return self._undone_before(policy)
        if known.state is _State.REFUSED:
            return self._nothing(key, target, policy, DeclineReason.TARGET_DECLINED, policy.rollback_of_declined)
        self._undos[key] = target
        known.state = _State.UNDONE
        back = known.minor if known.kind is MovementKind.BET else -known.minor
        return Expected(verdicts=_DONE, change=back, why="what stands is undone")

    def _of_unknown(self, play: PeerPlay, move: PeerMove, key: str, policy: Policy) -> Expected:
        target = move.target or ""
        if target not in self._known:
            self._known[target] = _Known(MovementKind.ROLLBACK, play.round, 0, _State.NEVER, len(self._known))
            self._rounds.setdefault(play.round, False)
        return self._nothing(key, target, policy, DeclineReason.TARGET_UNKNOWN, policy.unknown_rollback)

    def _nothing(self, key: str, target: str, policy: Policy, reason: DeclineReason, knob: UnknownRollback) -> Expected:
        if knob is UnknownRollback.ACCEPT:
            self._undos[key] = target
            return Expected(verdicts=_DONE, change=0, why=f"there is nothing to undo: {reason.value}, accepted")
        if policy.retry_class.get(reason.value, RetryClass.FINAL) is not RetryClass.FINAL:
            return _declined(policy, reason)
        return Expected(verdicts=_OVER, change=0, why=f"there is nothing to undo: {reason.value}")

    def _undone_before(self, policy: Policy) -> Expected:
        if policy.repeat_rollback is RepeatAnswer.SUCCESS:
            return Expected(verdicts=_DONE, change=0, why="it was undone before", repeat=True)
        return Expected(verdicts=_OVER, change=0, why="repeat_rollback = decline", repeat=True)

    def _undo_refusal(self, target: str, known: _Known, policy: Policy) -> DeclineReason | None:
        if known.kind is not MovementKind.BET:
            return None if policy.rollback_of_win else DeclineReason.OPERATION_NOT_ALLOWED
        paid = any(
            other.kind is MovementKind.WIN
            and other.round == known.round
            and other.state is _State.STANDS
            and other.order > known.order
            and other.pays in {None, target}
            for other in self._known.values()
        )
        refuses = policy.rollback_after_win is RollbackAfterWin.REFUSE
        return DeclineReason.TARGET_SETTLED if known.state is _State.STANDS and paid and refuses else None

    # --- rounds -------------------------------------------------------------------------------------------------------

    def _after(self, play: PeerPlay, policy: Policy) -> None:
        if play.round not in self._rounds:
            return
        settled = policy.round_end is RoundEnd.SETTLED and not self._open_bets(play.round)
        if play.closes_round or policy.round_end is RoundEnd.TRANSACTION or settled:
            self._rounds[play.round] = True

    def _open_bets(self, round: str) -> bool:
        stand = self._standing(round, MovementKind.BET)
        return bool(stand and not self._standing(round, MovementKind.WIN))


def _copy(known: _Known) -> _Known:
    return _Known(known.kind, known.round, known.minor, known.state, known.order, known.reason, known.pays)


def _declined(policy: Policy, reason: DeclineReason) -> Expected:
    """A definite refusal; the protocol may have no final word for it, and then the provider asks again."""
    final = policy.retry_class.get(reason.value, RetryClass.FINAL) is RetryClass.FINAL
    verdicts = frozenset({Verdict.REFUSED}) if final else _AGAIN
    return Expected(verdicts=verdicts, change=0, why=f"it is declined: {reason.value}")


def _whole(parts: list[Expected]) -> Expected:
    """A request's answer: success only if every part is one; what must be asked again comes before a refusal."""
    change = sum(part.change for part in parts)
    if len(parts) == 1:
        return parts[0]
    first = next((part for part in parts if part.verdicts == _AGAIN), None)
    first = first or next((part for part in parts if part.verdicts != _DONE), parts[0])
    return Expected(verdicts=first.verdicts, change=change, why=first.why, repeat=all(part.repeat for part in parts))
