"""Games that have one code at launch and another in wallet calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from croupier.contract import SettingsError
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.rule import RuleBrokenError
from croupier_conformance.certification.run import Outcome, certify_adapter
from croupier_conformance.certification.stage import Stage, bet, tell_story
from croupier_conformance.certification.subject import AdapterSubject, load_adapter, read_subject

GAME = "acceptance:test"


@pytest.fixture(scope="module")
def softswiss() -> AdapterSubject:
    return load_adapter("softswiss")


def written(folder: Path, more: str) -> AdapterSubject:
    """Softswiss with a certification file of its own."""
    head = 'peer = "croupier_softswiss.peer:SoftswissPeer"\nhost = "softswiss.example"\n'
    settings = '[settings]\napi_url = "https://softswiss.example/api"\ncasino_id = "certification"\n'
    (folder / "certification.toml").write_text(head + settings + more)
    return read_subject(load_adapter("softswiss").spec, version="1", package="croupier_softswiss", folder=folder)


def broken(subject: AdapterSubject, rule: str) -> str:
    """Why a rule is broken."""
    (result,) = certify_adapter(subject, examples=1, only=lambda known: known.slug == rule).results
    assert result.outcome is Outcome.BROKEN
    return result.message


def test_a_game_is_played_as_the_file_says(tmp_path: Path) -> None:
    subject = written(tmp_path, f'[games]\n"{GAME}" = "Test"\nother = "Other"\n[wallet_codes]\n"{GAME}" = "17"\n')
    assert (subject.played_as(GAME), subject.played_as("other")) == ("17", "other")


def test_a_game_that_there_is_not_is_played_as_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"wallet_codes\.missing: there is no such game"):
        written(tmp_path, f'[games]\n"{GAME}" = "Test"\n[wallet_codes]\nmissing = "17"\n')


def test_a_game_list_with_another_wallet_code_is_wrong(softswiss: AdapterSubject) -> None:
    message = broken(evolve(softswiss, wallet_codes={GAME: "17"}), "flow-game-list")
    assert message == f"game_list: wallet calls name {GAME} as 17, and the list says None"


def test_a_game_that_starts_under_its_launch_code_is_not_the_one_that_is_played(softswiss: AdapterSubject) -> None:
    message = broken(evolve(softswiss, wallet_codes={GAME: "17"}), "flow-launch")
    assert f"the game {GAME} starts" in message


def test_the_stages_hub_takes_bets_under_the_wallet_code(softswiss: AdapterSubject, tmp_path: Path) -> None:
    async def story(stage: Stage) -> int:
        seat = evolve(await stage.sit(), game="17")
        await stage.done(bet(seat, stage.new_round(), stage.new_id(), 100), "a bet under the wallet code")
        return stage.change()

    subject = evolve(softswiss, wallet_codes={GAME: "17"})
    assert tell_story(AdapterBench(subject=subject, folder=tmp_path), story) == -100
    with pytest.raises(RuleBrokenError):
        tell_story(AdapterBench(subject=softswiss, folder=tmp_path), story)
