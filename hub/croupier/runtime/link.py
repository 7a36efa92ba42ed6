"""What a parent and its workers tell each other: lines of JSON over a pair of sockets, none of which may ever block."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_AT_ONCE: Final = 65_536


class Link:
    """One end. What the other end is too slow to take is dropped: only hints are told once both are running.

    Args:
        channel: One socket of a pair; it belongs to the link from now on.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._begun = b""

    def fileno(self) -> int:
        """For an event loop that waits for messages."""
        return self._channel.fileno()

    def tell(self, *message: str | int) -> None:
        """Send a message, unless the other end is gone or too slow."""
        with suppress(OSError):
            self._channel.send(json.dumps(message).encode() + b"\n")

    def read(self) -> Sequence[list[object]] | None:
        """What has arrived; `None` once the other end is gone."""
        try:
            received = self._channel.recv(_AT_ONCE)
        except BlockingIOError:
            return ()
        except OSError:
            return None
        if not received:
            return None
        *whole, self._begun = (self._begun + received).split(b"\n")
        return [list(json.loads(line)) for line in whole]

    def close(self) -> None:
        """Close this end."""
        self._channel.close()
