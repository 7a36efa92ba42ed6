"""The entry point `pragmatic` of the group `croupier.adapters`."""

from __future__ import annotations

from croupier import hookimpl
from croupier.contract.adapter import AdapterSpec
from croupier_pragmatic.adapter import SPEC


@hookimpl
def croupier_adapters() -> list[AdapterSpec]:
    """The adapters of this package."""
    return [SPEC]
