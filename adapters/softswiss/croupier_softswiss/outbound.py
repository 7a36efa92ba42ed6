"""What the hub asks of SOFTSWISS: launches, catalogue files, free spins.

Source: `reference/protocols/softswiss.md`, section "Operator → provider".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from croupier.contract.errors import ProviderRefusedError, SettingsError, UnsupportedOperationError, UpstreamError
from croupier.contract.fields import Told, is_address, told_by
from croupier.contract.flows import (
    Device,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    Launched,
    LaunchQuery,
)
from croupier.contract.http import Effect, HttpRequest, HttpResponse
from croupier.contract.money import Balance
from croupier.contract.secrets import Credentials
from croupier.contract.times import iso_utc
from croupier_softswiss.catalogue import read_catalogue
from croupier_softswiss.mapping import PROVIDER_REFUSALS, TRANSIENT
from croupier_softswiss.settings import SoftswissSettings
from croupier_softswiss.wire import AUTH_TOKEN, signed_request

SESSIONS: Final = "/sessions"
DEMO: Final = "/demo"
ISSUE: Final = "/freespins/issue"
CANCEL: Final = "/freespins/cancel"

_PERSON: Final[Mapping[str, str]] = {
    "email": "email",
    "first_name": "firstname",
    "last_name": "lastname",
    "nickname": "nickname",
    "city": "city",
    "birth_date": "date_of_birth",
    "registered_at": "registered_at",
}
_GENDERS: Final[Mapping[str, str]] = {"m": "m", "male": "m", "f": "f", "female": "f"}


def paths(settings: SoftswissSettings) -> frozenset[str]:
    """The paths of the provider's operations, as they stand in this connection's addresses."""
    base = urlsplit(settings.api_url).path.rstrip("/")
    return frozenset(base + path for path in (SESSIONS, DEMO, ISSUE, CANCEL))


def launch(settings: SoftswissSettings, query: LaunchQuery, credentials: Credentials) -> Flow[Launched]:
    """Start a game for a player (`/sessions`) or for play money (`/demo`).

    Raises:
        ProviderRefusedError: The provider refused definitely.
        UpstreamError: Its answer cannot be used.
    """
    body: dict[str, Any] = {
        "casino_id": settings.casino_id,
        "game": query.game,
        "currency": query.currency,
        "locale": query.language,
        "ip": query.address,
        "client_type": query.device.value,
        "urls": _present({"return_url": query.return_url, "deposit_url": query.deposit_url}),
        "jurisdiction": query.jurisdiction,
    }
    if not query.demo:
        body["balance"] = _balance(settings, query)
        body["user"] = _user(query.player, query.person, query.country)
    response = yield _request(settings, DEMO if query.demo else SESSIONS, body, credentials, Effect.ONCE)
    answer = _success(response)
    return Launched(url=_game_url(answer, query.device), session=answer.word("session_id"))


def game_list(settings: SoftswissSettings) -> Flow[tuple[GameListing, ...]]:
    """Download the catalogue files. A game that stands in several is listed once, as it stands in the first.

    Raises:
        SettingsError: No address of a catalogue file is set.
        UpstreamError: A file cannot be downloaded or read.
    """
    if not settings.catalogue_urls:
        raise SettingsError("no address of a catalogue file is set", where="settings.catalogue_urls")
    games: dict[str, GameListing] = {}
    for address in settings.catalogue_urls:
        response = yield HttpRequest("GET", address, effect=Effect.READ)
        if response.status != 200:
            raise UpstreamError(f"a catalogue file was answered with HTTP {response.status}")
        for game in read_catalogue(response.body, settings.catalogue_format):
            games.setdefault(game.code, game)
    return tuple(games.values())


def issue_free_rounds(
    settings: SoftswissSettings, query: FreeRoundsQuery, credentials: Credentials
) -> Flow[FreeRoundsIssued]:
    """Give a player free spins; the hub's grant is the `issue_id`, by which the provider knows a repeat.

    Raises:
        UnsupportedOperationError: The total that `/freespins` will tell could not be read in this currency.
        ProviderRefusedError: The provider refused definitely.
        UpstreamError: Its answer cannot be used.
    """
    digits = settings.subunits.get(query.currency)
    if digits is not None and digits != query.scale.scale:
        raise UnsupportedOperationError(
            "free spins are paid by a total without currency, so they need the hub's own minor unit",
            where=f"settings.subunits.{query.currency}",
        )
    body = {
        "casino_id": settings.casino_id,
        "issue_id": query.grant,
        "currency": query.currency,
        "games": list(query.games),
        "freespins_quantity": query.rounds,
        "bet_level": query.bet_level,
        "valid_until": iso_utc(query.valid_until, 0),
        "user": _user(query.player, query.person, None),
    }
    _success((yield _request(settings, ISSUE, body, credentials, Effect.IDEMPOTENT)))
    return FreeRoundsIssued(reference=query.grant)


def cancel_free_rounds(settings: SoftswissSettings, grant: str, credentials: Credentials) -> Flow[None]:
    """Take free spins back.

    Raises:
        ProviderRefusedError: The provider refused definitely (620: they cannot be cancelled any more).
        UpstreamError: Its answer cannot be used.
    """
    body = {"casino_id": settings.casino_id, "issue_id": grant}
    _success((yield _request(settings, CANCEL, body, credentials, Effect.IDEMPOTENT)))


def _request(
    settings: SoftswissSettings, path: str, body: Mapping[str, Any], credentials: Credentials, effect: Effect
) -> HttpRequest:
    url = settings.api_url.rstrip("/") + path
    return signed_request("POST", url, _present(body), credentials.current(AUTH_TOKEN), effect)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _user(player: str, person: Mapping[str, str], country: str | None) -> dict[str, str]:
    user = {"id": player} | {wire: person[name] for name, wire in _PERSON.items() if person.get(name)}
    if country:
        user["country"] = country
    gender = _GENDERS.get(person.get("gender", "").lower())
    return user | ({"gender": gender} if gender else {})


def _balance(settings: SoftswissSettings, query: LaunchQuery) -> int | None:
    # Under a provider's own currency code a ratio may apply, which a launch does not tell: then none is sent.
    if query.balance is None or query.balance.currency.code != query.currency:
        return None
    return Balance(query.balance).whole(settings.unit(query.currency))


def _success(response: HttpResponse) -> Told:
    """The answer's fields; a refusal is known by its `code`, whatever the HTTP status."""
    answer = told_by(response) if response.body.strip() else Told({})
    code = answer.values.get("code")
    if type(code) is int and (code in PROVIDER_REFUSALS or (code not in TRANSIENT and response.status < 500)):
        raise ProviderRefusedError(
            PROVIDER_REFUSALS.get(code, "refused for a reason that is not documented"), provider_code=str(code)
        )
    if code is not None or not 200 <= response.status < 300:
        raise UpstreamError(f"the provider failed with HTTP {response.status}, code {code}")
    return answer


def _game_url(answer: Told, device: Device) -> str:
    options = answer.values.get("launch_options")
    if not isinstance(options, dict):
        raise UpstreamError("the answer has no launch options", where="launch_options")
    by_device = ("mobile_url", "desktop_url") if device is Device.MOBILE else ("desktop_url", "mobile_url")
    for name in ("game_url", *by_device):
        url = options.get(name)
        if isinstance(url, str) and is_address(url):
            return url
    raise UpstreamError("the answer has no address of the game", where="launch_options")
