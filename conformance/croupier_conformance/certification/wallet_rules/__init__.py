"""The rules for operators' wallets; importing this package fills `WALLET_RULES`."""

from croupier_conformance.certification.wallet_rules import (
    at_once,
    batches,
    conditions,
    declared,
    garbage,
    lost_answers,
    operations,
    precision,
    repeats,
    rollbacks,
    signatures,
)

__all__ = [
    "at_once",
    "batches",
    "conditions",
    "declared",
    "garbage",
    "lost_answers",
    "operations",
    "precision",
    "repeats",
    "rollbacks",
    "signatures",
]
