"""What the hub finds in this package."""

from __future__ import annotations

from croupier import hookimpl
from croupier.contract import SinkSpec
from croupier_sink_redis.sink import SPEC


@hookimpl
def croupier_event_sinks() -> list[SinkSpec]:
    """Redis Streams."""
    return [SPEC]
