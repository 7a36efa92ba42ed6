"""`croupier` under cProfile: `python profiled_hub.py OUT serve SETTINGS`.

SIGUSR1 begins to measure, SIGUSR2 ends it and writes the figures to OUT. The main thread alone is measured: it runs
the event loop; the ledger's writer has a thread of its own.
"""

from __future__ import annotations

import cProfile
import signal
import sys
import time
from pathlib import Path

from croupier.cli import croupier


def main() -> None:
    out, arguments = Path(sys.argv[1]), sys.argv[2:]
    # CPU time, not the clock on the wall: on a busy machine whoever sends is often interrupted right after it.
    profile = cProfile.Profile(time.thread_time)

    def end(*_: object) -> None:
        profile.disable()
        partial = out.with_suffix(".partial")
        profile.dump_stats(partial)
        partial.replace(out)

    signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
    signal.signal(signal.SIGUSR2, end)
    croupier(arguments, prog_name="croupier")


if __name__ == "__main__":
    main()
