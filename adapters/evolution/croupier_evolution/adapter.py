"""The Evolution adapter: "One Wallet" in, User Authentication and the casino's read APIs out.

Built from public material (`reference/protocols/evolution.md`); not endorsed or certified by Evolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from croupier.contract import (
    Adapter,
    AdapterSpec,
    AuthenticationError,
    Calls,
    Capability,
    Credentials,
    CroupierError,
    Flow,
    GameListing,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    LogPage,
    LogQuery,
    Proof,
    ReplayQuery,
    Result,
    Route,
    SecretField,
    Verified,
    read_json_object,
)
from croupier_evolution import codes, mapping, outbound, wire
from croupier_evolution.settings import (
    AUTH_TOKEN,
    HISTORY_TOKEN,
    LOBBY_TOKEN,
    UA_TOKEN,
    EvolutionSettings,
    check,
)

CAPABILITIES: Final = Capability.of(
    """
    authenticate balance bet win rollback_bet promo_win jackpot_win
    launch launch_demo game_list round_replay round_log
    """
)


class EvolutionAdapter(Adapter):
    """The protocol with one connection's settings.

    Every flow raises `ProviderRefusedError` for a definite refusal, and `UpstreamError` for an answer that cannot be
    used.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: A setting cannot work.
    """

    def __init__(self, settings: EvolutionSettings) -> None:
        self.settings = check(settings)
        self.spec = SPEC
        self.policies = codes.policies(settings)

    def routes(self) -> Sequence[Route]:
        return wire.ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        wire.prove(request, credentials)
        return Verified(request)

    def parse(self, verified: Verified) -> Calls:
        request = verified.request
        return mapping.parse(request.path, read_json_object(request.body), self.settings)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return mapping.render(calls, results, self.settings)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        uuid = None if isinstance(error, AuthenticationError) else wire.uuid_of(request)
        return wire.refusal(codes.error_status(error), uuid)

    def redact(self, request: HttpRequest) -> HttpRequest:
        return wire.redact(request)

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        return outbound.launch(self.settings, query, credentials, nonce)

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        return outbound.game_list(self.settings, credentials)

    def replay(self, query: ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        return outbound.replay(self.settings, query, credentials)

    def round_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        return outbound.round_log(self.settings, query, credentials)


SPEC: Final = AdapterSpec(
    slug="evolution",
    name="Evolution",
    proof=Proof.BEARER,
    capabilities=CAPABILITIES,
    secrets=(
        SecretField(AUTH_TOKEN, "The token that the provider sends in the query of every wallet request."),
        SecretField(UA_TOKEN, "The API token of User Authentication, which stands in the path of a launch."),
        SecretField(LOBBY_TOKEN, "The API token of the lobby's state, for the game list.", required=False),
        SecretField(HISTORY_TOKEN, "The API token of the game history and of the pictures of rounds.", required=False),
    ),
    settings=EvolutionSettings,
    create=EvolutionAdapter,
    documentation="Built from public material, collected in reference/protocols/evolution.md: "
    "not endorsed or certified by Evolution.",
    omissions={
        "POST /sid": "for test environments alone: it lets the provider open sessions of any player",
        "POST /promo_debit": "one public source has it, and neither what it moves nor how it is referred to is known",
        "POST /promo_credit": "one public source has it, and neither what it moves nor how it names its debit is known",
        "POST /promo_cancel": "one public source has it, and neither what it moves nor how it names its debit is known",
        "vouchers for free rounds": "an API of its own, of which no public source shows the messages",
        "GET /api/gamehistory/v1/players/{playerId}/games/{gameId}": "one round of one player; the casino's history "
        "tells the same of all",
    },
)
