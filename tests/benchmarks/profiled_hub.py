"""`croupier` under two profilers, one after the other: `profiled_hub SAMPLES CALLS serve SETTINGS`.

At the first SIGUSR1 it begins to sample the stack, at the second it writes the samples to SAMPLES and begins to count
calls with cProfile, at the third it writes those to CALLS. The main thread alone is measured: it runs the event loop.
"""

from __future__ import annotations

import cProfile
import json
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from tests.benchmarks.timers import ClockSignal

from croupier.cli import croupier

PERIOD_SECONDS = 0.001
"""Of the thread's own CPU time. The kernel looks at such timers at its own ticks: often 250 times a second."""

_DEEPEST = 100
Stack = tuple[tuple[str, int, str], ...]


class Sampler:
    """Notes what the main thread does whenever it has used another bit of CPU time."""

    def __init__(self) -> None:
        self.stacks: Counter[Stack] = Counter()
        self._timer: ClockSignal | None = None

    def start(self) -> None:
        """Begin; to be called in the main thread."""
        signal.signal(signal.SIGPROF, self._note)
        self._timer = ClockSignal(time.pthread_getcpuclockid(threading.get_ident()), signal.SIGPROF)
        self._timer.set(PERIOD_SECONDS)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.set(0)

    def _note(self, _sign: int, frame: FrameType | None) -> None:
        found: list[tuple[str, int, str]] = []
        while frame is not None and len(found) < _DEEPEST:
            found.append((frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname))
            frame = frame.f_back
        self.stacks[tuple(found)] += 1


def main() -> None:
    samples, calls, arguments = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    sampler = Sampler()
    # CPU time, not the clock on the wall: on a busy machine whoever sends is often interrupted right after it.
    profile = cProfile.Profile(time.thread_time)

    def counting() -> None:
        sampler.stop()
        found = [{"count": count, "stack": stack} for stack, count in sampler.stacks.items()]
        partial = samples.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        partial.replace(samples)
        profile.enable()

    def end() -> None:
        profile.disable()
        partial = calls.with_suffix(".partial")
        profile.dump_stats(partial)
        partial.replace(calls)

    phases = iter((sampler.start, counting, end))
    signal.signal(signal.SIGUSR1, lambda *_: next(phases)())
    croupier(arguments, prog_name="croupier")


if __name__ == "__main__":
    main()
