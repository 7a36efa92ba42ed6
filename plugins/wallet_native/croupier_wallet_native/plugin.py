"""What the hub finds in this package."""

from __future__ import annotations

from croupier import hookimpl
from croupier.contract import DialectSpec
from croupier_wallet_native.dialect import SPEC


@hookimpl
def croupier_wallet_dialects() -> list[DialectSpec]:
    """The native dialect."""
    return [SPEC]
