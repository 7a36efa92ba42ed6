"""Where the lines of the log go: to a stream, several at once, and at once where somebody should look."""

from __future__ import annotations

import asyncio
import atexit
import os
import select
import stat
import threading
import time
from contextlib import suppress
from typing import Final, TextIO

_HELD_CHARACTERS: Final = 32_768
"""So much is held back at most."""

_UNREAD_BYTES: Final = 8 * 1024 * 1024
"""So much waits for a reader who stands still; what is told beyond it is lost."""

_BEHIND_SECONDS: Final = 0.01
"""How often it is looked whether he goes on."""

_LAST_SECONDS: Final = 1.0
"""How long a process that ends waits for such a reader."""


class _Pipe:
    """A pipe or socket, written to only as far as it takes something: a write that waits would stop every bet.

    Args:
        descriptor: Its number.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unread = bytearray()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    @classmethod
    def of(cls, stream: TextIO) -> _Pipe | None:
        """The pipe behind a stream, if it leads to one."""
        try:
            descriptor = stream.fileno()
            mode = os.fstat(descriptor).st_mode
        except (OSError, ValueError):  # it is in memory, or closed
            return None
        return cls(descriptor) if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None

    @property
    def is_behind(self) -> bool:
        """Whether something waits for its reader."""
        return bool(self._unread)

    def write(self, text: str, seconds: float = 0.0) -> None:
        """Write a text behind what waits, as far as that goes.

        Args:
            text: Whole lines.
            seconds: How long to wait for the reader.

        Raises:
            OSError: There is no reader any more.
        """
        if len(self._unread) < _UNREAD_BYTES:
            self._unread += text.encode("utf-8", "backslashreplace")
        end, done = time.monotonic() + seconds, 0
        try:
            while done < len(self._unread) and self._takes_some(end):
                done += os.write(self._descriptor, self._unread[done : done + select.PIPE_BUF])
        except OSError:
            done = len(self._unread)
            raise
        finally:
            del self._unread[:done]

    def _takes_some(self, end: float) -> bool:
        """Whether it takes `PIPE_BUF` bytes at once."""
        return bool(self._poll.poll(max(end - time.monotonic(), 0.0) * 1000))

    def forget(self) -> None:
        """What waits is another process's to write."""
        self._unread.clear()


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
        self._pipe = _Pipe.of(stream)
        if hold_seconds > 0:
            atexit.register(self.flush, _LAST_SECONDS)
            os.register_at_fork(before=self.flush)  # or both processes would write what is held
            if self._pipe is not None:
                os.register_at_fork(after_in_child=self._pipe.forget)

    def info(self, line: str) -> None:
        """Write a line, soon."""
        loop = _running_loop() if self._hold_seconds > 0 else None
        with self._lock:
            self._lines.append(line)
            self._size += len(line)
            if loop is not None and loop is not self._loop:
                self._loop = loop
                loop.call_later(self._hold_seconds, self._due)
            if self._size < _HELD_CHARACTERS and loop is not None:
                return
        self.flush()

    debug = info

    def warning(self, line: str) -> None:
        """Write a line and all before it, now."""
        with self._lock:
            self._lines.append(line)
        self.flush()

    error = critical = warning

    def flush(self, seconds: float = 0.0) -> None:
        """Write what is held. A stream that takes nothing costs lines, and nothing else: money goes on.

        Args:
            seconds: How long to wait for one who reads a pipe and stands still.
        """
        with self._lock:
            text = "\n".join([*self._lines, ""])
            self._lines.clear()
            self._size = 0
            with suppress(OSError, ValueError):  # the latter: it is closed
                if self._pipe is not None:
                    self._pipe.write(text, seconds)
                else:
                    self._stream.write(text)
                    self._stream.flush()

    def _due(self) -> None:
        self._loop = None
        self.flush()
        if self._pipe is not None and self._pipe.is_behind:
            self._loop = asyncio.get_running_loop()
            self._loop.call_later(_BEHIND_SECONDS, self._due)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
