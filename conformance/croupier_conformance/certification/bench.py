"""What a rule's check gets to work with: the subject, a budget of examples, a folder, and a notebook of exchanges."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

from croupier.contract import Adapter, Credentials, HttpRequest, HttpResponse, Peer
from croupier_conformance.certification.rule import Exchange
from croupier_conformance.certification.subject import AdapterSubject

if TYPE_CHECKING:
    from croupier_conformance.certification.wallet_subject import WalletSubject

NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The time at which pure functions are called; the simulated hub has a clock of its own."""

MOST_SHOWN: Final = 4_000
"""So many characters of a message are kept for a report."""


@define(eq=False)
class Notebook:
    """Exchanges for the report, newest last; a rule that checks thousands of cases notes a few."""

    most: int = 40
    exchanges: list[Exchange] = field(factory=list)

    def note(self, title: str, sent: HttpRequest | str, came_back: HttpResponse | str = "") -> None:
        """Keep an exchange, unless enough are kept."""
        if len(self.exchanges) < self.most:
            self.exchanges.append(Exchange(title=title, sent=shown(sent), came_back=shown(came_back)))


@define(eq=False)
class AdapterBench:
    """What a rule for adapters works with.

    Attributes:
        subject: What is certified.
        folder: An empty folder for the rule's files.
        examples: How many generated cases a property shall try: few in a slice, many in a whole certification.
        seed: Of everything that is drawn.
        notebook: Where exchanges for the report are kept.
        now: The time for pure functions.
    """

    subject: AdapterSubject
    folder: Path
    examples: int = 100
    seed: int = 0
    notebook: Notebook = field(factory=Notebook)
    now: datetime = NOW

    @property
    def credentials(self) -> Credentials:
        """The subject's test secrets."""
        return self.subject.credentials

    def adapter(self) -> Adapter:
        """A new adapter."""
        return self.subject.adapter()

    def peer(self) -> Peer:
        """A new peer, with a state of its own."""
        return self.subject.peer()


@define(eq=False)
class WalletBench:
    """What a rule for wallets works with.

    Attributes:
        subject: The wallet that is asked, through its dialect.
        seed: Of every id: two runs against one wallet must not share them.
        notebook: Where exchanges for the report are kept.
        facts: What the rules found out beside what holds, for the report and the policy; shared by all rules of a run.
        seconds: How long each single answer took; shared by all rules of a run.
    """

    subject: WalletSubject
    seed: int
    notebook: Notebook = field(factory=Notebook)
    facts: dict[str, str] = field(factory=dict)
    seconds: list[float] = field(factory=list)


def shown(message: HttpRequest | HttpResponse | str) -> str:
    """A message as a report shows it, cut if it is long."""
    match message:
        case HttpRequest():
            head = [f"{message.method} {message.url}", *(f"{name}: {value}" for name, value in message.headers)]
            text = "\n".join(head) + "\n\n" + message.body.decode("utf-8", "backslashreplace")
        case HttpResponse():
            head = [str(message.status), *(f"{name}: {value}" for name, value in message.headers)]
            text = "\n".join(head) + "\n\n" + message.body.decode("utf-8", "backslashreplace")
        case _:
            text = message
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + f"\n... {len(text) - MOST_SHOWN} more"
