"""What the hub finds in this package."""

from __future__ import annotations

from croupier import hookimpl
from croupier.contract import SinkSpec
from croupier_sink_webhook.sink import SPEC


@hookimpl
def croupier_event_sinks() -> list[SinkSpec]:
    """Signed webhooks."""
    return [SPEC]
