"""What a play asks for, in the hub's own terms: ids, integers, keys and fingerprints.

A `Movement` of the contract speaks the provider's language; an `Intended` is the same movement ready for the ledger.
A net bet+win becomes two of them, a bet and a win with a key of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from attrs import evolve, field

from croupier.contract import (
    AmountError,
    Currency,
    DeclineReason,
    DedupeScope,
    Direction,
    Movement,
    MovementKey,
    MovementKind,
    NetSettlement,
    OperatorDecides,
    Play,
    Policy,
    RoundFacts,
    UnknownCurrencyError,
    WireAmount,
)
from croupier.contract.values import immutable
from croupier.ledger.records import GrantRow, Key, MovementRow, MovementState, SessionRow
from croupier.wallet.identity import movement_id, round_id
from croupier.wallet.parties import Connection, Route

WIN_LEG: Final = "#win"
"""Added to a key's namespace for the win of a net bet+win."""

BETS: Final = frozenset({MovementKind.BET, MovementKind.FREE_BET, MovementKind.BET_AND_WIN, MovementKind.TRANSFER_OUT})
"""Kinds that count as a bet of their round."""

ROUND_WINS: Final = frozenset({MovementKind.WIN, MovementKind.BET_AND_WIN})
"""Kinds that need a bet in their round, unless the policy says otherwise."""

OF_ITS_BETS: Final = frozenset({MovementKind.FREE_WIN, MovementKind.TRANSFER_IN})
"""Kinds that need no bet, but if their round has had bets, one of them must stand."""

COUNTED_WINS: Final = ROUND_WINS | {MovementKind.FREE_WIN, MovementKind.TRANSFER_IN, MovementKind.JACKPOT_WIN}
"""Kinds that count as a win of their round."""


TAKING: Final = BETS | {MovementKind.TIP}
"""Kinds that rules for bets apply to."""

_ONE: Final = Decimal(1)


@immutable(kw_only=True)
class Identity:
    """Whose play it is, and where.

    Attributes:
        connection: The connection.
        operation: The adapter's name of the operation.
        player: The surrogate; empty only for a rollback whose target nobody knows.
        currency: The player's currency.
        session: The session that was found, live or not.
        live: Whether bets may be accepted on it.
        grant: The free-round grant.
        provider_round: The provider's round id.
        route: The game, where the connection serves it.
        code: The provider's game code.
        wire_currency: The currency that the request names, for amounts that name none.
        refusal: Why the play is refused before anything is looked at.
        round: The hub's round id.
    """

    connection: Connection
    operation: str = ""
    player: str = ""
    wire_currency: str | None = None
    currency: Currency | None = None
    session: SessionRow | None = None
    live: bool = False
    grant: GrantRow | None = None
    provider_round: str | None = None
    route: Route | None = None
    code: str | None = None
    refusal: DeclineReason | None = None
    round: str | None = field(init=False)

    @round.default  # noqa: A003 # the attribute, not the builtin: attrs names it so
    def _round(self) -> str | None:
        if self.provider_round is None or not self.player:
            return None
        return round_id(self.connection.operator.id, self.connection.id, self.player, self.provider_round)


@immutable(kw_only=True)
class Attempt:
    """Who writes, and when.

    Attributes:
        play: The play's id.
        owner: The process.
        epoch: Its epoch.
        nonce: Random per attempt.
        now: UTC milliseconds.
        lease_until: Until when nobody else may take the intents over.
    """

    play: str
    owner: str
    epoch: int
    nonce: str
    now: int
    lease_until: int

    @property
    def ownership(self) -> dict[str, Any]:
        """The columns of a row that say who works on it."""
        return {
            "owner": self.owner,
            "epoch": self.epoch,
            "nonce": self.nonce,
            "lease_until": self.lease_until,
        }


@immutable(kw_only=True)
class Intended:
    """One movement ready for the ledger.

    Attributes:
        place: Its index in the play.
        id: The hub's id.
        keys: Its keys, the first of them the one that the id is computed from.
        seek: Further keys under which an earlier message of the same movement may stand.
        kind: What it is; the win of a net bet+win is `BET_AND_WIN` with direction `CREDIT`.
        direction: Which way the money moves.
        amount: Minor units, never negative.
        reference: The provider's id.
        fingerprint: Content fields.
        target: The key of what it undoes or settles.
        refusal: Why it can be refused without asking anybody (`AMOUNT_INVALID`, `CURRENCY_WRONG`).
        source: The movement as the provider asked for it.
        net: Whether it is a bet and its win in one movement.
        takes_stake: Whether it takes a bet: a debit, or a net bet+win that comes out as a credit.
        is_bet: Whether it takes a stake of play that rules for bets apply to.
        every_key: All keys under which an earlier message may stand.
    """

    place: int
    id: str
    keys: tuple[Key, ...]
    kind: MovementKind
    direction: Direction
    amount: int
    reference: str
    fingerprint: Mapping[str, str]
    source: Movement
    seek: tuple[Key, ...] = ()
    target: Key | None = None
    stake: int | None = None
    funds_required: int | None = None
    facts: Mapping[str, Any] = field(factory=dict)
    refusal: DeclineReason | None = None
    net: bool = False
    takes_stake: bool = field(init=False)
    is_bet: bool = field(init=False)
    every_key: tuple[Key, ...] = field(init=False)

    @takes_stake.default
    def _takes_stake(self) -> bool:
        return self.direction is Direction.DEBIT or self.net

    @is_bet.default
    def _is_bet(self) -> bool:
        return self.takes_stake and self.kind in TAKING

    @every_key.default
    def _every_key(self) -> tuple[Key, ...]:
        return self.keys + self.seek

    def row(
        self,
        identity: Identity,
        attempt: Attempt,
        state: MovementState,
        *,
        target: str | None = None,
        effect: str | None = None,
        reason: str | None = None,
    ) -> MovementRow:
        """The ledger's row of it: begun by the attempt, or settled by it at once if the state is no `INTENT`."""
        currency = identity.currency.code if identity.currency else ""
        return MovementRow(
            operator=identity.connection.operator.id,
            movement=self.id,
            play=attempt.play,
            ordinal=self.place,
            connection=identity.connection.id,
            player=identity.player,
            session=identity.session.session if identity.session else None,
            round=identity.round,
            game=identity.route.game if identity.route else None,
            route=identity.code,
            operation=identity.operation,
            kind=self.kind.value,
            direction=self.direction.value,
            state=state,
            amount=self.amount,
            currency=currency,
            reference=self.reference,
            fingerprint=self.fingerprint,
            stake=self.stake,
            funding=self.source.funding.value,
            funds_required=self.funds_required,
            grant=identity.grant.grant if identity.grant else None,
            facts=self.facts,
            target=target,
            effect=effect,
            reason=reason,
            owner=attempt.owner,
            epoch=attempt.epoch,
            nonce=attempt.nonce,
            lease_until=attempt.lease_until,
            created_at=attempt.now,
            settled_at=None if state is MovementState.INTENT else attempt.now,
        )


def scope_of(policy: Policy, identity: Identity) -> str:
    """The scope of a movement's keys under the policy."""
    match policy.dedupe_scope:
        case DedupeScope.PROVIDER:
            return identity.connection.id
        case DedupeScope.PLAYER:
            return f"{identity.connection.id}/{identity.player}"
        case DedupeScope.ROUND:
            return f"{identity.connection.id}/{identity.player}/{identity.provider_round or ''}"


def key_of(key: MovementKey, scope: str, identity: Identity) -> Key:
    """A provider's key in its scope."""
    return Key(identity.connection.operator.id, scope, key.namespace, key.value)


def intend(play: Play, policy: Policy, identity: Identity) -> tuple[Intended, ...]:
    """Every movement of a play, in order."""
    found: list[Intended] = []
    for place in range(len(play.movements)):
        found += _legs(place, play, policy, identity)
    return tuple(found)


def _legs(place: int, play: Play, policy: Policy, identity: Identity) -> list[Intended]:
    bet = _one(place, play, policy, identity)
    movement = bet.source
    if movement.win_amount is None:
        return [bet]
    payout, refusal = _minor(movement.win_amount, policy, identity)
    if policy.net_settlement is NetSettlement.NET:
        net = payout - bet.amount
        fingerprint = {**bet.fingerprint, "win_amount": str(payout)}
        return [
            evolve(
                bet,
                amount=abs(net),
                direction=Direction.CREDIT if net > 0 else Direction.DEBIT,
                funds_required=bet.funds_required if bet.funds_required is not None else bet.amount,
                stake=bet.amount,
                fingerprint=fingerprint,
                refusal=bet.refusal or refusal,
                net=True,
            )
        ]
    keys = tuple(Key(key.operator, key.scope, key.namespace + WIN_LEG, key.value) for key in bet.keys)
    win = evolve(
        bet,
        id=movement_id(keys[0]),
        keys=keys,
        seek=tuple(Key(key.operator, key.scope, key.namespace + WIN_LEG, key.value) for key in bet.seek),
        direction=Direction.CREDIT,
        amount=payout,
        stake=None,
        funds_required=None,
        facts={},
        target=bet.keys[0],
        fingerprint={**bet.fingerprint, "amount": str(payout)},
        refusal=refusal,
    )
    return [bet, win]


def _one(place: int, play: Play, policy: Policy, identity: Identity) -> Intended:
    movement, scope = play.movements[place], scope_of(policy, identity)
    keys = tuple([key_of(key, scope, identity) for key in movement.keys])
    seek = (key_of(movement.resend_of, scope, identity),) if movement.resend_of else ()
    target = key_of(movement.target.key, scope, identity) if movement.target and movement.target.key else None
    amount, refusal = _amount(movement, policy, identity)
    stake, stake_refusal = _optional(movement.stake, policy, identity)
    funds, funds_refusal = _optional(movement.funds_required, policy, identity)
    return Intended(
        place=place,
        id=movement_id((seek or keys)[0]),
        keys=keys,
        seek=seek,
        kind=movement.kind,
        direction=movement.direction,
        amount=abs(amount),
        reference=movement.reference,
        target=target,
        stake=stake,
        funds_required=funds,
        facts=_facts(movement.facts),
        fingerprint=_fingerprint(movement, amount, play, identity),
        source=movement,
        refusal=refusal or stake_refusal or funds_refusal,
    )


def _amount(movement: Movement, policy: Policy, identity: Identity) -> tuple[int, DeclineReason | None]:
    if movement.kind is MovementKind.ROLLBACK:
        return 0, None
    if isinstance(movement.amount, OperatorDecides):
        least = movement.amount.at_least
        return _minor(least, policy, identity) if least else (0, None)
    assert movement.amount is not None  # noqa: S101 # the contract refuses a movement without it
    return _minor(movement.amount, policy, identity)


def _optional(amount: WireAmount | None, policy: Policy, identity: Identity) -> tuple[int | None, DeclineReason | None]:
    return (None, None) if amount is None else _minor(amount, policy, identity)


def _minor(amount: WireAmount, policy: Policy, identity: Identity) -> tuple[int, DeclineReason | None]:
    """Minor units, or why not; a currency that is not the player's is refused."""
    if identity.currency is None:
        return 0, DeclineReason.SESSION_UNKNOWN if identity.player else DeclineReason.PLAYER_UNKNOWN
    ratio = _ONE
    named = amount.currency if amount.currency is not None else identity.wire_currency
    if named is not None:
        alias = policy.wire_currency(named)
        code = alias.currency if alias else named
        ratio = alias.ratio if alias else ratio
        if code != identity.currency.code:
            return 0, DeclineReason.CURRENCY_WRONG
    else:
        shown = policy.shown_currency(identity.currency.code)
        ratio = shown.ratio if shown else ratio
    try:
        return amount.to_minor(identity.currency, ratio), None
    except AmountError:
        return 0, DeclineReason.AMOUNT_INVALID


def currency_of(code: str, policy: Policy, connection: Connection) -> Currency | None:
    """The hub's currency of a provider's code, or `None` if it is not registered."""
    alias = policy.wire_currency(code)
    try:
        return connection.currencies.get(alias.currency if alias else code)
    except UnknownCurrencyError:
        return None


def _fingerprint(movement: Movement, amount: int, play: Play, identity: Identity) -> dict[str, str]:
    """The content that a repeat must have in common; what the message does not say is left out."""
    content = {"kind": movement.kind.value}
    if movement.kind is not MovementKind.ROLLBACK:
        content["amount"] = "decided" if isinstance(movement.amount, OperatorDecides) else str(amount)
    if identity.currency and movement.kind is not MovementKind.ROLLBACK:
        content["currency"] = identity.currency.code
    if identity.player:
        content["player"] = identity.player
    if play.round is not None:
        content["round"] = play.round
    if play.game is not None:
        content["game"] = play.game
    if movement.target and movement.target.key:
        content["target"] = f"{movement.target.key.namespace}:{movement.target.key.value}"
    return content


def same_content(stored: Mapping[str, str], given: Mapping[str, str], policy: Policy) -> bool:
    """Whether a repeat says the same; fields that either lacks, or that the policy ignores, are not compared."""
    return all(
        stored[name] == value
        for name, value in given.items()
        if name in stored and name not in policy.fingerprint_ignores
    )


def _facts(facts: RoundFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    amounts = {
        name: str(value.value)
        for name in ("turnover", "valid_turnover", "payout", "rake", "jackpot_contribution", "jackpot_win")
        if (value := getattr(facts, name)) is not None
    }
    return {**amounts, **({"details": dict(facts.details)} if facts.details else {})}
