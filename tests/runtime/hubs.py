"""A hub on SQLite, wired as it runs, without listeners."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from croupier.runtime.hub import Hub, build
from croupier.runtime.settings import load_settings

SETTINGS: Final = """
[database]
url = "sqlite:///hub.sqlite"
[secrets]
current = "k1"
keys.k1 = { env = "TEST_HUB_KEY" }
"""
KEY: Final = base64.b64encode(b"test-key-of-thirty-two-bytes-len").decode()


@asynccontextmanager
async def started(folder: Path, key: str = KEY) -> AsyncIterator[Hub]:
    """A hub whose settings and database are in a folder; `key` opens its secrets."""
    file = folder / "hub.toml"
    file.write_text(SETTINGS)
    hub = await build(load_settings(file), {"TEST_HUB_KEY": key})
    try:
        yield hub
    finally:
        await hub.close()
