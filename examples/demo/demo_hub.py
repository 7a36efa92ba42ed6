"""The hub's settings file, its configuration through the admin API, and launches through the operator API."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from croupier_conformance.certification.subject import AdapterSubject
from demo_plan import (
    BUDGET_MS,
    CALENDAR_SCALE,
    CURRENCY,
    HOST,
    MARGIN_MS,
    OPERATOR,
    PROVIDER_TIMEOUT_MS,
    Plan,
    Provider,
)

SETTINGS = """\
owner = "demo"

[database]
url = "sqlite:///{folder}/hub.sqlite"

[listeners]
providers = {{ host = "{host}", port = {providers} }}
operators = {{ host = "{host}", port = {operators} }}
admin = {{ host = "{host}", port = {admin} }}

[secrets]
current = "demo"
keys.demo = {{ file = "hub.key" }}

[outgoing]
plain_http = true
loopback = true

[deliveries]
scale = {scale}.0

[telemetry]
level = "warning"
"""


def write_settings(plan: Plan) -> Path:
    """The hub's settings file, and beside it the key for its secrets."""
    folder = Path(plan.folder)
    key = folder / "hub.key"
    key.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    key.chmod(0o600)
    file = folder / "hub.toml"
    file.write_text(SETTINGS.format(folder=folder, host=HOST, scale=CALENDAR_SCALE, **plan.ports), "utf-8")
    return file


class ApiError(Exception):
    """The hub or a helper answered with something else than success."""


class Api:
    """A JSON API of the hub, of a helper process or of the operator."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str | None = None) -> None:
        self._http = http
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """One request.

        Raises:
            ApiError: The status is not one of success.
        """
        async with self._http.request(
            method, self._url + path, json=body, params=query, headers=self._headers
        ) as response:
            if response.status >= 300:
                raise ApiError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json()


async def configure(admin: Api, plan: Plan) -> str:
    """Make the operator, the connections and the games; returns a key for the operator API."""
    why = "the demonstration"
    made = await admin.ask("POST", "/admin/v1/operators", {"why": why, "body": _operator(plan)})
    below = f"/admin/v1/operators/{made['id']}"
    for provider in plan.providers:
        subject = provider.subject()
        body = _connection(provider, subject)
        connection = await admin.ask("POST", f"{below}/connections", {"why": why, "body": body})
        for code, title in subject.games.items():
            game = {"title": title, "studio": provider.title, "category": "slots"}
            name = game_name(provider, title)
            stored = await admin.ask("PUT", f"{below}/games/{name}", {"why": why, "body": game})
            route = {"connection": connection["id"], "game": stored["id"], "code": code}
            route["wallet_code"] = subject.played_as(code)
            await admin.ask("POST", f"{below}/routes", {"why": why, "body": route})
    key = await admin.ask("POST", f"{below}/keys", {"why": why, "label": "demo", "role": "operator"})
    return str(key["key"])


def _operator(plan: Plan) -> dict[str, Any]:
    return {
        "name": OPERATOR,
        "dialect": plan.dialect,
        "wallet": {"url": plan.url("hop")},
        "wallet_secrets": {name: [value] for name, value in plan.wallet_secrets.items()},
        "wallet_policy": {
            "retry_safe": True,  # the certification of each of these wallets proves it
            "tombstones": True,
            "timeout_ms": BUDGET_MS,
        },
    }


def _connection(provider: Provider, subject: AdapterSubject) -> dict[str, Any]:
    return {
        "name": provider.name,
        "adapter": provider.name,
        "settings": dict(subject.settings_raw),
        "secrets": {name: [value] for name, value in subject.secrets.items()},
        "policy": {"provider_timeout_ms": PROVIDER_TIMEOUT_MS, "timeout_margin_ms": MARGIN_MS},
    }


def game_name(provider: Provider, title: str) -> str:
    return f"{provider.name}--{title.lower().replace(' ', '-')}"


async def launch(operator: Api, provider: Provider, player: str, place: int) -> Mapping[str, Any]:
    """Launch one of the provider's games for a player; the address, page or parameters that the browser would open."""
    titles = list(provider.subject().games.values())
    body: Mapping[str, Any] = {
        "game": game_name(provider, titles[place % len(titles)]),
        "player": player,
        "currency": CURRENCY,
        "connection": provider.name,
        "country": "SE",
        "address": "192.0.2.10",
        "return_url": "https://casino.example/lobby",
        "display_name": player,
        "operator_session": f"session-of-{player}",
    }
    answer = await operator.ask("POST", "/v1/launches", body)
    return {name: answer[name] for name in ("url", "html", "parameters")}
