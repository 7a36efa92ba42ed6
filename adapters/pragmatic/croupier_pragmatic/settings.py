"""What a connection to Pragmatic Play may be set to.

Where `reference/protocols/pragmatic.md` leaves a question open (sections "Idempotency, rounds, rollback" and "Open
questions"), the answer is a setting here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import field, frozen

from croupier.contract.calls import MovementKind
from croupier.contract.errors import SettingsError
from croupier.contract.fields import is_address, is_host

SECRET: Final = "secret_key"  # noqa: S105 # the name of the secret, not a secret


@frozen(kw_only=True)
class PragmaticSettings:
    """One connection's settings.

    Attributes:
        secure_login: The name of the account in calls to the provider.
        api_url: What stands before `/IntegrationService` in calls to the provider.
        frb_credit_on: Which message pays for free rounds, as the account was set up: every `result`, or `bonusWin` the
            total; the other only informs. Paying on both would pay twice, so that cannot be said. There is no default.
        provider_id: The `providerId` that every request must carry; another one is answered 7.
        rotate_token: Whether `authenticate` returns a new token that replaces the launch token.
        send_bet_limits: Whether `authenticate` returns `betLimits`. A bet above a limit is then answered 310, else 50.
        end_round_calls: Whether the account sends `endRound`. Without it a round ends when its bets are settled.
        launch: How real-money games are started: by a call of `game/url`, which returns the address, or by an address
            that the hub writes itself (`gs2c/playGame.do`: older accounts; nothing in it is signed).
        demo: How play-money games are started: by `game/url` too, or by an address (`gs2c/openGame.do`).
        game_host: The host of `gs2c/playGame.do`.
        demo_host: The host of `gs2c/openGame.do`.
        style_name: `stylename` at launch, where it is not `secure_login`.
        desktop_platform: What a desktop is called at launch: `WEB`, `DESKTOP` or `DOWNLOAD`.
        game_list_options: What `getCasinoGames` is asked to add.
        frb_api: Which generation of the free rounds API is used.
        frb_cancel: What is taken back with API v2: the whole bonus of the grant's code, or the player's place in it.
        cancel_round_path: The path of the call that voids a round, below `/IntegrationService/v3/http/`.
        data_type: The data type of the feeds where a query names none (`RNG`, `LC`, ...).
        rounds_feed: Which feed of game rounds is read.
        transaction_types: What the letters in the column `type` of the transactions feed mean. Others are kept as the
            row's state.
    """

    secure_login: str
    api_url: str
    frb_credit_on: Literal["result", "bonusWin"]
    provider_id: str = "pragmaticplay"
    rotate_token: bool = False
    send_bet_limits: bool = True
    end_round_calls: bool = True
    launch: Literal["game_url", "play_game"] = "game_url"
    demo: Literal["game_url", "open_game"] = "game_url"
    game_host: str = ""
    demo_host: str = ""
    style_name: str = ""
    desktop_platform: str = "WEB"
    game_list_options: tuple[str, ...] = ("GetFrbDetails", "GetLines", "GetDataTypes", "GetFeatures", "GetStudio")
    frb_api: Literal["v2", "v1"] = "v2"
    frb_cancel: Literal["bonus", "player"] = "bonus"
    cancel_round_path: str = "CasinoGameAPI/cancelRound/"
    data_type: str = "RNG"
    rounds_feed: Literal["gamerounds", "gamerounds/finished", "gamerounds/incomplete"] = "gamerounds"
    transaction_types: Mapping[str, MovementKind] = field(
        factory=lambda: {"B": MovementKind.BET, "W": MovementKind.WIN, "R": MovementKind.ROLLBACK}
    )


def check(settings: PragmaticSettings) -> PragmaticSettings:
    """The settings, if they fit together.

    Raises:
        SettingsError: A value is missing or not of its kind.
    """
    if not is_address(settings.api_url) or set(settings.api_url) & set("?#"):
        raise SettingsError("expected an http or https address", where="api_url")
    for name in ("secure_login", "provider_id", "desktop_platform", "cancel_round_path", "data_type"):
        if not getattr(settings, name):
            raise SettingsError("must not be empty", where=name)
    for name, needed in (("game_host", settings.launch == "play_game"), ("demo_host", settings.demo == "open_game")):
        if needed and not is_host(getattr(settings, name)):
            raise SettingsError("expected a host name", where=name)
    if settings.frb_credit_on not in {"result", "bonusWin"}:
        raise SettingsError("say which one message pays for free rounds: result or bonusWin", where="frb_credit_on")
    return settings
