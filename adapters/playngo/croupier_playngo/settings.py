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

_LOCALES: Final[Mapping[str, str]] = {
    name[:2]: name
    for name in """
    ar_AE cs_CZ da_DK el_GR en_GB et_EE ja_JP ka_GE ko_KR nb_NO sl_SI sq_AL sr_RS sv_SE uk_UA vi_VN zh_CN
    """.split()
}
"""Languages that are not called like their first country."""


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
        page_size: How many games the SOAP service is asked for at once.
        credit_on_closed: Whether a `release` with `state` 1 and an amount pays; else it leaves but a notice.
        lines: The lines of free games by `gameId`, for games of which the SOAP service shall not be asked.
        locales: What a language is called in the provider's `en_GB` style, for languages whose region is not told.
        brand: `brand` at launch, if any.
        context_id: `contextId` at launch, if any.
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

    def locale(self, language: str) -> str:
        """A language (ISO 639-1, or with a region) in the provider's style: `en_GB`, `sv_SE`, `de_DE`."""
        name, _, region = language.lower().replace("_", "-").partition("-")
        if region:
            return f"{name}_{region.upper()}"
        return self.locales.get(name) or _LOCALES.get(name) or f"{name}_{name.upper()}"


def check(settings: PlayngoSettings) -> PlayngoSettings:
    """The settings, if they can work.

    Raises:
        SettingsError: `where` is the setting's path.
    """
    if not is_number(settings.product_id):
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
        if not is_number(game) or lines < 1:
            raise SettingsError("expected a gameId and its lines, from 1", where=f"settings.lines.{game}")
    return settings


def is_number(text: str) -> bool:
    """Whether a text is a whole number of an id's or a count's size."""
    return text.isascii() and text.isdigit() and len(text) < 10
