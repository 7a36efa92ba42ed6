"""The provider gateway, without sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from attrs import evolve

from croupier.configuration.directory import Directory
from croupier.contract import (
    Applied,
    AppliedEffect,
    CallPersonError,
    Declined,
    DeclineReason,
    Headers,
    HttpRequest,
    HttpResponse,
    LedgerCorruptError,
    Policies,
    Policy,
    StoreUnavailableError,
)
from croupier.web.addresses import PresentedCertificate
from croupier.web.apps import Incoming

KEY = "test-key-of-the-toy-provider"
BET = b'{"id": "b1", "amount": 100}'


def incoming(
    url: str = "/providers/acme/toy/move",
    body: bytes = BET,
    *,
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (("X-Key", KEY),),
    source: str = "198.51.100.7",
    certificate: PresentedCertificate | None = None,
) -> Incoming:
    request = HttpRequest(method, url, Headers(headers), body)
    return Incoming(request=request, source=source, client_certificate=certificate)


async def ask(hub: Any, request: Incoming) -> HttpResponse:
    """Have a request answered, and wait until it is recorded."""
    response: HttpResponse = await hub.app.answer(request)
    await asyncio.sleep(0)
    return response


def code(response: HttpResponse) -> Any:
    return json.loads(response.body)["code"]


async def test_a_proven_bet_reaches_the_engine_and_is_answered(hub: Any) -> None:
    response = await ask(hub, incoming())
    assert (response.status, code(response)) == (200, "moved")
    assert hub.engine.finished == ["b1"]


async def test_the_deadline_is_the_arrival_and_the_budget_of_the_policy(hub: Any) -> None:
    await ask(hub, incoming())
    assert hub.engine.deadlines == [1_000.0 + 1.5]


async def test_the_exchange_is_kept_redacted_and_tied_to_the_movement(hub: Any) -> None:
    hub.engine.outcome = Applied(transaction="t-1")
    await ask(hub, incoming(headers=(("X-Key", KEY), ("Traceparent", f"00-{'a' * 32}-{'b' * 16}-01"))))
    (row,) = hub.exchanges.rows
    assert (row.operator, row.connection, row.side) == ("acme-id", "acme-id-toy-id", "provider_in")
    assert (row.operation, row.status, row.verdict, row.movement) == ("move", 200, "applied:moved", "t-1")
    assert row.trace == "a" * 32
    assert row.request == "POST /move\n\nan id of 27 bytes, proven by a key"
    assert KEY not in row.request + row.response
    assert row.decision == {"provider_timeout_ms": 2000}


async def test_one_line_of_log_says_what_became_of_a_call_and_nothing_secret(hub: Any) -> None:
    hub.engine.outcome = Declined(reason=DeclineReason.INSUFFICIENT_FUNDS)
    await ask(hub, incoming("/providers/acme/toy/move?token=hush"))
    (line,) = hub.log.of("provider_call")
    assert (line["operator"], line["connection"], line["operation"]) == ("acme-id", "toy", "move")
    assert (line["verdict"], line["reason"], line["status"]) == ("declined", "insufficient_funds", 200)
    assert (line["request_bytes"], line["response_bytes"]) == (27, 30)
    assert "hush" not in repr(hub.log.lines) + repr(hub.exchanges.rows)
    assert KEY not in repr(hub.log.lines) + repr(hub.exchanges.rows)
    assert hub.metrics.calls[0]["verdict"] == "declined"


@pytest.mark.parametrize(
    "url",
    [
        "/providers/acme/nothing/move",
        "/providers/nobody/toy/move",
        "/providers/acme",
        "/providers/acme/",
        "/providers//toy/move",
        "/providers/acme/%74oy/move",
        "//providers/acme/toy/move",
        "/Providers/acme/toy/move",
        "/",
        "",
        "*",
    ],
)
async def test_where_there_is_no_connection_every_address_is_answered_alike(hub: Any, url: str) -> None:
    response = await ask(hub, incoming(url))
    assert response == HttpResponse.text("404: Not Found", 404)
    assert hub.engine.finished == []


async def test_a_connection_that_is_down_asks_the_provider_to_come_again(hub: Any) -> None:
    response = await ask(hub, incoming("/providers/acme/down/move"))
    assert response.status == 503
    assert response.headers.get("Retry-After") == "10"


@pytest.mark.parametrize(
    ("method", "url", "status", "expected"),
    [
        ("POST", "/providers/acme/toy/moves", 404, "error:not_found"),
        ("POST", "/providers/acme/toy//move", 404, "error:not_found"),
        ("POST", "/providers/acme/toy", 404, "error:not_found"),
        ("GET", "/providers/acme/toy/move", 405, "error:unsupported"),
        ("DELETE", "/providers/acme/toy/status", 405, "error:unsupported"),
    ],
)
async def test_an_address_or_method_that_the_adapter_lacks_is_refused_in_its_protocol(
    hub: Any, method: str, url: str, status: int, expected: str
) -> None:
    response = await ask(hub, incoming(url, method=method))
    assert (response.status, code(response)) == (status, expected)
    assert (response.headers.get("Allow") is not None) is (status == 405)


@pytest.mark.parametrize("url", ["/providers/acme/toy/move/", "/providers/acme-id/acme-id-toy-id/move?x=%20&x=2"])
async def test_a_trailing_slash_and_a_query_and_ids_for_names_change_nothing(hub: Any, url: str) -> None:
    assert code(await ask(hub, incoming(url))) == "moved"


@pytest.mark.parametrize("headers", [(), (("X-Key", "wrong"),), (("X-Key", ""),)])
async def test_without_proof_nothing_is_begun_and_only_method_and_path_are_kept(
    hub: Any, headers: tuple[tuple[str, str], ...]
) -> None:
    response = await ask(hub, incoming("/providers/acme/toy/move?secret=1", headers=headers))
    assert (response.status, code(response)) == (401, "error:authentication")
    assert hub.engine.finished == []
    (row,) = hub.exchanges.rows
    assert (row.request, row.verdict) == ("POST /move", "error:authentication")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"id": 1}', b'{"id":"a","id":"a"}', b"\xff", b'{"id":"a","amount":NaN}']
)
async def test_a_body_that_cannot_be_read_is_refused_definitely(hub: Any, body: bytes) -> None:
    response = await ask(hub, incoming(body=body))
    assert (response.status, code(response)) == (400, "error:malformed")
    assert hub.engine.finished == []


async def test_a_body_beyond_the_limit_is_refused_before_the_proof(hub: Any) -> None:
    response = await ask(hub, incoming(body=b"x" * 1_001, headers=()))
    assert (response.status, code(response)) == (413, "error:body_too_large")


async def test_a_fault_of_the_adapter_is_an_internal_error_without_any_detail(hub: Any) -> None:
    response = await ask(hub, incoming("/providers/acme/toy/broken"))
    assert (response.status, code(response)) == (500, "error:internal")
    assert b"4711" not in response.body
    (line,) = hub.log.of("provider_call_failed")
    assert line["fault"] == "ZeroDivisionError"
    assert "4711" not in repr(hub.log.lines)


@pytest.mark.parametrize("fault", [RuntimeError("EUR 12 of Ann"), LedgerCorruptError("x"), CallPersonError("x")])
async def test_a_fault_of_the_engine_is_never_told_as_a_refusal(hub: Any, fault: Exception) -> None:
    hub.engine.fault = fault
    response = await ask(hub, incoming())
    assert (response.status, code(response)) == (200, "retry:in_progress")
    assert len(hub.log.of("provider_call_failed")) == 1
    assert "Ann" not in repr(hub.log.lines)


async def test_a_store_that_is_away_asks_the_provider_to_come_again(hub: Any) -> None:
    hub.engine.fault = StoreUnavailableError("the disk is full")
    assert code(await ask(hub, incoming())) == "retry:store"
    assert hub.exchanges.rows[0].verdict == "unknown:store"


async def test_an_answer_that_cannot_be_written_asks_the_provider_to_come_again(hub: Any) -> None:
    response = await ask(hub, incoming(body=b'{"id": "unwritable"}'))
    assert (response.status, code(response)) == (503, "error:retry_later")
    assert hub.engine.finished == ["unwritable"]
    assert "Ann" not in repr(hub.log.lines)


async def test_an_engine_that_is_late_leaves_the_outcome_open_and_goes_on(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    response = await ask(hub, incoming())
    assert code(response) == "retry:in_progress"
    assert hub.engine.finished == []
    hub.engine.gate.set()
    assert await hub.gateway.drain(5) == 0
    assert hub.engine.finished == ["b1"]


async def test_a_provider_that_hangs_up_does_not_stop_the_work(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    call = asyncio.create_task(ask(hub, incoming()))
    await hub.engine.arrived()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert hub.engine.finished == []
    hub.engine.gate.set()
    assert await hub.gateway.drain(5) == 0
    assert hub.engine.finished == ["b1"]
    (row,) = hub.exchanges.rows
    assert (row.status, row.verdict) == (None, "unknown:hung_up")


async def test_draining_gives_up_after_its_time_and_says_what_is_left(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    await ask(hub, incoming())
    assert await hub.gateway.drain(1) == 1
    hub.engine.gate.set()
    assert await hub.gateway.drain(1) == 0


async def test_an_engine_that_fails_after_the_answer_is_reported(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    hub.engine.fault = StoreUnavailableError("the disk is full")
    assert code(await ask(hub, incoming())) == "retry:in_progress"
    assert hub.log.of("provider_call_failed") == []
    hub.engine.gate.set()
    assert await hub.gateway.drain(5) == 0
    (line,) = hub.log.of("provider_call_failed")
    assert line["fault"] == "StoreUnavailableError"


async def test_a_provider_is_answered_before_its_request_is_recorded(hub: Any) -> None:
    response = await hub.app.answer(incoming())
    assert (code(response), hub.exchanges.rows, hub.log.lines) == ("moved", [], [])
    await asyncio.sleep(0)
    assert (len(hub.exchanges.rows), len(hub.log.of("provider_call"))) == (1, 1)


async def test_draining_writes_what_is_not_recorded_yet(hub: Any) -> None:
    await hub.app.answer(incoming())
    assert await hub.gateway.drain(5) == 0
    assert len(hub.exchanges.rows) == 1
    await asyncio.sleep(0)
    assert len(hub.exchanges.rows) == 1


async def test_a_request_that_cannot_be_recorded_is_reported_and_costs_no_other_its_record(hub: Any) -> None:
    hub.exchanges.fault = RuntimeError("EUR 12 of Ann")
    first, second = await asyncio.gather(hub.app.answer(incoming()), hub.app.answer(incoming()))
    await asyncio.sleep(0)
    assert (code(first), code(second), len(hub.exchanges.rows)) == ("moved", "moved", 1)
    (line,) = hub.log.of("provider_call_not_kept")
    assert line["fault"] == "RuntimeError"
    assert "Ann" not in repr(hub.log.lines)


async def test_a_changed_configuration_holds_from_the_next_request_on(hub: Any) -> None:
    assert code(await ask(hub, incoming())) == "moved"
    acme = hub.directory.find_operator("acme")
    left = {key: live for key, live in acme.connections.items() if live.name != "toy"}
    hub.directory = Directory(operators={acme.id: evolve(acme, connections=left)})
    assert (await ask(hub, incoming())).status == 404


async def test_the_record_tells_the_policy_that_decided_after_it_was_changed(hub: Any) -> None:
    await ask(hub, incoming())
    acme = hub.directory.find_operator("acme")
    live = next(one for one in acme.connections.values() if one.name == "toy")
    slower = evolve(live.connection, policies=Policies(Policy(provider_timeout_ms=9000)))
    changed = {**acme.connections, live.id: evolve(live, connection=slower)}
    hub.directory = Directory(operators={acme.id: evolve(acme, connections=changed)})
    await ask(hub, incoming())
    assert [row.decision["provider_timeout_ms"] for row in hub.exchanges.rows] == [2000, 9000]
    assert hub.engine.deadlines[1] - hub.engine.deadlines[0] > 5


async def test_an_overloaded_hub_lets_bets_wait_for_a_while_and_takes_wins_and_rollbacks_at_once(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    begun = [asyncio.create_task(ask(hub, incoming(body=b'{"id": "b%d"}' % number))) for number in range(2)]
    await hub.engine.arrived(2)
    assert code(await ask(hub, incoming(body=b'{"id": "b3"}'))) == "error:overloaded"
    begun.append(asyncio.create_task(ask(hub, incoming(body=b'{"id": "w1", "kind": "win"}'))))
    begun.append(asyncio.create_task(ask(hub, incoming(body=b'{"id": "r1", "kind": "rollback"}'))))
    await hub.engine.arrived(2)
    hub.engine.gate.set()
    await asyncio.gather(*begun)
    assert await hub.gateway.drain(5) == 0
    assert sorted(hub.engine.finished) == ["b0", "b1", "r1", "w1"]
    assert (hub.metrics.under_way, hub.metrics.waiting) == ({"acme-id": 0}, {"acme-id": 0})


async def test_bets_that_wait_are_worked_on_in_their_order_as_soon_as_there_is_a_place(hub: Any) -> None:
    hub.clock.is_real = True
    hub.engine.gate = asyncio.Event()
    begun = [asyncio.create_task(ask(hub, incoming(body=b'{"id": "b%d"}' % number))) for number in range(6)]
    await hub.engine.arrived(2)
    assert hub.metrics.waiting == {"acme-id": 4}
    begun.pop(3).cancel()  # its provider hangs up
    hub.engine.gate.set()
    assert [code(answer) for answer in await asyncio.gather(*begun)] == ["moved"] * 5
    assert hub.engine.finished == ["b0", "b1", "b2", "b4", "b5"]
    assert (hub.metrics.under_way, hub.metrics.waiting) == ({"acme-id": 0}, {"acme-id": 0})


async def test_a_hub_that_is_overloaded_or_stops_keeps_no_other_operators_bets_waiting(hub: Any) -> None:
    hub.clock.is_real = True
    hub.engine.gate = asyncio.Event()
    waiting = [asyncio.create_task(ask(hub, incoming(body=b'{"id": "b%d"}' % number))) for number in range(3)]
    await hub.engine.arrived(2)
    other = asyncio.create_task(ask(hub, incoming("/providers/other/toy/move")))
    await hub.engine.arrived()
    draining = asyncio.create_task(hub.gateway.drain(5))
    assert code(await waiting[2]) == "error:overloaded"
    hub.engine.gate.set()
    assert await draining == 0
    assert [code(answer) for answer in await asyncio.gather(*waiting[:2], other)] == ["moved"] * 3


async def test_no_more_wait_than_there_is_room_for(hub: Any) -> None:
    hub.clock.is_real = True
    hub.engine.gate = asyncio.Event()
    begun = [asyncio.create_task(ask(hub, incoming(body=b'{"id": "b%d"}' % number))) for number in range(7)]
    await hub.engine.arrived(2)
    assert code(await begun[6]) == "error:overloaded"
    hub.engine.gate.set()
    assert [code(answer) for answer in await asyncio.gather(*begun[:6])] == ["moved"] * 6


@pytest.mark.parametrize(
    ("connection", "source", "forwarded", "allowed"),
    [
        ("listed", "192.0.2.9", [], True),
        ("listed", "::ffff:192.0.2.9", [], True),
        ("listed", "198.51.100.7", [], False),
        ("listed", "198.51.100.7", ["192.0.2.9"], False),
        ("listed", "", [], False),
        ("proxied", "10.1.1.1", ["192.0.2.9"], True),
        ("proxied", "10.1.1.1", ["203.0.113.1, 192.0.2.9"], True),
        ("proxied", "10.1.1.1", ["203.0.113.1", "192.0.2.9, 10.2.2.2"], True),
        ("proxied", "10.1.1.1", ["192.0.2.9, 203.0.113.1"], False),
        ("proxied", "10.1.1.1", ["192.0.2.9, nonsense"], False),
        ("proxied", "10.1.1.1", [], False),
        ("proxied", "203.0.113.1", ["192.0.2.9"], False),
        ("proxied", "10.1.1.1", ["192.0.2.9:4711"], True),
    ],
)
async def test_the_address_list_believes_only_what_trusted_proxies_wrote(
    hub: Any, connection: str, source: str, forwarded: list[str], allowed: bool
) -> None:
    headers = (("X-Key", KEY), *(("X-Forwarded-For", value) for value in forwarded))
    response = await ask(hub, incoming(f"/providers/acme/{connection}/move", headers=headers, source=source))
    assert code(response) == ("moved" if allowed else "error:forbidden")
    assert hub.engine.finished == (["b1"] if allowed else [])


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        (None, "error:authentication"),
        (PresentedCertificate(fingerprint="a" * 64, subject="someone.example"), "error:authentication"),
        (PresentedCertificate(fingerprint="a" * 64), "error:authentication"),
        (PresentedCertificate(fingerprint="a" * 64, subject="provider.example"), "moved"),
    ],
)
async def test_a_connection_may_ask_for_a_client_certificate(
    hub: Any, certificate: PresentedCertificate | None, expected: str
) -> None:
    response = await ask(hub, incoming("/providers/acme/certified/move", certificate=certificate))
    assert code(response) == expected


@pytest.mark.parametrize(
    ("given", "continued"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", True),
        (f"cc-{'a' * 32}-{'b' * 16}-01-later", True),
        (f"00-{'a' * 32}-{'b' * 16}-01-later", False),
        (f"ff-{'a' * 32}-{'b' * 16}-01", False),
        (f"00-{'0' * 32}-{'b' * 16}-01", False),
        (f"00-{'a' * 32}-{'0' * 16}-01", False),
        (f"00-{'A' * 32}-{'b' * 16}-01", False),
        ("nonsense", False),
    ],
)
async def test_a_valid_trace_is_continued_and_any_other_replaced(hub: Any, given: str, continued: bool) -> None:
    await ask(hub, incoming(headers=(("X-Key", KEY), ("traceparent", given))))
    trace = hub.exchanges.rows[0].trace
    assert (trace == "a" * 32) is continued
    assert len(trace) == 32


async def test_a_repeat_is_told_as_the_engine_says(hub: Any) -> None:
    hub.engine.outcome = Applied(effect=AppliedEffect.REPEATED)
    assert code(await ask(hub, incoming())) == "repeated"
    assert hub.exchanges.rows[0].verdict == "applied:repeated"


async def test_probes_answer_without_a_connection(hub: Any) -> None:
    async def get(url: str) -> tuple[int, bytes]:
        response = await ask(hub, incoming(url, b"", method="GET"))
        return response.status, response.body

    assert await get("/healthz") == (200, b"ok\n")
    assert await get("/readyz") == (200, b"ready\n")
    assert await get("/metrics") == (200, b"hub_up 1\n")
    hub.obstacles.append("draining")
    assert await get("/readyz") == (503, b"draining\n")
    assert await get("/healthz") == (200, b"ok\n")
