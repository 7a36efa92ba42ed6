"""The rules for adapters, a module a layer; importing this package fills `ADAPTER_RULES`."""

from croupier_conformance.certification.adapter_rules import proof

__all__ = ["proof"]
