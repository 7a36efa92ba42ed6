"""Between rows of the ledger and calls to the wallet: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from croupier.contract import (
    AppliedEffect,
    Balance,
    DeclineReason,
    Direction,
    Funding,
    Money,
    MovementKind,
    PlayContext,
    RollbackShortfall,
    WalletApplied,
    WalletMovement,
    WalletOperation,
    WalletRefused,
)
from croupier.ledger.records import MovementRow
from croupier.wallet.identity import rollback_id
from croupier.wallet.parties import Connection
from croupier.wallet.rows import NOT_SENT

DECIDED: Final = "decided"
"""The fingerprint's amount of a movement whose amount the operator decides."""

_OPERATIONS: Final[Mapping[str, WalletOperation]] = {
    Direction.DEBIT.value: WalletOperation.BET,
    Direction.CREDIT.value: WalletOperation.WIN,
}
_FUNDING: Final = {funding.value: funding for funding in Funding}


def wallet_movement(row: MovementRow, connection: Connection) -> WalletMovement:
    """A bet or win as the wallet is asked for it."""
    currency = connection.currencies.get(row.currency)
    return WalletMovement(
        operation=_OPERATIONS[row.direction],
        transaction=row.movement,
        amount=Money(row.amount, currency),
        kind=row.kind,
        target=row.target,
        stake=row.stake,
        funding=_FUNDING[row.funding],
        funds_required=row.funds_required,
        operator_decides=is_decided(row),
    )


def is_decided(row: MovementRow) -> bool:
    """Whether the operator decides a movement's amount: until the wallet has told it, the row has the least of it."""
    return row.fingerprint.get("amount") == DECIDED


def wallet_rollback(target: MovementRow, connection: Connection) -> WalletMovement:
    """The rollback of a movement: one id for each generation, whoever asks for it."""
    return WalletMovement(
        operation=WalletOperation.ROLLBACK,
        transaction=rollback_id(target.operator, target.movement, target.generation),
        amount=Money(target.amount, connection.currencies.get(target.currency)),
        kind=MovementKind.ROLLBACK.value,
        target=target.movement,
        undoes=_OPERATIONS[target.direction],
    )


def context_of(row: MovementRow, connection: Connection, provider_round: str, *, round_closed: bool) -> PlayContext:
    """Where a movement belongs."""
    return PlayContext(
        provider=connection.provider,
        connection=connection.name,
        game=row.game or row.route or "",
        round=row.round or row.movement,
        provider_round=provider_round,
        round_closed=round_closed,
        grant=row.grant,
    )


def applied_columns(row: MovementRow, reply: WalletApplied) -> dict[str, Any]:
    """What an applied reply sets in a movement's row."""
    columns: dict[str, Any] = {
        "effect": AppliedEffect.MOVED.value,
        "operator_transaction": reply.operator_transactions.get(row.movement),
        **balance_columns(reply.balance),
    }
    if row.movement in reply.amounts:
        columns["amount"] = reply.amounts[row.movement]
    return columns


def balance_columns(balance: Balance | None) -> dict[str, Any]:
    """The balance after a movement."""
    if balance is None:
        return {}
    return {"balance": balance.cash.minor, "bonus": balance.bonus.minor if balance.bonus else None}


def refused_columns(reply: WalletRefused) -> dict[str, Any]:
    """What a refusal sets in a movement's row."""
    return {"reason": reply.reason.value, "message": reply.message}


def is_waived(target: MovementRow, reply: WalletRefused, connection: Connection) -> bool:
    """Whether a win that the player no longer has is left with the player: the rollback is recorded, no more."""
    short = reply.reason is DeclineReason.INSUFFICIENT_FUNDS and target.direction == Direction.CREDIT.value
    return short and connection.operator.policy.rollback_shortfall is RollbackShortfall.RECORD


def not_sent_columns() -> dict[str, Any]:
    """What is set in the row of a bet that provably never left."""
    return {"reason": NOT_SENT}


def cancelled_columns() -> dict[str, Any]:
    """What is set in the row of a movement whose play failed before it was sent."""
    return {"reason": DeclineReason.CANCELLED.value}


def stored_balance(row: MovementRow, connection: Connection) -> Balance | None:
    """The balance that was stored with a movement."""
    if row.balance is None:
        return None
    currency = connection.currencies.get(row.currency)
    return Balance(Money(row.balance, currency), Money(row.bonus, currency) if row.bonus is not None else None)
