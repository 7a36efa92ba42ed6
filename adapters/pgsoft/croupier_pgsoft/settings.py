"""What a connection to PG Soft may be set to.

Where `reference/protocols/pgsoft.md` leaves a question open, or accounts differ, the answer is a setting here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from attrs import field, frozen

from croupier.contract.calls import MovementKind
from croupier.contract.errors import SettingsError
from croupier.contract.fields import is_address, is_host

SECRET: Final = "secret_key"  # noqa: S105 # the name of the secret, not its value
SALT: Final = "salt"
"""The name of the secret that signs header fields: another one than `secret_key`."""

_ADJUSTMENTS: Final = frozenset(map(MovementKind, "adjustment promo_win tournament_win jackpot_win".split()))


@frozen(kw_only=True)
class PgsoftSettings:
    """One connection's settings.

    Attributes:
        operator_token: The account's name. It stands in every request of either side, and in addresses of games.
        api_url: What stands before `/external` in calls to the provider.
        feed_url: What stands before `/external-datagrabber`, where logs have a domain of their own.
        launch: How games are started: by a page that the provider returns, or by an address that the hub writes.
        game_url: What stands before `/<game>/index.html` in addresses that the hub writes.
        history_url: What stands before `/history/redirect.html`. Without it rounds cannot be shown again.
        require_hash: Whether the provider's requests must carry signed header fields beside the secret in the body.
        hash_host: The host that the provider signs, where a proxy changes `Host` on the way.
        send_hash: Whether calls to the provider carry signed header fields.
        currency_ratios: For currencies that are counted in thousands: the provider's code, and how many units one of
            the provider's is (1000).
        adjustment_kinds: What the `transaction_type` of an adjustment means; all others are plain adjustments. What
            takes money is one, whatever its type.
        free_games_pay: What pays for free games and bonus games: their conversion to cash, or every spin of them; the
            other only informs.
        grant_field: Which field of a spin holds the hub's grant of free games.
        free_game_fields: Further fields of a request for free games, as the account's documents tell them.
        list_currency: The currency that the game list is asked for.
        list_language: The language that the game list is asked for.
        page_size: How many rows a page of the log has: 1500 to 5000.
    """

    operator_token: str
    api_url: str
    feed_url: str = ""
    launch: Literal["html", "direct"] = "html"
    game_url: str = ""
    history_url: str = ""
    require_hash: bool = False
    hash_host: str = ""
    send_hash: bool = False
    currency_ratios: Mapping[str, int] = field(factory=dict)
    adjustment_kinds: Mapping[str, MovementKind] = field(factory=lambda: {"901": MovementKind.TOURNAMENT_WIN})
    free_games_pay: Literal["conversion", "spin"] = "conversion"
    grant_field: Literal["free_game_name", "free_game_transaction_id"] = "free_game_name"
    free_game_fields: Mapping[str, str] = field(
        factory=lambda: {"conversion_type": "C", "bonus_type": "0", "bonus_ratio": "1", "is_event": "true"}
    )
    list_currency: str = "USD"
    list_language: str = "en-us"
    page_size: int = 5000

    def ratio(self, currency: str) -> Decimal:
        """How many units of the player's currency one unit on the wire is."""
        return Decimal(self.currency_ratios.get(currency, 1))


def check(settings: PgsoftSettings) -> PgsoftSettings:
    """The settings, if they can work.

    Raises:
        SettingsError: A value is missing or not of its kind; `where` is its name.
    """
    if not settings.operator_token.isprintable() or not settings.operator_token:
        raise SettingsError("the provider must have named the account", where="operator_token")
    needed = {"api_url", "game_url"} if settings.launch == "direct" else {"api_url"}
    for name in ("api_url", "feed_url", "game_url", "history_url"):
        value = getattr(settings, name)
        if (name in needed or value) and (not is_address(value) or set(value) & set("?#")):
            raise SettingsError("expected an http or https address", where=name)
    if settings.hash_host and not is_host(settings.hash_host):
        raise SettingsError("expected a host name", where="hash_host")
    for code, ratio in settings.currency_ratios.items():
        if ratio < 1:
            raise SettingsError("expected a whole number from 1", where=f"currency_ratios.{code}")
    for number, kind in settings.adjustment_kinds.items():
        if kind not in _ADJUSTMENTS:
            known = ", ".join(sorted(one.value for one in _ADJUSTMENTS))
            raise SettingsError(f"expected one of {known}", where=f"adjustment_kinds.{number}")
    if not 1500 <= settings.page_size <= 5000:
        raise SettingsError("expected 1500 to 5000", where="page_size")
    return settings
