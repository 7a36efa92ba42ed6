"""What the handlers of the admin API are handed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from attrs import frozen

from croupier.catalogue.service import CatalogueService
from croupier.configuration.service import Configuration
from croupier.ledger.port import Ledger
from croupier.ledger.records import CaseRow, DeliveryRow
from croupier.reconciliation.desk import Recorded
from croupier.reconciliation.findings import Finding
from croupier.registry.reports import AdapterReport, PluginReport
from croupier.sinks.desk import SinkDesk
from croupier.wallet.open_rounds import Standing
from croupier.wallet.ports import Clock
from croupier.web.api import Ask, Nothing
from croupier.web.ports import Outbound

QueryT = TypeVar("QueryT")
BodyT = TypeVar("BodyT")


class HeldWork(Protocol):
    """What a person can do about held work."""

    async def redrive(self, operator: str, delivery: str, *, who: str, why: str) -> DeliveryRow:
        """Try it again, now."""

    async def agree(self, operator: str, delivery: str, *, who: str, why: str, applied: bool) -> DeliveryRow:
        """Propose what was found by hand, or confirm what another has proposed: then it is done."""


class OpenRounds(Protocol):
    """What people can do about rounds that stay open."""

    async def standing(self, operator: str, round_id: str) -> Standing:
        """How one stands."""

    async def void(self, operator: str, round_id: str, *, who: str, why: str) -> Standing:
        """Propose that its stakes are given back, or confirm what another has proposed: then it is done."""

    async def complete(self, operator: str, round_id: str, *, who: str, why: str, short: int = 0) -> Standing:
        """Likewise, that it ends as it stands."""


class CaseDesk(Protocol):
    """What people can do about cases of reconciliation."""

    async def case(self, operator: str, case: str) -> CaseRow:
        """One case."""

    async def record(self, finding: Finding, *, who: str, closes: Sequence[str] = ()) -> Recorded:
        """Keep what a comparison has found."""

    async def explain(self, operator: str, case: str, *, who: str, why: str) -> CaseRow:
        """Propose that no record of the hub's is wrong, or confirm what another has proposed: then it is settled."""

    async def adjust(self, operator: str, case: str, *, who: str, why: str) -> CaseRow:
        """Likewise, that the hub's book is to be read as the other one from now on."""


class Registry(Protocol):
    """What is installed."""

    def adapters(self) -> Sequence[AdapterReport]:
        """Every adapter that was found."""

    def plugins(self) -> Sequence[PluginReport]:
        """Every plugin that was found."""

    def rescan(self) -> None:
        """Look again."""


@frozen
class Administrator:
    """Who a bearer key speaks for.

    Attributes:
        name: What the record of a change says: the key's label and id.
    """

    name: str


AdminAsk = Ask[Administrator, QueryT, BodyT]
Plain = Ask[Administrator, Nothing, Nothing]


@frozen(kw_only=True, eq=False)
class AdminParts:
    """The rooms below, as far as the admin API needs them.

    Attributes:
        configuration: What is configured.
        registry: What is installed.
        held: Held work.
        rounds: Decisions on rounds that stay open.
        cases: Cases of reconciliation.
        sinks: Event sinks and what waits for them.
        ledger: The record.
        catalogue: Games.
        clock: Time.
        outbound: Drives flows to providers, or `None` where this process calls none.
    """

    configuration: Configuration
    registry: Registry
    held: HeldWork
    rounds: OpenRounds
    cases: CaseDesk
    sinks: SinkDesk
    ledger: Ledger
    catalogue: CatalogueService
    clock: Clock
    outbound: Outbound | None
