"""`croupier` with another lease than production's, so that work is taken over often.

Nothing else of the hub is changed. SIGUSR1 lets it print what each of its tasks waits for. Workers are spawned: they
carry out this file, too, before they begin.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from croupier.cli import main
from croupier.runtime import hub

vars(hub)["LEASE_MS"] = int(os.environ["CHAOS_LEASE_MS"])


def _print_tasks(*_: object) -> None:
    for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined] # there need be no running loop here
        if not task.done():
            sys.stderr.write(f"{task.get_name()} waits at {' <- '.join(_places(task.get_coro()))}\n")
    sys.stderr.flush()


def _places(awaited: Any) -> list[str]:
    """Where a coroutine stands, and where what it waits for stands: the innermost first."""
    found: list[str] = []
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            found.insert(0, f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}")  # noqa: PTH119 # a string
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return found


signal.signal(signal.SIGUSR1, _print_tasks)

if __name__ == "__main__":
    main()
