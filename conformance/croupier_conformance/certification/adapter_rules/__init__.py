"""The rules for adapters, a module a layer; importing this package fills `ADAPTER_RULES`."""

from croupier_conformance.certification.adapter_rules import (
    proof,
    scenarios_doors,
    scenarios_orders,
    scenarios_rounds,
    scenarios_silence,
)

__all__ = [
    "proof",
    "scenarios_doors",
    "scenarios_orders",
    "scenarios_rounds",
    "scenarios_silence",
]
