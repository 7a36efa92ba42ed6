"""`croupier` with another lease than production's, so that work is taken over often.

Nothing else of the hub is changed. SIGUSR1 lets it print what each of its tasks waits for. Workers are spawned: they
carry out this file, too, before they begin.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from croupier.cli import main
from croupier.runtime import hub

vars(hub)["LEASE_MS"] = int(os.environ["CHAOS_LEASE_MS"])


def _print_tasks(*_: object) -> None:
    for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined] # there need be no running loop here
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


signal.signal(signal.SIGUSR1, _print_tasks)

if __name__ == "__main__":
    main()
