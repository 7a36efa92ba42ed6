"""What the hub asks of Acme (section 5), as flows: they say what to send, and the hub sends it."""

from __future__ import annotations

from datetime import datetime

from croupier.contract import (
    Credentials,
    Effect,
    Flow,
    GameListing,
    HttpResponse,
    Launched,
    LaunchQuery,
    ProviderRefusedError,
    Told,
    UpstreamError,
    refuse_status,
    told_by,
)
from croupier_acme.settings import AcmeSettings
from croupier_acme.wire import signed


def launch(settings: AcmeSettings, query: LaunchQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
    """Open a game, for money or for fun."""
    fields = {
        "casinoId": settings.casino_id,
        "gameId": query.game,
        "mode": "fun" if query.demo else "real",
        "currency": query.currency,
        "language": query.language,
    }
    if not query.demo:
        fields |= {"playerId": query.player, "sessionToken": query.token}
    if query.return_url:
        fields["lobbyUrl"] = query.return_url
    url = f"{settings.api_url.rstrip('/')}/games/open"
    response = yield signed("POST", url, fields, credentials, now, effect=Effect.ONCE)
    return Launched(url=_success(response, "open").address("url"))


def game_list(settings: AcmeSettings, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
    """Acme's games."""
    url = f"{settings.api_url.rstrip('/')}/games"
    response = yield signed("GET", url, None, credentials, now, effect=Effect.READ)
    games = _success(response, "games").objects("games")
    return tuple([GameListing(code=game.text("gameId"), name=game.text("title")) for game in games])


def _success(response: HttpResponse, where: str) -> Told:
    """The fields of an answer that is a success.

    Raises:
        ProviderRefusedError: Acme refused definitely.
        UpstreamError: The answer cannot be used.
    """
    refuse_status(response, where)
    told = told_by(response, where)
    status = told.text("status")
    if status == "ERROR" and (error := told.text("error")) != "TRY_AGAIN":
        raise ProviderRefusedError("Acme refused", provider_code=error, where=where)
    if status != "OK":
        raise UpstreamError("Acme has no definite answer now", where=where)
    return told
