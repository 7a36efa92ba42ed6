"""Layer of static rules: what the package says of itself."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Final

import attrs

from croupier.contract import ADAPTER_API, AdapterSpec, Policies
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, Tier
from croupier_conformance.certification.source import readme

GROUP: Final = "croupier.adapters"
FEWEST_WORDS: Final = 3
"""A reason of fewer words is none."""

_SLUG: Final = re.compile(r"[a-z][a-z0-9_]*")
_DISCLAIMERS: Final = ("built from public material", "not endorsed or certified")
_SETTING: Final = re.compile(r"^ {4,12}(\w+): ?(.*)$", re.MULTILINE)
_FEWEST_ALIASES: Final = 2**64


def is_a_reason(text: str) -> bool:
    """Whether a text says more than that there is one."""
    return len(text.split()) >= FEWEST_WORDS


@ADAPTER_RULES.rule(
    "entry-point-is-there",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="The package is found by its entry point",
    expects="an entry point of the group croupier.adapters whose name is the slug, into the package",
)
def the_entry_point_is_there(bench: AdapterBench) -> None:
    """The hub finds adapters by entry points alone; one under another name ends in quarantine.

    The rule looks among what is installed. It is usually broken by a slug with `-` where the entry point has `_`, or by
    a package that was copied and kept the other's name.
    """
    slug, package = bench.subject.spec.slug, bench.subject.package
    found = [entry.value for entry in metadata.entry_points(group=GROUP, name=slug)]
    if not any(value.partition(":")[0].partition(".")[0] == package for value in found):
        raise RuleBrokenError(
            f"no entry point {slug} of {GROUP} leads into {package}",
            sent=f'[project.entry-points."{GROUP}"]',
            came_back=", ".join(found) or "none of this name",
        )


@ADAPTER_RULES.rule(
    "spec-is-whole",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="The specification says what the adapter is",
    expects="slug, name, contract version, secrets with their meaning, aliases that do not collide, documentation",
)
def the_specification_is_whole(bench: AdapterBench) -> None:
    """The specification is what the hub and its operators know of an adapter before the first request.

    The rule checks the slug, the `ADAPTER_API` (this one or the one before), that a proof has a secret to prove by,
    that each secret says what it is and who gives it, that the documents are named, that aliases have room enough for
    all players, and that every capability that is left out of what the documents offer has a reason of some words.
    """
    spec = bench.subject.spec
    room = len(set(spec.aliases.alphabet)) ** max(spec.aliases.length - len(spec.aliases.prefix), 0)
    wrong = {
        "slug: lower case letters, digits and _": bool(_SLUG.fullmatch(spec.slug)),
        "name": bool(spec.name.strip()),
        f"api: {ADAPTER_API} or {ADAPTER_API - 1}": spec.api in {ADAPTER_API, ADAPTER_API - 1} and spec.api > 0,
        "capabilities: at least one": bool(spec.capabilities),
        "secrets: what proves a request": any(secret.required for secret in spec.secrets),
        "secrets: each with its meaning": all(is_a_reason(secret.meaning) for secret in spec.secrets),
        "secrets: one of each name": len({secret.name for secret in spec.secrets}) == len(spec.secrets),
        "documentation: where the facts come from": is_a_reason(spec.documentation),
        "omissions: each with a reason": all(is_a_reason(reason) for reason in spec.omissions.values()),
        "aliases: room for 2**64 players": room >= _FEWEST_ALIASES,
        "policies": isinstance(bench.adapter().policies, Policies),
    }
    _refuse([what for what, holds in wrong.items() if not holds], "the specification", spec)


@ADAPTER_RULES.rule(
    "settings-are-explained",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="Every setting and secret is explained",
    expects="an immutable attrs class whose docstring names every field; a README that names them and every secret",
)
def settings_are_explained(bench: AdapterBench) -> None:
    """Who configures a connection has the README and the settings class, and nothing else.

    The rule reads the class's docstring (`Attributes:`) and looks for every field and secret in the README, in
    backticks. It is usually broken by the last setting that was added.
    """
    settings, text = bench.subject.spec.settings, readme(bench.subject)
    if not attrs.has(settings):
        raise RuleBrokenError("the settings are no attrs class", sent=settings.__name__, came_back=str(settings))
    told = {name for name, meaning in _SETTING.findall(settings.__doc__ or "") if meaning.strip()}
    fields = [one.name for one in attrs.fields(settings)]
    try:
        setattr(attrs.evolve(bench.subject.settings), fields[0] if fields else "x", None)
    except (attrs.exceptions.FrozenError, AttributeError):
        frozen = True
    else:
        frozen = False
    wrong = ["the class is not frozen"] if not frozen else []
    wrong += [f"{name} is not in the docstring" for name in fields if name not in told]
    names = [*fields, *(secret.name for secret in bench.subject.spec.secrets)]
    wrong += [f"{name} is not in the README" for name in names if f"`{name}`" not in text]
    _refuse(wrong, "the settings", bench.subject.spec)


@ADAPTER_RULES.rule(
    "readme-claims-no-more",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="The README says where the adapter comes from, and that the provider did not endorse it",
    expects='a README with "built from public material" and "not endorsed or certified"',
)
def the_readme_claims_no_more(bench: AdapterBench) -> None:
    """A provider's name on a package looks like the provider's word.

    The rule looks for the two phrases in README.md beside the package, or in the description that is installed with it.
    Line breaks and case do not matter.
    """
    words = " ".join(readme(bench.subject).lower().split())
    _refuse([phrase for phrase in _DISCLAIMERS if phrase not in words], "the README", bench.subject.spec)


@ADAPTER_RULES.rule(
    "routes-are-stable",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="The entrances are there, each once, and do not change",
    expects="routes() is equal every time and from every adapter; each method and path once, below the connection",
)
def the_routes_are_stable(bench: AdapterBench) -> None:
    """The hub asks for the routes on every request: what they are must not depend on what came before.

    The rule asks twice, and a new adapter; it checks that each method and path stands once, begins with `/`, has no
    query, and that each operation has a name for metrics. Every request of the peer must find its entrance. It is
    usually broken by a list that grows with each call.
    """
    adapter = bench.adapter()
    routes, again, other = tuple(adapter.routes()), tuple(adapter.routes()), tuple(bench.adapter().routes())
    places = [(route.method, route.path.rstrip("/")) for route in routes]
    wrong = {
        "there are entrances": bool(routes),
        "they are the same every time": routes == again == other,
        "each method and path stands once": len(set(places)) == len(places),
        "a path begins with / and has no query": all(
            route.path.startswith("/") and not set(route.path) & set("?#") for route in routes
        ),
        "a method is upper case": all(route.method.isupper() for route in routes),
        "an operation has a name": all(re.fullmatch(r"[A-Za-z][\w.-]*", route.operation) for route in routes),
    }
    found = [f"not so: {what}" for what, holds in wrong.items() if not holds]
    _refuse(found, "the entrances", bench.subject.spec, came_back=str(routes))


@ADAPTER_RULES.rule(
    "certification-file-is-whole",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="The certification file says everything, and exempts nothing without a reason",
    expects="games, all required secrets, a reason for each omitted operation, exemptions of known rules with reasons",
)
def the_certification_file_is_whole(bench: AdapterBench) -> None:
    """What an author leaves out decides about what a certificate means, so it must be there to read.

    The rule checks that there are games and test secrets, that every exemption names a rule that exists and gives a
    reason of some words, and that every omitted operation does. An exemption is shown on the certificate.
    """
    subject = bench.subject
    required = {secret.name for secret in subject.spec.secrets if secret.required}
    wrong = [f"secrets.{name} is missing" for name in sorted(required - set(subject.secrets))]
    if not subject.games:
        wrong.append("games: at least one")
    wrong += [f"exempt.{slug}: there is no such rule" for slug in subject.exempt if ADAPTER_RULES.get(slug) is None]
    wrong += [f"exempt.{slug}: say why" for slug, reason in subject.exempt.items() if not is_a_reason(reason)]
    wrong += [
        f"operations.{operation.name}: say why it is omitted"
        for operation in subject.operations
        if not operation.capabilities and not is_a_reason(operation.omitted)
    ]
    _refuse(wrong, "certification.toml", subject.spec)


@ADAPTER_RULES.rule(
    "operations-are-told",
    layer=Layer.STATIC,
    tier=Tier.GOLD,
    title="Every operation of the documentation is offered, or left out for a reason",
    expects="[operations] has the provider's whole list; together they are exactly the declared capabilities",
)
def the_operations_are_told(bench: AdapterBench) -> None:
    """Who reads a certificate wants to know what the provider offers and this adapter does not.

    The rule compares `[operations]` with the declared capabilities, both ways; what the specification names in
    `omissions` must be there too, as omitted. Whether the list is whole only the provider's documents can tell.
    """
    subject = bench.subject
    told = {one for operation in subject.operations for one in operation.capabilities}
    declared = subject.spec.capabilities
    wrong = [] if subject.operations else ["[operations] is empty"]
    wrong += [f"{one} is of no operation" for one in sorted(one.value for one in declared - told)]
    wrong += [f"{one} is not declared" for one in sorted(one.value for one in told - declared)]
    left_out = " ".join(operation.name for operation in subject.operations if operation.omitted)
    wrong += [f"{name} is omitted, and not told" for name in subject.spec.omissions if name not in left_out]
    _refuse(wrong, "[operations]", subject.spec)


def _refuse(wrong: list[str], what: str, spec: AdapterSpec, came_back: str = "") -> None:
    if wrong:
        raise RuleBrokenError(
            f"{what}: {'; '.join(wrong)}", sent=f"{spec.slug}, {what}", came_back=came_back or "\n".join(wrong)
        )
