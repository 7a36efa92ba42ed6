"""The pytest plugin's fixtures, as the kit's README shows them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from croupier.contract import HttpRequest, HttpResponse, PeerBalance
from croupier_conformance.simulated_hub import SimulatedOperator


def test_a_balance_is_told(virtual_time: Any, simulated_hub: Any, stage: Any, tmp_path: Path) -> None:
    def wallet(request: HttpRequest) -> HttpResponse:
        player = json.loads(request.body)["player"]
        balance = {"cash": 1234, "currency": "EUR"}
        return HttpResponse.json(json.dumps({"status": "ok", "player": player, "balance": balance}))

    async def story() -> str:
        operator = SimulatedOperator(secrets={"signing_secret": stage.secrets[-1]})
        async with simulated_hub(wallet=wallet, providers=[stage.softswiss()], operator=operator, seed=7) as hub:
            seat = await hub.launch("softswiss", "player-1")
            answer = await hub.ask("softswiss", PeerBalance(player=seat))
            assert hub.path.parent == tmp_path
            return str(answer.balance)

    assert virtual_time(story()) == "12.34"


def test_the_plugin_imports_nothing_until_a_test_asks() -> None:
    names = ["croupier", "croupier.contract", "hypothesis", "croupier_conformance.simulated_hub", "aiohttp"]
    code = f"import sys, croupier_conformance.plugin; print([name for name in {names} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"
