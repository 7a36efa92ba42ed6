"""The rules for adapters, a module a layer; importing this package fills `ADAPTER_RULES`."""

from croupier_conformance.certification.adapter_rules import (
    flows,
    flows_faults,
    proof,
    properties_meaning,
    properties_noise,
    properties_render,
    properties_secrets,
    scenarios_doors,
    scenarios_mistaken,
    scenarios_orders,
    scenarios_rounds,
    scenarios_silence,
    speed,
    static_package,
    static_source,
    transcripts,
)

__all__ = [
    "flows",
    "flows_faults",
    "proof",
    "properties_meaning",
    "properties_noise",
    "properties_render",
    "properties_secrets",
    "scenarios_doors",
    "scenarios_mistaken",
    "scenarios_orders",
    "scenarios_rounds",
    "scenarios_silence",
    "speed",
    "static_package",
    "static_source",
    "transcripts",
]
