"""A TCP proxy between two parties of the crash run: it drops, delays, cuts and partitions, and doubles nothing.

It knows two things of what it carries: whose turn it is to speak, since the protocols take turns, and whether a piece
for PostgreSQL commits. A request that is late is delivered although its sender has given up: without that a wallet or
hub that forgets its tombstones is never noticed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, unique
from typing import Any, Final

from attrs import define, field

HOST: Final = "127.0.0.1"
_WRITER: Final = b"croupier-writer"
"""What sessions that write are called in the first message of the protocol."""

_SYNC: Final = b"S\x00\x00\x00\x04"
"""The message of PostgreSQL's protocol that ends, and commits, what was sent before it."""


@unique
class Mishap(Enum):
    """What happens to one request and its answer."""

    CUT_BEFORE = "request lost"
    """The connection breaks before the request is passed on."""
    CUT_AFTER = "answer lost"
    """The request is passed on, and the connection breaks before its answer."""
    SILENT_AFTER = "no answer"
    """The request is passed on, and its answer never."""
    LATE = "delivered late"
    """The request is passed on when its sender has given up."""
    SLOW = "slow"
    """The request is held for a part of the time that its sender waits."""


@unique
class Way(Enum):
    """How a hop treats the connections that a partition is about."""

    OPEN = "open"
    BROKEN = "broken"
    """They are reset, and so is every new one."""
    STUCK = "stuck"
    """Nothing passes in either direction; it does when the partition ends, whoever still listens."""


@unique
class Cut(Enum):
    """What happens to a session of PostgreSQL that commits."""

    BEFORE = "session cut before a commit"
    WITHIN = "session cut within a commit"
    """The server has been told, and nobody waits for what it does."""
    AFTER = "session cut after a commit"
    """The server has answered, and its answer is lost."""


@define(eq=False)
class Hop:
    """One direction between two parties.

    Attributes:
        name: For people.
        dice: Chance.
        patience: How many seconds the sender of a request waits.
        shares: How many of a thousand requests meet each mishap.
        quiet: Whether it behaves.
        struck: What happened how often.
        delay: Seconds by which every request is held.
        pipes: The connections that are open.
        concerned: How many connections partitions have been about.
        commits: Whether it leads to PostgreSQL, and commits are looked for.
    """

    name: str
    dice: random.Random
    patience: float = 1.0
    shares: Mapping[Mishap, int] = field(factory=dict)
    quiet: bool = False
    struck: Counter[str] = field(factory=Counter)
    delay: float = 0.0
    pipes: set[_Pipe] = field(factory=set)
    concerned: int = 0
    commits: bool = False
    _targets: Sequence[tuple[str, int] | str] = ()
    _way: Way = Way.OPEN
    _whom: Callable[[int], bool] = field(default=lambda _port: True)
    _cuts: list[Cut] = field(factory=list)
    _server: asyncio.Server | None = None

    async def listen(self, port: int, *targets: tuple[str, int] | str) -> None:
        """Begin to carry.

        Args:
            port: Where to listen.
            targets: Host and port, or the path of a socket; each is for when the one before takes no connections.
        """
        self._targets = targets
        self._server = await asyncio.get_running_loop().create_server(lambda: _Pipe(self), HOST, port, backlog=1024)

    async def close(self) -> None:
        """Carry nothing any more."""
        if self._server is not None:
            self._server.close()
        for pipe in list(self.pipes):
            pipe.abort()

    async def connect(self, back: asyncio.Protocol) -> None:
        """Open the way onwards.

        Raises:
            OSError: Nobody takes connections.
        """
        loop = asyncio.get_running_loop()
        refused = OSError("there is nobody")
        for target in self._targets:
            try:
                if isinstance(target, str):
                    await loop.create_unix_connection(lambda: back, target)
                else:
                    await loop.create_connection(lambda: back, *target)
            except OSError as error:
                refused = error
            else:
                return
        raise refused

    # --- what is done to it -------------------------------------------------------------------------------------------

    def part(self, way: Way, whom: Callable[[int], bool] = lambda _port: True) -> None:
        """Begin a partition, or end it by `Way.OPEN`.

        Args:
            way: What it does.
            whom: By the port of the sender's side, whether a connection is concerned.
        """
        self._way, self._whom = way, whom
        for pipe in [pipe for pipe in self.pipes if whom(pipe.port)]:
            pipe.parted(way)
            self.concerned += way is not Way.OPEN

    def cut(self, *cuts: Cut) -> None:
        """Cut the next connections that commit."""
        self._cuts += cuts

    def uncut(self) -> None:
        """Forget the cuts that met nobody."""
        self._cuts.clear()

    def way_of(self, port: int) -> Way:
        """How a new connection is treated."""
        if self._way is Way.OPEN or not self._whom(port):
            return Way.OPEN
        self.concerned += 1
        return self._way

    def draw(self) -> Mishap | None:
        """What happens to the next request."""
        if self.quiet or not self.shares:
            return None
        point = self.dice.randrange(1000)
        for mishap, share in self.shares.items():
            if point < share:
                self.struck[mishap.value] += 1
                return mishap
            point -= share
        return None

    def draw_cut(self) -> Cut | None:
        """What happens to the commit that is about to be sent."""
        if not self._cuts:
            return None
        cut = self._cuts.pop()
        self.struck[cut.value] += 1
        return cut


class _Pipe(asyncio.Protocol):
    """One connection: the sender's side, and through `_Far` the receiver's."""

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.port = 0
        self.near: asyncio.Transport | None = None
        self.far: asyncio.Transport | None = None
        self.out = bytearray()  # waits to be passed on
        self.back = bytearray()  # waits to be answered
        self.held = 0  # how many reasons there are to wait
        self.stuck = False
        self.asked = False  # a request is under way
        self.fate: Mishap | Cut | None = None
        self.gone = False  # the sender has given up
        self.aborted = False
        self.writes = False  # a session of PostgreSQL that writes

    # --- the sender ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.near = transport
        self.port = transport.get_extra_info("peername")[1]
        way = self.hop.way_of(self.port)
        if way is Way.BROKEN:
            transport.abort()
            return
        self.stuck = way is Way.STUCK
        self.hop.pipes.add(self)
        self.held += 1
        self.opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        try:
            await self.hop.connect(_Far(self))
        except OSError:
            self.abort()
            return
        self._release()

    def data_received(self, data: bytes) -> None:
        if not self.asked:
            self.asked = True
            if self._meets(self.hop.draw()):
                return
        if self.hop.commits and self._commits(data) and self._is_cut(data):
            return
        self.out += data
        self._pass_on()

    def _meets(self, mishap: Mishap | None) -> bool:
        """What happens to a request that begins; whether it is lost."""
        hold = self.hop.delay * self.hop.dice.uniform(0.5, 1.5)
        if mishap is Mishap.CUT_BEFORE:
            self.abort()
            return True
        if mishap is Mishap.LATE:
            hold = self.hop.patience * self.hop.dice.uniform(1.02, 3.0)
        elif mishap is Mishap.SLOW:
            hold = self.hop.patience * self.hop.dice.uniform(0.05, 0.6)
        self.fate = mishap
        if hold:
            self.held += 1
            asyncio.get_running_loop().call_later(hold, self._release)
        return False

    def _commits(self, data: bytes) -> bool:
        """Whether a piece for PostgreSQL commits: it says so, or it is the end of what a writer sends in one go."""
        self.writes = self.writes or _WRITER in data
        return b"COMMIT" in data or (self.writes and data.endswith(_SYNC))

    def _is_cut(self, data: bytes) -> bool:
        """What happens to it; whether it is not passed on any more."""
        cut = self.hop.draw_cut()
        match cut:
            case Cut.BEFORE:
                self.abort()
            case Cut.WITHIN if self.far is not None and self.near is not None:
                self.gone = True
                self.near.abort()
                self.far.write(bytes(self.out) + data)
                self._close()
            case _:
                self.fate = cut
                return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if not self.out and not self.held:
            self._close()
        elif not self.asked:
            self.abort()

    def eof_received(self) -> bool:
        return False

    # --- onwards ------------------------------------------------------------------------------------------------------

    def _release(self) -> None:
        self.held -= 1
        self._pass_on()

    def _pass_on(self) -> None:
        if self.held or self.stuck or self.far is None:
            return
        if self.out:
            self.far.write(bytes(self.out))
            self.out.clear()
        if self.back and self.near is not None and not self.gone:
            self.near.write(bytes(self.back))
            self.back.clear()
        if self.gone and not self.asked:
            self._close()

    def answered(self, data: bytes) -> None:
        """The receiver speaks."""
        self.asked = False
        match self.fate:
            case Mishap.CUT_AFTER | Cut.AFTER | Cut.WITHIN:
                self.abort()
            case Mishap.SILENT_AFTER | Mishap.LATE:
                if self.gone:
                    self.abort()
            case _:
                if self.gone:
                    self._close()
                elif self.stuck:
                    self.back += data
                elif self.near is not None:
                    self.near.write(data)

    def far_lost(self) -> None:
        """The receiver is gone."""
        self.far = None
        self.hop.pipes.discard(self)
        if self.near is not None and not self.gone:
            if self.back or self.stuck:
                self.near.abort()
            else:
                self.near.close()

    def parted(self, way: Way) -> None:
        """A partition begins or ends."""
        if way is Way.BROKEN:
            self.abort()
        self.stuck = way is Way.STUCK
        self._pass_on()

    def _close(self) -> None:
        self.hop.pipes.discard(self)
        if self.far is not None:
            self.far.close()

    def abort(self) -> None:
        """Both sides are reset; what waits is lost."""
        self.aborted = True
        self.hop.pipes.discard(self)
        self.out.clear()
        self.back.clear()
        for transport in (self.near, self.far):
            if transport is not None:
                transport.abort()


class _Far(asyncio.Protocol):
    """The receiver's side of a connection."""

    def __init__(self, pipe: _Pipe) -> None:
        self.pipe = pipe

    def connection_made(self, transport: Any) -> None:
        self.pipe.far = transport
        if self.pipe.aborted or (self.pipe.gone and not self.pipe.asked):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self.pipe.answered(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipe.far_lost()
