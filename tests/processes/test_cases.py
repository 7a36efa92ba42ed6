"""What `croupier reconcile` finds is kept by a running hub and settled by two people: on both engines, over sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from attrs import evolve, field, frozen
from click.testing import CliRunner, Result

from croupier.cli import croupier
from croupier.configuration.documents import HUB_SCOPE, Kind, Role
from croupier.contract import ConflictError, FixRequestError, ForbiddenError, MalformedRequestError, NotFoundError
from croupier.ledger.port import Change, Committed, Update
from croupier.ledger.postgres_reader import PostgresReads
from croupier.ledger.records import AliasRow, DeliveryRow, DeliveryState, DeliveryTask, Event, MovementRow, PlayerRow
from croupier.ledger.records import MovementState as State
from croupier.ledger.sqlite_reader import SqliteReads
from croupier.reconciliation.compare import Entry, Side, Standing
from croupier.reconciliation.findings import Finding
from croupier.runtime.hub import Hub, build
from croupier.runtime.serving import admin_app
from croupier.runtime.settings import load_settings
from croupier.web.server import HttpServer
from croupier_conformance.ledger_dump import dump_ledger

DAY = 1_795_392_000_000
"""2026-11-23T00:00:00Z."""

WINDOW = ("--since", "2026-11-23T00:00:00Z", "--until", "2026-11-24T00:00:00Z")
WRITTEN_BESIDE = {"cases", "adjustments", "events", "operator_positions", "exchanges"}
"""What settling a case may write to."""


@frozen(kw_only=True)
class Site:
    """A hub on an engine with an admin listener, the keys of two administrators, and an operator with a connection."""

    hub: Hub
    settings: Path
    place: Any
    url: str
    acme: str
    soft: str
    ann: str = field(repr=False)
    ben: str = field(repr=False)

    async def run(self, *words: str, key: str | None = None, stdin: str = "") -> Result:
        """Run `croupier`, as whoever has the key."""
        environ = {"CROUPIER_ADMIN_URL": self.url, "CROUPIER_ADMIN_KEY": key or self.ann}
        return await asyncio.to_thread(CliRunner().invoke, croupier, words, input=stdin, env=environ)

    async def admin(self, *words: str, key: str | None = None, stdin: str = "") -> Any:
        """What `croupier admin cases` answers."""
        result = await self.run("admin", "cases", *words, "--json", key=key, stdin=stdin)
        assert (result.exit_code, result.exception) == (0, None), result.output
        return json.loads(result.stdout)

    async def error(self, *words: str, key: str | None = None, stdin: str = "") -> BaseException | None:
        """What `croupier admin cases` raises."""
        return (await self.run("admin", "cases", *words, key=key, stdin=stdin)).exception

    async def compare(self, operator: list[Any], provider: list[Any], *, form: str = "--json") -> tuple[int, str]:
        """Compare with logs of these lines; the exit status, and the findings as JSON Lines."""
        words = ["reconcile", str(self.settings), "acme", *WINDOW, *([form] if form else [])]
        for option, name, lines in (("--operator-log", None, operator), ("--provider-log", "soft", provider)):
            log = self.settings.with_name(f"{option}.jsonl")
            log.write_text("".join(json.dumps(line) + "\n" for line in lines))
            words += [option, *([name] if name else []), str(log)]
        result = await self.run(*words)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        assert result.exit_code in {0, 1}, result.output
        return result.exit_code, result.stdout

    async def record(self, findings: str) -> dict[str, list[str]]:
        """Record them; the transactions by what became of each."""
        outcomes: dict[str, list[str]] = {}
        for one in (await self.admin("record", "acme", "-", stdin=findings))["findings"]:
            outcomes.setdefault(one["outcome"], []).append(one["id"])
        return outcomes

    async def settle(self, how: str, case: str) -> Any:
        """Two people settle a case."""
        proposed = await self.admin(how, "acme", case, "--why", "seen in their book")
        assert (proposed["state"], proposed["proposed_by"][:3]) == ("open", "ann")
        return await self.admin(how, "acme", case, "--why", "seen, too", key=self.ben)

    async def store(self, **parts: Any) -> None:
        """Commit a change."""
        assert isinstance(await self.hub.ledger.commit(Change(operator=self.acme, **parts)), Committed)

    async def put(self, *rows: MovementRow) -> None:
        """Store movements."""
        await self.store(movements=rows)

    def movement(self, name: str, **changed: Any) -> MovementRow:
        row = MovementRow(
            operator=self.acme, movement=name, play="p", ordinal=0, connection=self.soft, player="s-1", kind="bet",
            direction="debit", state=State.APPLIED, amount=150, currency="EUR", reference=f"r-{name}", fingerprint={},
            owner="hub", epoch=1, nonce="n", lease_until=0, created_at=DAY + 3_600_000,
        )  # fmt: skip
        return evolve(row, **changed)

    async def events(self, *kinds: str) -> list[Event]:
        stored = [one.event for one in await self.hub.ledger.events_after(self.acme, 0, 1000)]
        return [event for event in stored if event.kind in kinds]

    def untouched(self) -> dict[str, list[str]]:
        """Every row of the tables that settling has no business with."""
        tables: dict[str, list[str]] = {}
        table: list[str] = []
        for line in dump_ledger(self.place).splitlines():
            name, _, rest = line.partition(": ")
            if name.isidentifier() and rest:
                table = tables.setdefault(name, [])
            table.append(line)
        assert tables.keys() > WRITTEN_BESIDE | {"movements", "deliveries"}
        return {name: lines for name, lines in tables.items() if name not in WRITTEN_BESIDE}


@pytest.fixture(params=["sqlite", "postgres"])
async def site(request: pytest.FixtureRequest, tmp_path: Path, tools: Any) -> AsyncIterator[Site]:
    place: Any = tmp_path / "ledger.sqlite"
    url = f"sqlite:///{place}"
    if request.param == "postgres":
        place = url = request.getfixturevalue("database")
    settings = tools.write_settings(tmp_path, url)
    hub = await build(load_settings(settings), tools.environ)
    server = HttpServer(admin_app(hub), hub.log)
    host, port = await server.listen()
    said: Any = {"who": "test", "why": "a test"}
    keys = [
        await hub.configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label=name, **said) for name in ("ann", "ben")
    ]
    body = {"name": "acme", "dialect": "native", "wallet": {"url": "http://127.0.0.1:9"}}
    body["wallet_secrets"] = {"signing_secret": ["whsec_dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXk="]}
    acme = (await hub.configuration.put(None, Kind.OPERATOR, body, **said)).operator
    chosen = {"api_url": "https://softswiss.example/api", "casino_id": "acme"}
    body = {"name": "soft", "adapter": "softswiss", "settings": chosen, "secrets": {"auth_token": ["test"]}}
    soft = (await hub.configuration.put(acme, Kind.CONNECTION, body, **said)).id
    for name in ("1", "2"):
        await hub.ledger.ensure_player(
            PlayerRow(operator=acme, player=f"s-{name}", operator_player=f"p-{name}", created_at=1)
        )
        await hub.ledger.ensure_alias(AliasRow(operator=acme, connection=soft, alias=f"a-{name}", player=f"s-{name}"))
    try:
        yield Site(
            hub=hub, settings=settings, place=place, url=f"http://{host}:{port}", acme=acme, soft=soft,
            ann=keys[0].bearer, ben=keys[1].bearer,
        )  # fmt: skip
    finally:
        await server.stop(1)
        await hub.close()


def line(id: str, player: str = "p-1", **changed: Any) -> dict[str, Any]:
    """A line of a log, about the movement that a test makes."""
    told = {"id": id, "kind": "bet", "amount": 150, "currency": "EUR", "player": player, "at": "2026-11-23T01:00:01Z"}
    return {**told, **changed}


DAMAGED: dict[str, list[dict[str, Any]]] = {
    "amount": [line("amount", amount=1500)],
    "currency": [line("currency", currency="SEK", amount=15)],
    "duplicate": [line("duplicate"), line("duplicate")],
    "kind": [line("kind", kind="win")],
    "missing_at_hub": [line("missing_at_hub", kind="win", amount=70)],
    "missing_at_operator": [],
    "player": [line("player", player="p-2")],
    "state": [line("state", state="rolled_back")],
    "undecided": [line("undecided")],
}
"""What the operator's log says of a bet that the hub's book has, by the class of difference that it makes."""

EXPLAINED = {"duplicate", "player", "undecided"}
"""What no adjustment could tell."""


async def one_of_each_class(site: Site) -> tuple[list[Any], list[Any]]:
    """Books with one difference of each class in them; the logs of the operator and the provider."""
    names = [name for name in DAMAGED if name != "missing_at_hub"]
    states = {"undecided": State.HELD}
    await site.put(*(site.movement(name, state=states.get(name, State.APPLIED)) for name in (*names, "good")))
    operator = [told for lines in DAMAGED.values() for told in lines] + [line("good")]
    provider = [line(f"r-{name}", player="a-1") for name in ("good", *names) if name not in {"state", "amount"}]
    return operator, [*provider, line("r-amount", player="a-1", amount=7)]


async def test_one_of_each_class_is_recorded_once_and_settled_by_two_people_as_new_records(site: Site) -> None:
    operator, provider = await one_of_each_class(site)
    before = site.untouched()
    status, findings = await site.compare(operator, provider)
    assert status == 1
    assert await site.record(findings) == {"opened": [*sorted(DAMAGED), "r-amount/bet", "r-state/bet"]}
    cases = (await site.admin("list", "acme", "--state", "open"))["cases"]
    found = {(one["book"], one["reference"]): one for one in cases}
    assert {name: found["operator", name]["kinds"] for name in DAMAGED} == {name: [name] for name in DAMAGED}
    assert found[site.soft, "r-state/bet"]["kinds"] == ["missing_at_provider"]
    assert found[site.soft, "r-amount/bet"]["movement"] == "amount"
    assert (await site.hub.ledger.count_states())["case.open"] == len(cases) == 11
    assert "p-1" not in str(cases)
    assert "p-2" not in str(cases)

    again = await site.record((await site.compare(operator, provider))[1])
    assert {outcome: len(ids) for outcome, ids in again.items()} == {"known": 11}
    assert [one["id"] for one in (await site.admin("list", "acme"))["cases"]] == [one["id"] for one in cases]

    for (_book, reference), case in found.items():
        how = "explain" if reference in EXPLAINED else "adjust"
        if how == "explain":
            error = await site.error("adjust", "acme", case["id"], "--why", "no record could tell")
            assert isinstance(error, ConflictError)
        assert (await site.settle(how, case["id"]))["state"] == "settled"
    assert site.untouched() == before
    assert await site.compare(operator, provider) == (0, "")
    _, told = await site.compare(operator, provider, form="")
    # Those that were adjusted read like the other book by now; those that were explained still differ.
    assert told.splitlines()[0] == "operator: 10 transactions compared, 0 cases, 3 settled before, 1 not decided yet"
    assert await site.record(findings) == {"settled": [*sorted(DAMAGED), "r-amount/bet", "r-state/bet"]}
    assert (await site.hub.ledger.count_states())["case.open"] == 0
    assert site.untouched() == before

    for kind, count in (("case.opened", 11), ("case.proposed", 11), ("case.settled", 11)):
        assert len(await site.events(kind)) == count
    settled = {event.body["reference"]: event.body for event in await site.events("case.settled")}
    assert settled["amount"]["after"] == {"kind": "bet", "amount": 1500, "currency": "EUR", "state": "applied"}
    assert settled["amount"]["before"] == {"kind": "bet", "amount": 150, "currency": "EUR", "state": "applied"}
    assert (settled["missing_at_hub"]["before"], settled["missing_at_operator"]["after"]["state"]) == (None, "declined")
    assert [settled["kind"][name][:3] for name in ("proposed_by", "who")] == ["ann", "ben"]


async def only_case(site: Site, *operator: dict[str, Any], provider: tuple[Any, ...] | None = None) -> str:
    """The id of the one case that a log of the operator makes."""
    other = [line("r-m", player="a-1")] if provider is None else list(provider)
    await site.record((await site.compare(list(operator), other))[1])
    (case,) = (await site.admin("list", "acme", "--state", "open"))["cases"]
    return str(case["id"])


async def test_one_person_alone_settles_nothing(site: Site) -> None:
    await site.put(site.movement("m"))
    case = await only_case(site, line("m", amount=151))
    for how in ("adjust", "explain"):
        assert (await site.admin(how, "acme", case, "--why", "seen"))["decision"].startswith(how[:5])
        assert isinstance(await site.error(how, "acme", case, "--why", "seen"), ForbiddenError)
        assert (await site.compare([line("m", amount=151)], [line("r-m", player="a-1")]))[0] == 1
    # Whoever says otherwise proposes anew, and has confirmed nothing.
    other = await site.admin("adjust", "acme", case, "--why", "no", key=site.ben)
    assert (other["state"], other["decision"], other["proposed_by"][:3]) == ("open", "adjusted", "ben")
    assert await site.hub.ledger.adjustments_of(site.acme, "operator", ["m"]) == []
    done = await site.admin("adjust", "acme", case, "--why", "yes")
    assert (done["state"], done["proposed_by"][:3], done["settled_by"][:3]) == ("settled", "ben", "ann")
    for how in ("adjust", "explain"):
        assert isinstance(await site.error(how, "acme", case, "--why", "again", key=site.ben), ConflictError)
    assert isinstance(await site.error("show", "acme", "none"), NotFoundError)


async def test_of_many_who_confirm_at_once_one_settles_the_case(site: Site) -> None:
    await site.put(site.movement("m"))
    case = await only_case(site, line("m", amount=151))
    desk = site.hub.cases
    await desk.adjust(site.acme, case, who="ann", why="seen")
    said = [desk.adjust(site.acme, case, who=f"person {number}", why="seen, too") for number in range(5)]
    results = await asyncio.gather(*said, return_exceptions=True)
    assert sum(isinstance(result, ConflictError) for result in results) == 4
    assert len(await site.hub.ledger.adjustments_of(site.acme, "operator", ["m"])) == 1
    assert len(await site.events("case.settled")) == 1


async def test_an_adjustment_counts_only_as_long_as_the_movement_is_as_it_was(site: Site) -> None:
    row = site.movement("m")
    await site.put(row)
    case = await only_case(site, line("m", amount=151))
    await site.admin("adjust", "acme", case, "--why", "seen")
    await site.store(updates=(Update(evolve(row, state=State.REVERSING, version=2)),))
    error = await site.error("adjust", "acme", case, "--why", "seen, too", key=site.ben)
    assert isinstance(error, ConflictError)
    assert "reads otherwise by now" in str(error)
    await site.store(updates=(Update(evolve(row, version=3)),))
    await site.admin("adjust", "acme", case, "--why", "seen, too", key=site.ben)
    books = [line("m", amount=151)], [line("r-m", player="a-1")]
    assert await site.compare(*books) == (0, "")
    # It is rolled back after all: what was decided about a bet that stood says nothing about that.
    await site.store(updates=(Update(evolve(row, state=State.REVERSED, version=4)),))
    status, findings = await site.compare(*books)
    told = [json.loads(one) for one in findings.splitlines()]
    assert (status, [one["case"] for one in told]) == (1, [["state"], ["state"]])
    assert told[0]["entries"]["hub"][0]["amount"] == 150


async def test_what_the_hubs_book_gained_gives_way_to_a_movement_that_comes_after_all(site: Site) -> None:
    books: tuple[list[Any], list[Any]] = ([line("late", amount=70)], [])
    case = await only_case(site, *books[0], provider=())
    await site.settle("adjust", case)
    assert await site.compare(*books) == (0, "")
    await site.put(site.movement("late", amount=71))
    status, findings = await site.compare(books[0], [line("r-late", player="a-1", amount=71)])
    assert (status, [json.loads(one)["case"] for one in findings.splitlines()]) == (1, [["amount"]])
    # And what was adjusted may be adjusted again.
    assert await site.record(findings) == {"opened": ["late"]}
    (row,) = (await site.admin("list", "acme", "--state", "open"))["cases"]
    await site.settle("adjust", row["id"])
    assert (await site.compare(books[0], [line("r-late", player="a-1", amount=71)]))[0] == 0


async def test_a_case_is_closed_by_a_comparison_that_meets_both_books_in_agreement_and_opened_again_by_another(
    site: Site,
) -> None:
    await site.put(site.movement("m"))
    provider = [line("r-m", player="a-1")]
    case = await only_case(site)
    assert await site.compare([line("m")], provider) != (0, "")
    status, findings = await site.compare([line("m")], provider)
    assert (status, json.loads(findings)["closes"]) == (0, [case])
    _, told = await site.compare([line("m")], provider, form="")
    assert told.splitlines() == [
        f"operator  agrees by now (case {case})  m: hub bet 150 EUR applied, operator bet 150 EUR applied",
        "operator: 1 transactions compared, 0 cases, 0 not decided yet",
        "soft: 1 transactions compared, 0 cases, 0 not decided yet",
    ]
    assert await site.record(findings) == {"gone": ["m"]}
    shown = await site.admin("show", "acme", case)
    assert (shown["state"], shown["decision"], shown["proposed_by"]) == ("settled", "gone", None)
    assert await site.compare([line("m")], provider) == (0, "")
    # A difference that is there again was never settled by anybody.
    assert await only_case(site) == case
    assert (await site.admin("show", "acme", case))["decision"] is None
    assert len(await site.events("case.opened")) == 2


async def test_what_is_no_longer_so_is_not_recorded(site: Site) -> None:
    row = site.movement("m")
    await site.put(row)
    _, findings = await site.compare([line("m", amount=151), line("n")], [])
    await site.put(site.movement("n"))
    await site.store(updates=(Update(evolve(row, state=State.REVERSED, version=2)),))
    assert await site.record(findings) == {"outdated": ["m", "n", "r-m/bet"]}
    assert (await site.admin("list", "acme"))["cases"] == []
    # An agreement that is none closes nothing either.
    await site.record((await site.compare([line("m", amount=151)], [line("r-m"), line("r-n")]))[1])
    cases = (await site.admin("list", "acme"))["cases"]
    (open_case,) = [one for one in cases if (one["book"], one["reference"]) == ("operator", "m")]
    forged = {**json.loads(findings.splitlines()[0]), "closes": [open_case["id"]]}
    forged["entries"] = {"hub": forged["entries"]["hub"], "operator": forged["entries"]["hub"]}
    assert await site.record(json.dumps(forged)) == {"outdated": ["m"]}
    good = await site.compare([line("n")], [])
    (told,) = [one for one in map(json.loads, good[1].splitlines()) if (one["with"], one["id"]) == ("operator", "n")]
    assert await site.record(json.dumps({**told, "closes": [open_case["id"]]})) == {"gone": ["n"]}
    assert (await site.admin("show", "acme", open_case["id"]))["state"] == "open"


async def test_what_no_comparison_has_printed_is_refused(site: Site) -> None:
    await site.put(site.movement("m"))
    _, findings = await site.compare([line("m", amount=151)], [line("r-m", player="a-1")])
    good = json.loads(findings)
    for change, kind in (
        ({"operator": "another"}, MalformedRequestError),
        ({"book": "no connection"}, NotFoundError),
        ({"entries": {}}, Exception),
        ({"entries": {**good["entries"], "provider": good["entries"]["hub"]}}, Exception),
        ({"entries": {"operator": [{**good["entries"]["operator"][0], "state": "held"}]}}, Exception),
        ({"entries": {"operator": [{**good["entries"]["operator"][0], "amount": -1}]}}, Exception),
        ({"entries": {"operator": [{**good["entries"]["operator"][0], "kind": "rollback"}]}}, Exception),
    ):
        error = await site.error("record", "acme", "-", stdin=json.dumps({**good, **change}))
        assert isinstance(error, kind), change
        assert not isinstance(error, SystemExit), change
    assert (await site.admin("list", "acme"))["cases"] == []
    told = await site.run("admin", "cases", "record", "acme", "-", stdin="")
    assert told.output == "nothing was found\n"


async def test_cases_are_told_to_people_and_counted(site: Site) -> None:
    await site.put(site.movement("m"))
    case = await only_case(site, line("m", amount=151))
    listed = (await site.run("admin", "cases", "list", "acme")).stdout.splitlines()
    assert listed[1].split() == [case, listed[1].split()[1], "operator", "m", "amount", "open", "-"]
    await site.admin("adjust", "acme", case, "--why", "seen")
    shown = (await site.run("admin", "cases", "show", "acme", case)).stdout.splitlines()
    assert shown[1:4] == [
        "book operator, transaction m, movement m",
        "  hub: bet 150 EUR applied, 2026-11-23T01:00:00Z",
        "  operator: bet 151 EUR applied, 2026-11-23T01:00:01Z",
    ]
    assert shown[-1].startswith("proposed: adjusted by ann (")
    done = await site.run("admin", "cases", "adjust", "acme", case, "--why", "seen, too", key=site.ben)
    assert re.search(r" by ben \([-0-9a-f]+\) as proposed by ann \([-0-9a-f]+\), found ", done.stdout)
    await only_case(site, line("m", amount=152))
    site.hub.metrics.ledger_states(await site.hub.ledger.count_states())
    _, told = site.hub.metrics.render()
    assert f'croupier_alarms_total{{kind="case.opened",operator="{site.acme}"}} 2.0' in told.decode()
    assert 'croupier_reconciliation_cases{state="open"} 1.0' in told.decode()


async def believe_logs(site: Site) -> None:
    """Let the operator's log settle held work."""
    body = {**site.hub.configuration.get(site.acme, Kind.OPERATOR, site.acme).body, "heal_held_work": True}
    await site.hub.configuration.put(site.acme, Kind.OPERATOR, body, id=site.acme, who="test", why="a test")


async def held_win(
    site: Site,
    *,
    heals: bool = True,
    task: DeliveryTask = DeliveryTask.SEND,
    detail: str = "player_blocked",
    **changed: Any,
) -> None:
    """A win of 250 that the wallet refused although it is owed, of an operator whose log is believed."""
    if heals:
        await believe_logs(site)
    win: dict[str, Any] = {"kind": "win", "direction": "credit", "state": State.HELD, "amount": 250}
    work = DeliveryRow(
        operator=site.acme, delivery="d", movement="w", task=task, state=DeliveryState.HELD, due_at=2, created_at=1,
        detail=detail,
    )  # fmt: skip
    await site.store(movements=(site.movement("w", **win, **changed),), deliveries=(work,))


WIN = line("w", kind="win", amount=250)
NOTHING_OF_THE_PROVIDERS = [line("r-w", player="a-1", kind="win", amount=250)]


async def stand(site: Site) -> tuple[State, DeliveryState]:
    movement = await site.hub.ledger.movement(site.acme, "w")
    work = await site.hub.ledger.delivery(site.acme, "d")
    assert movement is not None
    assert work is not None
    return movement.state, work.state


async def test_held_work_that_stands_in_the_operators_log_is_settled_as_applied_with_its_case_in_one_commit(
    site: Site,
) -> None:
    await held_win(site)
    status, findings = await site.compare([WIN], NOTHING_OF_THE_PROVIDERS)
    assert (status, json.loads(findings)["case"]) == (1, ["undecided"])
    position = await site.hub.ledger.newest_position(site.acme)
    assert await site.record(findings) == {"healed": ["w"]}
    assert await stand(site) == (State.APPLIED, DeliveryState.DONE)
    (case,) = (await site.admin("list", "acme"))["cases"]
    assert (case["state"], case["decision"], case["proposed_by"]) == ("settled", "healed", None)
    assert case["settled_by"].startswith("reconciliation (ann (")
    told = [one.event for one in await site.hub.ledger.events_after(site.acme, position, 100)]
    assert [event.kind for event in told] == ["movement.applied", "delivery.decided", "case.settled"]
    assert told[1].body["who"] == case["settled_by"]
    assert case["id"] in str(told[1].body["why"])
    assert await site.compare([WIN], NOTHING_OF_THE_PROVIDERS) == (0, "")
    # The same file once more changes nothing: the work is decided.
    assert await site.record(findings) == {"outdated": ["w"]}
    assert await site.hub.ledger.newest_position(site.acme) == position + 3


async def test_a_case_that_people_left_open_is_closed_by_the_healing(site: Site) -> None:
    await held_win(site, heals=False)
    _, findings = await site.compare([WIN], NOTHING_OF_THE_PROVIDERS)
    assert await site.record(findings) == {"opened": ["w"]}
    assert await stand(site) == (State.HELD, DeliveryState.HELD)
    await believe_logs(site)
    assert await site.record(findings) == {"healed": ["w"]}
    assert await stand(site) == (State.APPLIED, DeliveryState.DONE)
    assert (await site.hub.ledger.count_states())["case.open"] == 0


@pytest.mark.parametrize(
    "log",
    [
        {**WIN, "amount": 251},
        {**WIN, "kind": "bet"},
        {**WIN, "currency": "SEK"},
        {**WIN, "currency": ""},
        {**WIN, "player": "p-2"},
        {**WIN, "player": ""},
    ],
)
async def test_held_work_that_the_log_tells_in_another_way_is_left_to_people(site: Site, log: dict[str, Any]) -> None:
    await held_win(site)
    findings = (await site.compare([log], NOTHING_OF_THE_PROVIDERS))[1]
    assert await site.record(findings) == {"opened": ["w"]}
    assert await site.record(findings) == {"known": ["w"]}
    assert await stand(site) == (State.HELD, DeliveryState.HELD)


@pytest.mark.parametrize(
    "doubt",
    [
        "rollback",
        "undone_by",
        "generation",
        "proposed",
        "explained",
        "owed",
        "not wanted",
        "the wallet rolled it back",
        "its bet stands",
        "already_rolled_back",
        "cancelled",
        "refused at once",
    ],
)
async def test_held_work_is_left_to_people_where_anything_of_it_is_in_doubt(site: Site, doubt: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "undone_by": {"undone_by": "x"},
        "generation": {"generation": 1},
        "refused at once": {"reason": "already_rolled_back"},
    }
    task = DeliveryTask.REVERSE if doubt == "rollback" else DeliveryTask.SEND
    await held_win(
        site, heals=doubt not in {"not wanted", "explained"}, task=task, detail=doubt, **changes.get(doubt, {})
    )
    findings = (await site.compare([WIN], NOTHING_OF_THE_PROVIDERS))[1]
    outcome = "opened"
    if doubt == "proposed":
        await site.hub.deliveries.held.agree(site.acme, "d", who="ben", why="seen", applied=True)
    elif doubt == "owed":
        more = DeliveryRow(
            operator=site.acme, delivery="e", movement="w", task=DeliveryTask.ASK, due_at=2, created_at=1
        )
        await site.store(deliveries=(more,))
    elif doubt == "explained":
        assert await site.record(findings) == {"opened": ["w"]}
        (case,) = (await site.admin("list", "acme"))["cases"]
        await site.admin("explain", "acme", case["id"], "--why", "seen")
        await believe_logs(site)
        outcome = "known"
    before = site.untouched()
    assert await site.record(findings) == {outcome: ["w"]}
    assert site.untouched() == before


async def test_of_many_who_heal_at_once_one_does_and_held_work_is_settled_once(site: Site) -> None:
    await held_win(site)
    told = json.loads((await site.compare([WIN], NOTHING_OF_THE_PROVIDERS))[1])
    entries = {
        Side(side): tuple(
            Entry(
                id="w", kind=one["kind"], amount=one["amount"], currency=one["currency"], state=Standing(one["state"]),
                player=one["player_mark"], movement=one["movement"],
            )
            for one in found
        )
        for side, found in told["entries"].items()
    }  # fmt: skip
    finding = Finding(operator=site.acme, book="operator", reference="w", entries=entries)
    assert finding.case == told["case_id"]
    done = await asyncio.gather(*(site.hub.cases.record(finding, who=f"key {number}") for number in range(5)))
    assert sorted(one.outcome.value for one in done) == ["healed", *["outdated"] * 4]
    assert await stand(site) == (State.APPLIED, DeliveryState.DONE)
    assert len(await site.events("delivery.decided")) == len(await site.events("case.settled")) == 1
    assert (await site.hub.ledger.count_states())["case.open"] == 0


async def test_what_a_person_proposed_while_a_log_was_looked_at_is_not_passed_over(site: Site) -> None:
    await held_win(site)
    findings = (await site.compare([WIN], NOTHING_OF_THE_PROVIDERS))[1]
    held, ledger = site.hub.deliveries.held, site.hub.ledger
    works = await ledger.deliveries_of(site.acme, "w")
    await held.agree(site.acme, "d", who="ben", why="seen", applied=False)
    stale = AsyncMock(return_value=works)
    with patch.object(type(ledger), "deliveries_of", stale):  # as it was read just before the proposal
        assert await site.record(findings) == {"opened": ["w"]}
    assert stale.await_count == 1
    assert await stand(site) == (State.HELD, DeliveryState.HELD)
    row = await ledger.delivery(site.acme, "d")
    assert row is not None
    assert row.owner == "proposed undone by ben"


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_time_that_cannot_be_told_again_is_refused_and_the_list_of_cases_stays_readable(
    site: Site, at: str
) -> None:
    await site.put(site.movement("m"))
    finding = json.loads((await site.compare([line("m", amount=151)], [line("r-m", player="a-1")]))[1])
    finding["entries"]["operator"][0]["at"] = at
    error = await site.error("record", "acme", "-", stdin=json.dumps(finding))
    assert isinstance(error, FixRequestError)
    assert "time" in str(error)
    assert (await site.admin("list", "acme"))["cases"] == []


async def test_a_finding_that_cannot_be_kept_keeps_no_other_away_and_is_told_by_its_line(site: Site) -> None:
    """An id that is too long, one that stands too often, and what no comparison prints."""
    await site.put(site.movement("m"))
    odd = [line("a" * 600), *[line("often")] * 101, line("odd\x1b[31m\nb"), line("m", amount=151)]
    told = (await site.compare(odd, [line("r-m", player="a-1")]))[1].splitlines()
    told.append(told[-1].replace('"amount": 151', '"amount": 1.5'))
    result = await site.run("admin", "cases", "record", "acme", "-", stdin="\n".join(told))
    assert isinstance(result.exception, MalformedRequestError)
    assert str(result.exception).startswith("line 1: 3 findings cannot be kept, the others were: ")
    told_of = [one.partition(": ")[0] for one in result.stderr.splitlines() if one.startswith("line ")]
    assert told_of == ["line 1", "line 4", "line 5"]
    assert result.stdout.splitlines()[-1] == "2 opened"
    cases = (await site.admin("list", "acme"))["cases"]
    assert sorted(one["reference"] for one in cases) == ["m", "odd\\x1b[31m\\x0ab"]
    odd_one = next(one["id"] for one in cases if one["reference"] != "m")
    await site.settle("adjust", odd_one)
    error = await site.error("record", "acme", "-", stdin=f"{told[0]}\n{{nothing")
    assert isinstance(error, MalformedRequestError)
    assert error.where == "line 2"


async def test_an_id_with_control_characters_is_one_transaction_to_both_books(site: Site) -> None:
    await site.put(site.movement("m", reference="r\x1b[1m\tm"))
    assert await site.compare([line("m")], [line("r\x1b[1m\tm", player="a-1")]) == (0, "")
    findings = (await site.compare([line("m")], [line("r\x1b[1m\tm", player="a-1", amount=151)]))[1]
    assert await site.record(findings) == {"opened": ["r\\x1b[1m\\x09m/bet"]}
    (case,) = (await site.admin("list", "acme"))["cases"]
    await site.settle("adjust", case["id"])
    assert await site.compare([line("m")], [line("r\x1b[1m\tm", player="a-1", amount=151)]) == (0, "")


async def test_an_empty_log_is_compared_without_a_look_into_the_record_for_each_transaction(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what people have settled is left out all the same, be it looked up alone or with all."""
    many = [site.movement(f"m{number:04}") for number in range(1_200)]
    await asyncio.gather(*map(site.put, many))
    provider = [line(f"r-{row.movement}", player="a-1") for row in many]
    findings = (await site.compare([], provider))[1].splitlines()
    assert len(findings) == 1_200
    for number in (3, 1_100):
        await site.record(findings[number])
        await site.settle("explain", json.loads(findings[number])["case_id"])
    await site.record(findings[1_101])
    looks: list[str] = []

    def watched(told: Callable[..., Any]) -> Callable[..., Any]:
        async def case(self: Any, operator: str, case: str) -> Any:
            looks.append(case)
            return await told(self, operator, case)

        return case

    engine: Any
    for engine in (SqliteReads, PostgresReads):
        monkeypatch.setattr(engine, "case", watched(engine.case))
    left = (await site.compare([], provider))[1].splitlines()
    assert left == [told for number, told in enumerate(findings) if number not in {3, 1_100}]
    assert len(looks) == 1_000
