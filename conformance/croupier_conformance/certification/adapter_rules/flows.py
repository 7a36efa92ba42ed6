"""Layer of flows: what the hub asks of the provider, answered rightly by the peer."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from croupier.contract import Capability, Credentials, CroupierError, ProviderRefusedError, RetryLaterError
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.errands import (
    ERRANDS,
    GRANT,
    MOST_PAGES,
    Errand,
    Run,
    World,
    declared,
    drive,
    issue,
    log_pages,
)
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, RuleNotApplicableError, Tier


def told_by(run: Run) -> tuple[str, str]:
    """The last exchange of a run, for a failure's message."""
    sent = shown(run.requests[-1]) if run.requests else "nothing"
    last = run.responses[-1] if run.responses else None
    heard = "nothing" if last is None else shown(last)
    ended = f"it returned {run.value!r}" if run.error is None else f"it raised {type(run.error).__name__}: {run.error}"
    return sent, f"{heard}\n\n({ended})"


def _is_right(bench: AdapterBench, capability: Capability) -> tuple[World, Run]:
    """Run an errand that the peer answers honestly, and hold its value against what was asked for."""
    errand = ERRANDS[capability]
    if capability not in bench.adapter().spec.capabilities:
        raise RuleNotApplicableError("with these settings the adapter does not declare it")
    world = errand.prepared(bench)
    run = errand.run(world)
    sent, heard = told_by(run)
    bench.notebook.note(capability.value, sent, heard)
    if run.error is not None:
        message = f"{capability.value}: the peer answered, and the flow raised {type(run.error).__name__}"
        raise RuleBrokenError(message, sent=sent, came_back=heard) from run.error
    wrong = errand.wrong(world, run.value)
    if wrong:
        raise RuleBrokenError(f"{capability.value}: {wrong}", sent=sent, came_back=heard)
    return world, run


def _flow_rule(capability: Capability, title: str, expects: str) -> None:
    """Make the rule that an errand's value is right."""

    def check(bench: AdapterBench) -> None:
        _is_right(bench, capability)

    slug = f"flow-{capability.value.replace('_', '-')}"
    check.__doc__ = f"""{title}.

    The rule runs the adapter's flow for the capability `{capability.value}`; the adapter's own peer answers it as the
    provider would, with the proof checked. {expects[0].upper()}{expects[1:]}. It is usually broken by a field that
    stands elsewhere in the answer than in the document's example, or by a peer that is more lenient than its provider.
    """
    ADAPTER_RULES.rule(
        slug, layer=Layer.FLOWS, tier=Tier.GOLD, title=title, expects=expects, needs=(frozenset({capability}),)
    )(check)


_flow_rule(
    Capability.LAUNCH,
    "A launch starts the game that was asked for, for the player who asked",
    "one way to start is returned, and the peer knows the alias or the token behind it",
)
_flow_rule(
    Capability.LAUNCH_DEMO,
    "A demo starts the game without a player",
    "one way to start is returned, and there is no player and no token behind it",
)
_flow_rule(
    Capability.GAME_LIST,
    "The game list has every game, once",
    "every game of the certification file is in the list, with a name, and none stands twice",
)
_flow_rule(
    Capability.BET_SCALES,
    "Bet scales are of the game that was asked for",
    "there is at least one scale, all are of the game that was asked for, and every bet is above zero",
)
_flow_rule(
    Capability.FREE_ROUNDS_ISSUE,
    "Free rounds are given as asked",
    "a reference is returned, and no other number of rounds than was asked for",
)
_flow_rule(
    Capability.FREE_ROUNDS_CANCEL,
    "Free rounds that were given can be taken back",
    "the flow ends without a value and without an error for free rounds that the peer knows",
)
_flow_rule(
    Capability.FREE_ROUNDS_LIST,
    "Free rounds that were given are listed",
    "exactly the one set that was given is listed, with as many rounds as it has",
)
_flow_rule(
    Capability.ROUND_REPLAY,
    "A round can be shown again",
    "exactly one way to show it is returned",
)
_flow_rule(
    Capability.END_SESSION,
    "A session can be ended",
    "the flow ends without a value and without an error",
)
_flow_rule(
    Capability.CANCEL_ROUND,
    "A round can be voided",
    "the flow ends without a value and without an error",
)


def _log_ends(bench: AdapterBench, capability: Capability) -> None:
    world, _run = _is_right(bench, capability)
    try:
        pages = log_pages(world, capability)
    except CroupierError as error:
        raise RuleBrokenError(f"{capability.value}: a later page raised {error}") from error
    cursors = [page.cursor for page in pages if page.cursor is not None]
    if len(set(cursors)) != len(cursors):
        raise RuleBrokenError("a cursor comes twice: reading on would never end", came_back=", ".join(cursors[:10]))
    if len(pages) == MOST_PAGES:
        raise RuleBrokenError(f"an hour's log does not end within {MOST_PAGES} pages", came_back=", ".join(cursors[:5]))


@ADAPTER_RULES.rule(
    "flow-transaction-log",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="The log of transactions can be read to its end",
    expects="pages follow each other by their cursors, no cursor comes twice, and the last page has none",
    needs=(frozenset({Capability.TRANSACTION_LOG}),),
)
def the_log_of_transactions_ends(bench: AdapterBench) -> None:
    """Reconciliation reads a provider's log day and night; a cursor that stands still reads one page for ever.

    The rule reads an hour of the peer's log page by page. It is usually broken at the end of the log, where a cursor is
    returned though there is nothing behind it yet.
    """
    _log_ends(bench, Capability.TRANSACTION_LOG)


@ADAPTER_RULES.rule(
    "flow-round-log",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="The log of rounds can be read to its end",
    expects="pages follow each other by their cursors, no cursor comes twice, and the last page has none",
    needs=(frozenset({Capability.ROUND_LOG}),),
)
def the_log_of_rounds_ends(bench: AdapterBench) -> None:
    """Where a provider logs rounds and not transactions, its log is all that a dispute can be settled by.

    The rule reads an hour of the peer's log page by page. It is broken like `flow-transaction-log`.
    """
    _log_ends(bench, Capability.ROUND_LOG)


@ADAPTER_RULES.rule(
    "free-rounds-once",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="Free rounds that are issued twice for one grant are given once",
    expects="the second issue of one grant is accepted and names the same reference; another grant has another one",
    needs=(frozenset({Capability.FREE_ROUNDS_ISSUE}),),
)
def free_rounds_are_given_once(bench: AdapterBench) -> None:
    """Free rounds are money. Where the answer to an issue is lost, the hub issues again under the same grant.

    The rule issues one grant twice, with another nonce the second time, and then another grant; where the adapter can
    list free rounds, the list must hold two. It is usually broken by a reference that is drawn anew for each request
    instead of following from the grant.
    """
    world = World.of(bench)
    runs = [
        drive(issue(world, grant, nonce), world.serve)
        for grant, nonce in ((GRANT, "nonce-1"), (GRANT, "nonce-2"), (f"{GRANT}-b", "nonce-3"))
    ]
    for run in runs:
        sent, heard = told_by(run)
        bench.notebook.note("free rounds", sent, heard)
        if run.error is not None:
            raise RuleBrokenError("an issue was not accepted", sent=sent, came_back=heard, hint="a repeat is no error")
    first, second, other = (run.value.reference for run in runs)
    sent, heard = told_by(runs[1])
    if first != second:
        raise RuleBrokenError(f"one grant has two references, {first} and {second}", sent=sent, came_back=heard)
    if other == first:
        raise RuleBrokenError("two grants have one reference", sent=sent, came_back=heard)
    if Capability.FREE_ROUNDS_LIST in world.adapter.spec.capabilities:
        listed = ERRANDS[Capability.FREE_ROUNDS_LIST].run(world)
        if listed.error is None and len(listed.value) != 2:
            sent, heard = told_by(listed)
            raise RuleBrokenError(
                f"two grants were given, and {len(listed.value)} are listed", sent=sent, came_back=heard
            )


@ADAPTER_RULES.rule(
    "flow-proof",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="The provider refuses what was signed with other secrets",
    expects="with secrets that are not the connection's every flow that uses one ends with an error of the contract",
    needs=(frozenset(ERRANDS),),
)
def the_provider_checks_the_proof(bench: AdapterBench) -> None:
    """A peer that believes everybody proves nothing about the adapter's signatures.

    The rule runs every flow with secrets that are changed by one character. A flow that sends the same bytes with any
    secret uses none and is not asked. It is usually broken by a peer that does not check, or by an adapter that takes
    the provider's refusal for an answer.
    """
    for errand in declared(bench):
        honest, world = errand.run(errand.prepared(bench)), errand.prepared(bench)
        run = errand.run(world, credentials=_other_secrets(bench))
        if run.requests == honest.requests:
            continue
        if not isinstance(run.error, CroupierError):
            sent, heard = told_by(run)
            raise RuleBrokenError(
                f"{errand.capability.value}: other secrets were good enough", sent=sent, came_back=heard
            )


def _other_secrets(bench: AdapterBench) -> Credentials:
    changed = {name: value[:-1] + ("x" if value[-1:] != "x" else "y") for name, value in bench.subject.secrets.items()}
    return Credentials({name: (value,) for name, value in changed.items()})


@ADAPTER_RULES.rule(
    "no-secret-in-address",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="No secret stands in an address",
    expects="no request of any flow carries a connection's secret in its address",
    needs=(frozenset(ERRANDS),),
)
def no_secret_in_an_address(bench: AdapterBench) -> None:
    """Addresses are written into logs by every proxy on the way; bodies and headers mostly are not.

    The rule looks for every secret in the address of every request, plain and percent-encoded. Where the provider's
    protocol wants it there, exempt the rule in `certification.toml` and say so.
    """
    for errand in declared(bench):
        for request in errand.run(errand.prepared(bench)).requests:
            for name, secret in bench.subject.secrets.items():
                if any(form in request.url for form in (secret, quote(secret), quote_plus(secret))):
                    raise RuleBrokenError(
                        f"{errand.capability.value}: the secret {name} stands in the address",
                        sent=f"{request.method} {request.path}",
                        hint="send it in a header or in the body; if the protocol has no other place, exempt this rule",
                    )


def is_of_the_contract(error: Exception | None) -> bool:
    """Whether a flow may end with it when the provider failed."""
    return isinstance(error, ProviderRefusedError | RetryLaterError)


def where_it_fails(errand: Errand, run: Run, what: str) -> RuleBrokenError:
    """The failure of an errand under a fault."""
    sent, heard = told_by(run)
    return RuleBrokenError(f"{errand.capability.value}, {what}", sent=sent, came_back=heard)
