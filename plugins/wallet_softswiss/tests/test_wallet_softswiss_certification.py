"""The dialect and its peer hold every rule for wallets that the protocol can show."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from croupier.contract import Credentials, Currency
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.run import Outcome
from croupier_conformance.certification.run_wallet import certify_wallet, check_ready, policy_of
from croupier_conformance.certification.wallet_peer import subject_of_peer
from croupier_wallet_softswiss.dialect import SoftswissWalletDialect
from croupier_wallet_softswiss.peer import SoftswissWalletPeer
from croupier_wallet_softswiss.settings import SoftswissWalletSettings

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).resolve().parents[1] / "certify_wallet_softswiss.py"))
SETTINGS = SoftswissWalletSettings(url="https://wallet.example")
CANNOT_BE_SAID = {
    "old-message-is-refused",
    "message-for-another-path-is-refused",
    "take-all-takes-everything",
    "required-funds-are-held",
    "status-of-an-applied-movement",
    "status-of-a-rolled-back-movement",
    "status-of-an-unknown-movement",
    "adjustment-is-never-refused",
}


@pytest.mark.parametrize("name", list(SCRIPT["VARIANTS"]))
def test_the_peer_is_gold_and_lacks_only_the_status_for_platinum(name: str) -> None:
    certified = SCRIPT["subject"](name)
    check_ready(certified)
    certification = certify_wallet(certified, seed=1)
    assert [(item.rule.slug, item.message) for item in certification.broken] == []
    left_out = {item.rule.slug for item in certification.results if item.outcome is not Outcome.PASSED}
    assert left_out == CANNOT_BE_SAID
    assert certification.tier is Tier.GOLD
    assert certification.missing == ["platinum needs the capability transaction_status"]
    assert policy_of(certification, certified).as_document() == {
        "wallet_policy": {
            "retry_safe": True,
            "tombstones": True,
            "zero_amounts": True,
            "rollback_shortfall": "deficit",
        },
        "capabilities_missing": [],
    }


class _RemembersNothing(SoftswissWalletPeer):
    def _find(self, action_id: str, book: object) -> None:
        return None


class _LeavesNoTombstones(SoftswissWalletPeer):
    def _undo(self, account: Any, fields: Any, row: Any, book: Any) -> None:
        super()._undo(account, fields, row, book)
        for action_id in [one.transaction for one in book.rows.values() if one.state == "tombstone"]:
            del book.rows[action_id]


class _PaysWhatWasRolledBack(SoftswissWalletPeer):
    def _find(self, action_id: str, book: Any) -> Any:
        found = super()._find(action_id, book)
        return None if found is not None and found.state == "rolled_back" else found


@pytest.mark.parametrize(
    ("peer", "breaks"),
    [
        (_RemembersNothing, {"repeated-bet-moves-once", "late-bet-moves-nothing", "copies-at-once-move-once"}),
        (_LeavesNoTombstones, {"late-bet-moves-nothing", "tombstone-outlives-repeats"}),
        (_PaysWhatWasRolledBack, {"repeat-after-the-rollback-moves-nothing"}),
    ],
)
def test_a_late_original_that_moves_money_is_caught_though_it_is_answered_with_success(
    peer: type[SoftswissWalletPeer], breaks: set[str]
) -> None:
    keys = Credentials({"auth_token": ("test",)})
    subject = subject_of_peer(SoftswissWalletDialect(SETTINGS), peer(SETTINGS), keys, Currency("EUR", 2))
    broken = {item.rule.slug for item in certify_wallet(subject, seed=1).broken}
    assert breaks <= broken
