"""Timers of the kernel, which Python 3.11 does not offer itself."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_MONOTONIC: Final = 1
_SIGNAL: Final = 0
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def timer_file(seconds: float, first: float | None = None) -> int:
    """A file that becomes readable once in so many seconds, for the `first` time after so many.

    Raises:
        OSError: The system has none.
    """
    file: int = _LIBC.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if file < 0:
        raise _error()
    if _LIBC.timerfd_settime(file, 0, _every(seconds, first), None):
        raise _error()
    return file


class ClockSignal:
    """Sends this process a signal whenever a clock has gone on for so long.

    Args:
        clock: The clock's number, such as that of a thread's CPU time (`time.pthread_getcpuclockid`).
        sign: The signal's number.

    Raises:
        OSError: The system has no such timer.
    """

    def __init__(self, clock: int, sign: int) -> None:
        self._timer = ctypes.c_void_p()
        event = struct.pack("Pii48x", 0, sign, _SIGNAL)
        if _LIBC.timer_create(clock, event, ctypes.byref(self._timer)):
            raise _error()

    def set(self, seconds: float) -> None:
        """Begin, or end with 0."""
        if _LIBC.timer_settime(self._timer, 0, _every(seconds), None):
            raise _error()


def _every(seconds: float, first: float | None = None) -> bytes:
    return _span(seconds) + _span(seconds if first is None else first)


def _span(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e9))


def _error() -> OSError:
    return OSError(ctypes.get_errno(), "timer")
