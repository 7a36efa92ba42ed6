"""What the web room is handed: the rooms below it know nothing of it, and the runtime wires them together."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from croupier.configuration.directory import LiveConnection, LiveOperator
from croupier.contract import Calls, Flow, RateLimitedError, Result
from croupier.wallet.parties import Connection

T = TypeVar("T")


class Log(Protocol):
    """A structured log: an event's name, and fields. No secret, token or player data is ever given to it."""

    def info(self, event: str, **fields: Any) -> Any:
        """What happens all the time."""

    def warning(self, event: str, **fields: Any) -> Any:
        """What somebody may want to look into."""

    def error(self, event: str, **fields: Any) -> Any:
        """What must be looked into."""


class GatewayMetrics(Protocol):
    """Counts of the provider gateway. Every label has a bounded set of values."""

    def provider_call(self, *, operator: str, connection: str, operation: str, verdict: str, seconds: float) -> None:
        """One request was answered; `verdict` is `applied`, `declined`, `unknown` or `error`."""

    def provider_calls_under_way(self, *, operator: str, count: int) -> None:
        """How many requests of an operator are being worked on."""

    def provider_calls_waiting(self, *, operator: str, count: int) -> None:
        """How many requests of an operator wait until it is their turn."""


class ApiMetrics(Protocol):
    """Counts of the JSON APIs."""

    def api_call(self, *, api: str, operation: str, status: int, seconds: float) -> None:
        """One request was answered; `operation` is the route's name."""


class Rates(Protocol):
    """How many requests are taken a second. It never waits for anything."""

    def check_operator(self, operator: LiveOperator) -> None:
        """Take one request of an operator to its API.

        Raises:
            RateLimitedError: There are too many.
        """

    def check_address(self, address: str) -> None:
        """Take one request from an address to the operator API, before anything is known of it.

        Raises:
            RateLimitedError: There are too many.
        """

    def over(self, live: LiveConnection) -> RateLimitedError | None:
        """Take one request of a provider; what to refuse it with if there are too many, and it may be refused."""


class Engine(Protocol):
    """The money path, as the gateway drives it."""

    async def handle(self, connection: Connection, calls: Calls, *, trace: str, deadline: float) -> tuple[Result, ...]:
        """Work through a request's calls; one result each, in order.

        Args:
            connection: Where the calls came in.
            calls: What is asked.
            trace: The trace id, for the exchanges with the operator.
            deadline: The value of `Clock.monotonic` by which there must be an answer.

        Raises:
            StoreUnavailableError: Nothing can be stored now; nothing was sent to the operator.
        """


class Outbound(Protocol):
    """Drives an adapter's flow: sends, repeats what may be repeated, records the exchanges."""

    async def __call__(self, flow: Flow[T], live: LiveConnection, *, operation: str, trace: str) -> T:
        """Run a flow to its end.

        Args:
            flow: What an adapter's launch, replay, ... returned.
            live: The connection that it belongs to.
            operation: The adapter's name of it, for records and counts.
            trace: The trace id.

        Raises:
            ProviderRefusedError: The provider refused definitely.
            UpstreamError: Its answer cannot be used.
            TransportError: There was no answer.
        """
