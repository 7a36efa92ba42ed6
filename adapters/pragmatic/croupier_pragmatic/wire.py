"""The hash over a form's fields, which proves a request in either direction; and the addresses of the provider.

Facts: `reference/protocols/pragmatic.md`, sections "Transport & encoding", "Authentication / hash" and
"Operator -> provider".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from croupier.contract.errors import AuthenticationError
from croupier.contract.secrets import Credentials, digest_hex, require_proof
from croupier_pragmatic.settings import SECRET

HASH: Final = "hash"

SERVICES: Final = "/IntegrationService/v3/http/"
GAME_URL: Final = "CasinoGameAPI/game/url/"
GAMES: Final = "CasinoGameAPI/getCasinoGames/"
BET_SCALES: Final = "CasinoGameAPI/getBetScales/"
TERMINATE: Final = "CasinoGameAPI/game/session/terminate/"
FRB_CREATE: Final = "FreeRoundsBonusAPI/v2/bonus/player/create/"
FRB_CANCEL: Final = "FreeRoundsBonusAPI/v2/bonus/cancel/"
FRB_REMOVE: Final = "FreeRoundsBonusAPI/v2/players/remove/"
FRB_CREATE_V1: Final = "FreeRoundsBonusAPI/createFRB/"
FRB_CANCEL_V1: Final = "FreeRoundsBonusAPI/cancelFRB/"
FRB_LIST: Final = "FreeRoundsBonusAPI/getPlayersFRB/"
REPLAY: Final = "HistoryAPI/OpenHistoryExtended/"

FIELDS: Final = frozenset(
    """
    amount bonusCode campaignId campaignType chosenBalance currency dataType gameId ipAddress jackpotContribution
    jackpotDetails jackpotId language launchingType platform previousToken promoCampaignID promoCampaignType
    promoWinAmount promoWinReference providerId reference roundDetails roundId timestamp token userId validBetAmount win
    """.split()
)
"""Every field that the provider's requests may have."""

_IDS: Final = frozenset({"promoWinReference", "reference"})
_HIDDEN_FIELD: Final = re.compile(r"&([A-Za-z][^&=]*)=")


def signed_text(fields: Mapping[str, str]) -> str:
    """What is hashed before the secret: all fields but `hash`, in the byte order of their names, values as they are."""
    return "&".join([f"{name}={fields[name]}" for name in sorted(fields) if name != HASH])


def sign(fields: Mapping[str, str], secret: str) -> str:
    """The hash of a form's fields: lower-case hex MD5 of the signed text with the secret right behind it.

    Example:
        >>> sign({"secureLogin": "acme_login"}, "testsecret")
        '30bc1a3676e4f480a581ddef2118d849'
    """
    return digest_hex(signed_text(fields) + secret, "md5")


def refuse_ambiguous(fields: Mapping[str, str]) -> None:
    """Refuse a value that could be read as further fields of the protocol; an id by which repeats are known, as any.

    The hashed text does not tell where a value ends: `roundId=1&token=2` is the same text for two fields and for one.
    Without this rule somebody could cut a captured request into other fields under the same hash.

    Raises:
        AuthenticationError: A value holds `&name=` of a field that would stand behind it.
    """
    for name, value in fields.items():
        found = _HIDDEN_FIELD.findall(value) if "&" in value else ()
        if (found and name in _IDS) or any(hidden in FIELDS and hidden > name for hidden in found):
            raise AuthenticationError("a value holds what may be another field", where=HASH)


def prove(fields: Mapping[str, str], credentials: Credentials) -> None:
    """Accept fields whose hash was made with any of the connection's secrets; hex is compared without case.

    Raises:
        AuthenticationError: The hash is missing or wrong, or the connection has no secret.
    """
    signed = signed_text(fields)
    candidates = tuple([digest_hex(signed + secret, "md5") for secret in credentials.every(SECRET) if secret])
    require_proof(candidates, fields.get(HASH, "").lower(), where=HASH)
