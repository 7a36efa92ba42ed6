"""The proof of a request in either direction, and the addresses of both sides.

Facts: `reference/protocols/pgsoft.md`, sections "Transport & encoding", "Auth (EXACT)" and "Operator -> provider".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode, urlsplit

from croupier.contract.errors import AuthenticationError
from croupier.contract.http import FORM_HEADERS, Effect, Headers, HttpRequest
from croupier.contract.secrets import Credentials, digest_hex, hmac_hex, require_proof
from croupier_pgsoft.settings import SALT, SECRET, PgsoftSettings

VERIFY_SESSION: Final = "/VerifySession"
GET: Final = "/Cash/Get"
TRANSFER: Final = "/Cash/TransferInOut"
ADJUSTMENT: Final = "/Cash/Adjustment"
BET_DETAIL: Final = "/Cash/UpdateBetDetail"
MOVES: Final = frozenset({TRANSFER, ADJUSTMENT})

LAUNCHER: Final = "/external-game-launcher/api/v1/GetLaunchURLHTML"
GAMES: Final = "/external/Game/v2/Get"
FREE_GAMES: Final = "/external/FreeGame/v1/CreateFreeGameByBetAmount"
LOGIN: Final = "/external/Login/v1/LoginProxy"
KICK: Final = "/external/Player/v1/Kick"
HISTORY: Final = "/external-datagrabber/Bet/v4/GetHistory"
ROUND_PAGE: Final = "/history/redirect.html"

_DATE: Final = "x-date"
_DIGEST: Final = "x-content-sha256"
_DAY: Final = timedelta(days=1)


def prove(fields: Mapping[str, str], settings: PgsoftSettings, credentials: Credentials) -> None:
    """Accept fields that carry the account's name and one of its secrets.

    Raises:
        AuthenticationError: Either is missing or wrong, or the connection has no secret.
    """
    require_proof((settings.operator_token,), fields.get("operator_token"), where="operator_token")
    require_proof(credentials.every(SECRET), fields.get(SECRET), where=SECRET)


def prove_hash(
    request: HttpRequest, host: str, settings: PgsoftSettings, credentials: Credentials, now: datetime
) -> None:
    """Accept a request to a host whose header fields were signed over its body with a salt, today or next to it.

    Raises:
        AuthenticationError: A field is missing or wrong, the day is another, or the connection has no salt.
    """
    date = request.headers.get(_DATE) or ""
    if date not in {(now + days * _DAY).strftime("%Y%m%d") for days in (-1, 0, 1)}:
        raise AuthenticationError("it was signed on another day", where=_DATE)
    digest = digest_hex(request.body)
    require_proof((digest,), request.headers.get(_DIGEST), where=_DIGEST)
    salts = [salt for salt in credentials.every(SALT) if salt]
    candidates = tuple([_authorization(settings.operator_token, host, digest, date, salt) for salt in salts])
    given = (request.headers.get("authorization") or "").replace(", ", ",")
    require_proof(candidates, given, where="authorization")


def signed_headers(settings: PgsoftSettings, host: str, body: bytes, now: datetime, salt: str) -> Headers:
    """The header fields of a form, signed: `x-date`, `x-content-sha256`, `Authorization`."""
    date, digest = now.strftime("%Y%m%d"), digest_hex(body)
    signed = _authorization(settings.operator_token, host, digest, date, salt)
    return Headers((*FORM_HEADERS.items, (_DATE, date), (_DIGEST, digest), ("Authorization", signed)))


def _authorization(operator_token: str, host: str, digest: str, date: str, salt: str) -> str:
    signature = hmac_hex(salt, host + digest + date)
    return (
        f"PWS-HMAC-SHA256 Credential={date}/{operator_token}/pws/v1,"
        f"SignedHeaders=host;x-content-sha256;x-date,Signature={signature}"
    )


def call(
    url: str,
    fields: Iterable[tuple[str, str]],
    settings: PgsoftSettings,
    credentials: Credentials,
    now: datetime,
    *,
    effect: Effect,
    mark: str = "",
) -> HttpRequest:
    """A call to the provider: a form, traced by an id that follows from what is asked, and signed where that is set.

    `mark` is what else tells two calls of one moment apart.
    """
    body = urlencode(list(fields)).encode("ascii")
    headers = FORM_HEADERS
    if settings.send_hash:
        headers = signed_headers(settings, urlsplit(url).netloc, body, now, credentials.current(SALT))
    # The trace is a GUID that follows from the call; nothing of the body can be read from it.
    sign = digest_hex(f"{url}|{now.isoformat()}|{mark}|{digest_hex(body)}", "md5")
    trace = f"{sign[:8]}-{sign[8:12]}-{sign[12:16]}-{sign[16:20]}-{sign[20:]}"
    return HttpRequest("POST", f"{url}?trace_id={trace}", headers, body, effect)
