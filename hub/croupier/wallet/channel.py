"""The one way to an operator's wallet: a call goes out with a deadline, a reply of known shape comes back.

Whatever goes wrong between becomes `WalletUnknown`, with the one fact that matters: whether anything may have arrived.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from attrs import evolve, frozen

from croupier.contract import (
    CroupierError,
    Direction,
    FixConfigurationError,
    Headers,
    HttpRequest,
    HttpResponse,
    OverloadedError,
    TransportError,
    TransportProblem,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletBatch,
    WalletCall,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletRefused,
    WalletReply,
    WalletStatus,
    WalletStatusReply,
    WalletUnknown,
    write_json,
)
from croupier.ledger.port import Ledger, Look
from croupier.ledger.records import ExchangeRow, MovementRow, MovementState
from croupier.wallet.breaker import Breaker
from croupier.wallet.parties import Operator
from croupier.wallet.ports import Clock, Ids, Send
from croupier.wallet.retry_budget import RetryBudget
from croupier.wallet.rows import is_bet
from croupier.wallet.watch import Places

_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_DEBIT: Final = Direction.DEBIT.value
_OUTCOMES: Final[Mapping[type[WalletReply], str]] = {
    WalletApplied: "applied",
    WalletRefused: "refused",
    WalletUnknown: "unknown",
    WalletStatusReply: "applied",
}
_SILENT: Final = WalletUnknown(detail="the wallet does not answer", sent=False)


class WalletMetrics(Protocol):
    """Counts of calls to wallets."""

    def wallet_call(self, *, operator: str, operation: str, outcome: str, seconds: float) -> None:
        """One call ended; `outcome` is `applied`, `refused` or `unknown`."""


class Channel:
    """Calls operators' wallets, notes every exchange and counts it."""

    def __init__(
        self, ledger: Ledger, send: Send, clock: Clock, ids: Ids, metrics: WalletMetrics | None = None
    ) -> None:
        """Everything the channel needs is handed in.

        Args:
            ledger: Where exchanges are noted.
            send: Sends one request once.
            clock: For deadlines and time stamps.
            ids: For the exchanges' ids.
            metrics: Counts, if anybody wants them.
        """
        self._metrics = metrics
        self._ways: dict[str, _Way] = {}
        self._ledger = ledger
        self._send = send
        self._clock = clock
        self._ids = ids

    async def call(
        self, operator: Operator, call: WalletCall, *, deadline: float, trace: str, amount_is_open: bool = False
    ) -> WalletReply:
        """Ask the wallet once.

        Args:
            operator: Whose wallet.
            call: What is asked.
            deadline: `Clock.monotonic` value by which the answer must be here; the wallet's own time-out may be less.
            trace: The trace that the exchange belongs to.
            amount_is_open: Whether an amount of zero says nothing: what is undone may have moved any amount.
        """
        started, began = self._clock.now_ms(), self._clock.monotonic()
        seconds = min(deadline - began, operator.policy.timeout_ms / 1000)
        status: int | None = None
        wanted = call if amount_is_open else _wanted(call, operator)
        if wanted is None:
            return WalletApplied()
        if seconds <= 0:
            reply: WalletReply = WalletUnknown(detail="no time was left", sent=False)
        else:
            reply, status = await self._in_line(operator, wanted, seconds, trace)
        elapsed = self._clock.monotonic() - began
        asked, verdict = _described(call), _verdict(reply)
        if self._metrics is not None:
            self._metrics.wallet_call(
                operator=operator.id, operation=asked["operation"], outcome=_OUTCOMES[type(reply)], seconds=elapsed
            )
        self._ledger.note(
            ExchangeRow(
                operator=operator.id,
                exchange=self._ids.new_id(),
                side="operator_out",
                operation=asked["operation"],
                trace=trace,
                movement=asked.get("transaction"),
                request=write_json(asked).decode(),
                status=status,
                verdict=verdict,
                decision={"timeout_ms": operator.policy.timeout_ms, "retry_safe": operator.policy.retry_safe},
                started_at=started,
                duration_us=int(elapsed * 1_000_000),
            )
        )
        return reply

    async def _with_bet(self, operator: Operator, call: WalletCall) -> WalletCall:
        """The call, in which a win names a bet: of its round's that stand the first that was settled.

        So every attempt names the same one: an older bet that comes to stand between two of them is settled later.
        """
        if not isinstance(call, WalletMove) or not _names_no_bet(call.movement):
            return call
        look = Look(operator=operator.id, round=call.context.round, round_movements=True)
        rows = (await self._ledger.look(look)).round_movements
        known = operator.policy.zero_amounts
        standing = (row for row in rows if _stands(row) and (row.amount or known))
        found = min(standing, key=_settled_at, default=None)
        return call if found is None else evolve(call, movement=evolve(call.movement, target=found.movement))

    async def _in_line(
        self, operator: Operator, call: WalletCall, seconds: float, trace: str
    ) -> tuple[WalletReply, int | None]:
        """Call when the wallet has a place: a stalled one holds no more of the hub than its own places."""
        way = self._way_to(operator)
        breaker, places = way.breaker, way.places
        if breaker.refuses(call):
            return _SILENT, None
        is_probe = breaker.open_until is not None
        try:
            at_once = places.take_at_once()
            if not at_once:
                began = self._clock.monotonic()
                if not await places.take(seconds):
                    return WalletUnknown(detail="too many calls are under way", sent=False), None
                seconds -= self._clock.monotonic() - began
            try:
                if not at_once and not is_probe and breaker.refuses(call):
                    return _SILENT, None  # it was found out while the call was in line
                reply, status = await self._exchange(operator, call, seconds, trace)
            finally:
                places.leave()
            breaker.heard(reply, operator.policy)
            if not isinstance(reply, WalletUnknown):
                way.retries.answered()
            return reply, status
        finally:
            breaker.ended(call)

    def refuses_bets(self, operator: Operator) -> bool:
        """Whether a bet would fail now without being sent, because the wallet has not answered for a while."""
        way = self._ways.get(operator.id)
        return way is not None and way.breaker.refuses_bets()

    def retries(self, operator: Operator) -> RetryBudget:
        """What is left of the wallet's budget of retries."""
        return self._way_to(operator).retries

    def _way_to(self, operator: Operator) -> _Way:
        found = self._ways.get(operator.id)
        if found is None:
            places = Places(operator.policy.connections)
            found = self._ways[operator.id] = _Way(Breaker(self._clock), places, RetryBudget(self._clock))
        found.places.limit = operator.policy.connections
        return found

    async def _exchange(
        self, operator: Operator, call: WalletCall, seconds: float, trace: str
    ) -> tuple[WalletReply, int | None]:
        try:
            if operator.dialect.spec.wins_name_a_bet:
                call = await self._with_bet(operator, call)
            request = self._traced(operator.dialect.request(call, operator.credentials, self._clock.now()), trace)
        except Exception as error:  # noqa: BLE001 - whatever a dialect fails with, nothing was sent
            return WalletUnknown(detail=f"the request could not be made: {_code(error)}", sent=False), None
        try:
            response: HttpResponse = await self._send(request, seconds)
        except TransportError as error:
            return WalletUnknown(detail=error.message, sent=error.problem is not TransportProblem.NOT_SENT), None
        except (FixConfigurationError, OverloadedError) as error:
            return WalletUnknown(detail=f"the wallet may not be called: {error.code}", sent=False), None
        except Exception as error:  # noqa: BLE001 - no fault of a client is evidence that nothing arrived
            return WalletUnknown(detail=f"the call failed: {_code(error)}"), None
        try:
            return operator.dialect.reply(call, response), response.status
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read is no answer
            return WalletUnknown(detail=f"the answer could not be read: {_code(error)}"), response.status

    def _traced(self, request: HttpRequest, trace: str) -> HttpRequest:
        """The request with the trace it belongs to, in the W3C form."""
        trace_id = trace.replace("-", "")
        if not _TRACE_ID.fullmatch(trace_id):
            return request
        parent = f"00-{trace_id}-{self._ids.nonce()[:16]}-01"
        headers = Headers((*request.headers.items, ("traceparent", parent)))
        return HttpRequest(request.method, request.url, headers, request.body, request.effect)


@frozen
class _Way:
    """What stands between the hub and one operator's wallet."""

    breaker: Breaker
    places: Places
    retries: RetryBudget


def _wanted(call: WalletCall, operator: Operator) -> WalletCall | None:
    """The call without movements of zero, where the wallet does not want them; `None` if nothing is left."""
    if operator.policy.zero_amounts:
        return call
    match call:
        case WalletMove(movement=movement):
            return call if _moves(movement) else None
        case WalletBatch(movements=movements):
            moving = tuple(movement for movement in movements if _moves(movement))
            return evolve(call, movements=moving) if moving else None
        case _:
            return call


def _moves(movement: WalletMovement) -> bool:
    return movement.amount.minor != 0 or movement.operator_decides


def _names_no_bet(movement: WalletMovement) -> bool:
    return movement.operation is WalletOperation.WIN and movement.target is None


def _stands(row: MovementRow) -> bool:
    return row.state is MovementState.APPLIED and row.direction == _DEBIT and is_bet(row)


def _settled_at(row: MovementRow) -> int:
    return row.created_at if row.settled_at is None else row.settled_at


def _code(error: Exception) -> str:
    """What kind of fault it is; the text of an exception may hold what a record must not."""
    return error.code if isinstance(error, CroupierError) else type(error).__name__


def _described(call: WalletCall) -> dict[str, Any]:
    """What was asked, without the player and without secrets."""
    match call:
        case WalletAuthenticate():
            return {"operation": "authenticate"}
        case WalletBalance():
            return {"operation": "balance"}
        case WalletStatus(transaction=transaction):
            return {"operation": "status", "transaction": transaction}
        case WalletMove(movement=movement):
            return {
                "operation": movement.operation.value,
                "transaction": movement.target if movement.undoes else movement.transaction,
                "amount": movement.amount.minor,
                "currency": movement.amount.currency.code,
                "kind": movement.kind,
            }
        case WalletBatch(movements=movements, batch=batch):
            return {
                "operation": "batch",
                "batch": batch,
                "transaction": movements[0].transaction,
                "movements": [[item.operation.value, item.transaction, item.amount.minor] for item in movements],
            }


def _verdict(reply: WalletReply) -> str:
    match reply:
        case WalletApplied(nothing_moved=nothing):
            return "nothing" if nothing else "applied"
        case WalletRefused(reason=reason):
            return f"refused:{reason.value}"
        case WalletUnknown(detail=detail):
            return f"unknown:{detail[:120]}"
        case WalletStatusReply(state=state):
            return f"status:{state.value}"
