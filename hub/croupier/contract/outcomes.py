"""What became of a call: `Applied`, `Declined` or `Unknown`. Never two-valued.

`Declined` is said only on definite evidence, `Unknown` is never rendered as a refusal that ends a round: the money may
have moved. An adapter's `render` is total over everything in this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import unique

from attrs import field

from croupier.contract.choice import Choice
from croupier.contract.money import Balance, Money
from croupier.contract.values import immutable


@unique
class DeclineReason(Choice):
    """Why something was definitely refused. An adapter maps every one to a code of its protocol."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    BET_LIMIT = "bet_limit"
    """One bet is larger than allowed."""
    LOSS_LIMIT = "loss_limit"
    TURNOVER_LIMIT = "turnover_limit"
    TIME_LIMIT = "time_limit"
    REALITY_CHECK = "reality_check"
    """The player must answer a reality check first."""
    BONUS_RULE = "bonus_rule"
    PLAYER_UNKNOWN = "player_unknown"
    PLAYER_BLOCKED = "player_blocked"
    SESSION_UNKNOWN = "session_unknown"
    SESSION_EXPIRED = "session_expired"
    GAME_UNKNOWN = "game_unknown"
    GAME_DISABLED = "game_disabled"
    GAME_FORBIDDEN = "game_forbidden"
    """Not for this player: certificate, jurisdiction or the operator's choice."""
    COUNTRY_FORBIDDEN = "country_forbidden"
    CURRENCY_WRONG = "currency_wrong"
    AMOUNT_INVALID = "amount_invalid"
    """Digits that do not fit, or a number that is none."""
    ROUND_CLOSED = "round_closed"
    ROUND_UNKNOWN = "round_unknown"
    ROUND_LIMIT = "round_limit"
    """More bets or wins than a round may hold."""
    TARGET_UNKNOWN = "target_unknown"
    """What is to be undone or settled was never seen (a tombstone is kept where it matters)."""
    TARGET_DECLINED = "target_declined"
    """What is to be undone was itself refused."""
    TARGET_SETTLED = "target_settled"
    """What is to be undone was paid: it stands."""
    ALREADY_ROLLED_BACK = "already_rolled_back"
    """It was undone before, or its rollback came first: nothing moves."""
    CANCELLED = "cancelled"
    """The hub got no answer in time and takes the movement back: the play failed, the player gets the money back."""
    DUPLICATE = "duplicate"
    """A repeat with the same content, where the protocol has a refusal for it."""
    CONFLICT = "conflict"
    """The id was used before with other content."""
    FREE_ROUNDS_UNKNOWN = "free_rounds_unknown"
    OPERATION_NOT_ALLOWED = "operation_not_allowed"
    OPERATOR_DISABLED = "operator_disabled"
    MAINTENANCE = "maintenance"
    OTHER = "other"
    """Refused by the operator for a reason that the hub does not know."""


@unique
class UnknownCause(Choice):
    """Why nothing definite can be said yet."""

    IN_PROGRESS = "in_progress"
    """The same movement is being worked on: ask again."""
    NO_ANSWER = "no_answer"
    """The operator did not answer in time."""
    OWED = "owed"
    """It is recorded and will be delivered: a repeat will find it done."""
    TOO_EARLY = "too_early"
    """What it refers to has not arrived; nothing was stored."""
    STORE = "store"
    """The hub cannot store it now; nothing was sent."""
    BALANCE = "balance"
    """It is done, but the protocol wants a balance with the answer and none is to be had now."""


@unique
class AppliedEffect(Choice):
    """What an applied movement did."""

    MOVED = "moved"
    """It took effect now."""
    REPEATED = "repeated"
    """It had taken effect before; nothing moved now."""
    NOTHING = "nothing"
    """Accepted and recorded, nothing to move: the rollback of something unknown or refused, a late original."""


@immutable(kw_only=True)
class Applied:
    """It is so, durably.

    Attributes:
        effect: Whether it took effect now.
        transaction: The hub's id of the movement, stable over repeats.
        operator_transaction: The operator's own id of it, where it gave one.
        amount: What moved, never negative; `None` where nothing did.
        at: When the hub recorded the outcome (UTC).
    """

    effect: AppliedEffect = AppliedEffect.MOVED
    transaction: str = ""
    operator_transaction: str | None = None
    amount: Money | None = None
    at: datetime | None = None


@immutable(kw_only=True)
class Declined:
    """It is definitely not so, and will not become so by itself.

    Attributes:
        reason: Why.
        message: The operator's text for the player, where it gave one.
        transaction: The hub's id of the movement, where one is recorded.
    """

    reason: DeclineReason
    message: str | None = None
    transaction: str | None = None


@immutable(kw_only=True)
class Unknown:
    """Nothing definite can be said: the provider must be told to ask again (or to cancel), in its own way."""

    cause: UnknownCause
    transaction: str | None = None


Outcome = Applied | Declined | Unknown


@immutable(kw_only=True)
class PlayerFacts:
    """What a provider may know of a player.

    Attributes:
        alias: The player's name with this provider: never the operator's own id.
        currency: The currency's code on the wire.
        country: ISO 3166-1 alpha-2.
        language: ISO 639-1, or with a region (`en`, `en-GB`).
        jurisdiction: The operator's jurisdiction code for this session.
        display_name: A name to show in the game, where the operator gave one.
        session: The session token to use from now on.
        bet_limits: Lowest and highest bet and the like, as the operator gave them, by name.
    """

    alias: str
    currency: str
    country: str | None = None
    language: str | None = None
    jurisdiction: str | None = None
    display_name: str | None = None
    session: str | None = None
    bet_limits: Mapping[str, str] = field(factory=dict)


@immutable(kw_only=True)
class AuthenticateResult:
    """Answer to `Authenticate` and `PlayerLookup`: facts and balance where the outcome is `Applied`."""

    outcome: Outcome
    player: PlayerFacts | None = None
    balance: Balance | None = None


@immutable(kw_only=True)
class BalanceResult:
    """Answer to `BalanceQuery`: the balance where the outcome is `Applied`."""

    outcome: Outcome
    balance: Balance | None = None


@immutable(kw_only=True)
class MovementResult:
    """What became of one movement.

    Attributes:
        reference: The movement's reference.
        outcome: What became of it.
    """

    reference: str
    outcome: Outcome


@immutable(kw_only=True)
class PlayResult:
    """Answer to `Play`.

    Attributes:
        outcome: The play as a whole: `Applied` only if every movement is; else the first that is not.
        movements: One result a movement, in the play's order.
        balance: The player's balance after it, where it is known (also with a refusal, where the operator told it).
    """

    outcome: Outcome
    movements: tuple[MovementResult, ...]
    balance: Balance | None = None


@immutable(kw_only=True)
class CloseRoundResult:
    """Answer to `CloseRound`."""

    outcome: Outcome
    balance: Balance | None = None


@immutable(kw_only=True)
class NoticeResult:
    """Answer to `Notice` and `Ping`."""

    outcome: Outcome


@immutable(kw_only=True)
class RecordedMovement:
    """One movement of a record that a provider asked for.

    Attributes:
        reference: The provider's id of it.
        kind: `MovementKind` value.
        state: The hub's state of it (see the docs on states).
        amount: What moves, never negative.
        at: When its outcome was recorded, or its intent where there is none yet (UTC).
    """

    reference: str
    kind: str
    state: str
    amount: Money
    at: datetime


@immutable(kw_only=True)
class QueryResult:
    """Answer to `Query`: the record, empty where nothing is known."""

    outcome: Outcome
    movements: tuple[RecordedMovement, ...] = ()
    balance: Balance | None = None


Result = AuthenticateResult | BalanceResult | PlayResult | CloseRoundResult | NoticeResult | QueryResult
"""One for each call, in the calls' order."""


def outcome_of(results: Iterable[Result]) -> Outcome:
    """The outcome of a request as a whole: of its results the first that is not `Applied`, else the first.

    Raises:
        ValueError: There is no result.
    """
    first: Outcome | None = None
    for result in results:
        if not isinstance(result.outcome, Applied):
            return result.outcome
        first = first or result.outcome
    if first is None:
        raise ValueError("a request has at least one result")
    return first


def balance_of(results: Iterable[Result]) -> Balance | None:
    """The first balance that results tell, if one does."""
    for result in results:
        if not isinstance(result, NoticeResult) and result.balance is not None:
            return result.balance
    return None
