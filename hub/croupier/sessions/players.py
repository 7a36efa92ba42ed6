"""The names of players: which of the operator's are accepted, and how the ones for providers are drawn."""

from __future__ import annotations

import base64
import re
from typing import Final

from croupier.contract import AliasRule, FixRequestError, SettingsError
from croupier.wallet.ports import Ids

MAX_LENGTH: Final = 128
"""The longest player id that is accepted from an operator, in characters."""

_HINT: Final = "send an opaque id that tells nothing of the person"
_E_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE: Final = re.compile(
    r"\+[\d().\-/ ]+"  # +49 30 1234567
    r"|[\d.\-/ ]*\([\d ]+\)[\d.\-/ ]+"  # (030) 1234567
    r"|\d{2,5}(?:[ .\-/]\d{2,5}){2,5}"  # 030-123-4567
)
_CHUNK_VALUES: Final = 2**128
"""How many values are taken from one token of 256 bits: so few that none is noticeably likelier."""


def check_operator_player(player: str) -> None:
    """Refuse a player id that tells who the player is, or that cannot be one.

    An operator is to send an opaque id (`reference/compliance.md` C-60). Digits alone are accepted: nobody can tell an
    account number from a telephone number.

    Raises:
        FixRequestError: It looks like an e-mail address or a telephone number, is empty or too long, or has blanks or
            signs that cannot be printed. The message does not repeat it.
    """
    if not player or len(player) > MAX_LENGTH:
        raise FixRequestError(f"expected 1 to {MAX_LENGTH} characters", where="player")
    if _E_MAIL.fullmatch(player.strip()):
        raise FixRequestError("it looks like an e-mail address", where="player", hint=_HINT)
    digits = sum(sign.isdigit() for sign in player)
    if 7 <= digits <= 15 and _PHONE.fullmatch(player.strip()):
        raise FixRequestError("it looks like a telephone number", where="player", hint=_HINT)
    if not player.isprintable() or any(sign.isspace() for sign in player):
        raise FixRequestError("expected printable characters without blanks", where="player")


def draw_alias(rule: AliasRule, ids: Ids) -> str:
    """A random name that a provider accepts; nothing in it can be traced to the player.

    Raises:
        SettingsError: The rule leaves no room for chance.
    """
    room = rule.length - len(rule.prefix)
    signs = sorted(set(rule.alphabet))
    if room < 1 or len(signs) < 2:
        raise SettingsError("the adapter's rule for player names leaves no room", where="aliases")
    drawn: list[str] = []
    while len(drawn) < room:
        number = _number(ids)
        left = _CHUNK_VALUES
        while left >= len(signs) and len(drawn) < room:
            number, place = divmod(number, len(signs))
            left //= len(signs)
            drawn.append(signs[place])
    return rule.prefix + "".join(drawn)


def _number(ids: Ids) -> int:
    token = ids.token()
    return int.from_bytes(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
