"""Events appended to a Redis stream, one stream an operator, in the order of their positions.

Each entry has the fields `id` (the event's id, the same if it is written again), `position`, `type` and `message` (the
JSON text that a webhook would carry). An entry may come twice, after a loss of the connection or of a process: who
reads remembers the last position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen, validators

from croupier.contract import (
    Credentials,
    EventStream,
    SecretField,
    SettingsError,
    SinkEvent,
    SinkSpec,
    StreamWriter,
    UpstreamError,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

_PASSWORD: Final = "password"  # noqa: S105 # the secret's name
_SCHEMES: Final = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
_MOST_KEPT: Final[int | None] = 1_000_000
_APPEND: Final = """
local limit = tonumber(ARGV[1])
for at = 2, #ARGV, 4 do
  local entry = {'id', ARGV[at], 'position', ARGV[at + 1], 'type', ARGV[at + 2], 'message', ARGV[at + 3]}
  if limit > 0 then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', limit, '*', unpack(entry))
  else
    redis.call('XADD', KEYS[1], '*', unpack(entry))
  end
end
"""
"""It ends at the first entry that is refused. Of single commands a later one could succeed, as when memory is freed in
between: who reads remembers the last position, and would pass over what fills the hole."""

_SECONDS: Final = 10.0
"""The library's own limit for one answer: below the hub's for a batch."""


def _address(_instance: object, _attribute: Attribute[str], value: str) -> None:
    try:
        parts = urlsplit(value)
        named = bool(parts.path if parts.scheme == "unix" else parts.hostname)
        secret = parts.username is not None or parts.password is not None or "password" in parts.query
        _ = parts.port
    except ValueError:
        raise SettingsError("expected an address", where="url") from None
    if parts.scheme not in _SCHEMES or not named:
        raise SettingsError(f"expected one of {', '.join(f'{name}://...' for name in _SCHEMES)}", where="url")
    if secret:
        raise SettingsError("a user stands in username, a password among the secrets", where="url")


def _length(_instance: object, _attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise SettingsError("expected a number from 1, or null for no limit", where="max_length")


def _name(_instance: object, _attribute: Attribute[str], value: str) -> None:
    if not (0 < len(value) <= 200 and value.isprintable()):
        raise SettingsError("expected 1 to 200 printable characters", where="stream")


@frozen(kw_only=True)
class RedisSettings:
    """Settings of a stream.

    Attributes:
        url: `redis://`, `rediss://` (TLS), `unix://`, or the first two with `+cluster`; without user and password.
        username: The user of the server, where it has several.
        stream: The stream's key; `{operator}` stands for the operator's id, with its braces: the hash tag of a cluster.
        max_length: How many entries are kept at least, older ones being removed now and then; `null` keeps all.
    """

    url: str = field(validator=_address)
    username: str | None = None
    stream: str = field(default="croupier:events:{operator}", validator=_name)
    max_length: int | None = field(default=_MOST_KEPT, validator=validators.optional(_length))


class RedisSink(EventStream):
    """A stream of a Redis or Valkey server, or of a cluster."""

    def __init__(self, settings: RedisSettings) -> None:
        self.spec = SPEC
        parts = urlsplit(settings.url)
        self.host = "" if parts.scheme == "unix" else parts.hostname or ""
        self._settings = settings

    def open(self, credentials: Credentials) -> StreamWriter:
        from redis.asyncio import Redis, RedisCluster
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        scheme, _, rest = self._settings.url.partition("://")
        options: dict[str, Any] = {
            "socket_timeout": _SECONDS,
            "socket_connect_timeout": _SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "username": self._settings.username,
            "password": next(iter(credentials.every(_PASSWORD)), None),
        }
        plain = f"{scheme.removesuffix('+cluster')}://{rest}"
        kind = RedisCluster if scheme.endswith("+cluster") else Redis
        return _Writer(kind.from_url(plain, **options), self._settings)


class _Writer(StreamWriter):
    """One connection."""

    def __init__(self, client: Redis | RedisCluster, settings: RedisSettings) -> None:
        self._client = client
        self._settings = settings

    async def write(self, events: Sequence[SinkEvent]) -> None:
        from redis.exceptions import RedisError

        client: Any = self._client  # its types know no bytes among arguments
        key = self._settings.stream.replace("{operator}", f"{{{events[0].operator}}}")
        fields = [part for each in events for part in (each.id, each.position, each.kind, each.message())]
        try:
            await client.eval(_APPEND, 1, key, self._settings.max_length or 0, *fields)
        except (RedisError, OSError) as error:
            # The library's texts may hold addresses and keys.
            raise UpstreamError(f"the events could not be appended: {type(error).__name__}", where="redis") from error

    async def close(self) -> None:
        await self._client.aclose()


SPEC: Final = SinkSpec(
    slug="redis",
    name="Redis Streams",
    secrets=(SecretField(_PASSWORD, "The password of the server's user.", required=False),),
    settings=RedisSettings,
    create=RedisSink,
)
