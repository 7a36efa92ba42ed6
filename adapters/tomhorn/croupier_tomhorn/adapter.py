"""Tom Horn Gaming: its wallet service in two codecs, and the hub's own calls.

Built from public material (`reference/protocols/tomhorn.md`); not endorsed or certified by Tom Horn Gaming.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from croupier.contract import flows
from croupier.contract.adapter import Adapter, AdapterSpec, AliasRule, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError
from croupier.contract.flows import Flow, FreeRoundsIssued, FreeRoundsQuery, Launched, LaunchQuery
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Applied, Outcome, PlayResult, Result, balance_of
from croupier.contract.secrets import Credentials, SecretField
from croupier_tomhorn import codes
from croupier_tomhorn.codec import Codec
from croupier_tomhorn.json_codec import JsonCodec
from croupier_tomhorn.mapping import METHOD, Mapper, told
from croupier_tomhorn.outbound import Provider
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.sign import prove
from croupier_tomhorn.soap import SoapCodec

SOAP_OPERATION: Final = "soap"
"""The route of SOAP, whose document says which method it is."""

_ROUTES: Final = (
    *[Route("POST", f"/{name}", name) for name in codes.METHODS],
    Route("POST", "/", SOAP_OPERATION),
)
_IN_SOAP: Final[Mapping[str, str]] = {"codec": SOAP_OPERATION}
_IN_JSON: Final[Mapping[str, str]] = {}
_BY_TYPE: Final[Mapping[str, Capability]] = {
    "jackpot_win": Capability.JACKPOT_WIN,
    "promo_win": Capability.PROMO_WIN,
}
_SAFE_FIELDS: Final = frozenset(
    """
    amount campaignCode channel coinSize currency fgbBetAmount fgbCampaignCode gameModule gameModuleKey gameRoundID
    gamesPerPlayer isRoundEnd language module reference RoundId timeFrom timeTo type
    """.split()
)


class TomhornAdapter(Adapter):
    """The protocol with one connection's settings.

    Args:
        settings: The connection's settings.

    Raises:
        SettingsError: A setting cannot work.
    """

    def __init__(self, settings: TomhornSettings) -> None:
        settings.check()
        self.policies = codes.policies(settings)
        unmapped = {can for kind, can in _BY_TYPE.items() if kind not in settings.deposit_types.values()}
        self.spec = evolve(SPEC, capabilities=SPEC.capabilities - unmapped)
        self._json: Codec = JsonCodec()
        self._soap: Codec = SoapCodec(settings.integration_namespace)
        self._mapper = Mapper(settings)
        self._provider = Provider(settings, self._soap if settings.encoding == "soap" else self._json)
        self._code_rolls_back = settings.general_error_rolls_back

    def routes(self) -> Sequence[Route]:
        return _ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        method, fields = self._codec(request).read(request)
        prove(method, fields, credentials)
        fields[METHOD] = method
        return Verified(request, fields)

    def parse(self, verified: Verified) -> Calls:
        echo = _IN_SOAP if _is_soap(verified.request) else _IN_JSON
        return self._mapper.parse(verified.fields, echo)

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        call, codec = calls.items[0], self._soap if calls.echo else self._json
        fields = self._mapper.answer(call, _became(results[0]), balance_of(results))
        if fields is None:
            return self._undecided(codec, call.operation)
        return codec.answer(call.operation, fields)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        codec, code = self._codec(request), codes.error_code(error)
        method = codec.method(request)
        return self._undecided(codec, method) if code is None else codec.answer(method, told(code))

    def redact(self, request: HttpRequest) -> HttpRequest:
        codec = self._soap if request.body.lstrip()[:1] == b"<" else self._json
        return HttpRequest(request.method, request.path, body=codec.redacted(request.body, _SAFE_FIELDS))

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        return self._provider.launch(query, credentials)

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[flows.GameListing, ...]]:
        return self._provider.game_list(credentials)

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        return self._provider.issue_free_rounds(query, credentials)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        return self._provider.cancel_free_rounds(grant, credentials)

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        return self._provider.list_free_rounds(player, credentials)

    def replay(self, query: flows.ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        return self._provider.replay(query, credentials)

    def _codec(self, request: HttpRequest) -> Codec:
        return self._soap if _is_soap(request) else self._json

    def _undecided(self, codec: Codec, method: str | None) -> HttpResponse:
        """What makes the provider do what it does when it hears nothing: roll a Withdraw back, send all else again."""
        if method == codes.WITHDRAW and self._code_rolls_back:
            return codec.answer(method, told(codes.Code.GENERAL))
        return codec.no_answer()


def _became(result: Result) -> Outcome:
    """What became of the one call: a play's movement tells more than the play, but is no success without it."""
    outcome = result.outcome
    return result.movements[0].outcome if isinstance(result, PlayResult) and isinstance(outcome, Applied) else outcome


def _is_soap(request: HttpRequest) -> bool:
    """JSON has a path for each method; what comes to the connection's own address is SOAP."""
    return request.path in {"", "/"}


SPEC: Final = AdapterSpec(
    slug="tomhorn",
    name="Tom Horn Gaming",
    proof=Proof.FIELD_MAC,
    capabilities=Capability.of(
        """
        balance bet win rollback_bet free_bet jackpot_win promo_win launch launch_demo game_list free_rounds_issue
        free_rounds_cancel free_rounds_list round_replay
        """
    ),
    secrets=(SecretField(SECRET, "The key that both sides sign with (HMAC-SHA256 over the values of a message)."),),
    settings=TomhornSettings,
    create=TomhornAdapter,
    aliases=AliasRule(),
    documentation="Built from public material, collected in reference/protocols/tomhorn.md: "
    "not endorsed or certified by Tom Horn Gaming.",
    omissions={
        "GetCustomerGames": "public material shows what is asked, and not the rows of the answer",
        "GetSessionGames": "the games of one session by the provider's own id, which the hub does not keep",
        "basic wallet": "another integration, in which the provider keeps the money",
    },
)
"""What the package registers."""
