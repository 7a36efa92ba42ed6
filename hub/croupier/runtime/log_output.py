"""Where the lines of the log go: to a stream, several at once, and at once where somebody should look."""

from __future__ import annotations

import asyncio
import atexit
import os
import select
import socket
import stat
import threading
import time
import weakref
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
        is_socket: Whether it is a socket.
    """

    def __init__(self, descriptor: int, *, is_socket: bool) -> None:
        self._descriptor = descriptor
        self._unread = bytearray()
        self._send = self._send_to_socket if is_socket else self._send_if_writable
        if not is_socket:
            # Opened anew: the other processes that write to the same pipe may rely on waiting.
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
            with suppress(OSError):  # it is another user's
                self._descriptor = os.open(f"/proc/self/fd/{descriptor}", flags)
                weakref.finalize(self, os.close, self._descriptor).atexit = False
                self._send = self._send_at_once

    @classmethod
    def of(cls, stream: TextIO) -> _Pipe | None:
        """The pipe behind a stream, if it leads to one."""
        try:
            descriptor = stream.fileno()
            mode = os.fstat(descriptor).st_mode
        except (OSError, ValueError):  # it is in memory, or closed
            return None
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            return cls(descriptor, is_socket=stat.S_ISSOCK(mode))
        return None

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
        end = time.monotonic() + seconds
        try:
            while self._unread:
                try:
                    del self._unread[: self._send()]
                except BlockingIOError:
                    if not self._takes_more_before(end):
                        return
        except OSError:
            self._unread.clear()
            raise

    def _send_at_once(self) -> int:
        return os.write(self._descriptor, self._unread)

    def _send_to_socket(self) -> int:
        lent = socket.socket(fileno=self._descriptor)
        try:
            return lent.send(self._unread, socket.MSG_DONTWAIT)
        finally:
            lent.detach()

    def _send_if_writable(self) -> int:
        """What is writable takes so much without waiting; whole lines, lest other processes' come between."""
        if not self._is_writable(0.0):
            raise BlockingIOError
        piece = self._unread[: select.PIPE_BUF]
        return os.write(self._descriptor, piece[: piece.rfind(b"\n") + 1 or len(piece)])

    def _takes_more_before(self, end: float) -> bool:
        left = end - time.monotonic()
        return left > 0 and self._is_writable(left)

    def _is_writable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

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
