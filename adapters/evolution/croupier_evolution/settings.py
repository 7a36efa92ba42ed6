"""What a connection to Evolution may be set to.

Where `reference/protocols/evolution.md` has no single answer, the answer is a setting here.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from croupier.contract import SettingsError, is_address

AUTH_TOKEN: Final = "auth_token"  # noqa: S105 # the name of a secret, not its value
UA_TOKEN: Final = "ua_token"  # noqa: S105 # the name of a secret, not its value
LOBBY_TOKEN: Final = "lobby_token"  # noqa: S105 # the name of a secret, not its value
HISTORY_TOKEN: Final = "history_token"  # noqa: S105 # the name of a secret, not its value


@frozen(kw_only=True)
class EvolutionSettings:
    """One connection's settings.

    Attributes:
        api_url: `https://` and the host that the provider gave: every call of the hub goes there, and a game's address
            is this with the launch's `entry` behind.
        casino_key: The casino's name with the provider.
        renew_sid: Which `check` gives a new session id in the place of the one that was sent: the `first` of a launch,
            `every`, or with `never` none, and the launch token stays the session id.
        refuse_foreign_sid: Whether money calls under a session id that never was the player's, or was replaced by a
            newer one, are answered `INVALID_SID`. Otherwise only bets are, and under an unknown id alone.
        balance_digits: Digits after the point of `balance` and `bonus`, 0 to 9; more are cut.
        brand_id: `config.brand.id` at launch; empty for none.
        brand_skin: `config.brand.skin` at launch; empty for none.
        lobby_code: The game code that opens the provider's lobby and no table.
        embedded: Whether the game's address is made of `entryEmbedded`.
        game_vertical: `gameVertical` of the lobby's state, for one kind of games alone; empty for all.
        history_minutes: How many minutes one request for the game history covers.
    """

    api_url: str
    casino_key: str
    renew_sid: str = "first"
    refuse_foreign_sid: bool = True
    balance_digits: int = 6
    brand_id: str = ""
    brand_skin: str = ""
    lobby_code: str = "lobby"
    embedded: bool = False
    game_vertical: str = ""
    history_minutes: int = 10


def check(settings: EvolutionSettings) -> EvolutionSettings:
    """The settings, if they can work.

    Raises:
        SettingsError: `where` is the setting's name.
    """
    if not is_address(settings.api_url) or set(settings.api_url) & set("?#"):
        raise SettingsError("expected an http or https address without a query", where="api_url")
    if not (settings.casino_key.isascii() and settings.casino_key.isalnum()):
        raise SettingsError("expected letters and digits", where="casino_key")
    if settings.renew_sid not in ("never", "first", "every"):
        raise SettingsError("expected never, first or every", where="renew_sid")
    if not settings.lobby_code:
        raise SettingsError("must not be empty", where="lobby_code")
    if not 0 <= settings.balance_digits <= 9:
        raise SettingsError("expected 0 to 9", where="balance_digits")
    if settings.history_minutes < 1:
        raise SettingsError("expected at least one minute", where="history_minutes")
    return settings
