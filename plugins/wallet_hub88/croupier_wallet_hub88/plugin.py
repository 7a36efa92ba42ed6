"""What the hub finds in this package."""

from __future__ import annotations

from croupier import hookimpl
from croupier.contract import DialectSpec
from croupier_wallet_hub88.dialect import SPEC


@hookimpl
def croupier_wallet_dialects() -> list[DialectSpec]:
    """The Hub88-style dialect."""
    return [SPEC]
