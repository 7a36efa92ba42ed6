"""The PG Soft adapter: its seamless wallet in, its external interfaces out.

Built from public material (`reference/protocols/pgsoft.md`); not endorsed or certified by PG Soft.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from croupier.contract.adapter import AdapterSpec, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError
from croupier.contract.forms import read_form
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Result
from croupier.contract.redaction import safe_form
from croupier.contract.secrets import Credentials, SecretField
from croupier_pgsoft import codes, mapping, wire
from croupier_pgsoft.outbound import Outbound
from croupier_pgsoft.settings import SALT, SECRET, PgsoftSettings, check

_ROUTES: Final = (
    Route("POST", wire.VERIFY_SESSION, codes.VERIFY),
    Route("POST", wire.GET, codes.BALANCE),
    Route("POST", wire.TRANSFER, codes.TRANSFER),
    Route("POST", wire.ADJUSTMENT, codes.ADJUSTMENT),
    Route("POST", wire.BET_DETAIL, codes.BET_DETAIL),
)
_SAFE_FIELDS: Final = frozenset(
    """adjustment_id adjustment_time adjustment_transaction_id bet_amount bet_id bet_type bonus_balance_amount bonus_id
    bonus_ratio_amount count create_time currency currency_code expired_date free_game_id game_count game_id game_ids
    is_adjustment is_end_round is_feature is_feature_buy is_minus_count is_parent_zero_stake is_round_end
    is_validate_bet is_wager jackpot_rtp_contribution_amount jackpot_win_amount language parent_bet_id path platform
    promotion_id promotion_type real_transfer_amount row_version status transaction_type transfer_amount updated_time
    url_type wallet_type win_amount transaction_id""".split()
)


class PgsoftAdapter(Outbound):
    """The protocol with one connection's settings.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: The settings cannot work.
    """

    def __init__(self, settings: PgsoftSettings) -> None:
        self.settings = check(settings)
        self.policies = codes.policies(settings)
        missing = frozenset() if settings.history_url else frozenset({Capability.ROUND_REPLAY})
        self.spec = evolve(SPEC, capabilities=SPEC.capabilities - missing)

    def routes(self) -> Sequence[Route]:
        return _ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        fields = read_form(request.body)
        wire.prove(fields, self.settings, credentials)
        if self.settings.require_hash:
            host = self.settings.hash_host or request.headers.get("host") or ""
            wire.prove_hash(request, host, self.settings, credentials, now)
        return Verified(request, fields)

    def parse(self, verified: Verified) -> Calls:
        return mapping.parse(verified.request.url.partition("?")[0], verified.fields, self.settings)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return mapping.render(calls, results, now)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return mapping.refusal(codes.error_code(error, request.path))

    def redact(self, request: HttpRequest) -> HttpRequest:
        return HttpRequest(request.method, request.path, body=safe_form(request.body, _SAFE_FIELDS))


SPEC: Final = AdapterSpec(
    slug="pgsoft",
    name="PG Soft",
    proof=Proof.BEARER,
    capabilities=Capability.of(
        """authenticate balance bet win bet_and_win adjustment promo_win bonus_win free_bet launch launch_demo game_list
        free_rounds_issue round_replay transaction_log end_session"""
    ),
    secrets=(
        SecretField(SECRET, "The key that the provider gives with the account: it stands in every request."),
        SecretField(
            SALT,
            "What header fields are signed with, where they are (`require_hash`, `send_hash`); the provider gives it.",
            required=False,
        ),
    ),
    settings=PgsoftSettings,
    create=PgsoftAdapter,
    documentation="Built from public material, collected in reference/protocols/pgsoft.md: "
    "not endorsed or certified by PG Soft.",
    omissions={
        "Cash/TransferOut": "the older protocol of separate bets and payouts; no public source tells all its fields",
        "Cash/TransferIn": "the older protocol of separate bets and payouts; no public source tells all its fields",
        "GetHistoryForSpecificTimeRange": "the same rows as GetHistory, by time and not by a cursor",
        "FreeGame lists and cancel": "no public source shows their fields",
        "Player/v1/Suspend": "operators refuse players in their own wallet",
    },
)
"""What the package registers."""
