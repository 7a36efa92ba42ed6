"""Every request and answer of the native wallet protocol, as values; the OpenAPI document is made from these.

The hub posts a request as JSON to `{url}/{operation}`; the wallet answers 200 with JSON whose `status` is `ok` or
`refused`. Anything else tells the hub nothing: it will find out, send again, or take back.

Amounts are integers of the currency's minor unit (1050 is 10.50 EUR, 1050 JPY, 1.050 KWD): ISO 4217 exponents, and
the hub's registered scale for what ISO does not know (8 digits for BTC). They reach up to 2**63 - 1. None is ever a
decimal fraction, text, or below zero.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from croupier.contract import MAX_MINOR, DeclineReason, Funding, MovementKind, TransactionState, WalletOperation

NOT_A_REFUSAL: Final = frozenset({DeclineReason.DUPLICATE, DeclineReason.CANCELLED})
"""What a wallet cannot refuse with: a repeat moved money before, and only the hub cancels."""

REASONS: Final = tuple(reason.value for reason in DeclineReason if reason not in NOT_A_REFUSAL)
"""What a wallet may refuse with. A well-formed reason that is not listed counts as `other`."""

# Python's `$` also matches before a last line feed; what follows it shuts that door.
_END: Final = r"$(?!\n)"

Amount = Annotated[int, Meta(ge=0, le=MAX_MINOR)]
TransactionId = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"format": "uuid"})]
OperatorId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-~]+" + _END)]
CurrencyCode = Annotated[str, Meta(min_length=1, max_length=12, examples=["EUR"])]
Kind = Annotated[str, Meta(examples=[kind.value for kind in MovementKind])]
Reason = Annotated[
    str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_]*" + _END, extra_json_schema={"enum": list(REASONS)})
]
PlainText = Annotated[str, Meta(max_length=500, pattern=r"^[^\u0000]*$")]
ShortText = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\u0000-\u001f\u007f]+" + _END)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}" + _END, examples=["SE"])]


@unique
class Operation(Enum):
    """What a request asks for; also the last part of its path."""

    AUTHENTICATE = "authenticate"
    BALANCE = "balance"
    BET = "bet"
    WIN = "win"
    ROLLBACK = "rollback"
    BATCH = "batch"
    STATUS = "status"


class Request(Struct, frozen=True, kw_only=True):
    """What every request has.

    Attributes:
        operation: What is asked for. Refuse a request whose path says something else with 400.
        player: Your own id of the player.
        session: Your session token of the launch, where you gave one. A bet may be refused because its session
            ended; a win or a rollback may not, they can come days later.
        currency: The currency of every amount in the request.
    """

    operation: Operation
    player: str
    session: str | None
    currency: CurrencyCode


class AuthenticateRequest(Request, frozen=True, kw_only=True):
    """Confirm that the session is the player's, and tell who plays.

    Attributes:
        provider: The provider of the game, where it is known.
        game: The hub's game id, where it is known.
    """

    provider: str | None = None
    game: str | None = None


class BalanceRequest(Request, frozen=True, kw_only=True):
    """Tell the balance. Asked after the session's end as well.

    Attributes:
        game: The hub's game id, where it is known.
    """

    game: str | None = None


class StatusRequest(Request, frozen=True, kw_only=True):
    """Tell what became of a transaction.

    Attributes:
        transaction: The hub's id of a bet or a win.
    """

    transaction: TransactionId


class PlayRequest(Request, frozen=True, kw_only=True):
    """What every request that moves money has: where the play belongs.

    Attributes:
        provider: The provider's short name.
        connection: The name of the connection to the provider.
        game: The hub's game id.
        round: The hub's round id. Several bets and wins may share it.
        provider_round: The provider's round id, for talks with its support.
        round_closed: Whether the round ends with this request.
        grant: Your reference of the free rounds that it belongs to.
    """

    provider: str
    connection: str
    game: str
    round: str
    provider_round: str
    round_closed: bool
    grant: str | None


class MoveRequest(PlayRequest, frozen=True, kw_only=True):
    """One bet, win or rollback.

    Attributes:
        transaction: The hub's id and the key of idempotency: under one id money moves at most once, for ever. Every
            rollback of one transaction has the same id.
        amount: What is taken or credited; zero is allowed and recorded. Of a rollback: what the hub believes it
            undoes; undo what you recorded under `target`.
        kind: What the change is, for your records; new kinds may come. A `bet` of the kind `adjustment` is a
            correction: it may not be refused for lack of funds.
        target: Of a rollback, always: the transaction to undo. Of a win: its bet, where it is known.
        undoes: Of a rollback, always: whether `target` is a bet or a win.
        stake: The notional stake, where it differs from the amount (free rounds).
        funding: Who pays for the stake.
        funds_required: What the player must hold for a bet or a win to be allowed, where that is not the amount.
        take_all: Of a bet: take all that the player has, at least `amount`, and answer with the amount taken.
    """

    transaction: TransactionId
    amount: Amount
    kind: Kind
    target: TransactionId | None
    undoes: Literal["bet", "win"] | None
    stake: Amount | None
    funding: Funding
    funds_required: Amount | None
    take_all: bool


# The words for the fields that it shares with `MoveRequest` are there; the OpenAPI document has them in both places.
class BatchedMovement(Struct, frozen=True, kw_only=True):
    """One movement of a batch.

    Attributes:
        operation: What is done.
    """

    transaction: TransactionId
    amount: Amount
    kind: Kind
    target: TransactionId | None
    undoes: Literal["bet", "win"] | None
    stake: Amount | None
    funding: Funding
    funds_required: Amount | None
    take_all: bool
    operation: WalletOperation


class BatchRequest(PlayRequest, frozen=True, kw_only=True):
    """Several movements of one player, in order: all are done, or none.

    Attributes:
        batch: The hub's id of the batch. Money is kept once by the movements' own ids, not by this.
        movements: At least one.
    """

    batch: TransactionId
    movements: tuple[BatchedMovement, ...]


class BalanceNow(Struct, frozen=True, kw_only=True):
    """What the player has after the request.

    Attributes:
        cash: What the player can stake in real money. A deficit shows as zero.
        bonus: Bonus money, where you keep it apart.
        currency: The currency of the request.
    """

    cash: Amount
    currency: CurrencyCode
    bonus: Amount | None = None


class AuthenticateAnswer(Struct, frozen=True, kw_only=True):
    """The session is the player's.

    Attributes:
        status: `ok`.
        player: As in the request.
        balance: The balance.
        country: The player's country, ISO 3166-1 alpha-2.
        language: The player's language, BCP 47.
        jurisdiction: The jurisdiction that the player plays under, by your name for it.
        display_name: What other players may see.
    """

    status: Literal["ok"]
    player: str
    balance: BalanceNow
    country: Country | None = None
    language: ShortText | None = None
    jurisdiction: ShortText | None = None
    display_name: ShortText | None = None


class BalanceAnswer(Struct, frozen=True, kw_only=True):
    """The balance.

    Attributes:
        status: `ok`.
        player: As in the request.
        balance: The balance.
    """

    status: Literal["ok"]
    player: str
    balance: BalanceNow


class MoveAnswer(Struct, frozen=True, kw_only=True):
    """It is done, now or by an earlier copy of the request.

    Attributes:
        status: `ok`.
        transaction: As in the request.
        operator_transaction: Your own id of the movement, the same for every repeat.
        balance: The balance now.
        nothing_moved: Of a rollback: there was nothing to undo (any more), and you remember that.
        amount: What was taken. Needed for `take_all` alone.
    """

    status: Literal["ok"]
    transaction: TransactionId
    operator_transaction: OperatorId
    balance: BalanceNow
    nothing_moved: bool = False
    amount: Amount | None = None


class BatchedAnswer(Struct, frozen=True, kw_only=True):
    """What became of one movement of a batch.

    Attributes:
        transaction: As in the request.
        operator_transaction: Your own id of the movement, the same for every repeat.
        nothing_moved: Of a rollback: there was nothing to undo (any more), and you remember that.
        amount: What was taken. Needed for `take_all` alone.
    """

    transaction: TransactionId
    operator_transaction: OperatorId
    nothing_moved: bool = False
    amount: Amount | None = None


class BatchAnswer(Struct, frozen=True, kw_only=True):
    """All of the batch is done, now or by an earlier copy.

    Attributes:
        status: `ok`.
        batch: As in the request.
        movements: One for each movement, in the request's order.
        balance: The balance now.
    """

    status: Literal["ok"]
    batch: TransactionId
    movements: tuple[BatchedAnswer, ...]
    balance: BalanceNow


class StatusAnswer(Struct, frozen=True, kw_only=True):
    """What became of the transaction.

    Attributes:
        status: `ok`.
        transaction: As in the request.
        state: `applied`; `rolled_back`, also if the rollback came first and the id will never move money;
            `not_found` if it is unknown or was refused.
        balance: The balance now, if you like.
    """

    status: Literal["ok"]
    transaction: TransactionId
    state: TransactionState
    balance: BalanceNow | None = None


class Refusal(Struct, frozen=True, kw_only=True):
    """A definite no: nothing moved, and nothing will move by this copy of the request.

    Attributes:
        status: `refused`.
        reason: Why.
        transaction: As in the request; of a batch, if you like, the movement that was refused.
        batch: As in the request, if it is a batch.
        player: As in the request, if it has neither a transaction nor a batch.
        message: Text for the player.
        balance: The balance now, if you like. Some games show it with the refusal.
    """

    status: Literal["refused"]
    reason: Reason
    transaction: TransactionId | None = None
    batch: TransactionId | None = None
    player: str | None = None
    message: PlainText | None = None
    balance: BalanceNow | None = None


AnyRequest = AuthenticateRequest | BalanceRequest | StatusRequest | MoveRequest | BatchRequest
Answer = AuthenticateAnswer | BalanceAnswer | MoveAnswer | BatchAnswer | StatusAnswer

MESSAGES: Final[tuple[Any, ...]] = (
    AuthenticateRequest,
    BalanceRequest,
    MoveRequest,
    BatchRequest,
    StatusRequest,
    AuthenticateAnswer,
    BalanceAnswer,
    MoveAnswer,
    BatchAnswer,
    StatusAnswer,
    Refusal,
)
"""Every message that may stand alone on the wire."""
