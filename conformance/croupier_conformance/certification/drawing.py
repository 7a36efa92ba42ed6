"""Generated cases for rules: the same for the same seed, as many as the bench allows, shrunk when one breaks a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import HealthCheck, Phase, configuration, given, seed, settings
from hypothesis.strategies import SearchStrategy

from croupier_conformance.certification.bench import AdapterBench

Case = TypeVar("Case")


def for_every(
    bench: AdapterBench, cases: SearchStrategy[Case], check: Callable[[Case], None], *, times: int = 1
) -> None:
    """Check drawn cases; what the simplest broken one raises is raised.

    Args:
        bench: Its `examples` and its `seed` decide what is drawn.
        cases: The cases.
        check: Raises `RuleBrokenError`.
        times: So many times the bench's examples, for checks that cost next to nothing.
    """

    @seed(bench.seed)
    @settings(
        max_examples=max(bench.examples * times, 1),
        database=None,
        derandomize=True,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        # How busy the machine is that draws the cases says nothing about the subject.
        suppress_health_check=(HealthCheck.too_slow,),
    )
    @given(cases)
    def every(case: Case) -> None:
        check(case)

    with _nothing_kept():
        every()


@contextmanager
def _nothing_kept() -> Iterator[None]:
    """Keep what hypothesis stores for later runs out of the folder of whoever certifies."""
    with TemporaryDirectory(prefix="croupier-certify-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)
