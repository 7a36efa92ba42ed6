"""What answers at a socket, without the socket: apps take an `Incoming` and return an `HttpResponse`.

`croupier.web.server` puts an app behind sockets; tests and simulations call it directly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol

from croupier.contract import Headers, HttpRequest, HttpResponse
from croupier.contract.values import immutable
from croupier.wallet.ports import Ids
from croupier.web.addresses import PresentedCertificate
from croupier.web.gateway import NO_SUCH_ADDRESS, Gateway
from croupier.web.tracing import trace_of

_PROVIDERS: Final = "providers"


@immutable(kw_only=True)
class Incoming:
    """A request as it came through a socket.

    Attributes:
        request: The request; `url` is the request line's target in origin form. A body that is longer than the app's
            `body_limit` is cut one byte behind it.
        source: The address of the socket's other end.
        client_certificate: The client's certificate, where TLS asked for one and found it valid.
    """

    request: HttpRequest
    source: str
    client_certificate: PresentedCertificate | None = None


class App(Protocol):
    """What answers at a socket."""

    @property
    def body_limit(self) -> int:
        """The largest body that is read; the app refuses what is longer."""

    def answer(self, incoming: Incoming) -> Awaitable[HttpResponse]:
        """Answer one request."""

    async def drain(self, seconds: float) -> int:
        """Wait for work that outlives its request; returns how much is left after that time."""


@immutable(kw_only=True)
class Probes:
    """What a load balancer and a monitor ask: `/healthz`, `/readyz`, `/metrics`.

    Attributes:
        obstacles: Why requests should go elsewhere now (`draining`, `configuration`); empty when ready.
        metrics: The media type and the text of the metrics, or `None` where this listener does not show them.
        remarks: What else somebody may want to know who finds it ready.
    """

    obstacles: Callable[[], Sequence[str]]
    metrics: Callable[[], tuple[str, bytes]] | None = None
    remarks: Callable[[], Sequence[str]] = tuple

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to a probe, or `None` if the request is none."""
        if request.method not in {"GET", "HEAD"}:
            return None
        match request.url.partition("?")[0]:
            case "/healthz":
                return HttpResponse.text("ok\n")
            case "/readyz":
                obstacles = self.obstacles()
                lines = obstacles or ("ready", *self.remarks())
                return HttpResponse.text("\n".join(lines) + "\n", 503 if obstacles else 200)
            case "/metrics" if self.metrics is not None:
                kind, text = self.metrics()
                return HttpResponse(200, Headers((("Content-Type", kind),)), text)
            case _:
                return None


@immutable(kw_only=True)
class ProbesApp:
    """The probes alone, for a listener that only the operators of the hub can reach."""

    probes: Probes
    body_limit: int = 1_024

    async def answer(self, incoming: Incoming) -> HttpResponse:
        """Answer a probe."""
        return self.probes.answer(incoming.request) or NO_SUCH_ADDRESS

    async def drain(self, seconds: float) -> int:
        """There is nothing that outlives its request."""
        return 0


@immutable(kw_only=True)
class ProviderApp:
    """The providers' entrance: `/providers/{operator}/{connection}/...`, and the probes."""

    gateway: Gateway
    ids: Ids
    probes: Probes

    @property
    def body_limit(self) -> int:
        """The gateway's."""
        return self.gateway.limits.body_bytes

    def answer(self, incoming: Incoming) -> Awaitable[HttpResponse]:
        """Hand a request to the gateway; everything else is 404, told in one way."""
        request = incoming.request
        found = _split(request.url)
        if found is None:
            return self._answer_beside(request)
        operator, connection, below = found
        return self.gateway.handle(
            operator,
            connection,
            HttpRequest(request.method, below, request.headers, request.body),
            source=incoming.source,
            forwarded=request.headers,
            client_certificate=incoming.client_certificate,
            trace=trace_of(request.headers, self.ids),
        )

    async def _answer_beside(self, request: HttpRequest) -> HttpResponse:
        return self.probes.answer(request) or NO_SUCH_ADDRESS

    async def drain(self, seconds: float) -> int:
        """Wait for the gateway's work."""
        return await self.gateway.drain(seconds)


@lru_cache(maxsize=512)  # a provider calls a few addresses again and again
def _split(url: str) -> tuple[str, str, str] | None:
    """Operator, connection and the rest of an address, byte for byte as it was sent."""
    path, mark, query = url.partition("?")
    empty, *parts = path.split("/", 4)
    if empty or len(parts) < 3 or parts[0] != _PROVIDERS or not parts[1] or not parts[2]:
        return None
    return parts[1], parts[2], "/" + "".join(parts[3:]) + mark + query


@immutable(kw_only=True)
class JoinedApps:
    """Several apps at one socket, told apart by the beginning of the path.

    Attributes:
        apps: Prefix (`/admin`, `/v1`) to app; the longest that fits answers, and sees the whole path.
        other: What answers everything else.
    """

    apps: Mapping[str, App]
    other: App

    @property
    def body_limit(self) -> int:
        """The largest of all; each app still refuses what is too large for itself."""
        return max(app.body_limit for app in (*self.apps.values(), self.other))

    def answer(self, incoming: Incoming) -> Awaitable[HttpResponse]:
        """Answer by the app of the longest prefix."""
        path = incoming.request.url.partition("?")[0]
        fits = [prefix for prefix in self.apps if path == prefix or path.startswith(prefix.rstrip("/") + "/")]
        app = self.apps[max(fits, key=len)] if fits else self.other
        return app.answer(incoming)

    async def drain(self, seconds: float) -> int:
        """Wait for the work of every app."""
        left = 0
        for app in (*self.apps.values(), self.other):
            left += await app.drain(seconds)
        return left


def make_provider_app(gateway: Gateway, ids: Ids, probes: Probes) -> ProviderApp:
    """The app that providers call."""
    return ProviderApp(gateway=gateway, ids=ids, probes=probes)
