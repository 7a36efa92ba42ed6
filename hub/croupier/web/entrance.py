"""A connection as the gateway needs it for every request, prepared once for as long as the configuration stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from croupier.configuration.directory import Directory, LiveConnection
from croupier.contract import NotFoundError, Policy, Route, UnsupportedOperationError
from croupier.web.provider_record import decision_of


class MethodError(UnsupportedOperationError):
    """The address exists, the method does not.

    Attributes:
        methods: Those that it has.
    """

    def __init__(self, methods: list[str]) -> None:
        super().__init__("the address has no such method", hint=f"it has {', '.join(methods)}")
        self.methods = methods


@frozen
class Budget:
    """How long an operation may take.

    Attributes:
        decision: What says so, for the record.
        work: Seconds from the arrival by which the work must be done.
        patience: Seconds from the arrival after which the provider is answered without it: between the end of the work
            and the provider's own time-out.
        queue: Seconds from the arrival for which it may wait for a place, if the hub is busy: a quarter of the time
            for the work.
    """

    decision: Mapping[str, Any]
    work: float
    patience: float
    queue: float

    @classmethod
    def of(cls, policy: Policy) -> Budget:
        """From a policy."""
        milliseconds = policy.operator_budget_ms
        return cls(
            decision=decision_of(policy),
            work=milliseconds / 1000,
            patience=(milliseconds + policy.timeout_margin_ms / 2) / 1000,
            queue=milliseconds / 4000,
        )


@frozen(eq=False)
class Entrance:
    """A connection that works.

    Attributes:
        live: The connection.
        is_guarded: Whether it says who may call it, by address or certificate.
    """

    live: LiveConnection
    is_guarded: bool = field(init=False)
    _routes: Mapping[str, Mapping[str, Route]] = field(init=False)
    _default: Budget = field(init=False)
    _budgets: Mapping[str, Budget] = field(init=False)

    @is_guarded.default
    def _guarded(self) -> bool:
        return bool(self.live.networks) or self.live.document.require_client_certificate is not None

    @_routes.default
    def _by_path(self) -> Mapping[str, Mapping[str, Route]]:
        routes: dict[str, dict[str, Route]] = {}
        for route in self.live.adapter.routes():
            routes.setdefault(_plain_path(route.path), {}).setdefault(route.method, route)
        return routes

    @_default.default
    def _default_budget(self) -> Budget:
        return Budget.of(self.live.connection.policies.default)

    @_budgets.default
    def _budget_by_operation(self) -> Mapping[str, Budget]:
        return {name: Budget.of(policy) for name, policy in self.live.connection.policies.operations.items()}

    def route(self, method: str, url: str) -> Route:
        """The adapter's entrance that a request names; a query and a slash at the end do not matter.

        Raises:
            NotFoundError: There is none.
            MethodError: There is one, by another method.
        """
        methods = self._routes.get(url) or self._routes.get(_plain_path(url))
        if methods is None:
            raise NotFoundError("the connection has no such address")
        route = methods.get(method)
        if route is None:
            raise MethodError(sorted(methods))
        return route

    def budget(self, operation: str) -> Budget:
        """How long an operation may take."""
        return self._budgets.get(operation, self._default)


def _plain_path(url: str) -> str:
    """The path as it was sent, without query and trailing slash."""
    return url.partition("?")[0].rstrip("/") or "/"


class Entrances:
    """The entrances of the directory that is in force; they are made when they are first asked for.

    Args:
        directory: Gives the directory; it changes without a restart.
    """

    def __init__(self, directory: Callable[[], Directory]) -> None:
        self._directory = directory
        self._made_for: Directory | None = None
        self._entrances: dict[tuple[str, str], Entrance] = {}

    def find(self, operator: str, connection: str) -> Entrance | None:
        """The entrance of an address: operator and connection by name or id; `None` if there is none that works."""
        directory = self._directory()
        if directory is not self._made_for:
            self._made_for, self._entrances = directory, {}
        entrance = self._entrances.get((operator, connection))
        if entrance is None:
            live = directory.connection_by_name(operator, connection)
            if live is None:
                return None
            entrance = self._entrances[operator, connection] = Entrance(live)
        return entrance

    def is_down(self, operator: str, connection: str) -> bool:
        """Whether there is a connection that cannot work now."""
        return self._directory().down_by_name(operator, connection) is not None
