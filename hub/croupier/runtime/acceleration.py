"""Wires what a server beside the ledger is good for: sessions at hand, news between processes, shared rates."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field

from croupier.accelerator.bells import OWED, NewsBells
from croupier.accelerator.client import Accelerator, Log, State
from croupier.accelerator.keys import news_channel
from croupier.accelerator.news import News
from croupier.accelerator.opening import opener
from croupier.accelerator.rates import Rates
from croupier.accelerator.sessions import CHANGED, AcceleratedSessions, Seal
from croupier.runtime.loops import end
from croupier.runtime.settings import Settings
from croupier.sessions.cache import SessionCache
from croupier.wallet.ports import Clock, Ids
from croupier.wallet.watch import Bell

CONFIGURATION: Final = "configuration"
"""The news that the configuration has changed."""


@define(eq=False, kw_only=True)
class Acceleration:
    """What a process keeps at hand, with a server or without.

    Attributes:
        sessions: Sessions of plays.
        rates: Rates of requests.
        accelerator: The server, if there is one.
        news: What processes tell each other, if there is a server.
        bells: The bells of the other processes, if there is a server.
    """

    sessions: SessionCache
    rates: Rates
    accelerator: Accelerator | None = None
    news: News | None = None
    bells: NewsBells | None = None
    _tasks: list[asyncio.Task[None]] = field(factory=list)

    def connect(self, look_for_changes: Callable[[], None], wake: Callable[[], None], bell: Bell) -> None:
        """Say who hears the news of other processes.

        Args:
            look_for_changes: Takes over configuration that has changed.
            wake: Looks for work that is owed.
            bell: Wakes those who wait for a movement.
        """
        if self.news is not None and self.bells is not None:
            self.news.on(CONFIGURATION, look_for_changes)
            self.news.on(OWED, wake)
            self.news.on_return(look_for_changes)
            self.bells.answer_with(bell)

    def tell_configuration(self) -> None:
        """Tell the other processes that the configuration has changed."""
        if self.news is not None:
            self.news.tell(CONFIGURATION)

    def begin(self) -> None:
        """Look for the server, and go on doing so."""
        if self.accelerator is not None and self.news is not None:
            work = self.accelerator.run(), self.news.run(), self.rates.run()
            self._tasks = [asyncio.create_task(each) for each in work]

    async def close(self) -> None:
        """Let go of the server."""
        await end(self._tasks)

    def remarks(self) -> Sequence[str]:
        """What a probe shall say beside being ready."""
        away = self.accelerator is not None and self.accelerator.state is State.AWAY
        return ("accelerator away",) if away else ()


def accelerate(settings: Settings, key: bytes, clock: Clock, ids: Ids, log: Log) -> Acceleration:
    """Wire it, as far as the settings name a server.

    Args:
        settings: What the process is started with.
        key: A secret of the hub, the same in each of its processes.
        clock: Time.
        ids: Tells this process from the others.
        log: Told when the server comes and goes.

    Raises:
        SettingsError: The server's address cannot be used.
    """
    rates = Rates(
        clock=clock,
        operator_api=settings.rates.operator_api,
        operator_api_address=settings.rates.operator_api_address,
        connection=settings.rates.connection,
    )
    sessions = SessionCache()
    chosen = settings.accelerator
    if chosen.url is None:
        return Acceleration(sessions=sessions, rates=rates)
    connect = opener(chosen.url, chosen.ca)
    accelerator = Accelerator(connect, chosen.timeout_ms / 1000, log)
    news = News(accelerator, connect, news_channel(key), ids.nonce())
    news.on(CHANGED, sessions.forget_tokens)
    news.on_return(sessions.forget_all)
    if settings.database.sqlite_path is None:  # it serves one process, and is read sooner than any server
        sessions.shared = AcceleratedSessions(accelerator, news, Seal(key, secrets.token_bytes), clock)
    rates.accelerator = accelerator
    bells = NewsBells(news, clock)
    return Acceleration(sessions=sessions, rates=rates, accelerator=accelerator, news=news, bells=bells)
