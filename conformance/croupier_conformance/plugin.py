"""The kit's pytest plugin: fixtures for whoever tests an adapter, a plugin or the hub.

pytest imports this module at start in every environment where croupier is installed, also for test runs
that have nothing to do with it. So it stays a shell: the suites, hypothesis and croupier itself are lazily
imported inside the hooks and fixtures, when a test asks for them.

| fixture | what a test gets |
|---|---|
| `virtual_time` | `simulate`: runs a coroutine on an event loop whose time is virtual, and returns what it returns |
| `simulated_hub` | `SimulatedHub.open` with a fresh folder: a whole hub without sockets, inside `virtual_time` |
| `certify_examples` | what `--certify-examples` says, for `croupier_conformance.adoption`; `None` if it says nothing |

Example:
    ```python
    def test_a_bet_is_taken_once(virtual_time, simulated_hub, provider, wallet):
        async def story():
            async with simulated_hub(wallet=wallet, providers=[provider]) as hub:
                seat = await hub.launch(provider.name, "player-1")
                ...

        virtual_time(story())
    ```
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from croupier_conformance.simulated_hub import SimulatedHub


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--certify-examples`: how thorough adopted certifications are."""
    parser.getgroup("croupier").addoption(
        "--certify-examples",
        type=int,
        default=None,
        metavar="N",
        help="how many generated cases each property of an adopted certification tries (a whole one: 100)",
    )


@pytest.fixture(scope="session")
def certify_examples(pytestconfig: pytest.Config) -> int | None:
    """What `--certify-examples` says, or `None`."""
    said: int | None = pytestconfig.getoption("--certify-examples")
    return said


@pytest.fixture
def virtual_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """`croupier_conformance.virtual_time.simulate`: days pass in a moment, and the same seeds do the same things."""
    from croupier_conformance.virtual_time import simulate

    return simulate


@pytest.fixture
def simulated_hub(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[SimulatedHub]]:
    """`croupier_conformance.simulated_hub.SimulatedHub.open` with the test's own folder; see there for arguments."""
    from croupier_conformance.simulated_hub import SimulatedHub

    return partial(SimulatedHub.open, tmp_path)
