"""Croupier: a casino game aggregation hub.

Plugins take one name from here, the marker for their hook implementations:

    from croupier import hookimpl
"""

from __future__ import annotations

import pluggy

__all__ = ["__version__", "hookimpl"]

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("croupier")
"""Marks a function of an adapter or plugin as the implementation of a hook of the hub."""
