"""What a tier demands besides rules: a minimum of capabilities, and a word about every documented operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from croupier.contract import Capability, OnSilence
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.subject import AdapterSubject

MINIMUM: Final[Mapping[Tier, tuple[frozenset[Capability], ...]]] = {
    Tier.BRONZE: (Capability.of("bet bet_and_win stake_transfer"),),
    Tier.SILVER: (Capability.of("win bet_and_win stake_transfer"), Capability.of("balance authenticate")),
    Tier.GOLD: (Capability.of("launch"), Capability.of("game_list launch_demo")),
    Tier.PLATINUM: (
        Capability.of("free_rounds_issue"),
        Capability.of("transaction_log round_log round_replay"),
    ),
}
"""One capability of each set is needed, in this tier and every higher one."""

ROLLBACKS: Final = Capability.of("rollback_bet rollback_win")


def missing_for(tier: Tier, subject: AdapterSubject) -> Sequence[str]:
    """What a subject lacks for a tier, in words; rules apart."""
    declared = subject.spec.capabilities
    missing = [
        f"{tier.word} needs the capability {' or '.join(sorted(one.value for one in any_of))}"
        for any_of in MINIMUM.get(tier, ())
        if not any_of & declared
    ]
    if tier is Tier.SILVER and not ROLLBACKS & declared and subject.peer().bet_on_silence is not OnSilence.RESENDS:
        missing.append("silver needs rollbacks, or a provider that sends again what was not answered")
    if tier is Tier.GOLD:
        missing += _operations(subject)
    return missing


def _operations(subject: AdapterSubject) -> list[str]:
    if not subject.operations:
        return ["gold needs every operation of the provider's documentation in [operations]"]
    told = frozenset[Capability]().union(*(operation.capabilities for operation in subject.operations))
    declared = subject.spec.capabilities
    untold = sorted(one.value for one in declared - told)
    undeclared = sorted(one.value for one in told - declared)
    missing = [f"the capability {one} is of no operation in [operations]" for one in untold]
    missing += [f"[operations] {one.name} is still to do: {one.todo}" for one in subject.operations if one.todo]
    return missing + [f"[operations] names {one}, which the adapter does not declare" for one in undeclared]
