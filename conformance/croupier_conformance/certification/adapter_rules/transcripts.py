"""Layer of transcripts: golden requests and answers, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from croupier.contract import SettingsError
from croupier_conformance.certification.adapter_rules.static_package import is_a_reason
from croupier_conformance.certification.asks import asks
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.plain_toml import write_toml
from croupier_conformance.certification.play_back import Player, differences
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, RuleNotApplicableError, Tier
from croupier_conformance.certification.sayings import all_heard
from croupier_conformance.certification.transcript import (
    Direction,
    Transcript,
    read_request,
    read_response,
    read_transcripts,
)

_RECORD: Final = "python -m croupier_conformance.certification.record writes what is missing, for review"


@ADAPTER_RULES.rule(
    "transcripts-hold",
    layer=Layer.TRANSCRIPTS,
    tier=Tier.BRONZE,
    title="Every golden conversation still goes byte for byte",
    expects="requests are proven and understood as each file says, and answers and own requests have its very bytes",
)
def every_transcript_holds(bench: AdapterBench) -> None:
    """A change that nobody meant shows in bytes before it shows in money.

    The rule plays every file of the transcripts' folder: an inbound request through verify, parse and render with the
    results that the file gives; an outbound flow with the replies that it gives. Whether the proof holds, the calls,
    the answer's bytes, the requests' bytes and the value must be the file's. A change that was meant is recorded
    again and reviewed like code.
    """
    played = 0
    for transcript in _transcripts(bench):
        played += 1
        try:
            found = Player.of(bench.subject, transcript).again()
        except Exception as error:  # noqa: BLE001 - whatever a file or an adapter raises, the story does not hold
            raise RuleBrokenError(
                f"{transcript.name}.toml cannot be played: {type(error).__name__}: {error}",
                sent=transcript.text(),
                came_back=str(error),
            ) from None
        wrong = differences(transcript.story, found)
        if wrong:
            raise RuleBrokenError(
                f"{transcript.name}.toml: {transcript.title}: {wrong[0]}",
                sent=transcript.text(),
                came_back="\n".join(wrong) + "\n\n" + write_toml(found),
                hint="if it was meant: record it again, and review the difference",
            )
        _note(bench, transcript)
    if not played:
        raise RuleNotApplicableError("there are no transcripts")


@ADAPTER_RULES.rule(
    "transcripts-cover-everything",
    layer=Layer.TRANSCRIPTS,
    tier=Tier.SILVER,
    title="Everything that the adapter does has a golden conversation",
    expects="a transcript of each inbound operation and flow, of a refusal, an unknown outcome and a wrong proof",
)
def transcripts_cover_everything(bench: AdapterBench) -> None:
    """What no transcript shows can change unseen, and no reviewer has ever held it beside the documents.

    The rule collects the operations of everything that the peer says and the flows that are declared; each needs a
    transcript. Of the outcomes there must be `Applied`, `Declined` and `Unknown`, and a request whose proof is wrong.
    """
    found = set(_covered(_transcripts(bench)))
    wanted = {f"operation {said.calls.items[0].operation}" for said in all_heard(bench)}
    wanted |= {f"flow {ask.flow}" for ask in asks(bench)}
    wanted |= {"outcome Applied", "outcome Declined", "outcome Unknown", "a wrong proof"}
    missing = sorted(wanted - found)
    if missing:
        raise RuleBrokenError(
            f"no transcript of: {', '.join(missing)}",
            sent=str(bench.subject.transcripts),
            came_back="\n".join(sorted(found)) or "there are no transcripts",
            hint=_RECORD,
        )


@ADAPTER_RULES.rule(
    "published-vectors-stand",
    layer=Layer.TRANSCRIPTS,
    tier=Tier.GOLD,
    title="What the protocol's documents show is among the golden conversations, with its source",
    expects="every transcript names its source, and at least one is taken from published material and proven",
)
def published_vectors_stand(bench: AdapterBench) -> None:
    """Adapter and peer of one author may share one mistake; bytes that stand in the protocol's documents share none.

    The rule wants a source of some words in every transcript, and at least one with `published = true` whose proof
    holds: the bytes of its request stand in the source, byte for byte or as the fields that are signed, and were not
    made by this adapter or its peer. All examples of the documents belong here; that they are all here, a reviewer has
    to see. Where there are none, that is a reason for an exemption.
    """
    transcripts = _transcripts(bench)
    unnamed = [one.name for one in transcripts if not is_a_reason(one.source)]
    if unnamed:
        raise RuleBrokenError(f"without a source: {', '.join(unnamed)}", sent="source", came_back="too few words")
    for one in transcripts:
        if one.published and (one.direction is Direction.OUTBOUND or _understood(one).get("verified") is True):
            _note(bench, one)
            return
    raise RuleBrokenError(
        "no transcript is taken from published material",
        sent="published = true",
        came_back="\n".join(one.name for one in transcripts) or "there are no transcripts",
    )


def _transcripts(bench: AdapterBench) -> Sequence[Transcript]:
    try:
        return tuple(read_transcripts(bench.subject))
    except SettingsError as error:
        raise RuleBrokenError(
            f"a transcript cannot be read: {error}", sent=str(error.where), came_back=str(error)
        ) from None


def _covered(transcripts: Sequence[Transcript]) -> Iterator[str]:
    for transcript in transcripts:
        if transcript.direction is Direction.OUTBOUND:
            yield f"flow {transcript.story.get('ask', {}).get('flow')}"
            continue
        understood = _understood(transcript)
        if understood.get("verified") is False:
            yield "a wrong proof"
        for call in understood.get("calls", ()):
            yield f"operation {call.get('operation')}"
        for result in transcript.story.get("results", ()):
            yield f"outcome {result.get('outcome', {}).get('is')}"


def _understood(transcript: Transcript) -> Mapping[str, Any]:
    told = transcript.story.get("understood", {})
    return told if isinstance(told, Mapping) else {}


def _note(bench: AdapterBench, transcript: Transcript) -> None:
    story = transcript.story
    if transcript.direction is Direction.INBOUND:
        pairs = [(read_request(story["request"]), read_response(story["answer"]))]
    else:
        pairs = [(read_request(one["request"]), read_response(one["reply"])) for one in story.get("exchanges", ())]
    for request, response in pairs:
        bench.notebook.note(transcript.title, shown(request), response)
