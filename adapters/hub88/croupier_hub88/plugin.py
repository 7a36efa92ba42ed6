"""The entry point `hub88` in `croupier.adapters`."""

from __future__ import annotations

from croupier import hookimpl
from croupier.contract import AdapterSpec
from croupier_hub88.adapter import SPEC


@hookimpl
def croupier_adapters() -> list[AdapterSpec]:
    """The adapters of this package."""
    return [SPEC]
