"""The Play'n GO adapter: the XML wallet in, launches and `CasinoGameTPService` out.

Built from public material (`reference/protocols/playngo.md`); not endorsed or certified by Play'n GO.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from croupier.contract.adapter import Adapter, AdapterSpec, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError
from croupier.contract.flows import Flow, FreeRoundsIssued, FreeRoundsQuery, GameListing, Launched, LaunchQuery
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Result
from croupier.contract.secrets import Credentials, SecretField
from croupier_playngo import mapping, outbound, wire
from croupier_playngo.codes import POLICIES, error_code
from croupier_playngo.settings import ACCESS_TOKEN, API_PASSWORD, PlayngoSettings, check


class PlayngoAdapter(Adapter):
    """The protocol with one connection's settings.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: A setting cannot work.
    """

    def __init__(self, settings: PlayngoSettings) -> None:
        self.settings = check(settings)
        self.spec = SPEC
        self.policies = POLICIES

    def routes(self) -> Sequence[Route]:
        return mapping.ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        return wire.prove(request, credentials, mapping.method_of(request.path))

    def parse(self, verified: Verified) -> Calls:
        return mapping.parse(verified, self.settings)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return mapping.render(calls, results, self.settings)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return wire.answer(mapping.method_of(request.path) or "error", error_code(error))

    def redact(self, request: HttpRequest) -> HttpRequest:
        return wire.redacted(request)

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        yield from ()  # nothing is asked: the address is all
        return Launched(url=outbound.launch(query, self.settings))

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        return outbound.game_list(self.settings, credentials)

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        return outbound.issue_free_rounds(query, self.settings, credentials)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        return outbound.cancel_free_rounds(grant, self.settings, credentials)

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        return outbound.list_free_rounds(player, self.settings, credentials)


CAPABILITIES: Final = Capability.of(
    """
    authenticate balance bet win rollback_bet close_round free_bet launch launch_demo game_list free_rounds_issue
    free_rounds_cancel free_rounds_list
    """
)

SPEC: Final = AdapterSpec(
    slug="playngo",
    name="Play'n GO",
    proof=Proof.BEARER,
    capabilities=CAPABILITIES,
    secrets=(
        SecretField(ACCESS_TOKEN, "The `accessToken` that every request of the provider carries."),
        SecretField(API_PASSWORD, "The password of `api_user` for lists of games and for free games."),
    ),
    settings=PlayngoSettings,
    create=PlayngoAdapter,
    documentation="reference/protocols/playngo.md: built from public material; not endorsed or certified by Play'n GO",
    omissions={
        "Game Feed": "a push of game events whose messages are not public; there is no log to ask for",
        "GetUnfinishedGames": "rounds that the player left; the hub has no question that this answers",
        "GetEnabledGames": "GetGamesConfigurations tells the same with the names that launch a game",
        "GetAchievements and what belongs to it": "no part of the wallet",
    },
)
"""What the package registers."""
