"""What adapters and the native wallet dialect cost on a bet, function by function, in microseconds.

    python -m tests.benchmarks.adapter_cost [--rounds 40] [--calls 500] [--profile NAME]

One bet is written by the provider's peer, verified, parsed, answered and redacted; the dialect writes the call to the
wallet and reads its answer. Each figure is the best of many rounds of many calls, so that other work on the machine
counts little. Where a step makes or checks a MAC, its second figure is with that cryptography taken out: the functions
that make MACs are then replaced by ones that return at once.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest import mock

from croupier.contract import (
    Adapter,
    Applied,
    Balance,
    Credentials,
    Currency,
    HttpRequest,
    HttpResponse,
    Money,
    MovementKind,
    MovementResult,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Play,
    PlayContext,
    PlayResult,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletPlayer,
)
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_pragmatic.peer import PragmaticPeer
from croupier_pragmatic.settings import SECRET, PragmaticSettings
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings
from croupier_wallet_native.dialect import SIGNING_SECRET, NativeDialect, NativeSettings

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
EURO = Currency("EUR", 2)
TRANSACTION = "018f4d3a-5b7c-7d1e-8a9b-0c1d2e3f4a5b"
TEST_KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PLAYER = PeerPlayer(player="k3v9x2m7q4w8r1t6z5y0a2bc", token="t-5f2c8e", game="acceptance:test", currency="EUR")
BET = PeerPlay(
    player=PLAYER,
    round="round-20260304-000123",
    moves=(PeerMove(kind=MovementKind.BET, id="bet-20260304-000123", amount=Decimal("1.50")),),
)
DONE = PlayResult(
    outcome=Applied(transaction=TRANSACTION, amount=Money(150, EURO), at=NOW),
    movements=(MovementResult(reference="bet-20260304-000123", outcome=Applied(transaction=TRANSACTION, at=NOW)),),
    balance=Balance(Money(1_234_567, EURO)),
)

Step = Callable[[], object]


@contextmanager
def without_cryptography() -> Iterator[None]:
    """MACs and digests cost nothing and every proof is accepted; nothing of what is around them changes."""
    with ExitStack() as stack:
        places = [(name, module) for name, module in sys.modules.items() if name.startswith("croupier")]
        free: dict[str, Callable[..., object]] = {
            "hmac_hex": lambda *_: "0" * 64,
            "digest_hex": lambda *_: "0" * 32,
            "require_proof": lambda *_, **__: None,
            "_signature": lambda *_: "v1," + "0" * 44,
        }
        for _, module in places:
            for name, replacement in free.items():
                if callable(getattr(module, name, None)):
                    stack.enter_context(mock.patch.object(module, name, replacement))
        yield


def adapter_steps(adapter: Adapter, request: HttpRequest, credentials: Credentials) -> dict[str, Step]:
    """What the gateway asks of an adapter for one bet."""
    verified = adapter.verify(request, credentials, NOW)
    calls = adapter.parse(verified)
    (play,) = calls.items
    assert isinstance(play, Play)
    assert adapter.render(calls, (DONE,), credentials, NOW, "n").status == 200
    assert play.movements[0].reference.encode() in adapter.redact_verified(verified).body
    return {
        "routes": adapter.routes,
        "verify": lambda: adapter.verify(request, credentials, NOW),
        "parse": lambda: adapter.parse(verified),
        "render": lambda: adapter.render(calls, (DONE,), credentials, NOW, "n"),
        "redact": lambda: adapter.redact_verified(verified),
    }


def softswiss_steps() -> dict[str, Step]:
    """SOFTSWISS: JSON both ways, HMAC-SHA256 over the body."""
    settings = SoftswissSettings(api_url="https://gcp.example", casino_id="benchmark")
    credentials = Credentials({"auth_token": ("not a secret: benchmark",)})
    request = SoftswissPeer(settings).request(BET, credentials, NOW)
    return adapter_steps(SoftswissAdapter(settings), request, credentials)


def pragmatic_steps() -> dict[str, Step]:
    """Pragmatic Play: a form in, JSON out, MD5 over the sorted fields."""
    settings = PragmaticSettings(secure_login="benchmark", api_url="https://api.example", frb_credit_on="result")
    credentials = Credentials({SECRET: ("not a secret: benchmark",)})
    request = PragmaticPeer(settings).request(BET, credentials, NOW)
    return adapter_steps(PragmaticAdapter(settings), request, credentials)


def native_steps() -> dict[str, Step]:
    """The native wallet dialect: JSON both ways, Standard Webhooks signatures."""
    dialect = NativeDialect(NativeSettings(url="https://wallet.example/croupier"))
    credentials = Credentials({SIGNING_SECRET: (TEST_KEY,)})
    call = WalletMove(
        player=WalletPlayer(player="player-123456", currency=EURO, session="session-abcdef"),
        context=PlayContext(
            provider="softswiss",
            connection="main",
            game="acceptance-test",
            round="018f4d3a-5b7c-7d1e-8a9b-0c1d2e3f4a5c",
            provider_round="round-20260304-000123",
        ),
        movement=WalletMovement(
            operation=WalletOperation.BET, transaction=TRANSACTION, amount=Money(150, EURO), kind="bet"
        ),
    )
    told: dict[str, Any] = {
        "status": "ok",
        "transaction": TRANSACTION,
        "operator_transaction": "w-123456789",
        "balance": {"cash": 1_234_567, "currency": "EUR"},
    }
    response = HttpResponse.json(json.dumps(told))
    assert dialect.reply(call, response) == dialect.reply(call, HttpResponse.json(json.dumps(told, indent=1)))
    return {
        "request": lambda: dialect.request(call, credentials, NOW),
        "reply": lambda: dialect.reply(call, response),
    }


def best(step: Step, rounds: int, calls: int) -> float:
    """The least time of one call, in microseconds."""
    least = float("inf")
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(calls):
            step()
        least = min(least, (time.perf_counter_ns() - began) / calls / 1000)
    return least


PARTS: dict[str, Callable[[], dict[str, Step]]] = {
    "softswiss": softswiss_steps,
    "pragmatic": pragmatic_steps,
    "native": native_steps,
}


def main() -> None:
    """Measure, or profile one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=500, help="in a round")
    parser.add_argument("--profile", choices=list(PARTS), help="where the time of one part goes")
    chosen = parser.parse_args()
    gc.disable()
    if chosen.profile:
        steps = PARTS[chosen.profile]()
        profile = cProfile.Profile()
        profile.enable()
        for step in steps.values():
            best(step, 1, chosen.rounds * chosen.calls)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    sys.stdout.write(f"{'':22} {'us':>8} {'without MACs':>14}\n")
    for name, make in PARTS.items():
        steps = make()
        whole = {step: best(call, chosen.rounds, chosen.calls) for step, call in steps.items()}
        with without_cryptography():
            bare = {step: best(call, chosen.rounds, chosen.calls) for step, call in steps.items()}
        for label, took in whole.items():
            sys.stdout.write(f"{name:10} {label:11} {took:8.2f} {bare[label]:14.2f}\n")
        sys.stdout.write(f"{name:10} {'together':11} {sum(whole.values()):8.2f} {sum(bare.values()):14.2f}\n")


if __name__ == "__main__":
    main()
