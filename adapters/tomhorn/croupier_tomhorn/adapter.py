"""Tom Horn Gaming: its wallet service in two codecs, and the hub's own calls.

Built from public material (`reference/protocols/tomhorn.md`); not endorsed or certified by Tom Horn Gaming.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from croupier.contract.adapter import AdapterSpec, Proof, Route, Verified
from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.codes import by_error
from croupier.contract.errors import CroupierError
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Result, balance_of, outcome_of
from croupier.contract.secrets import Credentials, SecretField, digest_hex
from croupier_tomhorn import codes
from croupier_tomhorn.codec import JsonCodec
from croupier_tomhorn.mapping import METHOD, TEXT, Mapper, told
from croupier_tomhorn.outbound import TomhornServices
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.sign import prove
from croupier_tomhorn.soap import SoapCodec

_ROUTES: Final = (*[Route("POST", f"/{name}", name) for name in codes.METHODS], Route("POST", "/", "soap"))
_IN_SOAP: Final[Mapping[str, str]] = {"codec": "soap"}
_BY_TYPE: Final = {"jackpot_win": Capability.JACKPOT_WIN, "promo_win": Capability.PROMO_WIN}
_SAFE_FIELDS: Final = frozenset(
    """
    amount campaignCode coinSize currency fgbBetAmount fgbCampaignCode gameModule gameModuleKey gameRoundID
    gamesPerPlayer isRoundEnd language module reference RoundId timeFrom timeTo type
    """.split()
)


class TomhornAdapter(TomhornServices):
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
        self._json, self._soap = JsonCodec(), SoapCodec(settings.integration_namespace)
        super().__init__(settings, self._soap if settings.encoding == "soap" else self._json)
        self._mapper = Mapper(settings)
        self._code_rolls_back = settings.general_error_rolls_back

    def routes(self) -> Sequence[Route]:
        return _ROUTES

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        method, fields = self._codec(request).read(request)
        fields |= {METHOD: method, TEXT: digest_hex(prove(method, fields, credentials))}
        return Verified(request, fields)

    def parse(self, verified: Verified) -> Calls:
        return self._mapper.parse(verified.fields, _IN_SOAP if self._codec(verified.request) is self._soap else {})

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        call, codec = calls.items[0], self._soap if calls.echo else self._json
        fields = self._mapper.answer(call, outcome_of(results), balance_of(results))
        return self._undecided(codec, call.operation) if fields is None else codec.answer(call.operation, fields)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        codec, code = self._codec(request), by_error(codes.ERRORS, error, None)
        method = codec.method(request)
        return self._undecided(codec, method) if code is None else codec.answer(method, told(code))

    def redact(self, request: HttpRequest) -> HttpRequest:
        codec = self._soap if request.body.lstrip()[:1] == b"<" else self._json
        return HttpRequest(request.method, request.path, body=codec.redacted(request.body, _SAFE_FIELDS))

    def _codec(self, request: HttpRequest) -> JsonCodec:
        """JSON has a path for each method; what comes to the connection's own address is SOAP."""
        return self._soap if request.path in {"", "/"} else self._json

    def _undecided(self, codec: JsonCodec, method: str | None) -> HttpResponse:
        """What makes the provider do what it does when it hears nothing: roll a Withdraw back, send all else again."""
        if method == codes.WITHDRAW and self._code_rolls_back:
            return codec.answer(method, told(codes.Code.GENERAL))
        return codec.no_answer


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
    documentation="reference/protocols/tomhorn.md: public material; not endorsed or certified by the provider",
    omissions={
        "GetCustomerGames": "public material shows what is asked, and not the rows of the answer",
        "basic wallet": "another integration, in which the provider keeps the money",
    },
)
"""What the package registers."""
