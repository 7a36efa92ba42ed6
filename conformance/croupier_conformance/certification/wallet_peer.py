"""A dialect's own peer as what is certified: the simulated wallet behind the dialect, without a socket."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from croupier.contract import (
    Credentials,
    Currency,
    Dialect,
    HttpRequest,
    HttpResponse,
    TransportError,
    TransportProblem,
    WalletPeer,
)
from croupier_conformance.certification.report import Report
from croupier_conformance.certification.report_html import html
from croupier_conformance.certification.report_json import as_json
from croupier_conformance.certification.report_junit import junit
from croupier_conformance.certification.report_terminal import console, tell_report, tell_result
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.run_wallet import certify_wallet
from croupier_conformance.certification.wallet_subject import TestPlayer, WalletSubject

OPENING: Final = (100_000, 1_000)
"""What the two test players begin with, in minor units."""

PATIENCE: Final = 1.0
"""Who waits for less has given up: the answer is made, and gets lost."""


class _Line:
    """Hands requests to a peer, one at a time."""

    def __init__(self, peer: WalletPeer, credentials: Credentials) -> None:
        self._peer = peer
        self._credentials = credentials
        self._lock = threading.Lock()
        self._time = datetime(2026, 5, 17, 12, tzinfo=UTC)

    def now(self) -> datetime:
        """A second passes with every look, so that no two requests have one time stamp."""
        self._time += timedelta(seconds=1)
        return self._time

    def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        with self._lock:
            response = self._peer.answer(request, self._credentials, self._time)
        if timeout_seconds < PATIENCE:
            raise TransportError("nobody waited", problem=TransportProblem.NO_ANSWER)
        return response


def subject_of_peer(
    dialect: Dialect,
    peer: WalletPeer,
    credentials: Credentials,
    currency: Currency,
    name: str | None = None,
) -> WalletSubject:
    """A peer to be certified, with two players and a session that has ended.

    Args:
        dialect: The dialect, with the settings that the peer was made for.
        peer: The simulated wallet; nobody plays at it yet.
        credentials: The dialect's secrets.
        currency: The test players' currency.
        name: For the report, where the dialect's slug would not tell which peer it is.
    """
    line = _Line(peer, credentials)
    players = []
    for number, opening in enumerate(OPENING, 1):
        player, session = f"p-{number}", f"session-of-p-{number}"
        peer.open_player(player, currency, opening, session)
        ended = f"ended-session-of-p-{number}"
        peer.open_player(player, currency, opening, ended)
        peer.end_session(ended)
        players.append(TestPlayer(player=player, currency=currency, session=session, ended_session=ended))
    return WalletSubject(
        name=name or dialect.spec.slug,
        dialect=dialect,
        credentials=credentials,
        capabilities=dialect.spec.capabilities,
        send=line.send,
        players=players,
        now=line.now,
    )


def certify_subjects(subjects: Sequence[WalletSubject], minimum: Tier, reports: Path) -> int:
    """Certify peers, tell it on the terminal, and write the reports.

    Args:
        subjects: What is certified, each with a name of its own.
        minimum: The tier that each has to prove.
        reports: The folder for the reports.

    Returns:
        The status to leave with: 0 if each proved it, 1 if not.
    """
    reports.mkdir(parents=True, exist_ok=True)
    proved = True
    for subject in subjects:
        screen = console()
        certification = certify_wallet(subject, seed=1, heard=partial(tell_result, screen))
        report = Report(certification=certification, date=datetime.now(UTC), seed=1)
        tell_report(screen, report)
        for ending, text in (("html", html(report)), ("junit.xml", junit(report)), ("json", as_json(report))):
            (reports / f"wallet-{subject.name}.{ending}").write_text(text, "utf-8")
        proved = proved and certification.tier >= minimum
    return 0 if proved else 1
