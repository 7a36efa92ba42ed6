"""What the handlers of the operator API are handed."""

from __future__ import annotations

from typing import TypeVar

from attrs import field, frozen

from croupier.catalogue.service import CatalogueService
from croupier.configuration.directory import LiveConnection, LiveOperator
from croupier.contract import NotFoundError
from croupier.ledger.port import Ledger
from croupier.sessions.service import SessionService
from croupier.wallet.ports import Clock, Ids
from croupier.web.api import Ask, Nothing
from croupier.web.ports import Outbound

QueryT = TypeVar("QueryT")
BodyT = TypeVar("BodyT")


@frozen(kw_only=True)
class Caller:
    """Who a bearer key speaks for.

    Attributes:
        operator: The operator.
        key: The key's id and label, for records.
    """

    operator: LiveOperator = field(repr=False)
    key: str

    def connection(self, name: str) -> LiveConnection:
        """A working connection of the operator, by name or id.

        Raises:
            NotFoundError: There is none.
        """
        for live in self.operator.connections.values():
            if name in {live.id, live.name}:
                return live
        raise NotFoundError("there is no such connection that works", where="connection")


OperatorAsk = Ask[Caller, QueryT, BodyT]
Plain = Ask[Caller, Nothing, Nothing]


@frozen(kw_only=True, eq=False)
class Parts:
    """The rooms below, as far as the operator API needs them.

    Attributes:
        ledger: The record.
        sessions: Launches and players' names.
        catalogue: The games.
        outbound: Drives flows to providers.
        clock: Time.
        ids: Fresh identities.
    """

    ledger: Ledger
    sessions: SessionService
    catalogue: CatalogueService
    outbound: Outbound
    clock: Clock
    ids: Ids
