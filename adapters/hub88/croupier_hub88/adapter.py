"""Hub88 as a provider: its entrances, its answers, and how it behaves.

Source: `reference/protocols/hub88.md`, sections "Wallet callbacks", "Statuses", "Idempotency" and "Retry policy".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import evolve

from croupier.contract.adapter import Adapter, AdapterSpec, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError, MalformedRequestError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.flows import (
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    Launched,
    LaunchQuery,
    LogPage,
    LogQuery,
    ReplayQuery,
)
from croupier.contract.http import JSON_HEADERS, Effect, HttpRequest, HttpResponse
from croupier.contract.money import Balance
from croupier.contract.outcomes import Applied, AuthenticateResult, Declined, Result, balance_of, outcome_of
from croupier.contract.policy import (
    LateOriginal,
    OnSilence,
    Policies,
    Policy,
    RollbackAfterWin,
    UnknownRollback,
    WinWithoutBet,
)
from croupier.contract.redaction import safe_json
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json_object, write_json
from croupier_hub88 import free_rounds, outbound
from croupier_hub88.codes import BET, DECLINES, RETRY_OF_BETS, Status, status_of_error
from croupier_hub88.mapping import READERS, REQUEST
from croupier_hub88.settings import PRIVATE_KEY, PUBLIC_KEY, SECRETS, Hub88Settings
from croupier_hub88.wire import UNIT, Keys, prove, signed

CAPABILITIES: Final = Capability.of(
    """
    player_lookup balance bet win promo_win rollback_bet rollback_win free_bet launch launch_demo game_list
    free_rounds_issue free_rounds_cancel free_rounds_list round_replay transaction_log
    """
)

_POLICY: Final = Policy(
    on_silence=OnSilence.RESENDS,
    unknown_rollback=UnknownRollback.ACCEPT,
    late_original=LateOriginal.DECLINE,
    rollback_after_win=RollbackAfterWin.ALLOW,
    rollback_of_win=True,
    win_without_bet=WinWithoutBet.DECLINE,
    session_for_balance=True,
)

POLICIES: Final = Policies(_POLICY, {BET: evolve(_POLICY, on_silence=OnSilence.CANCELS, retry_class=RETRY_OF_BETS)})
"""How Hub88 behaves; all else is as the hub's defaults say. Each knob's source is in the README."""

NO_LOGICAL_ANSWER: Final = 502
"""Hub88 stops asking at any `status`: what is not known yet is answered like a network that failed."""

_ROUTES: Final = tuple([Route("POST", path, operation) for path, (operation, _) in READERS.items()])
_MAX_REQUEST: Final = 64


class Hub88Adapter(Adapter):
    """The protocol with one connection's settings.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: A setting cannot work.
    """

    def __init__(self, settings: Hub88Settings) -> None:
        settings.check()
        self.spec = SPEC
        self.policies = POLICIES
        self.settings = settings
        self._keys = Keys()
        self._api = settings.api_url.rstrip("/")
        self._brand = {"sub_partner_id": settings.sub_partner_id}
        self._paths = READERS.keys() | {urlsplit(self._api).path + path for path in outbound.PATHS | free_rounds.PATHS}

    def routes(self) -> Sequence[Route]:
        return _ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        prove(self._keys, credentials.every(PUBLIC_KEY), request)
        return Verified(request)

    def parse(self, verified: Verified) -> Calls:
        request = verified.request
        known = READERS.get(request.path.rstrip("/"))
        if known is None or request.method != "POST":
            raise UnsupportedOperationError("the protocol has no such operation", where="path")
        return known[1](Fields(read_json_object(request.body)), self.settings)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        outcome, balance = outcome_of(results), balance_of(results)
        if isinstance(outcome, Declined):
            return _answer(DECLINES[calls.items[0].operation][outcome.reason], calls.echo, balance)
        if not isinstance(outcome, Applied) or balance is None:
            return _unknown(calls.echo)  # a balance is never invented
        result = results[0]
        if not isinstance(result, AuthenticateResult):
            return _answer(Status.OK, calls.echo, balance)
        if result.player is None:
            return _unknown(calls.echo)
        facts = {"country": result.player.country, "jurisdiction": result.player.jurisdiction, **self._brand}
        return _answer(Status.OK, calls.echo, balance, {name: told for name, told in facts.items() if told is not None})

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        status, echo = status_of_error(error), _echo(request)
        return _unknown(echo) if status is None else _answer(status, echo, None)

    def redact(self, request: HttpRequest) -> HttpRequest:
        path = request.path.rstrip("/")
        body = safe_json(request.body, _SAFE_FIELDS)
        return HttpRequest(request.method, path if path in self._paths else "/", JSON_HEADERS, body, request.effect)

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        return outbound.launch(self.settings, query, self._asks(credentials))

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        return outbound.game_list(self._asks(credentials))

    def replay(self, query: ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        return outbound.replay(query, self._asks(credentials))

    def transaction_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        return outbound.transaction_log(self.settings, query, self._asks(credentials))

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        return free_rounds.issue(self.settings, query, self._asks(credentials))

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        return free_rounds.cancel(grant, self._asks(credentials))

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        return free_rounds.of_player(player, self._asks(credentials))

    def _asks(self, credentials: Credentials) -> outbound.Ask:
        return partial(self._ask, credentials)

    def _ask(self, credentials: Credentials, path: str, body: Mapping[str, Any], effect: Effect) -> HttpRequest:
        key = self._keys.private(credentials.current(PRIVATE_KEY), f"secrets.{PRIVATE_KEY}")
        told = {name: value for name, value in body.items() if value is not None}
        return signed(key, self._api + path, {"operator_id": self.settings.operator_id, **told}, effect)


def _answer(
    status: Status, echo: Mapping[str, str], balance: Balance | None, more: Mapping[str, str] | None = None
) -> HttpResponse:
    told: dict[str, Any] = {**echo, "status": status.value}
    if balance is not None:
        told["currency"] = balance.code
        told["balance"] = balance.whole(UNIT)
    if more:
        told |= more
    return HttpResponse(200, JSON_HEADERS, write_json(told))


def _unknown(echo: Mapping[str, str]) -> HttpResponse:
    told = {**echo, "status": Status.UNKNOWN.value}
    return HttpResponse(NO_LOGICAL_ANSWER, JSON_HEADERS, write_json(told))


def _echo(request: HttpRequest) -> dict[str, str]:
    """The id of a request that was not understood, as far as it can be read."""
    try:
        told = read_json_object(request.body).get(REQUEST)
    except MalformedRequestError:
        return {}
    return {REQUEST: told} if isinstance(told, str) and len(told) <= _MAX_REQUEST else {}


_SAFE_FIELDS: Final = frozenset(
    """
    amount bet_count bet_value currency end_time game_code is_aggregated is_free is_supplier_promo lang operator_id
    platform prepaid_uuid reference_transaction_uuid request_uuid reward_uuid round round_closed start_time
    supplier_transaction_id transaction_uuid
    """.split()
)

SPEC: Final = AdapterSpec(
    slug="hub88",
    name="Hub88",
    proof=Proof.SIGNATURE,
    capabilities=CAPABILITIES,
    secrets=SECRETS,
    settings=Hub88Settings,
    create=Hub88Adapter,
    documentation="reference/protocols/hub88.md: built from public material; "
    "not endorsed or certified by that provider",
    omissions={
        "transfer_wallet": "another integration, in which the provider keeps the money",
        "campaigns": "the hub gives free rounds to one player at a time",
    },
)
"""What the package registers."""
