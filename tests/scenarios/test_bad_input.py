"""What a provider must not send: each gets the protocol's own error, moves nothing, and leaves a reason in the log.

A stage looks at every line of log after each story: no secret, token or player may stand in one (see conftest).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from croupier.contract import Headers, HttpRequest, HttpResponse, MovementKind, PeerMove, PeerPlay, PeerPlayer
from croupier.ledger.port import Change
from croupier.ledger.records import Event
from croupier_conformance.strategies import strange_bodies, tampered
from croupier_pragmatic.wire import sign as pragmatic_hash
from croupier_softswiss.wire import sign as softswiss_signature

Fields = dict[str, Any]


@frozen(kw_only=True)
class Case:
    """A request that is wrong in one way.

    Attributes:
        make: Makes it of the seat.
        status: The HTTP status of the answer.
        code: The protocol's own code.
        verdict: What the log says became of it.
        reason: Why, by the log.
    """

    make: Callable[[PeerPlayer], HttpRequest]
    status: int
    code: int
    verdict: str = "error"
    reason: str = "malformed"


def a_bet(seat: PeerPlayer) -> PeerPlay:
    return PeerPlay(
        player=seat,
        round="round-1",
        moves=(PeerMove(kind=MovementKind.BET, id="b1", amount=Decimal("1.00")),),
    )


# --- SOFTSWISS --------------------------------------------------------------------------------------------------------


def softswiss(body: bytes, *, signature: str | None = None, method: str = "POST", path: str = "/play") -> HttpRequest:
    proof = softswiss_signature("test-token-canary", body) if signature is None else signature
    headers = [("Content-Type", "application/json")] + ([("X-REQUEST-SIGN", proof)] if proof else [])
    return HttpRequest(method, path, Headers(tuple(headers)), body)


def softswiss_fields(seat: PeerPlayer, **more: Any) -> Fields:
    action = {"action": "bet", "amount": 100, "action_id": "b1", **more.pop("action", {})}
    who = {"user_id": seat.player, "currency": "EUR", "game": seat.game, "game_id": "round-1", "finished": False}
    return {**who, "actions": [action], **more}


def softswiss_json(seat: PeerPlayer, **more: Any) -> bytes:
    return json.dumps(softswiss_fields(seat, **more)).encode()


def softswiss_amount(text: str) -> Callable[[PeerPlayer], HttpRequest]:
    return lambda seat: softswiss(softswiss_json(seat).replace(b'"amount": 100', b'"amount": ' + text.encode()))


SOFTSWISS = {
    "no signature": Case(
        make=lambda seat: softswiss(softswiss_json(seat), signature=""), status=403, code=403, reason="authentication"
    ),
    "a wrong signature": Case(
        make=lambda seat: softswiss(softswiss_json(seat), signature="0" * 64),
        status=403,
        code=403,
        reason="authentication",
    ),
    "the signature of another body": Case(
        make=lambda seat: softswiss(softswiss_json(seat), signature=softswiss_signature("test-token-canary", b"{}")),
        status=403,
        code=403,
        reason="authentication",
    ),
    "no JSON": Case(make=lambda seat: softswiss(b"not json"), status=400, code=400),
    "a list": Case(make=lambda seat: softswiss(b"[]"), status=400, code=400),
    "an empty body": Case(make=lambda seat: softswiss(b""), status=400, code=400),
    "a body in UTF-16": Case(
        make=lambda seat: softswiss(softswiss_json(seat).decode().encode("utf-16")), status=400, code=400
    ),
    "a compressed body": Case(
        make=lambda seat: evolve(
            softswiss(gzip.compress(softswiss_json(seat), mtime=0)),
            headers=Headers(
                (
                    ("Content-Encoding", "gzip"),
                    *softswiss(gzip.compress(softswiss_json(seat), mtime=0)).headers,
                )
            ),
        ),
        status=400,
        code=400,
    ),
    "too large a body": Case(
        make=lambda seat: softswiss(softswiss_json(seat, padding="x" * 1_100_000)),
        status=400,
        code=400,
        reason="body_too_large",
    ),
    "too deep a body": Case(make=lambda seat: softswiss(b'{"a":' * 40 + b"1" + b"}" * 40), status=400, code=400),
    "a missing field": Case(
        make=lambda seat: softswiss(json.dumps({"user_id": seat.player}).encode()), status=400, code=400
    ),
    "an unknown player": Case(
        make=lambda seat: softswiss(softswiss_json(evolve(seat, player="nobody"))),
        status=412,
        code=101,
        verdict="declined",
        reason="player_unknown",
    ),
    "an unknown game": Case(
        make=lambda seat: softswiss(softswiss_json(seat, game="acceptance:nothing")),
        status=412,
        code=405,
        verdict="declined",
        reason="game_unknown",
    ),
    "a foreign currency": Case(
        make=lambda seat: softswiss(softswiss_json(seat, currency="USD")),
        status=412,
        code=154,
        verdict="declined",
        reason="currency_wrong",
    ),
    "a currency that there is not": Case(
        make=lambda seat: softswiss(softswiss_json(seat, currency="ZZZ")),
        status=412,
        code=154,
        verdict="declined",
        reason="currency_wrong",
    ),
    "a part of a subunit": Case(make=softswiss_amount("100.5"), status=400, code=400),
    "a negative amount": Case(make=softswiss_amount("-100"), status=400, code=400),
    "an amount that is no number": Case(make=softswiss_amount("NaN"), status=400, code=400),
    "an infinite amount": Case(make=softswiss_amount("Infinity"), status=400, code=400),
    "an amount below every number": Case(make=softswiss_amount("-Infinity"), status=400, code=400),
    "an enormous exponent": Case(make=softswiss_amount("1e400"), status=400, code=400),
    "an amount as a float": Case(make=softswiss_amount("1e2"), status=400, code=400),
    "an amount beyond 64 bits": Case(make=softswiss_amount(str(2**63)), status=400, code=400, reason="amount"),
    "an amount with endless digits": Case(make=softswiss_amount("9" * 5000), status=400, code=400),
    "an amount as text": Case(make=softswiss_amount('"100"'), status=400, code=400),
    "an amount that is true": Case(make=softswiss_amount("true"), status=400, code=400),
    "a key that stands twice": Case(
        make=lambda seat: softswiss(softswiss_json(seat).replace(b'"amount": 100', b'"amount": 1, "amount": 100')),
        status=400,
        code=400,
    ),
    "an action that stands twice": Case(
        make=lambda seat: softswiss(softswiss_json(seat, actions=softswiss_fields(seat)["actions"] * 2)),
        status=400,
        code=400,
    ),
    "an unknown action": Case(
        make=lambda seat: softswiss(softswiss_json(seat, action={"action": "steal"})), status=400, code=400
    ),
    "too long an id": Case(
        make=lambda seat: softswiss(softswiss_json(seat, action={"action_id": "b" * 201})), status=400, code=400
    ),
    "another method": Case(
        make=lambda seat: softswiss(softswiss_json(seat), method="GET"), status=405, code=404, reason="unsupported"
    ),
    "an unknown path": Case(
        make=lambda seat: softswiss(softswiss_json(seat), path="/steal"), status=404, code=404, reason="not_found"
    ),
    "a path above": Case(
        make=lambda seat: softswiss(softswiss_json(seat), path="/../play"), status=404, code=404, reason="not_found"
    ),
}


# --- Pragmatic Play ---------------------------------------------------------------------------------------------------


def pragmatic_fields(seat: PeerPlayer, **more: str) -> dict[str, str]:
    fields = {
        "userId": seat.player,
        "token": seat.token,
        "amount": "1.00",
        "reference": "b1",
        "timestamp": "1767225600000",
        "gameId": seat.game,
        "roundId": "round-1",
        "roundDetails": "spin",
        "platform": "WEB",
        "providerId": "pragmaticplay",
        **more,
    }
    return {name: value for name, value in fields.items() if value != "absent"}


def pragmatic(fields: Mapping[str, str], *, proof: str | None = None, path: str = "/bet.html") -> HttpRequest:
    proof = pragmatic_hash(fields, "test-key-canary") if proof is None else proof
    body = urlencode({**fields, "hash": proof} if proof else fields).encode()
    return HttpRequest("POST", path, Headers((("Content-Type", "application/x-www-form-urlencoded"),)), body)


def pragmatic_bet(seat: PeerPlayer, **more: str) -> HttpRequest:
    return pragmatic(pragmatic_fields(seat, **more))


def pragmatic_amount(text: str) -> Callable[[PeerPlayer], HttpRequest]:
    return lambda seat: pragmatic_bet(seat, amount=text)


def with_body(change: Callable[[bytes], bytes]) -> Callable[[PeerPlayer], HttpRequest]:
    def make(seat: PeerPlayer) -> HttpRequest:
        request = pragmatic_bet(seat)
        return evolve(request, body=change(request.body))

    return make


PRAGMATIC = {
    "no hash": Case(
        make=lambda seat: pragmatic(pragmatic_fields(seat), proof=""), status=200, code=5, reason="authentication"
    ),
    "a wrong hash": Case(
        make=lambda seat: pragmatic(pragmatic_fields(seat), proof="0" * 32),
        status=200,
        code=5,
        reason="authentication",
    ),
    "another amount under the same hash": Case(
        make=with_body(lambda body: body.replace(b"amount=1.00", b"amount=0.01")),
        status=200,
        code=5,
        reason="authentication",
    ),
    "two fields cut into one under the same hash": Case(
        make=lambda seat: evolve(
            pragmatic_bet(seat), body=pragmatic_bet(seat).body.replace(b"&amount=", b"%26amount%3D")
        ),
        status=200,
        code=5,
        reason="authentication",
    ),
    "no form": Case(make=with_body(lambda body: b"{}"), status=200, code=7),
    "an empty body": Case(make=with_body(lambda body: b""), status=200, code=5, reason="authentication"),
    "a broken escape": Case(make=with_body(lambda body: body + b"&x=%G1"), status=200, code=7),
    "bytes that are no text": Case(make=with_body(lambda body: body + b"&x=%FF"), status=200, code=7),
    "a compressed body": Case(make=with_body(lambda body: gzip.compress(body, mtime=0)), status=200, code=7),
    "a body in UTF-16": Case(make=with_body(lambda body: body.decode().encode("utf-16")), status=200, code=7),
    "too large a body": Case(
        make=with_body(lambda body: body + b"&x=" + b"x" * 1_100_000), status=200, code=7, reason="body_too_large"
    ),
    "a field that stands twice": Case(make=with_body(lambda body: body + b"&amount=1.00"), status=200, code=7),
    "too many fields": Case(
        make=with_body(lambda body: body + b"".join(b"&x%d=1" % number for number in range(80))), status=200, code=7
    ),
    "a missing field": Case(make=lambda seat: pragmatic_bet(seat, reference="absent"), status=200, code=7),
    "another provider": Case(make=lambda seat: pragmatic_bet(seat, providerId="somebody"), status=200, code=7),
    "an unknown player": Case(
        make=lambda seat: pragmatic_bet(evolve(seat, player="nobody")),
        status=200,
        code=2,
        verdict="declined",
        reason="player_unknown",
    ),
    "an unknown token": Case(
        make=lambda seat: pragmatic_bet(evolve(seat, token="nothing")),
        status=200,
        code=4,
        verdict="declined",
        reason="session_unknown",
    ),
    "an unknown game": Case(
        make=lambda seat: pragmatic_bet(seat, gameId="vs0nothing"),
        status=200,
        code=8,
        verdict="declined",
        reason="game_unknown",
    ),
    "a foreign currency": Case(
        make=lambda seat: pragmatic(
            pragmatic_fields(seat, campaignId="1", campaignType="B", currency="USD"), path="/promoWin.html"
        ),
        status=200,
        code=7,
        verdict="declined",
        reason="currency_wrong",
    ),
    "more digits than the currency has": Case(
        make=pragmatic_amount("1.001"), status=200, code=7, verdict="declined", reason="amount_invalid"
    ),
    "a negative amount": Case(make=pragmatic_amount("-1.00"), status=200, code=7),
    "an amount that is no number": Case(make=pragmatic_amount("NaN"), status=200, code=7, reason="amount"),
    "an infinite amount": Case(make=pragmatic_amount("Infinity"), status=200, code=7, reason="amount"),
    "an enormous exponent": Case(make=pragmatic_amount("1e400"), status=200, code=7, reason="amount"),
    "an amount with a comma": Case(make=pragmatic_amount("1,00"), status=200, code=7, reason="amount"),
    "an amount in other digits": Case(make=pragmatic_amount("１.00"), status=200, code=7, reason="amount"),
    "an amount beyond 64 bits": Case(
        make=pragmatic_amount("92233720368547758.08"), status=200, code=7, verdict="declined", reason="amount_invalid"
    ),
    "an amount with endless digits": Case(make=pragmatic_amount("9" * 150), status=200, code=7, reason="amount"),
    "a free round's bet that costs": Case(
        make=lambda seat: pragmatic_bet(seat, bonusCode="bonus-1"), status=200, code=7
    ),
    "another method": Case(
        make=lambda seat: evolve(pragmatic_bet(seat), method="GET"), status=200, code=7, reason="unsupported"
    ),
    "an unknown path": Case(
        make=lambda seat: pragmatic(pragmatic_fields(seat), path="/steal.html"),
        status=200,
        code=7,
        reason="not_found",
    ),
}

CASES = [
    *(("softswiss", name) for name in SOFTSWISS),
    *(("pragmatic", name) for name in PRAGMATIC),
]


def code_of(response: HttpResponse) -> Any:
    body = json.loads(response.body, parse_float=Decimal)
    return body.get("code", body.get("error"))


@pytest.mark.parametrize(("provider", "name"), CASES, ids=[" / ".join(case) for case in CASES])
def test_a_wrong_request_gets_the_protocols_error_and_moves_nothing(stage: Any, provider: str, name: str) -> None:
    case = {"softswiss": SOFTSWISS, "pragmatic": PRAGMATIC}[provider][name]

    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch(provider, stage.player)
        before = await scene.state()
        response = await hub.handle(provider, case.make(seat))
        assert (response.status, code_of(response)) == (case.status, case.code)
        assert await scene.state() == before
        line = hub.log.of("provider_call")[-1]
        assert (line["verdict"], line["reason"], line["status"]) == (case.verdict, case.reason, case.status)
        assert line["connection"] == provider
        assert hub.log.of("provider_call_failed") == []
        # The same bet, as it should be, is accepted all the same: nothing of the wrong one stuck.
        if case.verdict == "error":
            assert (await hub.ask(provider, a_bet(seat))).verdict.value == "done"
            assert scene.moved() == [-100]
        await hub.ledger.commit(_nothing(hub.operator))
        for secret in (*stage.secrets, seat.token or "no token"):
            assert secret not in hub.dump()

    stage.play(story, stage.provider(provider))


def _nothing(operator: str) -> Any:
    """A change that only lets the noted exchanges be stored."""
    return Change(operator=operator, events=(Event(kind="test.flush", subject="test", at=0),))


def test_an_unknown_connection_and_an_unknown_operator_are_told_in_one_way(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch("softswiss", stage.player)
        before = await scene.state()
        request = hub.signed("softswiss", a_bet(seat))
        answers = [
            await hub.handle("nothing", request),
            await hub.handle("softswiss", request, operator="nobody"),
            await hub.handle("nothing", request, operator="nobody"),
        ]
        assert answers == [HttpResponse.text("404: Not Found", 404)] * 3
        assert [line["status"] for line in hub.log.of("provider_call_nowhere")] == [404] * 3
        assert await scene.state() == before

    stage.play(story)


@pytest.mark.parametrize("provider", ["softswiss", "pragmatic"])
def test_a_request_that_another_connections_key_signed_is_refused(stage: Any, provider: str) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch(provider, stage.player)
        before = await scene.state()
        twin = evolve(hub.providers[provider], secrets={"auth_token": "another", "secret_key": "another"})
        request = twin.peer.request(a_bet(seat), twin.credentials, hub.clock.now())
        answer = await hub.handle(provider, request)
        assert code_of(answer) == {"softswiss": 403, "pragmatic": 5}[provider]
        assert await scene.state() == before

    stage.play(story)


@pytest.mark.parametrize("provider", ["softswiss", "pragmatic"])
@pytest.mark.parametrize("changed", ["amount", "round", "player", "game", "kind"])
def test_a_repeated_id_with_other_content_is_refused_and_moves_nothing(stage: Any, provider: str, changed: str) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat, other = await hub.launch(provider, stage.player), await hub.launch(provider, stage.other)
        first = a_bet(seat)
        assert (await hub.ask(provider, first)).verdict.value == "done"
        before = await scene.state()
        (move,) = first.moves
        codes = list(hub.providers[provider].games)
        again = {
            "amount": evolve(first, moves=(evolve(move, amount=Decimal("2.00")),)),
            "round": evolve(first, round="round-2"),
            "player": evolve(first, player=other),
            "game": evolve(first, player=evolve(seat, game=codes[1])),
            "kind": evolve(first, moves=(evolve(move, kind=MovementKind.WIN),)),
        }[changed]
        response = await hub.handle(provider, hub.signed(provider, again))
        assert code_of(response) == {"softswiss": 409, "pragmatic": 7}[provider]
        assert await scene.state() == before
        line = hub.log.of("provider_call")[-1]
        assert (line["verdict"], line["reason"]) == ("declined", "conflict")

    stage.play(story)


@pytest.mark.parametrize("provider", ["softswiss", "pragmatic"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whoever_changes_a_signed_request_moves_at_most_what_was_signed(
    stage: Any, provider: str, data: st.DataObject
) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch(provider, stage.player)
        original = hub.signed(provider, a_bet(seat))
        for _ in range(5):
            changed = data.draw(tampered(original))
            response = await hub.handle(provider, changed)
            assert response.status < 500
            assert scene.moved() in ([], [-100])
            assert [row.reference for row in await hub.rows()] in ([], ["b1"])
        assert hub.log.of("provider_call_failed") == []

    stage.play(story, stage.provider(provider))


@pytest.mark.parametrize("provider", ["softswiss", "pragmatic"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(bodies=st.lists(strange_bodies(), min_size=1, max_size=8))
def test_bytes_that_nobody_signed_move_nothing(stage: Any, provider: str, bodies: list[bytes]) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        paths = {"softswiss": "/play", "pragmatic": "/bet.html"}
        before = await scene.state()
        for body in bodies:
            response = await hub.handle(provider, HttpRequest("POST", paths[provider], Headers(), body))
            assert code_of(response) in {"softswiss": {403}, "pragmatic": {5, 7}}[provider]
        assert await scene.state() == before
        assert await hub.rows() == []
        assert hub.log.of("provider_call_failed") == []

    stage.play(story, stage.provider(provider))
