"""Policy is data: how a provider behaves and wants to be answered, read by the engine.

No code of the hub knows a provider's name. An adapter ships its defaults, a connection may override a knob for all
operations or for one, an operator's limits bound both, and `Policies.resolve` makes the effective policy once.

Example:
    >>> defaults = Policies(Policy(unknown_rollback=UnknownRollback.ACCEPT))
    >>> effective = defaults.resolve({"operations": {"bet": {"provider_timeout_ms": 3000}}})
    >>> effective.of("bet").provider_timeout_ms, effective.of("result").provider_timeout_ms
    (3000, 5000)
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum, unique
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from attrs import evolve, field, fields, frozen

from croupier.contract.choice import Choice
from croupier.contract.errors import SettingsError
from croupier.contract.money import WireCurrency


@unique
class DedupeScope(Enum):
    """In what a movement's key is unique."""

    PROVIDER = "provider"
    """Unique in the whole connection."""
    PLAYER = "player"
    """Two players may carry the same id."""
    ROUND = "round"
    """Unique per player and round only."""


@unique
class OnSilence(Choice):
    """What the provider does when it hears nothing, or a retryable error."""

    RESENDS = "resends"
    """It sends the same again until it gets a definite answer."""
    CANCELS = "cancels"
    """It sends a rollback."""
    NEITHER = "neither"
    """It gives up."""


@unique
class UnknownRollback(Enum):
    """The answer to a rollback of something never seen. A tombstone is written either way."""

    ACCEPT = "accept"
    NOT_FOUND = "not_found"


@unique
class LateOriginal(Enum):
    """The answer to an original that arrives after its rollback. It moves nothing either way."""

    ACCEPT = "accept"
    """Success shape, no movement."""
    DECLINE = "decline"
    """A definite refusal."""


@unique
class RepeatAnswer(Enum):
    """How a repeat with the same content is answered."""

    SUCCESS = "success"
    """As success, marked as a repeat."""
    DECLINE = "decline"
    """With the protocol's own code for a duplicate; still nothing moves."""


@unique
class RepeatBalance(Enum):
    """Which balance the answer to a repeat shows."""

    CURRENT = "current"
    STORED = "stored"


@unique
class RolledBackRepeat(Enum):
    """The answer to a repeat of a movement that the provider rolled back since."""

    STORED = "stored"
    DECLINE = "decline"


@unique
class RollbackAfterWin(Enum):
    """Whether a bet whose round was already paid may be rolled back."""

    REFUSE = "refuse"
    ALLOW = "allow"


@unique
class WinWithoutBet(Enum):
    """What happens to a win whose round has no applied bet."""

    ACCEPT = "accept"
    RETRY = "retry"
    """A retryable answer, nothing stored: the bet may still arrive."""
    DECLINE = "decline"


@unique
class RollbackShortfall(Enum):
    """What happens when a win is rolled back that the player no longer has (the operator's choice)."""

    DEFICIT = "deficit"
    """The operator carries a deficit that the next credits pay first."""
    NEGATIVE = "negative"
    """The balance goes below zero."""
    RECORD = "record"
    """The rollback is recorded without movement."""


@unique
class RoundEnd(Enum):
    """What ends a round."""

    FLAG = "flag"
    """A flag on a movement or on its request."""
    CALL = "call"
    """A request of its own."""
    TRANSACTION = "transaction"
    """Every play is a complete round."""
    SETTLED = "settled"
    """The hub derives it: every bet of the round is paid or rolled back. A bet that enters later opens it again."""
    NEVER = "never"


@unique
class FreeRoundsCredit(Enum):
    """Which message pays for free rounds: paying on both would pay twice."""

    PER_WIN = "per_win"
    TOTAL = "total"


@unique
class NetSettlement(Enum):
    """How a net bet+win movement reaches a wallet."""

    SPLIT = "split"
    """A bet and a win."""
    NET = "net"
    """One debit or credit of the difference, with the funds required beside it."""


@unique
class RetryClass(Enum):
    """What the provider makes of one of our refusals; for the docs, the peer and reconciliation."""

    FINAL = "final"
    RETRIED = "retried"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class Policy:
    """Every knob for one operation of one connection.

    Attributes:
        provider_timeout_ms: The provider's own time-out, in milliseconds.
        timeout_margin_ms: What is taken off it for the deadline of the operator's call.
        on_silence: What the provider does when it hears nothing.
        dedupe_scope: In what a movement's key is unique.
        fingerprint_ignores: Content fields that are not compared on a repeat: of `amount`, `currency`, `player`,
            `round`, `game`, `kind`, `target`.
        unknown_rollback: The answer to a rollback of something never seen.
        repeat_rollback: The answer to a second rollback of the same movement.
        late_original: The answer to an original after its rollback.
        repeat: The answer to a repeat with the same content.
        repeat_balance: The balance in that answer.
        rolled_back_repeat: The answer to a repeat of what was rolled back since.
        rollback_after_win: Whether a paid bet may be rolled back.
        rollback_of_win: Whether wins may be rolled back at all.
        rollback_of_net: Whether a bet that came with its win in one movement may be rolled back once it is applied;
            else it stands, as a bet does that was paid.
        rollback_of_declined: The answer to a rollback of a refused movement.
        win_without_bet: What happens to a win whose round has no bet.
        bet_on_closed_round: Whether a bet may enter a round that ended.
        win_on_closed_round: Whether a win may enter a round that ended.
        zero_win_ends_bet: Whether a win of zero is how a loss is told (and so is expected).
        round_end: What ends a round.
        session_for_bet: Whether a bet needs a live session.
        session_for_balance: Whether a balance request needs a live session.
        own_token: Whether a session token that comes with a play or a balance request must be the player's own, and
            not replaced by a newer one; it may have expired. Else it is `SESSION_UNKNOWN`, for credits and rollbacks
            too. Without it such a token is as good as none.
        answer_needs_balance: Whether a success cannot be rendered without a balance. Where it cannot be had, the
            answer is retryable: a balance is never invented.
        balance_digits: Digits of displayed balances; more are cut. `None` leaves the currency's own.
        currencies: The provider's names and scales of currencies.
        net_settlement: How a net movement reaches the wallet.
        free_rounds_credit: Which message pays for free rounds; `None` where the connection must say.
        bets_per_round: How many bets a round may hold; `None` for no limit.
        wins_per_round: How many wins a round may hold; `None` for no limit.
        wins_per_bet: How many wins may name one bet, jackpots aside; one more is `TARGET_SETTLED`. `None` for no limit.
        jackpot_in_bet: Whether the stake on the wire includes the jackpot contribution.
        retry_class: What the provider makes of each of our decline reasons (reason value to class), for what
            differs from `FINAL`.
        max_bet_minor: The operator's or the connection's largest bet by currency, in minor units.
    """

    provider_timeout_ms: int = 5000
    timeout_margin_ms: int = 500
    on_silence: OnSilence = OnSilence.CANCELS
    dedupe_scope: DedupeScope = DedupeScope.PROVIDER
    fingerprint_ignores: frozenset[str] = frozenset()
    unknown_rollback: UnknownRollback = UnknownRollback.ACCEPT
    repeat_rollback: RepeatAnswer = RepeatAnswer.SUCCESS
    late_original: LateOriginal = LateOriginal.DECLINE
    repeat: RepeatAnswer = RepeatAnswer.SUCCESS
    repeat_balance: RepeatBalance = RepeatBalance.CURRENT
    rolled_back_repeat: RolledBackRepeat = RolledBackRepeat.DECLINE
    rollback_after_win: RollbackAfterWin = RollbackAfterWin.REFUSE
    rollback_of_win: bool = False
    rollback_of_net: bool = True
    rollback_of_declined: UnknownRollback = UnknownRollback.ACCEPT
    win_without_bet: WinWithoutBet = WinWithoutBet.DECLINE
    bet_on_closed_round: bool = False
    win_on_closed_round: bool = True
    zero_win_ends_bet: bool = True
    round_end: RoundEnd = RoundEnd.FLAG
    session_for_bet: bool = True
    session_for_balance: bool = False
    own_token: bool = False
    answer_needs_balance: bool = True
    balance_digits: int | None = None
    currencies: tuple[WireCurrency, ...] = ()
    net_settlement: NetSettlement = NetSettlement.SPLIT
    free_rounds_credit: FreeRoundsCredit | None = FreeRoundsCredit.PER_WIN
    bets_per_round: int | None = None
    wins_per_round: int | None = None
    wins_per_bet: int | None = None
    jackpot_in_bet: bool = True
    retry_class: Mapping[str, RetryClass] = field(factory=dict)
    max_bet_minor: Mapping[str, int] = field(factory=dict)

    @property
    def operator_budget_ms(self) -> int:
        """Milliseconds that the whole work for one request may take: the time-out less the margin."""
        return max(self.provider_timeout_ms - self.timeout_margin_ms, 1)

    def wire_currency(self, code: str) -> WireCurrency | None:
        """The alias of a provider's currency code, if one is set."""
        if not self.currencies:
            return None
        return next((alias for alias in self.currencies if alias.code == code), None)

    def shown_currency(self, code: str) -> WireCurrency | None:
        """The alias under which the provider knows one of the hub's currencies, if one is set."""
        if not self.currencies:
            return None
        return next((alias for alias in self.currencies if alias.currency == code), None)


@frozen(kw_only=True)
class WalletPolicy:
    """What is known of an operator's wallet; by default as little as is safe.

    Attributes:
        retry_safe: Proven by certification: the same transaction id twice moves money once. Without it a bet
            without an answer is reversed, never sent again.
        tombstones: Proven: a rollback that arrives before its bet makes the bet move nothing.
        late_window_ms: How long after the time-out a call may still take effect in the wallet, in milliseconds.
        timeout_ms: The longest that any one call to the wallet may take, in milliseconds.
        zero_amounts: Whether movements of zero are sent at all.
        rollback_shortfall: What the wallet does when a win is rolled back without funds.
        connections: How many calls may be under way at once.
        breaker_failures: After so many calls in a row without a definite answer, bets fail before they are sent.
        breaker_pause_ms: How long they do before one is let through to try, in milliseconds; it grows if that fails.
    """

    retry_safe: bool = False
    tombstones: bool = False
    late_window_ms: int = 60_000
    timeout_ms: int = 8_000
    zero_amounts: bool = True
    rollback_shortfall: RollbackShortfall = RollbackShortfall.DEFICIT
    connections: int = 64
    breaker_failures: int = 20
    breaker_pause_ms: int = 2_000


@frozen
class Policies:
    """A connection's policy: one for all operations, and what differs by operation.

    Attributes:
        default: For every operation without its own.
        operations: Operation name (the adapter's) to its policy.
    """

    default: Policy = Policy()
    operations: Mapping[str, Policy] = field(factory=dict)

    def of(self, operation: str) -> Policy:
        """The policy of an operation."""
        return self.operations.get(operation, self.default)

    def resolve(self, overrides: Mapping[str, Any], limits: Mapping[str, Any] | None = None) -> Policies:
        """The effective policy: these defaults, the connection's overrides, the operator's limits.

        Args:
            overrides: Knobs by name, and under `operations` knobs by operation name.
            limits: The operator's own; where both give a limit, the stricter wins.

        Raises:
            SettingsError: An unknown knob or a value of the wrong kind; `where` is its path.
        """
        common = {key: value for key, value in overrides.items() if key != "operations"}
        by_name = overrides.get("operations", {})
        if not isinstance(by_name, Mapping):
            raise SettingsError("expected a table of operations", where="policy.operations")
        names = {*self.operations, *by_name}
        resolved = {}
        for name in names:
            policy = override(self.of(name), common, "policy")
            policy = override(policy, by_name.get(name, {}), f"policy.operations.{name}")
            resolved[name] = _bounded(policy, limits or {})
        return Policies(_bounded(override(self.default, common, "policy"), limits or {}), resolved)


def _bounded(policy: Policy, limits: Mapping[str, Any]) -> Policy:
    bets = dict(policy.max_bet_minor)
    for code, largest in limits.get("max_bet_minor", {}).items():
        bets[code] = min(largest, bets.get(code, largest))
    return evolve(policy, max_bet_minor=bets)


PolicyClass = TypeVar("PolicyClass", Policy, WalletPolicy)

_KNOBS: Final[Mapping[type[Any], Mapping[str, Any]]] = {
    policy: {attribute.name: get_type_hints(policy)[attribute.name] for attribute in fields(policy)}
    for policy in (Policy, WalletPolicy)
}
"""The knobs by name, with their types."""


def override(policy: PolicyClass, values: Mapping[str, Any], path: str) -> PolicyClass:
    """A policy with some knobs changed, each value checked against the knob's type.

    Raises:
        SettingsError: An unknown knob or a value of the wrong kind; `where` is `path` and the knob.
    """
    if not isinstance(values, Mapping):
        raise SettingsError("expected a table of knobs", where=path)
    known = _KNOBS[type(policy)]
    changes = {}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(
                "there is no such knob", where=f"{path}.{name}", hint=f"known: {', '.join(sorted(known))}"
            )
        changes[name] = _knob(known[name], value, f"{path}.{name}")
    return evolve(policy, **changes)


def _knob(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is UnionType:
        if value is None and type(None) in get_args(kind):
            return None
        kind = next(option for option in get_args(kind) if option is not type(None))
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = [str(member.value) for member in kind]
        if value not in choices:
            raise SettingsError(f"expected one of {', '.join(choices)}, not {value!r}", where=where)
        return kind(value)
    if kind is bool or kind is int:
        if type(value) is not kind or (kind is int and value < 0):
            raise SettingsError(f"expected {'true or false' if kind is bool else 'a whole number from 0'}", where=where)
        return value
    return _collection(kind, value, where)


def _collection(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is frozenset:
        if not isinstance(value, list | tuple | frozenset) or not all(isinstance(item, str) for item in value):
            raise SettingsError("expected a list of names", where=where)
        return frozenset(value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise SettingsError("expected a list of tables with code, currency and ratio", where=where)
        return tuple(_alias(item, f"{where}[{index}]") for index, item in enumerate(value))
    if not isinstance(value, Mapping):
        raise SettingsError("expected a table", where=where)
    return {str(key): _knob(arguments[1], item, f"{where}.{key}") for key, item in value.items()}


def _alias(item: Any, where: str) -> WireCurrency:
    if isinstance(item, WireCurrency):
        return item
    if not isinstance(item, Mapping) or not {"code", "currency"} <= set(item) <= {
        "code",
        "currency",
        "ratio",
    }:
        raise SettingsError("expected code, currency and, if it is not 1, ratio", where=where)
    try:
        ratio = Decimal(str(item.get("ratio", "1")))
    except InvalidOperation:
        raise SettingsError("expected a decimal number", where=f"{where}.ratio") from None
    if not ratio.is_finite() or ratio <= 0:
        raise SettingsError("expected a number above zero", where=f"{where}.ratio")
    return WireCurrency(str(item["code"]), str(item["currency"]), ratio)
