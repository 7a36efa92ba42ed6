"""Adapters whose source, papers or golden conversations are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve
from tests.certification.broken_adapters.made import (
    Broken,
    behaving,
    breaks,
    claiming,
    saying,
    sound,
    with_code,
    written,
)

from croupier.contract import Capability, Route
from croupier_conformance.certification.subject import AdapterSubject
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.settings import SoftswissSettings

TRANSCRIPTS = "croupier_softswiss/transcripts"


class GrowsItsRoutes(SoftswissAdapter):
    asked = 0

    def routes(self) -> Sequence[Route]:
        self.asked += 1
        return (*super().routes(), Route("POST", f"/extra-{self.asked}", "extra"))


@define(kw_only=True)
class LooseSettings(SoftswissSettings):
    """The same, and anybody may change it.

    Attributes:
        api_url: As it was.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _without_published(folder: Path) -> AdapterSubject:
    names = ("published-balance-eur", "published-balance-usd", "published-bet-and-win")
    cut = {f"{TRANSCRIPTS}/{name}.toml": lambda text: text.replace("published = true\n", "") for name in names}
    return written(cut)(folder)


def _without_freespins() -> list[Any]:
    return [operation for operation in sound().operations if Capability.BONUS_WIN not in operation.capabilities]


PAPERS: dict[str, Broken] = {
    "imports-are-pure": breaks(with_code("import logging"), "imports-are-pure"),
    "imports-are-pure: a room of the hub": breaks(with_code("import croupier.wallet"), "imports-are-pure"),
    "imports-are-pure: more of urllib": breaks(with_code("from urllib import request"), "imports-are-pure"),
    "calls-are-pure": breaks(
        with_code("def stamped() -> str:\n    return datetime.now().isoformat()"), "calls-are-pure"
    ),
    "calls-are-pure: async": breaks(with_code("async def later() -> None:\n    return None"), "calls-are-pure"),
    "calls-are-pure: print": breaks(with_code('def tell() -> None:\n    print("bet")'), "calls-are-pure"),
    "no-float": breaks(with_code("RATE: Final = 0.01"), "no-float"),
    "no-float: division": breaks(with_code("def half(n: int) -> Any:\n    return n / 2"), "no-float"),
    "everything-is-typed": breaks(with_code("def helper(value) -> None:\n    return None"), "everything-is-typed"),
    "everything-is-typed: no mark": breaks(
        written({"croupier_softswiss/py.typed": lambda _text: None}), "everything-is-typed"
    ),
    "entry-point-is-there": breaks(saying(slug="soft_swiss"), "entry-point-is-there"),
    "spec-is-whole": breaks(saying(documentation=""), "spec-is-whole"),
    "spec-is-whole: nothing to prove by": breaks(saying(secrets=()), "spec-is-whole"),
    "spec-is-whole: another contract": breaks(saying(api=7), "spec-is-whole"),
    "settings-are-explained": breaks(
        written({"README.md": lambda text: text.replace("`casino_id`", "the casino")}), "settings-are-explained"
    ),
    "settings-are-explained: an undocumented class": breaks(saying(settings=LooseSettings), "settings-are-explained"),
    "readme-claims-no-more": breaks(
        written({"README.md": lambda text: text.replace("It is not endorsed", "It is endorsed")}),
        "readme-claims-no-more",
    ),
    "routes-are-stable": breaks(behaving(GrowsItsRoutes), "routes-are-stable"),
    "certification-file-is-whole": breaks(
        claiming(exempt={"no-such-rule": "because it is so"}), "certification-file-is-whole"
    ),
    "certification-file-is-whole: no reason": breaks(
        claiming(exempt={"no-float": "n/a"}), "certification-file-is-whole"
    ),
    "operations-are-told": breaks(
        lambda _folder: evolve(sound(), operations=tuple(_without_freespins())), "operations-are-told"
    ),
    "transcripts-hold": breaks(
        written({f"{TRANSCRIPTS}/bet-done.toml": lambda text: text.replace('"balance":12345', '"balance":12346')}),
        "transcripts-hold",
    ),
    "transcripts-hold: a request of the hub": breaks(
        written({f"{TRANSCRIPTS}/launch.toml": lambda text: text.replace("/api/sessions", "/api/session")}),
        "transcripts-hold",
    ),
    "transcripts-cover-everything": breaks(
        written({f"{TRANSCRIPTS}/list-of-games.toml": lambda _text: None}), "transcripts-cover-everything"
    ),
    "published-vectors-stand": breaks(_without_published, "published-vectors-stand"),
}
"""Rule, with a word about the variant where there are several, to the subject that breaks it."""
