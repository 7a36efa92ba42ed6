"""The entry point `evolution` in `croupier.adapters`."""

from __future__ import annotations

from croupier import hookimpl
from croupier.contract import AdapterSpec
from croupier_evolution.adapter import SPEC


@hookimpl
def croupier_adapters() -> list[AdapterSpec]:
    """The adapters of this package."""
    return [SPEC]
