"""How many requests are taken a second, decided here and now, and shared with the other processes afterwards.

Each rate is a bucket (GCRA): `per_second` requests flow out of it, and it holds those of `BURST_SECONDS`. A request is
judged by this process's own bucket, without waiting for anything. Several times a second, what was taken out of the
buckets is told to the server, which answers how full they are over all processes, and that is what holds from then on.
So between two of these moments several processes may together take a little more than the rate; and while the server
is away each process keeps to the rate by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from attrs import define, field

from croupier.accelerator.client import Accelerator
from croupier.accelerator.keys import HUB, address_subject, rate_key
from croupier.configuration.directory import LiveConnection, LiveOperator
from croupier.contract import RateLimitedError
from croupier.wallet.ports import Clock

BURST_SECONDS: Final = 2.0
"""The requests of so long may come at once."""

SHARE_SECONDS: Final = 0.2
"""How often buckets are shared."""

_KEPT: Final = 20_000
"""So many buckets are kept; the one that was made first makes way."""

_AT_ONCE: Final = 500
"""So many buckets are shared each time."""

_SECOND: Final = 1_000_000
"""Microseconds: what the script counts in."""

_SCRIPT: Final = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local answer = {}
for place, key in ipairs(KEYS) do
  local full = tonumber(ARGV[1])
  local at = tonumber(redis.call('GET', key) or '') or now
  if at ~= at or at < now or at > now + 2 * full then at = now end
  at = math.min(at + tonumber(ARGV[1 + place]), now + full)
  redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1000)
  answer[place] = math.floor(at - now)
end
return answer
"""
"""Adds what was taken to each bucket and answers how full it is; what is no number, or cannot be one, is empty."""


@define(eq=False)
class _Bucket:
    """One rate.

    Attributes:
        tag: The operator's id, or `HUB`.
        name: The key under which it is shared.
        empty_at: When it is empty again, by `Clock.monotonic`.
        taken: Requests since it was shared, as seconds of flow.
    """

    tag: str
    name: str
    empty_at: float = 0.0
    taken: float = 0.0


@define(eq=False)
class Rates:
    """The rates of one process; `croupier.web.ports.Rates`.

    Attributes:
        clock: Time.
        operator_api: Requests a second of one operator to its API, unless the operator has a rate of its own.
        operator_api_address: Requests a second from one address to the operator API, with a key or without.
        connection: Requests a second of one connection's provider, unless the connection has a rate of its own.
        accelerator: Where the rates are shared; without it each process has its own.
        refused: How many requests were refused, by what the rate is of.
    """

    clock: Clock
    operator_api: float | None = None
    operator_api_address: float | None = None
    connection: float | None = None
    accelerator: Accelerator | None = None
    refused: dict[str, int] = field(factory=lambda: {"operator": 0, "address": 0, "connection": 0})
    _buckets: dict[tuple[str, str], _Bucket] = field(factory=dict, init=False)
    _taken: dict[_Bucket, None] = field(factory=dict, init=False)

    def check_operator(self, operator: LiveOperator) -> None:
        """Take one request of an operator to its API.

        Raises:
            RateLimitedError: There are too many.
        """
        own = operator.document.limits.api_requests_per_second if operator.document else None
        rate = own or self.operator_api
        if rate and (wait := self._take(operator.id, "api", rate)):
            raise self._refusal("operator", wait)

    def check_address(self, address: str) -> None:
        """Take one request from an address to the operator API, before anything is known of it.

        Raises:
            RateLimitedError: There are too many.
        """
        rate = self.operator_api_address
        if rate and (wait := self._take(HUB, address, rate)):
            raise self._refusal("address", wait)

    def over(self, live: LiveConnection) -> RateLimitedError | None:
        """Take one request of a provider; what to refuse it with if there are too many, and it may be refused."""
        rate = live.document.requests_per_second or self.connection
        if not rate:
            return None
        connection = live.connection
        wait = self._take(connection.operator.id, connection.id, rate)
        return RateLimitedError("too many requests of this connection", retry_after=wait) if wait else None

    def _refusal(self, subject: str, wait: float) -> RateLimitedError:
        self.refused[subject] += 1
        return RateLimitedError(f"too many requests of this {subject}", retry_after=wait)

    def _take(self, tag: str, subject: str, per_second: float) -> float:
        """Take one request; 0 if there was room, and otherwise how many seconds until there is."""
        bucket = self._buckets.get((tag, subject))
        if bucket is None:
            bucket = self._made(tag, subject)
        now, flow = self.clock.monotonic(), 1 / per_second
        empty_at = max(bucket.empty_at, now)
        over = empty_at + flow - now - BURST_SECONDS
        if over > 0:
            return over
        bucket.empty_at = empty_at + flow
        if self.accelerator is not None:
            bucket.taken += flow
            self._taken[bucket] = None
        return 0.0

    def _made(self, tag: str, subject: str) -> _Bucket:
        if len(self._buckets) >= _KEPT:
            del self._buckets[next(iter(self._buckets))]
        name = rate_key(tag, address_subject(subject) if tag == HUB else subject)
        bucket = self._buckets[tag, subject] = _Bucket(tag, name)
        return bucket

    async def run(self) -> None:
        """Share the buckets, until cancelled."""
        while True:
            await self.clock.sleep(SHARE_SECONDS)
            await self.share()

    async def share(self) -> None:
        """Tell the server what was taken, and learn how full the buckets are over all processes."""
        if self.accelerator is None:
            return
        by_tag: dict[str, list[_Bucket]] = {}
        for bucket in list(self._taken)[:_AT_ONCE]:
            del self._taken[bucket]
            by_tag.setdefault(bucket.tag, []).append(bucket)
        await asyncio.gather(*(self._share(self.accelerator, buckets) for buckets in by_tag.values()))

    async def _share(self, accelerator: Accelerator, buckets: Sequence[_Bucket]) -> None:
        """Share buckets of one operator: they are in one slot, so one script does."""
        told = [bucket.taken for bucket in buckets]
        for bucket in buckets:
            bucket.taken = 0.0
        full = int(BURST_SECONDS * _SECOND)
        taken = [int(each * _SECOND) for each in told]
        names = [bucket.name for bucket in buckets]
        answer = await accelerator.ask("EVAL", _SCRIPT, len(names), *names, full, *taken)
        if not isinstance(answer, list) or len(answer) != len(buckets):
            return
        now = self.clock.monotonic()
        for bucket, used in zip(buckets, answer, strict=True):
            if isinstance(used, int) and 0 <= used <= full:
                # What was taken since is not in the answer yet.
                bucket.empty_at = now + min(used / _SECOND + bucket.taken, BURST_SECONDS)
