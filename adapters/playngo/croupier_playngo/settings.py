"""What a connection to Play'n GO may be set to.

Where `reference/protocols/playngo.md` leaves a question open, the answer is a setting here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from croupier.contract import SettingsError, is_address, is_host

ACCESS_TOKEN: Final = "access_token"  # noqa: S105 # the name of the secret, not its value
API_PASSWORD: Final = "api_password"  # noqa: S105 # same


@frozen(kw_only=True)
class PlayngoSettings:
    """One connection's settings.

    Attributes:
        product_id: The number of the product group (`pid`): every wallet call must carry it as `productId`, and every
            call of the hub carries it.
        game_host: The host that games are launched from.
        api_url: The address of `CasinoGameTPService`, the SOAP service for games and free games.
        api_user: The user name for it.
        games_url: The address of the list of games as JSON. Without it the list is read from the SOAP service.
        page_size: How many games are asked for at once from the SOAP service.
        credit_on_closed: Whether a `release` with `state` 1 and an amount pays. By default it only ends the round: the
            public integrations take it for the summary of a game session whose wins were paid before.
        lines: The lines that free games are played on, by `gameId`, for games of which the SOAP service shall not be
            asked. The lines are needed to make the coin's value from the worth of a round.
        locales: What a language is called in the provider's `en_GB` style, for languages whose region is not told.
        brand: `brand` at launch, where the account has several.
        context_id: `contextId` at launch, where the account has several.
        affiliate_id: `affiliateId`, as `authenticate` is answered with it.
        origin: `origin` at launch, where it shall not be taken from the address that the launch returns to.
    """

    product_id: str
    game_host: str
    api_url: str
    api_user: str
    games_url: str = ""
    page_size: int = 200
    credit_on_closed: bool = False
    lines: Mapping[str, int] = field(factory=dict)
    locales: Mapping[str, str] = field(factory=dict)
    brand: str = ""
    context_id: str = ""
    affiliate_id: str = ""
    origin: str = ""


def check(settings: PlayngoSettings) -> PlayngoSettings:
    """The settings, if they can work.

    Raises:
        SettingsError: `where` is the setting's path.
    """
    if not _is_number(settings.product_id):
        raise SettingsError("expected the number of the product group", where="settings.product_id")
    if not is_host(settings.game_host):
        raise SettingsError("expected a host name", where="settings.game_host")
    for name in ("api_url", "games_url", "origin"):
        value = getattr(settings, name)
        if (value or name == "api_url") and (not is_address(value) or "#" in value):
            raise SettingsError("expected an http or https address", where=f"settings.{name}")
    if not settings.api_user or ":" in settings.api_user:
        raise SettingsError("expected a user name, which has no colon", where="settings.api_user")
    if settings.page_size < 1:
        raise SettingsError("expected a whole number from 1", where="settings.page_size")
    for game, lines in settings.lines.items():
        if not _is_number(game) or lines < 1:
            raise SettingsError("expected a gameId and its lines, from 1", where=f"settings.lines.{game}")
    return settings


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
