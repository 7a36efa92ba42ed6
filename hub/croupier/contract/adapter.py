r"""The adapter contract: a provider's protocol as pure functions.

An adapter opens no socket, reads no clock, environment or random source, logs nothing and awaits nothing. Bytes,
headers, secrets, the time and nonces come in as arguments; values go out.

The way of one request:

```
HttpRequest -> verify -> Verified -> parse -> Calls -> (engine) -> Result... -> render -> HttpResponse
                  \________________________________________/
                          any CroupierError -> render_error
```

A package registers its adapter by an entry point in the group `croupier.adapters` whose name is the slug, and which
names a module with a hook:

```python
from croupier import hookimpl

@hookimpl
def croupier_adapters() -> list[AdapterSpec]:
    return [SPEC]
```
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum, unique
from typing import Any, Final

from attrs import field, frozen

from croupier.contract.calls import Calls
from croupier.contract.capabilities import Capability
from croupier.contract.errors import CroupierError, UnsupportedOperationError
from croupier.contract.flows import (
    BetScale,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    Launched,
    LaunchQuery,
    LogPage,
    LogQuery,
    ReplayQuery,
)
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.outcomes import Result
from croupier.contract.policy import Policies
from croupier.contract.secrets import Credentials, SecretField

ADAPTER_API: Final = 1
"""The version of this contract. The hub accepts it and the one before."""


@unique
class Proof(Enum):
    """How a request proves where it comes from; the conformance kit's rules follow from it."""

    SIGNATURE = "signature"
    """A signature in a header over the raw bytes."""
    FIELD_MAC = "field_mac"
    """A hash or MAC in a field, over other fields: syntax must be decoded first, within bounds."""
    ENCRYPTION = "encryption"
    """Only who knows the key could have written it."""
    BEARER = "bearer"
    """A shared secret is sent as it is."""


@frozen
class Route:
    """One entrance below the connection's address.

    Attributes:
        method: The HTTP method.
        path: The path; matched without regard to a trailing slash.
        operation: The adapter's name for it: a metrics label and, where a path is one operation, the policy's key.
    """

    method: str
    path: str
    operation: str


@frozen(kw_only=True)
class AliasRule:
    """Which player names a provider accepts.

    Attributes:
        alphabet: The characters that may occur.
        length: How long the alias shall be.
        prefix: What every alias begins with.
    """

    alphabet: str = "abcdefghijklmnopqrstuvwxyz0123456789"
    length: int = 24
    prefix: str = ""


@frozen
class Verified:
    """A request whose origin is proven. Only `verify` makes one; `parse` takes nothing else.

    Attributes:
        request: The request, bytes untouched.
        fields: What had to be decoded for the proof (form fields, decrypted JSON), so that it is done once.
    """

    request: HttpRequest
    fields: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class AdapterSpec:
    """What an adapter says of itself; a package's hook returns these.

    Attributes:
        slug: Its name in URLs, configuration and entry points: lower case letters, digits, `_`.
        name: The name for people.
        api: The `ADAPTER_API` it was written against.
        proof: How the provider's requests prove their origin.
        capabilities: What it can do.
        secrets: The secrets that a connection needs.
        settings: An attrs class of the settings that a connection may have; every field with a default is optional.
            The hub structures the stored configuration into it and reports a wrong value by its path.
        create: Makes the adapter from an instance of `settings`. It may raise `SettingsError`.
        aliases: Which player names the provider accepts.
        documentation: Where the facts of the protocol come from.
        omissions: Operations that the documentation names and the adapter does not offer, each with a reason.
    """

    slug: str
    name: str
    proof: Proof
    capabilities: frozenset[Capability]
    secrets: tuple[SecretField, ...]
    settings: type
    create: Callable[[Any], Adapter]
    aliases: AliasRule = AliasRule()
    documentation: str = ""
    omissions: Mapping[str, str] = field(factory=dict)
    api: int = ADAPTER_API


class Adapter(ABC):
    """A provider's protocol with one connection's settings. Immutable, and free of any I/O.

    Attributes:
        spec: What it says of itself.
        policies: How this provider behaves by default, with these settings.
    """

    spec: AdapterSpec
    policies: Policies

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Every entrance. The hub answers 404 below the connection's address for all else."""

    @abstractmethod
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        """Prove where the request comes from, on its raw bytes.

        Every value of a secret is accepted (two keys are valid during a rotation). There is no permissive default:
        without a secret nothing is proven.

        Args:
            request: As received; `url` begins below the connection's address.
            credentials: The connection's secrets.
            now: The time (UTC, aware), for protocols with a window.

        Raises:
            AuthenticationError: The proof is missing or wrong.
            MalformedRequestError: The bytes cannot be decoded as far as the proof needs it.
        """

    @abstractmethod
    def parse(self, verified: Verified) -> Calls:
        """Say what the request asks for.

        Raises:
            MalformedRequestError: A field is missing, of the wrong type, or out of range.
            UnsupportedOperationError: The protocol has no such operation.
        """

    @abstractmethod
    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        """Answer in the provider's own protocol. Total and deterministic.

        Args:
            calls: What `parse` returned.
            results: One a call, in order.
            credentials: For protocols that sign answers.
            now: The time (UTC, aware).
            nonce: A fresh random text, for protocols that need one.
        """

    @abstractmethod
    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        """Answer what failed before there was a call: the proof, the syntax, the hub's own limits."""

    def redact(self, request: HttpRequest) -> HttpRequest:
        """The request as it may be stored and logged: without secrets, tokens and personal fields.

        The default keeps method and path alone. Override it to keep more, field by field that is known to be safe.
        """
        return HttpRequest(request.method, request.path)

    def redact_verified(self, verified: Verified) -> HttpRequest:
        """Like `redact`, for a request whose origin is proven: by default the same.

        Override it where bytes tell nothing (an encrypted envelope) and the fields that were decoded for the proof do:
        `safe_fields` writes those that are known to be safe. Of a request that is not proven nothing of this is kept.
        """
        return self.redact(verified.request)

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        """Start a game (capabilities `LAUNCH`, `LAUNCH_DEMO`).

        Raises:
            ProviderRefusedError: The provider refused definitely.
            UpstreamError: Its answer cannot be used.
        """
        raise self._undeclared("launch")

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        """The provider's games (capability `GAME_LIST`)."""
        raise self._undeclared("game_list")

    def bet_scales(self, games: Sequence[str], credentials: Credentials, now: datetime) -> Flow[tuple[BetScale, ...]]:
        """The bets that games offer (capability `BET_SCALES`)."""
        raise self._undeclared("bet_scales")

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        """Give a player free rounds (capability `FREE_ROUNDS_ISSUE`); a repeat of the same grant makes no second."""
        raise self._undeclared("issue_free_rounds")

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        """Take free rounds back (capability `FREE_ROUNDS_CANCEL`)."""
        raise self._undeclared("cancel_free_rounds")

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        """A player's free rounds (capability `FREE_ROUNDS_LIST`)."""
        raise self._undeclared("list_free_rounds")

    def replay(self, query: ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        """Show a round again (capability `ROUND_REPLAY`)."""
        raise self._undeclared("replay")

    def transaction_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        """The provider's log, a row a transaction (capability `TRANSACTION_LOG`)."""
        raise self._undeclared("transaction_log")

    def round_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        """The provider's log, a row a round (capability `ROUND_LOG`)."""
        raise self._undeclared("round_log")

    def end_session(self, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        """End a player's sessions with the provider (capability `END_SESSION`)."""
        raise self._undeclared("end_session")

    def cancel_round(self, player: str, game: str, round: str, credentials: Credentials, now: datetime) -> Flow[None]:
        """Ask the provider to void an open round (capability `CANCEL_ROUND`); it will send rollbacks."""
        raise self._undeclared("cancel_round")

    def _undeclared(self, operation: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(f"{self.spec.slug} declares no {operation}", where=operation)
