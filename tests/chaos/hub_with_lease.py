"""`croupier` with another lease than production's, so that work is taken over often: `hub_with_lease.py serve ...`.

Nothing else of the hub is changed. Workers are spawned: they carry out this file, too, before they begin.
"""

from __future__ import annotations

import os

from croupier.cli import main
from croupier.runtime import hub

vars(hub)["LEASE_MS"] = int(os.environ["CHAOS_LEASE_MS"])

if __name__ == "__main__":
    main()
