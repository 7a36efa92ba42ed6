"""Settings that every test of the hub shares."""

from __future__ import annotations

import os

from hypothesis import settings

# Deadlines measure the machine, not the code. `ci` runs the same cases every time.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("fast", deadline=None, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
