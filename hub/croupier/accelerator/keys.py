"""The names under which anything is kept.

Each has its operator as its hash tag, so that Redis Cluster keeps everything of one operator in one slot, and a script
over several keys of an operator stays in that slot.
"""

from __future__ import annotations

import hashlib
from typing import Final

from croupier.contract import hmac_hex

HUB: Final = "hub"
"""The tag of what belongs to no operator."""


def session_key(operator: str, connection: str, token_hash: str) -> str:
    """Where the session of a token is kept.

    Args:
        operator: The operator's id.
        connection: The connection's id.
        token_hash: SHA-256 (small hex) of the launch or session token; the token itself is kept nowhere.
    """
    return f"croupier:{{{operator}}}:session:{connection}:{token_hash}"


def rate_key(tag: str, subject: str) -> str:
    """Where it is kept how much of a rate is used up.

    Args:
        tag: The operator's id, or `HUB`.
        subject: What the rate is of.
    """
    return f"croupier:{{{tag}}}:rate:{subject}"


def address_subject(address: str) -> str:
    """An address as the subject of a rate: hashed, since nobody needs to read it."""
    return "address:" + hashlib.sha256(address.encode()).hexdigest()[:24]


def news_channel(key: bytes) -> str:
    """Where processes of one hub tell each other news; hubs with other keys that share the server have another.

    Args:
        key: A secret of the hub, the same in each of its processes.
    """
    return f"croupier:{{{HUB}}}:news:{hmac_hex(key, 'croupier news')[:16]}"
