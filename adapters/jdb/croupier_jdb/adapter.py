"""JDB as a provider: one address, encrypted requests, plain answers.

Source: `reference/protocols/jdb.md`. Built from public material; not endorsed or certified by JDB.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from croupier.contract.adapter import AdapterSpec, AliasRule, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Result
from croupier.contract.redaction import safe_fields
from croupier.contract.secrets import Credentials, SecretField
from croupier_jdb import cipher, codes, mapping
from croupier_jdb.outbound import Outbound
from croupier_jdb.settings import IV, KEY, JdbSettings

ROUTES: Final = (Route("POST", "/", "action"),)
"""One address; the number inside says which action it is."""

CAPABILITIES: Final = Capability.of(
    """
    balance bet win bet_and_win rollback_bet stake_transfer promo_win bonus_win launch launch_demo game_list
    free_rounds_issue free_rounds_cancel free_rounds_list round_replay round_log
    """
)

_SAFE_FIELDS: Final = frozenset(
    """accumulatedTurnover accumulatedWin action activityDate activityId activityNo amount bet cashoutTime commission
    currency denom eventId gType gambleBet gameDate gameRoundSeqNo hasBonusGame hasFreegame hasGamble historyId jackpot
    jackpotContribute lastModifyTime mType mb mtype netWin refTransferId refTransferIds reportDate roomType roundClosed
    systemTakeWin tax totalBet totalWin transferId ts validBet win""".split()
)


class JdbAdapter(Outbound):
    """The protocol with one connection's settings.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: A setting cannot work.
    """

    def __init__(self, settings: JdbSettings) -> None:
        settings.check()
        self.spec = SPEC
        self.policies = codes.policies(settings)
        self.settings = settings

    def routes(self) -> Sequence[Route]:
        return ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        return Verified(request, cipher.prove(cipher.envelope(request.body), credentials))

    def parse(self, verified: Verified) -> Calls:
        return mapping.parse(verified.fields)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return mapping.render(calls, results)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return mapping.answer(*codes.status_of_error(error))

    def redact_verified(self, verified: Verified) -> HttpRequest:
        fields = safe_fields(verified.fields, _SAFE_FIELDS)
        return HttpRequest(verified.request.method, verified.request.path, body=fields)


SPEC: Final = AdapterSpec(
    slug="jdb",
    name="JDB",
    proof=Proof.ENCRYPTION,
    capabilities=CAPABILITIES,
    secrets=(
        SecretField(KEY, "The cipher's key, 16 characters; JDB gives it with the account.", check=cipher.sixteen),
        SecretField(IV, "The cipher's initialisation vector; JDB gives it, too.", check=cipher.sixteen),
    ),
    settings=JdbSettings,
    create=JdbAdapter,
    aliases=AliasRule(length=24),
    documentation="reference/protocols/jdb.md: built from public material; not endorsed or certified by that provider",
    omissions={
        "44": "the same records as 29, by house and not by agent, a minute at a time",
        "74": "the hub gives free rounds to one player at a time, who is named when the event is created",
        "76": "lists events of all players; what the hub asks for is one player's, by 71",
        "77": "the hub gives free rounds once, and never changes them",
        "78": "totals of a day, where the hub keeps every payout",
        "transfer wallet": "another integration, in which the provider keeps the money",
    },
)
"""What the package registers."""
