"""Acme Games as a provider: the parts put together, and how Acme behaves (section 6) as policies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from croupier.contract import (
    Adapter,
    AdapterSpec,
    Calls,
    Capability,
    Credentials,
    CroupierError,
    Flow,
    GameListing,
    HttpRequest,
    HttpResponse,
    LateOriginal,
    Launched,
    LaunchQuery,
    OnSilence,
    Policies,
    Policy,
    Proof,
    Result,
    Route,
    SecretField,
    UnknownRollback,
    Verified,
)
from croupier_acme import answers, outbound, reading, wire
from croupier_acme.settings import SECRET, AcmeSettings

CAPABILITIES: Final = Capability.of("authenticate balance bet win rollback_bet launch launch_demo game_list")

_POLICY: Final = Policy(
    provider_timeout_ms=4000,
    on_silence=OnSilence.RESENDS,
    unknown_rollback=UnknownRollback.ACCEPT,
    late_original=LateOriginal.DECLINE,
)

POLICIES: Final = Policies(_POLICY, {"debit": evolve(_POLICY, on_silence=OnSilence.CANCELS)})
"""How Acme behaves; what its document does not say is left at the hub's careful defaults."""


class AcmeAdapter(Adapter):
    """The protocol with one connection's settings.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: A setting cannot work.
    """

    def __init__(self, settings: AcmeSettings) -> None:
        settings.check()
        self.spec = SPEC
        self.policies = POLICIES
        self.settings = settings

    def routes(self) -> Sequence[Route]:
        return reading.ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        return wire.prove(request, credentials, now)

    def parse(self, verified: Verified) -> Calls:
        return reading.read(verified.request)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return answers.answer(results)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return answers.answer_error(error)

    def redact(self, request: HttpRequest) -> HttpRequest:
        return wire.redact(request)

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        return outbound.launch(self.settings, query, credentials, now)

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        return outbound.game_list(self.settings, credentials, now)


SPEC: Final = AdapterSpec(
    slug="acme",
    name="Acme Games",
    proof=Proof.SIGNATURE,
    capabilities=CAPABILITIES,
    secrets=(SecretField(SECRET, "The key both sides sign with; Acme's integration desk gives it."),),
    settings=AcmeSettings,
    create=AcmeAdapter,
    documentation="Acme Games Wallet API 2.0, as the tutorial has it; Acme is invented. "
    "built from public material; not endorsed or certified by that provider",
)
"""What the package registers."""
