"""Writes transcripts for an author to review: what the peer says, what the adapter makes of it, and how it answers.

```sh
python -m croupier_conformance.certification.record acme            # into the certification file's folder
python -m croupier_conformance.certification.record acme --again    # also over files that are there
```

A recorded transcript holds, for it was made by the adapter itself. It proves nothing until somebody has read it beside
the provider's documents; from then on it tells every change. What the provider published is written by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import evolve

from croupier.contract import (
    Applied,
    Calls,
    CroupierError,
    Declined,
    DeclineReason,
    Headers,
    HttpRequest,
    Outcome,
    Result,
    SettingsError,
    Unknown,
    UnknownCause,
)
from croupier_conformance.certification.adapter_rules.proof import understood
from croupier_conformance.certification.asks import asks
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.play_back import Player, Resulting
from croupier_conformance.certification.results import TRANSACTION, balance, result_of
from croupier_conformance.certification.sayings import GRANT, Saying, heard, sayings
from croupier_conformance.certification.subject import AdapterSubject, load_adapter
from croupier_conformance.certification.transcript import Direction, Transcript

RECORDED: Final = "recorded from the simulated provider, to be read beside the provider's documents"


def recorded(subject: AdapterSubject) -> Iterator[Transcript]:
    """A transcript of everything that the peer can say and the hub may ask.

    Besides a success of each there are, of the last request that moves money, a refusal and an unknown outcome, and a
    request whose proof is wrong.
    """
    bench = AdapterBench(subject=subject, folder=Path())
    peer, adapter = bench.peer(), bench.adapter()
    said = sayings(bench, peer)
    for saying in said:
        known = heard(bench, adapter, peer, saying)
        yield _inbound(subject, saying, "done", known.request, _all(Applied(transaction=TRANSACTION)))
    for saying in [one for one in said if one.name == "bet"] or list(said[-1:]):
        request = peer.request(saying.action, bench.credentials, bench.now)
        poor = _all(Declined(reason=DeclineReason.INSUFFICIENT_FUNDS))
        yield _inbound(subject, saying, "refused", request, poor)
        yield _inbound(subject, saying, "unknown", request, _all(Unknown(cause=UnknownCause.NO_ANSWER)))
        yield _inbound(subject, saying, "unproven", _unproven(bench, request), poor)
    issued = GRANT
    for ask in asks(bench):
        empty = _empty(f"{ask.name}".replace(" ", "-"), ask.name, Direction.OUTBOUND)
        player = Player.of(subject, empty)
        arguments = {**ask.arguments, "grant": issued} if ask.flow == "cancel_free_rounds" else ask.arguments
        story = player.outbound(ask.flow, arguments, lambda request: peer.serve(request, bench.credentials, bench.now))
        if ask.flow == "issue_free_rounds" and "value" in story:
            issued = story["value"]["reference"]
        yield evolve(empty, story=story)


def write(subject: AdapterSubject, folder: Path, *, again: bool = False) -> Sequence[Path]:
    """Write the recorded transcripts that are not there yet.

    Args:
        subject: The adapter.
        folder: Where to.
        again: Whether also over files that are there.

    Returns:
        The files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for transcript in recorded(subject):
        file = folder / f"{transcript.name}.toml"
        if again or not file.exists():
            file.write_text(transcript.text(), encoding="utf-8")
            written.append(file)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line.

    Returns:
        0, or 1 if the adapter cannot be recorded.
    """
    parser = argparse.ArgumentParser(prog="record", description="Record transcripts for an author to review.")
    parser.add_argument("slug", help="the adapter's")
    parser.add_argument("--folder", type=Path, help="where to; by default as the certification file says")
    parser.add_argument("--again", action="store_true", help="also over files that are there")
    told = parser.parse_args(arguments)
    try:
        subject = load_adapter(told.slug)
        folder = told.folder or subject.transcripts
        if not isinstance(folder, Path):
            raise SettingsError("say where to write: the certification file names no folder", where="--folder")
        for file in write(subject, folder, again=told.again):
            sys.stdout.write(f"{file}\n")
    except CroupierError as error:
        sys.stderr.write(f"record: {error}\n")
        return 1
    return 0


def _inbound(
    subject: AdapterSubject, saying: Saying, outcome: str, request: HttpRequest, resulting: Resulting
) -> Transcript:
    name = f"{saying.name}-{outcome}".replace(" ", "-").replace("_", "-")
    empty = _empty(name, f"{saying.name}: {outcome}", Direction.INBOUND)
    return evolve(empty, story=Player.of(subject, empty).inbound(request, resulting))


def _empty(name: str, title: str, direction: Direction) -> Transcript:
    return Transcript(name=name, title=title, source=RECORDED, direction=direction, story={})


def _unproven(bench: AdapterBench, request: HttpRequest) -> HttpRequest:
    """The request with a wrong proof: another body; where a key is sent as it is, no header fields or half a key."""
    torn = evolve(request, body=request.body + b" ")
    if understood(bench, bench.adapter(), torn) is None:
        return torn
    bare = evolve(request, headers=Headers())
    if understood(bench, bench.adapter(), bare) is None:
        return bare
    body = request.body
    for secret in bench.subject.secrets.values():
        body = body.replace(secret.encode(), secret[: len(secret) // 2].encode())
    return evolve(request, body=body)


def _all(outcome: Outcome) -> Resulting:
    def results(calls: Calls) -> Sequence[Result]:
        return [result_of(call, outcome, balance()) for call in calls.items]

    return results


if __name__ == "__main__":
    sys.exit(main())
