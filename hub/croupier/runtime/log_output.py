"""Where the lines of the log go: to a stream, several at once, and at once where somebody should look."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from contextlib import suppress
from typing import Final, TextIO

_HELD_CHARACTERS: Final = 32_768
"""So much is held back at most."""


class HeldOutput:
    """Holds lines back for a moment, so that writing them costs little; has the methods of a logger.

    A line of level warning or above is written at once, with all before it. The others wait for as long as they may,
    where an event loop runs that can see to it. At the end of the process what is held is written; a process that is
    killed loses it.

    Args:
        stream: Where to.
        hold_seconds: How long a line may wait; 0 writes each one at once.
    """

    def __init__(self, stream: TextIO, hold_seconds: float) -> None:
        self._stream = stream
        self._hold_seconds = hold_seconds
        self._lines: list[str] = []
        self._size = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        if hold_seconds > 0:
            atexit.register(self.flush)
            os.register_at_fork(before=self.flush)  # or both processes would write what is held

    def info(self, line: str) -> None:
        """Write a line, soon."""
        loop = _running_loop() if self._hold_seconds > 0 else None
        with self._lock:
            self._lines.append(line)
            self._size += len(line)
            if self._size < _HELD_CHARACTERS and loop is not None:
                if loop is not self._loop:
                    self._loop = loop
                    loop.call_later(self._hold_seconds, self._due)
                return
        self.flush()

    debug = info

    def warning(self, line: str) -> None:
        """Write a line and all before it, now."""
        with self._lock:
            self._lines.append(line)
        self.flush()

    error = critical = warning

    def flush(self) -> None:
        """Write what is held. A stream that takes nothing costs lines, and nothing else: money goes on."""
        with self._lock:
            text = "\n".join([*self._lines, ""])
            self._lines.clear()
            self._size = 0
            with suppress(OSError, ValueError):  # the latter: it is closed
                self._stream.write(text)
                self._stream.flush()

    def _due(self) -> None:
        self._loop = None
        self.flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
