"""Requests over a rate: what is refused, with what answer, and what never is."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve

from croupier.accelerator.rates import Rates
from croupier.contract import Headers, HttpRequest
from croupier.web.apps import Incoming

KEY = "test-key-of-the-toy-provider"


async def move(hub: Any, kind: str, id: str) -> tuple[int, str]:
    """One movement, as the provider sends it; the status and the code of its answer."""
    body = json.dumps({"id": id, "kind": kind}).encode()
    request = HttpRequest("POST", "/providers/acme/toy/move", Headers((("X-Key", KEY),)), body)
    answer = await hub.app.answer(Incoming(request=request, source="192.0.2.1"))
    return answer.status, json.loads(answer.body)["code"]


async def test_bets_over_a_connections_rate_are_refused_in_its_protocol_and_wins_and_rollbacks_never(hub: Any) -> None:
    hub.rates = Rates(clock=hub.clock, connection=2)
    hub.build()
    for kind in ("win", "rollback"):
        for number in range(20):
            status, code = await move(hub, kind, f"{kind}{number}")
            assert (status, code.startswith("error")) == (200, False)
    assert await move(hub, "bet", "b1") == (429, "error:rate_limited")
    before = len(hub.engine.finished)
    assert await move(hub, "bet", "b2") == (429, "error:rate_limited")
    assert len(hub.engine.finished) == before
    hub.clock.seconds += 1
    assert (await move(hub, "bet", "b3"))[0] == 200


async def test_without_a_rate_nothing_is_refused(hub: Any) -> None:
    hub.rates = Rates(clock=hub.clock)
    hub.build()
    assert {(await move(hub, "bet", f"b{number}"))[0] for number in range(50)} == {200}


async def test_an_operator_over_its_rate_is_told_when_there_is_room_and_another_is_not(desk: Any) -> None:
    rates = Rates(clock=desk.clock, operator_api=2)
    desk.operator_app = evolve(
        desk.operator_app,
        check_address=rates.check_address,
        check_caller=lambda caller: rates.check_operator(caller.operator),
    )
    answers = [await desk.ask("GET", "/v1/games") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 4 + [429] * 2
    assert answers[-1].code == "rate_limited"
    assert answers[-1].headers.get("Retry-After") == "1"
    assert (await desk.ask("GET", "/v1/games", operator="other")).status == 200


async def test_an_address_over_its_rate_is_refused_before_its_key_is_looked_at(desk: Any) -> None:
    rates = Rates(clock=desk.clock, operator_api_address=1)
    desk.operator_app = evolve(desk.operator_app, check_address=rates.check_address)
    statuses = [(await desk.ask("GET", "/v1/games", key="wrong")).status for _ in range(4)]
    assert statuses == [401, 401, 429, 429]
    assert (await desk.ask("GET", "/v1/games")).status == 429
