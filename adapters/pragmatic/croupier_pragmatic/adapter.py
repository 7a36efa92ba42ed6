"""The Pragmatic Play adapter: "Seamless Wallet" in, CasinoGameAPI and its sisters out.

Built from public material (`reference/protocols/pragmatic.md`); not endorsed or certified by Pragmatic Play.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from attrs import evolve

from croupier.contract.adapter import AdapterSpec, AliasRule, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError, MalformedRequestError
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Result
from croupier.contract.secrets import Credentials, SecretField
from croupier_pragmatic import codes, mapping, wire
from croupier_pragmatic import render as answers
from croupier_pragmatic.outbound import ProviderApi
from croupier_pragmatic.settings import SECRET, FrbCreditOn, PragmaticSettings, check

_UNSAFE_FIELDS: Final = frozenset({"token", "previousToken", "ipAddress", "jackpotDetails", "chosenBalance"})


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
        return tuple(Route("POST", f"/{name}{ending}", name) for name in codes.OPERATIONS for ending in (".html", ""))

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        fields = wire.read_form(request.body)
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
        try:
            fields = wire.read_form(request.body)
        except MalformedRequestError:
            fields = {}
        kept = {name: value for name, value in fields.items() if name in wire.FIELDS - _UNSAFE_FIELDS}
        return HttpRequest(request.method, request.path, body=urlencode(kept).encode("ascii"))


SPEC: Final = AdapterSpec(
    slug="pragmatic",
    name="Pragmatic Play",
    proof=Proof.FIELD_MAC,
    capabilities=frozenset(
        {
            Capability.AUTHENTICATE,
            Capability.BALANCE,
            Capability.BET,
            Capability.WIN,
            Capability.ROLLBACK_BET,
            Capability.ADJUSTMENT,
            Capability.CLOSE_ROUND,
            Capability.PROMO_WIN,
            Capability.JACKPOT_WIN,
            Capability.BONUS_WIN,
            Capability.FREE_BET,
            Capability.LAUNCH,
            Capability.LAUNCH_DEMO,
            Capability.GAME_LIST,
            Capability.BET_SCALES,
            Capability.FREE_ROUNDS_ISSUE,
            Capability.FREE_ROUNDS_CANCEL,
            Capability.FREE_ROUNDS_LIST,
            Capability.ROUND_REPLAY,
            Capability.TRANSACTION_LOG,
            Capability.ROUND_LOG,
            Capability.END_SESSION,
            Capability.CANCEL_ROUND,
        }
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
