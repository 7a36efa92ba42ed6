"""The dialect and its peer hold every rule for wallets that the protocol can show."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from croupier.contract import Credentials, Currency, MalformedRequestError
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.run import Outcome
from croupier_conformance.certification.run_wallet import certify_wallet, check_ready, policy_of
from croupier_conformance.certification.wallet_peer import subject_of_peer
from croupier_wallet_hub88.dialect import Hub88WalletDialect
from croupier_wallet_hub88.peer import Hub88WalletPeer
from croupier_wallet_hub88.settings import Hub88WalletSettings

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).resolve().parents[1] / "certify_wallet_hub88.py"))
SETTINGS = Hub88WalletSettings(url="https://wallet.example")
CANNOT_BE_SAID = {
    "old-message-is-refused",
    "message-for-another-path-is-refused",
    "take-all-takes-everything",
    "required-funds-are-held",
    "batch-is-done-in-order",
    "batch-is-all-or-none",
    "repeated-batch-moves-once",
    "batch-completes-what-was-sent",
    "status-of-an-applied-movement",
    "status-of-a-rolled-back-movement",
    "status-of-an-unknown-movement",
    "adjustment-is-never-refused",
}


@pytest.mark.parametrize("name", list(SCRIPT["VARIANTS"]))
def test_the_peer_is_gold_and_lacks_only_batches_and_statuses_for_platinum(name: str) -> None:
    certified = SCRIPT["subject"](name)
    check_ready(certified)
    certification = certify_wallet(certified, seed=1)
    assert [(item.rule.slug, item.message) for item in certification.broken] == []
    left_out = {item.rule.slug for item in certification.results if item.outcome is not Outcome.PASSED}
    assert left_out == CANNOT_BE_SAID
    assert certification.tier is Tier.GOLD
    assert certification.missing == [
        "platinum needs the capability atomic_batch",
        "platinum needs the capability transaction_status",
    ]
    assert policy_of(certification, certified).as_document() == {
        "wallet_policy": {
            "retry_safe": True,
            "tombstones": True,
            "zero_amounts": True,
            "rollback_shortfall": "deficit",
        },
        "capabilities_missing": [],
    }


class _BelievesEverybody(Hub88WalletPeer):
    def _is_proven(self, request: Any, credentials: Any) -> bool:
        return bool(request.headers.get("X-Hub88-Signature"))


class _AnswersUnknownRollbacksAsDone(Hub88WalletPeer):
    def _undo(self, account: Any, row: Any) -> None:
        if row.target in self.rows:
            super()._undo(account, row)


class _PaysAgainAfterARollback(Hub88WalletPeer):
    def _repeat(self, known: Any, row: Any) -> None:
        if known.state == "rolled_back":
            self.held[row.player].balance += known.moved
        else:
            super()._repeat(known, row)


class _FailsAfterTheSession(Hub88WalletPeer):
    def _check_token(self, account: Any, token: str) -> None:
        if self.has_ended(token):
            raise MalformedRequestError("no such session any more")
        super()._check_token(account, token)


@pytest.mark.parametrize(
    ("peer", "breaks"),
    [
        (_FailsAfterTheSession, {"balance-is-told"}),
        (_BelievesEverybody, {"forged-signature-is-refused", "tampered-body-is-refused"}),
        (_AnswersUnknownRollbacksAsDone, {"rollback-of-unknown-moves-nothing", "late-bet-moves-nothing"}),
        (_PaysAgainAfterARollback, {"repeat-after-the-rollback-moves-nothing"}),
    ],
)
def test_a_broken_wallet_of_this_protocol_is_caught(peer: type[Hub88WalletPeer], breaks: set[str]) -> None:
    keys = Credentials({"private_key": (SCRIPT["new_key"](),)})
    subject = subject_of_peer(Hub88WalletDialect(SETTINGS), peer(SETTINGS), keys, Currency("EUR", 2))
    certification = certify_wallet(subject, seed=1, only=lambda rule: rule.slug in breaks)
    assert {item.rule.slug for item in certification.broken} == breaks
