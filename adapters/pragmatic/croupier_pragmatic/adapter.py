"""The Pragmatic Play adapter: "Seamless Wallet" in, CasinoGameAPI and its sisters out.

Built from public material (`reference/protocols/pragmatic.md`); not endorsed or certified by Pragmatic Play.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from croupier.contract.adapter import AdapterSpec, AliasRule, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError
from croupier.contract.forms import read_form
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Result
from croupier.contract.redaction import safe_form
from croupier.contract.secrets import Credentials, SecretField
from croupier_pragmatic import codes, mapping, wire
from croupier_pragmatic import render as answers
from croupier_pragmatic.outbound import ProviderApi
from croupier_pragmatic.settings import SECRET, FrbCreditOn, PragmaticSettings, check

_SAFE_FIELDS: Final = wire.FIELDS - {"token", "previousToken", "ipAddress", "jackpotDetails", "chosenBalance"}
_ROUTES: Final = tuple(
    [Route("POST", f"/{name}{ending}", name) for name in codes.OPERATIONS for ending in (".html", "")]
)


class PragmaticAdapter(ProviderApi):
    """The protocol with one connection's settings.

    Attributes:
        settings: The connection's settings.
    """

    def __init__(self, settings: PragmaticSettings) -> None:
        """Make the adapter.

        Raises:
            SettingsError: The settings do not fit together.
        """
        self.settings = check(settings)
        self.policies = codes.policies(settings)
        pays_total = settings.frb_credit_on is FrbCreditOn.BONUS_WIN
        unused = frozenset() if pays_total else frozenset({Capability.BONUS_WIN})
        self.spec = evolve(SPEC, capabilities=SPEC.capabilities - unused)

    def routes(self) -> Sequence[Route]:
        return _ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        fields = read_form(request.body)
        wire.refuse_ambiguous(fields)
        wire.prove(fields, credentials)
        return Verified(request, fields)

    def parse(self, verified: Verified) -> Calls:
        return mapping.parse(verified.request.path, verified.fields, self.settings)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return answers.render(calls, results, self.settings)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return answers.answer(codes.error_code(mapping.operation_of(request.path), error))

    def redact(self, request: HttpRequest) -> HttpRequest:
        """The method, the path, and the fields that hold neither a secret nor anything personal."""
        return HttpRequest(request.method, request.path, body=safe_form(request.body, _SAFE_FIELDS))


SPEC: Final = AdapterSpec(
    slug="pragmatic",
    name="Pragmatic Play",
    proof=Proof.FIELD_MAC,
    capabilities=Capability.of(
        """
        authenticate balance bet win rollback_bet adjustment close_round promo_win jackpot_win bonus_win free_bet
        launch launch_demo game_list bet_scales free_rounds_issue free_rounds_cancel free_rounds_list round_replay
        transaction_log round_log end_session cancel_round
        """
    ),
    secrets=(SecretField(SECRET, "The secret key that the provider gives with the account: it makes every hash."),),
    settings=PragmaticSettings,
    create=PragmaticAdapter,
    aliases=AliasRule(),
    documentation=(
        "Built from public material, collected in reference/protocols/pragmatic.md: "
        "not endorsed or certified by Pragmatic Play."
    ),
    omissions={
        "GetBalancePerGame": "no public source shows its fields",
        "balance transfer": "another integration, in which the provider keeps the money",
        "v2/players/add": "the hub gives free rounds to one player at a time",
    },
)
