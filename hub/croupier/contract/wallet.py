"""The dialect contract: the wire protocol of an operator's wallet, pure both ways.

The engine makes `WalletCall` values; a dialect turns one into an `HttpRequest`, and the answer into a `WalletReply`.
It opens no socket; the hub sends, with the deadline that is left.

**What is unknown stays unknown.** A reply that is not exactly what was expected (another transaction's id, no JSON, a
foreign currency, a status the protocol does not have) is `WalletUnknown`, never a success and never a refusal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum, unique
from typing import Any

from attrs import field, frozen

from croupier.contract.adapter import ADAPTER_API
from croupier.contract.calls import Funding
from croupier.contract.capabilities import WalletCapability
from croupier.contract.choice import Choice
from croupier.contract.errors import UnsupportedOperationError
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.money import Balance, Currency, Money
from croupier.contract.outcomes import DeclineReason
from croupier.contract.policy import LateOriginal
from croupier.contract.secrets import Credentials, SecretField
from croupier.contract.values import immutable


@immutable(kw_only=True)
class WalletPlayer:
    """Whose wallet.

    Attributes:
        player: The operator's own id of the player.
        currency: The currency of the session.
        session: The operator's session token of the launch, where it gave one; wins and rollbacks may come long
            after it ended, and must be accepted all the same.
    """

    player: str
    currency: Currency
    session: str | None = None


@immutable(kw_only=True)
class PlayContext:
    """Where a movement belongs, for the operator's records.

    Attributes:
        provider: The adapter's slug.
        connection: The connection's name.
        game: The hub's game id.
        round: The hub's round id.
        provider_round: The provider's round id.
        round_closed: Whether the round ends with this call.
        grant: The operator's reference of the free rounds it belongs to.
    """

    provider: str
    connection: str
    game: str
    round: str
    provider_round: str
    round_closed: bool = False
    grant: str | None = None


@unique
class WalletOperation(Choice):
    """What is done to the balance."""

    BET = "bet"
    WIN = "win"
    ROLLBACK = "rollback"


@immutable(kw_only=True)
class WalletMovement:
    """One movement as the wallet is asked for it.

    Attributes:
        operation: What is done.
        transaction: The hub's id, the key of idempotency. Every rollback of one movement, whoever started it, carries
            the same id.
        amount: Never negative, in the player's currency. Of a rollback: the amount of what is undone.
        kind: `MovementKind` value, for the operator's records (`tip`, `jackpot_win`, ...).
        target: Of a rollback: the transaction to undo. Of a win: its bet, where it is known.
        undoes: Of a rollback: whether a bet or a win is undone.
        stake: The notional stake in minor units, where it differs from the amount.
        funding: Who pays for the stake.
        funds_required: What the player must hold, in minor units, where that is not the amount.
        operator_decides: Of a bet: the wallet takes all that the player has, `amount` being the least; the
            answer's `amounts` tells what was taken.
    """

    operation: WalletOperation
    transaction: str
    amount: Money
    kind: str
    target: str | None = None
    undoes: WalletOperation | None = None
    stake: int | None = None
    funding: Funding = Funding.PLAYER
    funds_required: int | None = None
    operator_decides: bool = False


@frozen(kw_only=True)
class WalletAuthenticate:
    """Confirm a session and get the player's facts."""

    player: WalletPlayer
    game: str | None = None
    provider: str | None = None


@frozen(kw_only=True)
class WalletBalance:
    """Ask for the balance."""

    player: WalletPlayer
    game: str | None = None


@immutable(kw_only=True)
class WalletMove:
    """One movement."""

    player: WalletPlayer
    context: PlayContext
    movement: WalletMovement


@immutable(kw_only=True)
class WalletBatch:
    """Several movements, all or none, in order (capability `ATOMIC_BATCH`)."""

    player: WalletPlayer
    context: PlayContext
    batch: str
    movements: tuple[WalletMovement, ...]


@frozen(kw_only=True)
class WalletStatus:
    """What became of a transaction (capability `TRANSACTION_STATUS`)."""

    player: WalletPlayer
    transaction: str


WalletCall = WalletAuthenticate | WalletBalance | WalletMove | WalletBatch | WalletStatus


@frozen(kw_only=True)
class WalletApplied:
    """The wallet did it, now or before.

    Attributes:
        balance: The balance after it; `None` where the protocol's answer carries none.
        operator_transactions: The wallet's own ids, by the hub's transaction id.
        amounts: What was taken, by the hub's transaction id, where the operator decided it (minor units).
        nothing_moved: Of a rollback: the wallet knew nothing to undo (and remembers that). Of a batch: this
            holds for each of its rollbacks.
        facts: Of authenticate: `country`, `language`, `jurisdiction`, `display_name` as far as given.
    """

    balance: Balance | None = None
    operator_transactions: Mapping[str, str] = field(factory=dict)
    amounts: Mapping[str, int] = field(factory=dict)
    nothing_moved: bool = False
    facts: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class WalletRefused:
    """The wallet definitely did not, and nothing moved.

    Attributes:
        reason: Why.
        message: Text for the player.
        balance: The balance, where it was told.
    """

    reason: DeclineReason
    message: str | None = None
    balance: Balance | None = None


@frozen(kw_only=True)
class WalletUnknown:
    """No definite answer: time-out, transport, or an answer that cannot be trusted.

    Attributes:
        detail: What was wrong, without secrets or player data.
        sent: Whether anything may have reached the wallet.
    """

    detail: str
    sent: bool = True


@unique
class TransactionState(Enum):
    """What a wallet says became of a transaction."""

    APPLIED = "applied"
    ROLLED_BACK = "rolled_back"
    NOT_FOUND = "not_found"


@frozen(kw_only=True)
class WalletStatusReply:
    """Answer to `WalletStatus`."""

    state: TransactionState
    balance: Balance | None = None


WalletReply = WalletApplied | WalletRefused | WalletUnknown | WalletStatusReply


@frozen(kw_only=True)
class DialectSpec:
    """What a dialect says of itself; a package's hook `croupier_wallet_dialects` returns these.

    Attributes:
        slug: Its name in configuration.
        name: The name for people.
        capabilities: What the protocol can carry; an operator's wallet may be declared to have less.
        secrets: The secrets that an operator's wallet is configured with.
        settings: An attrs class of its settings; it has at least the wallet's `url`.
        create: Makes the dialect from an instance of `settings`.
        api: The `ADAPTER_API` it was written against.
        openapi: Makes the OpenAPI document of what an operator implements, where the dialect is one that hubs define;
            the hub serves it with a page.
        late_original: How a wallet of this protocol answers what arrives after its rollback; it moves nothing either
            way.
        proves_operation: Whether the proof of a request covers what is asked for, and not the body alone that some
            other path might take.
        proves_time: Whether what is proven has a time stamp, so that a wallet can refuse an old message.
        wins_name_a_bet: Whether a win has to name a bet: the hub then names one of the round where the provider
            named none.
        balance_needs_session: Whether a wallet may refuse to tell a balance after the session's end.
    """

    slug: str
    name: str
    capabilities: frozenset[WalletCapability]
    secrets: tuple[SecretField, ...]
    settings: type
    create: Callable[[Any], Dialect]
    api: int = ADAPTER_API
    openapi: Callable[[], Mapping[str, Any]] | None = None
    late_original: LateOriginal = LateOriginal.DECLINE
    proves_operation: bool = True
    proves_time: bool = True
    wins_name_a_bet: bool = False
    balance_needs_session: bool = False


class Dialect(ABC):
    """A wallet's wire protocol with one operator's settings. Immutable, and free of any I/O."""

    spec: DialectSpec

    @abstractmethod
    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        """Write and sign the request.

        The same call at another time differs by time stamp, signature and, where the protocol has one, the attempt's
        own id alone.
        """

    @abstractmethod
    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        """Read the answer. Total: what is not exactly right is `WalletUnknown`."""

    def signed_anew(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpRequest:
        """Prove a request whose body was changed after it was written: certification sends what no dialect writes.

        Raises:
            UnsupportedOperationError: The dialect cannot; what rests on it is then not certified.
        """
        raise UnsupportedOperationError("this dialect signs only what it wrote", where=self.spec.slug)
