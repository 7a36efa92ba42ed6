"""What a provider's request means: a small closed union of calls.

An adapter's `parse` turns bytes into `Calls`; the engine knows nothing else of the provider. A call that moves money is
a `Play`: an ordered list of `Movement` of one player, most often in one round, which may also close that round.

Example, a SOFTSWISS-style batch of a bet and its win:
    >>> from croupier.contract.money import MINOR, WireAmount
    >>> bet = Movement(MovementKind.BET, keys=(MovementKey("action", "a1"),), amount=WireAmount.of(100, MINOR, "EUR"))
    >>> win = Movement(MovementKind.WIN, keys=(MovementKey("action", "a2"),), amount=WireAmount.of(250, MINOR, "EUR"))
    >>> play = Play(operation="play", movements=(bet, win), player="p-1", round="r-1", closes_round=True)
    >>> play.movements[1].reference
    'a2'
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import unique
from typing import Final

from attrs import field, frozen

from croupier.contract.choice import Choice
from croupier.contract.errors import MalformedRequestError
from croupier.contract.money import WireAmount


@unique
class MovementKind(Choice):
    """What a movement is. The direction of money follows from it (see `Direction`)."""

    BET = "bet"
    WIN = "win"
    BET_AND_WIN = "bet_and_win"
    """One message with a stake (`amount`) and a payout (`win_amount`), settled as one."""
    ROLLBACK = "rollback"
    """Undoes the movement that `target` names, whole; the amount on the wire is ignored."""
    FREE_BET = "free_bet"
    """A bet of a free round: nothing is charged, `stake` is its notional value."""
    FREE_WIN = "free_win"
    BONUS_WIN = "bonus_win"
    """The total of a set of free rounds, or another bonus credit."""
    PROMO_WIN = "promo_win"
    JACKPOT_WIN = "jackpot_win"
    TOURNAMENT_WIN = "tournament_win"
    ADJUSTMENT = "adjustment"
    """A signed correction: below zero debits."""
    TIP = "tip"
    TRANSFER_OUT = "transfer_out"
    """A stake moves from the wallet into the game; not turnover."""
    TRANSFER_IN = "transfer_in"
    """What is left of a stake comes back; not turnover."""


@unique
class Direction(Choice):
    """Which way money moves, seen from the player's wallet."""

    DEBIT = "debit"
    CREDIT = "credit"
    REVERSAL = "reversal"


# By name once: in a class of members every lookup costs, and every movement asks.
_ROLLBACK: Final = MovementKind.ROLLBACK
_ADJUSTMENT: Final = MovementKind.ADJUSTMENT
_BET_AND_WIN: Final = MovementKind.BET_AND_WIN
_DEBITS: Final = (
    MovementKind.BET,
    MovementKind.BET_AND_WIN,
    MovementKind.FREE_BET,
    MovementKind.TIP,
    MovementKind.TRANSFER_OUT,
)
_DEBIT: Final = Direction.DEBIT
_CREDIT: Final = Direction.CREDIT
_REVERSAL: Final = Direction.REVERSAL


@unique
class Funding(Choice):
    """Who pays for a stake that is not charged to the player."""

    PLAYER = "player"
    OPERATOR = "operator"
    PROVIDER = "provider"


@unique
class PlayMode(Choice):
    """How the movements of a play hang together; results come one a movement in every mode."""

    ATOMIC = "atomic"
    """All or none."""
    INDEPENDENT = "independent"
    """Each for itself."""
    SEQUENTIAL = "sequential"
    """In order; stop at the first failure, earlier ones stand."""


@frozen
class MovementKey:
    """What makes two messages the same movement.

    Attributes:
        namespace: The provider's id space: movements whose ids may never be equal share one. SOFTSWISS `action_id` is
            unique over bets, wins and rollbacks (one namespace); a Pragmatic refund carries the bet's `reference`
            (so the refund's own key needs a namespace of its own).
        value: The id as the provider sent it, 1 to 200 characters.
    """

    namespace: str
    value: str = field()

    @value.validator
    def _value_is_an_id(self, _attribute: object, value: str) -> None:
        if not 0 < len(value) <= 200:
            raise MalformedRequestError("an id has 1 to 200 characters", where=self.namespace)


@frozen(kw_only=True)
class Target:
    """The movement that another one undoes or settles: by key, or as "the bet of this round".

    Attributes:
        key: The key of the target.
        latest_bet_of_round: Without a key: the newest applied bet of the play's round.
    """

    key: MovementKey | None = None
    latest_bet_of_round: bool = False


@frozen
class OperatorDecides:
    """An amount that the operator decides ("take everything"); it is fixed durably with the outcome.

    Attributes:
        currency: The currency's code on the wire, if it was sent.
        at_least: The least that must be taken for success.
    """

    currency: str | None = None
    at_least: WireAmount | None = None


@frozen(kw_only=True)
class RoundFacts:
    """Facts of play that move no money; for reports and regulators. All are exact wire amounts.

    Attributes:
        turnover: The stake as the provider counts it.
        valid_turnover: The part that counts for bonus rules.
        payout: The payout as the provider counts it.
        rake: The house's fee in games between players.
        jackpot_contribution: What of the stake feeds jackpots.
        jackpot_win: What of the payout came from a jackpot.
        details: Descriptive text pairs of the provider, shown to people, never interpreted.
    """

    turnover: WireAmount | None = None
    valid_turnover: WireAmount | None = None
    payout: WireAmount | None = None
    rake: WireAmount | None = None
    jackpot_contribution: WireAmount | None = None
    jackpot_win: WireAmount | None = None
    details: Mapping[str, str] = field(factory=dict)


@frozen
class Movement:
    """One change of a player's balance, as the provider asks for it.

    Attributes:
        kind: What it is.
        keys: What makes a repeat: at least one. A message that matches any key of a stored movement is that movement.
        amount: What is charged or credited: not negative but for `ADJUSTMENT`. `None` only for `ROLLBACK`.
        win_amount: The payout of a `BET_AND_WIN`.
        reference: What others call this movement (defaults to the first key's value).
        target: What it undoes (`ROLLBACK`) or settles (a win that names its bet).
        stake: The notional stake, where it differs from what is charged (free rounds).
        funding: Who pays for it.
        funds_required: What the player must hold for the movement to be allowed, where that is not the amount.
        resend_of: The key of the first message, where a resend carries a new id.
        facts: Facts of play.
    """

    kind: MovementKind
    keys: tuple[MovementKey, ...] = field(kw_only=True)
    amount: WireAmount | OperatorDecides | None = field(default=None, kw_only=True)
    win_amount: WireAmount | None = field(default=None, kw_only=True)
    reference: str = field(default="", kw_only=True)
    target: Target | None = field(default=None, kw_only=True)
    stake: WireAmount | None = field(default=None, kw_only=True)
    funding: Funding = field(default=Funding.PLAYER, kw_only=True)
    funds_required: WireAmount | None = field(default=None, kw_only=True)
    resend_of: MovementKey | None = field(default=None, kw_only=True)
    facts: RoundFacts | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        kind, amount = self.kind, self.amount
        if not self.keys:
            raise MalformedRequestError("a movement needs at least one key", where=kind.value)
        if not self.reference:
            object.__setattr__(self, "reference", self.keys[0].value)
        if kind is _ROLLBACK:
            if self.target is None:
                raise MalformedRequestError("a rollback names its target", where=self.reference)
        elif amount is None:
            raise MalformedRequestError("the amount is missing", where=self.reference)
        if (self.win_amount is not None) is not (kind is _BET_AND_WIN):
            raise MalformedRequestError("win_amount belongs to bet_and_win alone", where=self.reference)
        if kind is not _ADJUSTMENT and isinstance(amount, WireAmount) and amount.value < 0:
            raise MalformedRequestError("amount must not be negative", where=self.reference)
        if self.win_amount is not None or self.stake is not None or self.funds_required is not None:
            self._check_other_amounts()

    def _check_other_amounts(self) -> None:
        for name in ("win_amount", "stake", "funds_required"):
            value: WireAmount | None = getattr(self, name)
            if value is not None and value.is_negative:
                raise MalformedRequestError(f"{name} must not be negative", where=self.reference)

    @property
    def direction(self) -> Direction:
        """Which way the money moves; of a `BET_AND_WIN` the stake's."""
        kind = self.kind
        if kind is _ADJUSTMENT:
            below = isinstance(self.amount, WireAmount) and self.amount.value < 0
            return _DEBIT if below else _CREDIT
        if kind is _ROLLBACK:
            return _REVERSAL
        return _DEBIT if kind in _DEBITS else _CREDIT


@frozen(kw_only=True)
class Authenticate:
    """The provider exchanges a launch token for the player's facts.

    Attributes:
        operation: The adapter's name of the operation, by which policy is looked up.
        token: The launch or session token.
        game: The provider's game code, if sent.
        rotate: Whether the answer carries a new session token that replaces the launch token.
        renew: Whether a session token, too, is replaced by a new one, at every exchange; it says `rotate` as well.
        player: The alias the provider knows the player by, if sent: another than the token's is `SESSION_UNKNOWN`, and
            nothing is replaced.
        address: The player's address as the provider saw it.
    """

    operation: str
    token: str
    game: str | None = None
    rotate: bool = False
    renew: bool = False
    player: str | None = None
    address: str | None = None


@frozen(kw_only=True)
class PlayerLookup:
    """The provider asks for facts about a player it already knows."""

    operation: str
    player: str | None = None
    session: str | None = None


@frozen(kw_only=True)
class BalanceQuery:
    """The provider asks for a balance.

    Attributes:
        operation: The adapter's name of the operation.
        player: The alias the provider knows the player by.
        session: A session token.
        game: The provider's game code.
        currency: The currency on the wire: another than the session's is declined.
    """

    operation: str
    player: str | None = None
    session: str | None = None
    game: str | None = None
    currency: str | None = None


@frozen(kw_only=True)
class Play:
    """What one request asks for: movements of one player.

    Player, round, currency and game are optional: the engine finds them from the session token, the alias, the
    free-round grant or the movement that is referred to, and declines where none of them tells.

    Attributes:
        operation: The adapter's name of the operation, by which policy is looked up.
        movements: In order; at least one.
        mode: How they hang together.
        player: The alias the provider knows the player by.
        session: A session token.
        round: The provider's round id.
        game: The provider's game code.
        currency: The currency's code on the wire.
        closes_round: Whether the round ends with this play.
        grant: The reference of a free-round grant (issue id, bonus code).
        closes_grant: Whether the grant ends with this play.
        provider_time: The provider's own time of the play; kept as a fact, never used for order.
        resend: Whether the provider says that this is a resend; such a play skips session checks.
    """

    operation: str
    movements: tuple[Movement, ...]
    mode: PlayMode = PlayMode.ATOMIC
    player: str | None = None
    session: str | None = None
    round: str | None = None
    game: str | None = None
    currency: str | None = None
    closes_round: bool = False
    grant: str | None = None
    closes_grant: bool = False
    provider_time: datetime | None = None
    resend: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.movements:
            raise MalformedRequestError("a play has at least one movement", where=self.operation)


@frozen(kw_only=True)
class CloseRound:
    """A round ends without money. May be repeated. Answered with the player's balance."""

    operation: str
    round: str
    player: str | None = None
    session: str | None = None
    game: str | None = None
    currency: str | None = None
    facts: RoundFacts | None = None


@frozen(kw_only=True)
class Notice:
    """A message that moves no money and asks nothing: details pushed, a session's end, a campaign's state.

    Attributes:
        operation: The adapter's name of the operation.
        subject: What it is about.
        reference: The id of what it is about.
        player: The alias, if sent.
        facts: Descriptive pairs, stored as they are.
        ends_session: Whether the player's session ends by it.
    """

    operation: str
    subject: str
    reference: str = ""
    player: str | None = None
    facts: Mapping[str, str] = field(factory=dict)
    ends_session: bool = False


@frozen(kw_only=True)
class Query:
    """The provider asks for the record of a movement or of a round."""

    operation: str
    key: MovementKey | None = None
    round: str | None = None
    player: str | None = None


@frozen(kw_only=True)
class Ping:
    """A sign of life; answered without any work."""

    operation: str = "ping"


Call = Authenticate | PlayerLookup | BalanceQuery | Play | CloseRound | Notice | Query | Ping
"""Everything that a provider may ask."""


@frozen
class Calls:
    """What one request asks for, in order, and what its answer must echo.

    Attributes:
        items: The calls. One request may hold several plays of several players.
        echo: What `render` needs from the request and no call carries (a request id, say).
    """

    items: tuple[Call, ...]
    echo: Mapping[str, str] = field(factory=dict)
