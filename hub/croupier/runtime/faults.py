"""What is stored and cannot be used, told to those who watch the log and the metrics."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from croupier.configuration.directory import Directory, Fault
from croupier.configuration.documents import Kind
from croupier.runtime.logs import Log
from croupier.runtime.metrics import Metrics


@define(eq=False)
class FaultWatch:
    """Tells each fault of the configuration once, for as long as it stands.

    Attributes:
        log: Gets a warning for each fault that is new; one that was mended and comes again is new.
        metrics: Shows how many there are.
    """

    log: Log
    metrics: Metrics
    _standing: frozenset[Fault] = field(default=frozenset(), init=False)

    def look(self, directory: Directory) -> None:
        """Tell what has changed since the last look."""
        before, self._standing = self._standing, frozenset(directory.faults)
        for fault in directory.faults:
            if fault not in before:
                # Not the reason: it may quote a setting, such as an address.
                self.log.warning(
                    "configuration_fault",
                    operator=fault.operator,
                    kind=fault.kind,
                    configured=fault.id,
                    configured_name=fault.name,
                    code=fault.code,
                )
        counts = Counter(fault.kind for fault in directory.faults)
        self.metrics.configuration_faults({kind.value: counts[kind.value] for kind in Kind})
