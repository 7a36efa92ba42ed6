"""From an address to a connection: a server, one behind TLS, one at a socket, or a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from croupier.accelerator.client import Command, Server
from croupier.contract import SettingsError

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

SCHEMES: Final = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
"""What an address may begin with: plain, TLS, a socket of this machine, and the first two for a cluster."""

_SECONDS: Final = 5.0
"""The library's own limit, and how long a channel may be silent before the server is asked for a sign of life."""


def check_address(url: str) -> None:
    """Refuse an address that cannot be one.

    Raises:
        SettingsError: Its scheme is unknown, it names no place, or its port is none.
    """
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in SCHEMES or not rest:
        raise SettingsError(f"expected one of {', '.join(f'{name}://...' for name in SCHEMES)}", where="url")
    if scheme == "unix":
        return
    try:
        port = urlsplit(url).port
    except ValueError:
        port = 0
    if port == 0:
        raise SettingsError(
            "expected a port from 1 to 65535 behind the host, or none",
            where="url",
            hint="in a password write @ as %40, : as %3A, / as %2F, ? as %3F and # as %23",
        )


def opener(url: str, ca: Path | None = None) -> Callable[[], _RedisServer]:
    """What makes connections to an address; the library is imported here, and not before.

    Args:
        url: The address, with user and password where the server asks for them.
        ca: The authorities to trust in place of the system's (PEM), for TLS.

    Raises:
        SettingsError: The address cannot be one.
    """
    check_address(url)
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    scheme, _, rest = url.partition("://")
    plain = f"{scheme.removesuffix('+cluster')}://{rest}"
    options: dict[str, Any] = {
        "socket_timeout": _SECONDS,
        "socket_connect_timeout": _SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    if ca is not None and scheme.startswith("rediss"):
        options["ssl_ca_certs"] = str(ca)

    def connect() -> _RedisServer:
        if scheme.endswith("+cluster"):
            return _RedisServer(RedisCluster.from_url(plain, **options))
        return _RedisServer(Redis.from_url(plain, **options))

    try:
        connect()
    except (ValueError, RedisError) as error:
        raise SettingsError(f"the address cannot be used: {type(error).__name__}", where="url") from None
    return connect


@frozen(eq=False)
class _RedisServer(Server):
    """A connection by the library.

    Attributes:
        client: The library's client.
    """

    client: Redis | RedisCluster

    async def send(self, commands: Sequence[Command]) -> Sequence[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: Sequence[Any] = await pipeline.execute(raise_on_error=False)
        lost = next((answer for answer in answers if _is_of_the_connection(answer)), None)
        if lost is not None:
            raise lost
        return answers

    async def hear(self, channel: str) -> AsyncIterator[bytes]:
        """What is told in a channel; first, once it listens, and whenever the server shows that it lives, nothing.

        Raises:
            Exception: The connection failed, or the server shows no life.
        """
        await self.client.initialize()
        subscription = self.client.pubsub()
        try:
            await subscription.subscribe(channel)
            asked = True
            while True:
                message = await subscription.get_message(timeout=_SECONDS)
                if message is not None:
                    asked = False
                    told = message["data"] if message["type"] == "message" else b""
                    yield told if isinstance(told, bytes) else b""
                elif asked:
                    raise TimeoutError
                else:
                    await subscription.ping()
                    asked = True
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call] # the library has no types there

    async def close(self) -> None:
        await self.client.aclose()


def _is_of_the_connection(answer: object) -> bool:
    """A cluster tells of a node that is gone as the answer to its commands."""
    from redis.exceptions import ConnectionError as Lost
    from redis.exceptions import TimeoutError as Late

    return isinstance(answer, Lost | Late | OSError)
