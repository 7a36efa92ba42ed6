"""SOFTSWISS as a provider: what its requests mean, and how they are answered.

Source: `reference/protocols/softswiss.md`, sections "Wallet callbacks", "Idempotency & rollback" and "Rounds".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from croupier.contract.adapter import Adapter, AdapterSpec, Proof, Route, Verified
from croupier.contract.calls import (
    BalanceQuery,
    Calls,
    CloseRound,
    Movement,
    MovementKey,
    MovementKind,
    Notice,
    Play,
    RoundFacts,
    Target,
)
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError, MalformedRequestError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.flows import Flow, FreeRoundsIssued, FreeRoundsQuery, GameListing, Launched, LaunchQuery
from croupier.contract.http import Headers, HttpRequest, HttpResponse
from croupier.contract.money import Balance
from croupier.contract.outcomes import Applied, Declined, NoticeResult, Outcome, PlayResult, Result, Unknown
from croupier.contract.policy import (
    FreeRoundsCredit,
    LateOriginal,
    OnSilence,
    Policies,
    Policy,
    RollbackAfterWin,
    RolledBackRepeat,
    RoundEnd,
    UnknownRollback,
    WinWithoutBet,
)
from croupier.contract.redaction import safe_json
from croupier.contract.secrets import Credentials, SecretField
from croupier.contract.strict_json import read_json_object, write_json
from croupier.contract.times import iso_utc
from croupier_softswiss import outbound
from croupier_softswiss.mapping import DECLINES, UNKNOWNS, ErrorCode, code_of_error
from croupier_softswiss.settings import SoftswissSettings
from croupier_softswiss.wire import AUTH_TOKEN, prove

PLAY: Final = "play"
"""A `/play` with at least one bet: without an answer the provider takes it back."""
WIN: Final = "win"
"""A `/play` with wins alone: sent again until it is answered."""
BALANCE: Final = "balance"
CLOSE_ROUND: Final = "close_round"
ROLLBACK: Final = "rollback"
FREESPINS: Final = "freespins"

ACTION_KEYS: Final = "action"
"""The namespace of `action_id`: unique over bets, wins and rollbacks."""
ISSUE_KEYS: Final = "issue"
"""The namespace of `issue_id`: one total is paid for each."""

_BET: Final = MovementKind.BET
_MOVES: Final[Mapping[str, MovementKind]] = {"bet": _BET, "win": MovementKind.WIN}
_NOTED: Final = HttpResponse.json(b"{}")

_POLICY: Final = Policy(
    on_silence=OnSilence.RESENDS,
    unknown_rollback=UnknownRollback.ACCEPT,
    late_original=LateOriginal.ACCEPT,
    rolled_back_repeat=RolledBackRepeat.STORED,
    rollback_after_win=RollbackAfterWin.ALLOW,
    rollback_of_win=True,
    rollback_of_declined=UnknownRollback.ACCEPT,
    win_without_bet=WinWithoutBet.ACCEPT,
    round_end=RoundEnd.FLAG,
    free_rounds_credit=FreeRoundsCredit.TOTAL,
)

POLICIES: Final = Policies(_POLICY, {PLAY: evolve(_POLICY, on_silence=OnSilence.CANCELS)})
"""How SOFTSWISS behaves; each knob's source is in the README."""

CAPABILITIES: Final = Capability.of(
    """
    balance bet win bet_and_win batch rollback_bet rollback_win close_round bonus_win launch launch_demo game_list
    free_rounds_issue free_rounds_cancel
    """
)


class SoftswissAdapter(Adapter):
    """The protocol with one connection's settings.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: A setting cannot work.
    """

    def __init__(self, settings: SoftswissSettings) -> None:
        settings.check()
        self.spec = SPEC
        self.policies = POLICIES
        self.settings = settings
        readers: dict[str, Callable[[Fields], Calls]] = {
            PLAY: self._play,
            ROLLBACK: self._rollback,
            FREESPINS: self._freespins,
        }
        self._routes = tuple([Route("POST", f"{settings.callback_prefix}/{name}", name) for name in readers])
        self._readers = {route.path: readers[route.operation] for route in self._routes}
        self._paths = self._readers.keys() | outbound.paths(settings)

    def routes(self) -> Sequence[Route]:
        return self._routes

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        prove(request, credentials)
        return Verified(request)

    def parse(self, verified: Verified) -> Calls:
        request = verified.request
        reader = self._readers.get(request.path.rstrip("/"))
        if reader is None or request.method != "POST":
            raise UnsupportedOperationError("expected POST of play, rollback or freespins", where="path")
        return reader(Fields(read_json_object(request.body)))

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        result = results[0]
        if isinstance(result, PlayResult):
            outcomes = [movement.outcome for movement in result.movements]
            return self._answer(calls, (result.outcome, *outcomes), result.balance, now)
        if isinstance(result, NoticeResult):
            applied = isinstance(result.outcome, Applied)
            return _NOTED if applied else self._answer(calls, (result.outcome,), None, now)
        return self._answer(calls, (result.outcome,), result.balance, now)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        code = code_of_error(error)
        return _refusal(code, f"{code.text}: {error}" if isinstance(error, MalformedRequestError) else None)

    def redact(self, request: HttpRequest) -> HttpRequest:
        path = request.path.rstrip("/")
        content_type = request.headers.get("Content-Type")
        headers = Headers((("Content-Type", content_type),)) if content_type else Headers()
        # A catalogue's address may be a secret of its own, so paths that are not the protocol's are not kept.
        url = path if path in self._paths else "/"
        return HttpRequest(request.method, url, headers, safe_json(request.body, _SAFE_FIELDS), request.effect)

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        return outbound.launch(self.settings, query, credentials)

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        return outbound.game_list(self.settings)

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        return outbound.issue_free_rounds(self.settings, query, credentials)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        return outbound.cancel_free_rounds(self.settings, grant, credentials)

    def _play(self, fields: Fields) -> Calls:
        actions = fields.optional_objects("actions")
        if not actions:
            return self._without_actions(fields)
        currency = fields.text("currency")
        movements = tuple([self._move(action, currency) for action in actions])
        staked = any(movement.kind is _BET for movement in movements)
        return self._movements(PLAY if staked else WIN, fields, movements)

    def _without_actions(self, fields: Fields) -> Calls:
        player, currency, game = fields.text("user_id"), fields.text("currency"), fields.text("game")
        round_id = fields.optional_text("game_id")
        if not fields.flag("finished"):
            return Calls((BalanceQuery(operation=BALANCE, player=player, game=game, currency=currency),))
        if round_id is None:
            raise MalformedRequestError("a round that ends must be named", where="game_id")
        call = CloseRound(operation=CLOSE_ROUND, round=round_id, player=player, game=game, currency=currency)
        return Calls((call,), {"game_id": round_id})

    def _move(self, action: Fields, currency: str) -> Movement:
        kind = _MOVES.get(action.text("action"))
        if kind is None:
            raise MalformedRequestError("expected bet or win", where=f"{action.path}.action")
        unit = self.settings.unit(currency)
        contribution = action.optional_amount("jackpot_contribution", unit, currency)
        jackpot = action.optional_amount("jackpot_win", unit, currency)
        facts = RoundFacts(jackpot_contribution=contribution, jackpot_win=jackpot) if contribution or jackpot else None
        return Movement(
            kind,
            keys=(MovementKey(ACTION_KEYS, action.text("action_id")),),
            amount=action.steps("amount", unit, currency),
            facts=facts,
        )

    def _rollback(self, fields: Fields) -> Calls:
        actions = fields.optional_objects("actions")
        if actions:
            return self._movements(ROLLBACK, fields, tuple(_undo(action) for action in actions))
        if not fields.flag("finished"):
            raise MalformedRequestError("expected at least one action, or the round's end", where="actions")
        return self._without_actions(fields)

    def _movements(self, operation: str, fields: Fields, movements: tuple[Movement, ...]) -> Calls:
        # session_id is the provider's own and tells nothing more: the player is found by user_id.
        fields.optional_text("session_id")
        if len({movement.reference for movement in movements}) != len(movements):
            raise MalformedRequestError("an action stands twice in one request", where="actions")
        round_id = fields.text("game_id")
        play = Play(
            operation=operation,
            movements=movements,
            player=fields.text("user_id"),
            round=round_id,
            game=fields.text("game"),
            currency=fields.text("currency"),
            closes_round=fields.flag("finished"),
        )
        return Calls((play,), {"game_id": round_id})

    def _freespins(self, fields: Fields) -> Calls:
        issue, status = fields.text("issue_id"), fields.text("status")
        # Free rounds are issued only where the subunit is the hub's own (see outbound), so no currency is needed.
        total = fields.steps("total_amount")
        if self.settings.is_ongoing(status):
            facts = {"status": status, "total_amount": str(total.value)}
            return Calls((Notice(operation=FREESPINS, subject="free_rounds", reference=issue, facts=facts),))
        if not self.settings.is_final(status):
            raise MalformedRequestError("no setting tells whether this status is final", where="status")
        paid = Movement(MovementKind.BONUS_WIN, keys=(MovementKey(ISSUE_KEYS, issue),), amount=total)
        return Calls((Play(operation=FREESPINS, movements=(paid,), grant=issue, closes_grant=True),))

    def _answer(
        self, calls: Calls, outcomes: Sequence[Outcome], balance: Balance | None, now: datetime
    ) -> HttpResponse:
        shown = None if balance is None else balance.whole(self.settings.unit(balance.code))
        for outcome in outcomes:
            if isinstance(outcome, Declined):
                return _refusal(DECLINES[outcome.reason], outcome.message, shown)
            if isinstance(outcome, Unknown):
                return _refusal(UNKNOWNS[outcome.cause], None, shown)
        if shown is None:
            return _refusal(ErrorCode.EXTERNAL)
        call = calls.items[0]
        body: dict[str, Any] = {"balance": shown, **calls.echo}
        if isinstance(call, Play) and call.round is not None:
            applied = [outcome for outcome in outcomes[1:] if isinstance(outcome, Applied)]
            body["transactions"] = [
                self._transaction(movement.reference, outcome, now)
                for movement, outcome in zip(call.movements, applied, strict=False)
            ]
        return HttpResponse.json(write_json(body))

    def _transaction(self, action: str, outcome: Applied, now: datetime) -> Mapping[str, str]:
        at = iso_utc(outcome.at or now, self.settings.processed_at_digits)
        return {"action_id": action, "tx_id": outcome.transaction, "processed_at": at}


def _undo(action: Fields) -> Movement:
    if action.text("action") != "rollback":
        raise MalformedRequestError("expected rollback", where=f"{action.path}.action")
    return Movement(
        MovementKind.ROLLBACK,
        keys=(MovementKey(ACTION_KEYS, action.text("action_id")),),
        target=Target(key=MovementKey(ACTION_KEYS, action.text("original_action_id"))),
    )


def _refusal(code: ErrorCode, message: str | None = None, balance: int | None = None) -> HttpResponse:
    body: dict[str, Any] = {"code": int(code), "message": message or code.text}
    if balance is not None:
        body["balance"] = balance
    return HttpResponse.json(write_json(body), code.status)


_SAFE_FIELDS: Final = frozenset(
    """
    action action_id actions amount bet_level casino_id client_type currency finished freespins_quantity game game_id
    games issue_id jackpot_contribution jackpot_win jurisdiction locale original_action_id status total_amount
    valid_until
    """.split()
)


SPEC: Final = AdapterSpec(
    slug="softswiss",
    name="SOFTSWISS",
    proof=Proof.SIGNATURE,
    capabilities=CAPABILITIES,
    secrets=(
        SecretField(AUTH_TOKEN, "The token both sides sign with (HMAC-SHA256 over the body); SOFTSWISS gives it."),
    ),
    settings=SoftswissSettings,
    create=SoftswissAdapter,
    documentation="reference/protocols/softswiss.md: built from public material; "
    "not endorsed or certified by that provider",
    omissions={
        "process": "a variant of one source merges play and rollback in one path with another header; not the original",
    },
)
"""What the package registers."""
