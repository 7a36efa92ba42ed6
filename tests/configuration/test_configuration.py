from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from croupier.configuration.changes import Draft
from croupier.configuration.documents import HUB_SCOPE, Kind, Role
from croupier.configuration.service import key_hash
from croupier.contract import (
    ConflictError,
    DeclinedError,
    DeclineReason,
    FixConfigurationError,
    FixRequestError,
    NotFoundError,
    PackageError,
    SettingsError,
    UnknownRollback,
    WalletCapability,
)

if TYPE_CHECKING:
    from tests.configuration.conftest import Hub

WHO: Any = {"who": "ann", "why": "a test"}


async def test_a_connection_is_live_as_soon_as_it_is_stored(hub: Hub) -> None:
    operator = await hub.operator()
    await hub.connection(operator.id)
    for address in (("acme", "main"), (operator.id, "main")):
        live = hub.configuration.directory.connection_by_name(*address)
        assert live is not None
        assert live.credentials.every("signing") == ("current", "old")
        assert live.connection.policies.default.unknown_rollback is UnknownRollback.NOT_FOUND


async def test_another_process_sees_the_same_after_catching_up(hub: Hub) -> None:
    second = hub.another()
    await second.load()
    operator = await hub.operator()
    await hub.connection(operator.id)
    assert second.directory.connection_by_name("acme", "main") is None
    await second.catch_up()
    live = second.directory.connection_by_name("acme", "main")
    assert live is not None
    assert live.credentials.every("signing") == ("current", "old")


async def test_the_stricter_of_two_limits_wins_and_overrides_reach_one_operation(hub: Hub) -> None:
    operator = await hub.operator(limits={"max_bet_minor": {"EUR": 1000, "SEK": 7}})
    policy = {"max_bet_minor": {"EUR": 3000}, "operations": {"bet": {"provider_timeout_ms": 900}}}
    await hub.connection(operator.id, policy=policy)
    live = hub.configuration.directory.connection_by_name("acme", "main")
    assert live is not None
    assert live.connection.policies.default.max_bet_minor == {"EUR": 1000, "SEK": 7}
    assert live.connection.policies.of("bet").provider_timeout_ms == 900
    assert live.connection.policies.of("win").provider_timeout_ms == 4000


async def test_an_operator_has_what_its_dialect_can_do_less_what_its_wallet_lacks(hub: Hub) -> None:
    operator = await hub.operator(capabilities_missing=["tombstones"], wallet_policy={"retry_safe": True})
    party = hub.configuration.directory.operator(operator.id)
    assert party is not None
    assert party.capabilities == {WalletCapability.ATOMIC_BATCH}
    assert party.policy.retry_safe
    assert party.credentials.current("key") == "wallet-1"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"settings": {}}, "connections.main.settings.url"),
        ({"settings": {"url": "u", "urll": "u"}}, "connections.main.settings.urll"),
        ({"policy": {"unknown_knob": 1}}, "connections.main.policy.unknown_knob"),
        ({"policy": {"operations": {"bet": {"on_silence": "shouts"}}}}, "connections.main.policy.operations.bet"),
        ({"secrets": {}}, "connections.main.secrets.signing"),
        ({"secrets": {"signing": ["s"], "singing": ["s"]}}, "connections.main.secrets.singing"),
        ({"settings": {"url": "u", "must_say": True}}, "connections.main.policy.free_rounds_credit"),
        ({"name": "0b5c1d1e-0000-4000-8000-000000000000"}, "name"),
    ],
)
async def test_a_wrong_connection_is_never_stored(hub: Hub, body: dict[str, Any], where: str) -> None:
    operator = await hub.operator()
    before = await hub.ledger.configuration()
    with pytest.raises(SettingsError) as caught:
        await hub.connection(operator.id, **body)
    assert where in (caught.value.where or "")
    assert await hub.ledger.configuration() == before
    assert hub.configuration.directory.connections("acme") == ()


async def test_a_wrong_wallet_setting_is_told_by_its_path(hub: Hub) -> None:
    with pytest.raises(SettingsError) as caught:
        await hub.operator(wallet={"url": 5})
    assert str(caught.value).startswith("operators.acme.wallet.url: expected text")
    assert hub.configuration.directory.find_operator("acme") is None


async def test_a_connection_to_an_unknown_package_or_operator_is_refused(hub: Hub) -> None:
    operator = await hub.operator()
    with pytest.raises(PackageError):
        await hub.connection(operator.id, adapter="nobody")
    with pytest.raises(NotFoundError):
        await hub.connection(hub.ids.new_id())


async def test_secrets_are_neither_in_the_file_nor_in_events_nor_shown(hub: Hub, tmp_path: Path) -> None:
    operator = await hub.operator(wallet_secrets={"key": ["canary-wallet"]})
    stored = await hub.connection(operator.id, secrets={"signing": ["canary-signing"]})
    key = await hub.configuration.create_key(operator.id, role=Role.OPERATOR, label="one", **WHO)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        dump = "\n".join(database.iterdump())
    database.close()
    assert "canary" not in dump
    assert key.bearer not in dump
    assert "canary" not in repr(stored)
    assert stored.secrets == {"signing": 1}
    assert "secrets" not in stored.body
    assert key.bearer not in repr(key)


async def test_every_change_is_an_event_with_who_and_why(hub: Hub) -> None:
    operator = await hub.operator()
    stored = await hub.connection(operator.id)
    await hub.configuration.put(
        operator.id, Kind.CONNECTION, {**stored.body, "enabled": False}, id=stored.id, who="bob", why="maintenance"
    )
    await hub.configuration.delete(operator.id, Kind.CONNECTION, stored.id, who="eve", why="gone")
    events = [one.event for one in await hub.ledger.events_after(operator.id, 0, 100)]
    assert [(one.kind, one.body["action"], one.body["who"], one.body["why"]) for one in events] == [
        ("configuration.changed", "created", "ann", "a test"),
        ("configuration.changed", "created", "ann", "a test"),
        ("configuration.changed", "changed", "bob", "maintenance"),
        ("configuration.changed", "deleted", "eve", "gone"),
    ]
    assert events[2].body["fields"] == ["enabled"]
    assert "current" not in json.dumps([dict(one.body) for one in events])


async def test_a_change_without_who_or_why_is_refused(hub: Hub) -> None:
    operator = await hub.operator()
    with pytest.raises(FixRequestError):
        await hub.configuration.put(operator.id, Kind.GAME, {"title": "T", "studio": "S"}, who=" ", why="x")
    with pytest.raises(FixRequestError):
        await hub.configuration.put(operator.id, Kind.GAME, {"title": "T", "studio": "S"}, who="ann", why="")


async def test_putting_back_what_was_shown_keeps_the_secrets_and_stores_nothing(hub: Hub) -> None:
    operator = await hub.operator()
    stored = await hub.connection(operator.id)
    again = await hub.configuration.put(operator.id, Kind.CONNECTION, stored.body, id=stored.id, **WHO)
    assert again.version == 1
    assert len(await hub.configuration.history(operator.id, Kind.CONNECTION, stored.id)) == 1
    live = hub.configuration.directory.live_connection(stored.id)
    assert live is not None
    assert live.credentials.every("signing") == ("current", "old")


async def test_a_secret_rotates_and_an_optional_one_is_removed_by_an_empty_list(hub: Hub) -> None:
    operator = await hub.operator()
    stored = await hub.connection(operator.id, secrets={"signing": ["one"], "feed": ["reader"]})
    body = {**stored.body, "secrets": {"signing": ["two", "one"], "feed": []}}
    stored = await hub.configuration.put(operator.id, Kind.CONNECTION, body, id=stored.id, **WHO)
    live = hub.configuration.directory.live_connection(stored.id)
    assert live is not None
    assert live.credentials.values == {"signing": ("two", "one")}
    body = {**stored.body, "secrets": {"signing": []}}
    with pytest.raises(SettingsError):
        await hub.configuration.put(operator.id, Kind.CONNECTION, body, id=stored.id, **WHO)


async def test_a_change_made_on_an_older_version_is_a_conflict(hub: Hub) -> None:
    operator = await hub.operator()
    stored = await hub.connection(operator.id)
    change = {**stored.body, "priority": 1}
    await hub.configuration.put(operator.id, Kind.CONNECTION, change, id=stored.id, version=1, **WHO)
    change = {**stored.body, "priority": 2}
    with pytest.raises(ConflictError):
        await hub.configuration.put(operator.id, Kind.CONNECTION, change, id=stored.id, version=1, **WHO)


async def test_two_processes_cannot_both_change_one_version(hub: Hub) -> None:
    operator = await hub.operator()
    stored = await hub.connection(operator.id)
    second = hub.another()
    await second.load()
    await hub.configuration.put(
        operator.id, Kind.CONNECTION, {**stored.body, "priority": 1}, id=stored.id, version=1, **WHO
    )
    with pytest.raises(ConflictError):
        await second.put(operator.id, Kind.CONNECTION, {**stored.body, "priority": 2}, id=stored.id, version=1, **WHO)
    stored = await second.put(operator.id, Kind.CONNECTION, {**stored.body, "priority": 3}, id=stored.id, **WHO)
    assert (stored.version, stored.body["priority"]) == (3, 3)


async def test_a_broken_package_takes_down_its_connections_alone_and_keeps_them_editable(hub: Hub) -> None:
    operator = await hub.operator()
    broken = await hub.connection(operator.id, "broken", adapter="other")
    await hub.connection(operator.id, "fine")
    hub.packages.broken.add("other")
    directory = await hub.configuration.load()
    assert [live.name for live in directory.connections("acme")] == ["fine"]
    down = directory.down_by_name("acme", "broken")
    assert down is not None
    assert "does not import" in down.reason
    assert directory.connection(operator.id, broken.id) is None
    await hub.configuration.put(operator.id, Kind.CONNECTION, {**broken.body, "enabled": False}, id=broken.id, **WHO)
    body = {**broken.body, "settings": {"url": "https://elsewhere.example"}}
    with pytest.raises(PackageError):
        await hub.configuration.put(operator.id, Kind.CONNECTION, body, id=broken.id, **WHO)
    hub.packages.broken.clear()
    directory = await hub.configuration.load()
    assert [(live.name, live.connection.enabled) for live in directory.connections("acme")] == [
        ("broken", False),
        ("fine", True),
    ]


async def test_a_broken_dialect_takes_down_its_operator_alone(hub: Hub) -> None:
    operator = await hub.operator()
    await hub.connection(operator.id)
    hub.packages.broken.add("toywallet")
    directory = await hub.configuration.load()
    live = directory.find_operator("acme")
    assert live is not None
    assert live.party is None
    assert "does not import" in (live.reason or "")
    assert directory.down_by_name("acme", "main") is not None
    assert [fault.kind for fault in directory.faults] == ["operator"]


async def test_secrets_that_do_not_open_take_down_what_needs_them(hub: Hub) -> None:
    operator = await hub.operator()
    await hub.connection(operator.id)
    stranger = hub.another(hub.box("b", a=b"z" * 32, b=b"y" * 32))
    directory = await stranger.load()
    assert directory.connection_by_name("acme", "main") is None
    down = directory.down_by_name("acme", "main")
    assert down is not None
    assert down.code == FixConfigurationError.code
    assert {fault.kind for fault in directory.faults} == {"operator", "connection"}


async def test_rewrapping_seals_everything_under_the_new_key(hub: Hub) -> None:
    operator = await hub.operator()
    await hub.connection(operator.id)
    both = hub.another(hub.box("b", b=b"y" * 32))
    await both.load()
    assert await both.rewrap(**WHO) == 2
    assert await both.rewrap(**WHO) == 0
    alone = hub.another(hub.box("b", a=b"z" * 32, b=b"y" * 32))
    live = (await alone.load()).connection_by_name("acme", "main")
    assert live is not None
    assert live.credentials.every("signing") == ("current", "old")


async def test_a_sealed_secret_copied_to_another_operator_does_not_open(hub: Hub, tmp_path: Path) -> None:
    first, second = await hub.operator("first"), await hub.operator("second", wallet_secrets={"key": ["hers"]})
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute(
            "UPDATE configuration SET body = (SELECT body FROM configuration WHERE name = ?) WHERE name = ?",
            (first.id, second.id),
        )
    database.close()
    directory = await hub.another().load()
    assert directory.operator(first.id) is not None
    assert directory.operator(second.id) is None


async def test_what_a_newer_release_stored_is_read_as_far_as_this_one_knows_it(hub: Hub, tmp_path: Path) -> None:
    operator = await hub.operator(limits={"max_bet_minor": {"EUR": 1000}})
    connection = await hub.connection(operator.id)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        for name, added in (
            (operator.id, "json_insert(body, '$.later', 1, '$.limits.later', 1)"),
            (connection.id, "json_insert(body, '$.later', json('{}'))"),
        ):
            database.execute(f"UPDATE configuration SET body = {added} WHERE name = ?", (name,))  # noqa: S608 # as above
        database.execute(
            "INSERT INTO configuration (operator, kind, name, version, body, at, who, why, active)"
            " VALUES (?, 'later', 'l1', 1, '{}', 0, 'ann', 'a test', 1)",
            (operator.id,),
        )
    database.close()
    older = hub.another()
    directory = await older.load()
    live = directory.connection_by_name("acme", "main")
    assert live is not None
    assert live.connection.policies.default.max_bet_minor == {"EUR": 1000}
    assert directory.faults == ()
    shown = older.get(operator.id, Kind.OPERATOR, operator.id)
    assert shown.body["later"] == 1
    with pytest.raises(SettingsError, match="unknown key"):  # what would be lost is told, not left out
        await older.put(operator.id, Kind.OPERATOR, shown.body, id=operator.id, **WHO)


async def test_a_name_is_unique_and_the_id_survives_a_new_one(hub: Hub) -> None:
    operator = await hub.operator()
    stored = await hub.connection(operator.id)
    with pytest.raises(ConflictError):
        await hub.connection(operator.id)
    with pytest.raises(ConflictError):
        await hub.operator()
    await hub.configuration.put(operator.id, Kind.CONNECTION, {**stored.body, "name": "new"}, id=stored.id, **WHO)
    live = hub.configuration.directory.connection_by_name("acme", "new")
    assert live is not None
    assert live.connection.id == stored.id
    assert hub.configuration.directory.connection_by_name("acme", "main") is None


async def test_an_adapter_and_a_currency_scale_never_change(hub: Hub) -> None:
    operator = await hub.operator(currencies={"GLD": 2})
    stored = await hub.connection(operator.id)
    body = {**stored.body, "adapter": "other"}
    with pytest.raises(SettingsError):
        await hub.configuration.put(operator.id, Kind.CONNECTION, body, id=stored.id, **WHO)
    for currencies in ({"GLD": 3}, {}, {"GLD": 2, "EUR": 4}):
        with pytest.raises(SettingsError, match="scale"):
            await hub.configuration.put(operator.id, Kind.OPERATOR, {**operator.body, "currencies": currencies}, **WHO)
    await hub.configuration.put(
        operator.id, Kind.OPERATOR, {**operator.body, "currencies": {"GLD": 2, "SLV": 0}}, **WHO
    )
    live = hub.configuration.directory.connection_by_name("acme", "main")
    assert live is not None
    assert live.connection.currencies.get("SLV").scale == 0


async def test_what_was_lost_is_restored_under_its_old_id(hub: Hub) -> None:
    operator, connection = hub.ids.new_id(), hub.ids.new_id()
    body = {"name": "acme", "dialect": "toywallet", "wallet": {"url": "u"}, "wallet_secrets": {"key": ["k"]}}
    await hub.configuration.put(operator, Kind.OPERATOR, body, **WHO)
    body = {"name": "main", "adapter": "toy", "settings": {"url": "u"}, "secrets": {"signing": ["k"]}}
    await hub.configuration.put(operator, Kind.CONNECTION, body, id=connection, **WHO)
    assert hub.configuration.directory.live_connection(connection) is not None
    with pytest.raises(SettingsError):
        await hub.configuration.put(operator, Kind.CONNECTION, {**body, "name": "b"}, id="mine", **WHO)


async def test_only_what_is_disabled_is_deleted_and_its_money_still_finds_it(hub: Hub) -> None:
    operator = await hub.operator()
    stored = await hub.connection(operator.id)
    with pytest.raises(DeclinedError):
        await hub.configuration.delete(operator.id, Kind.CONNECTION, stored.id, **WHO)
    await hub.configuration.put(operator.id, Kind.CONNECTION, {**stored.body, "enabled": False}, id=stored.id, **WHO)
    await hub.configuration.delete(operator.id, Kind.CONNECTION, stored.id, **WHO)
    assert hub.configuration.directory.connection_by_name("acme", "main") is None
    owed = hub.configuration.connection(operator.id, stored.id)
    assert owed is not None
    assert not owed.enabled
    assert owed.policies.default.unknown_rollback is UnknownRollback.NOT_FOUND
    with pytest.raises(NotFoundError):
        await hub.configuration.delete(operator.id, Kind.CONNECTION, stored.id, **WHO)


async def test_a_disabled_or_deleted_game_refuses_bets_and_keeps_its_route(hub: Hub) -> None:
    operator = await hub.operator()
    connection = await hub.connection(operator.id)
    game = await hub.game(operator.id, connection.id, wallet_code="77")
    route = hub.configuration.route(connection.id, "77")
    assert route is not None
    assert (route.game, route.code, route.refusal) == (game.id, "77", None)
    assert hub.configuration.route(connection.id, game.id) == route
    assert hub.configuration.route(connection.id, "78") is None
    await hub.configuration.put(operator.id, Kind.GAME, {**game.body, "enabled": False}, id=game.id, **WHO)
    route = hub.configuration.route(connection.id, "77")
    assert route is not None
    assert route.refusal is DeclineReason.GAME_DISABLED
    (stored,) = hub.configuration.list(operator.id, Kind.ROUTE)
    await hub.configuration.delete(operator.id, Kind.ROUTE, stored.id, **WHO)
    route = hub.configuration.route(connection.id, "77")
    assert route is not None
    assert route.refusal is DeclineReason.GAME_DISABLED


async def test_several_changes_are_stored_all_or_none(hub: Hub) -> None:
    operator = await hub.operator()
    connection = await hub.connection(operator.id)
    drafts = [
        Draft(kind=Kind.GAME, id="toy--one", body={"title": "One", "studio": "Toy"}),
        Draft(kind=Kind.ROUTE, body={"connection": connection.id, "game": "toy--one", "code": "1"}),
        Draft(kind=Kind.ROUTE, body={"connection": connection.id, "game": "toy--two", "code": "2"}),
    ]
    with pytest.raises(SettingsError, match="no such game"):
        await hub.configuration.put_all(operator.id, drafts, **WHO)
    assert hub.configuration.directory.games("acme") == {}
    await hub.configuration.put_all(operator.id, drafts[:2], **WHO)
    assert list(hub.configuration.directory.games("acme")) == ["toy--one"]


async def test_two_keys_of_an_operator_are_valid_at_once_and_no_third(hub: Hub) -> None:
    operator = await hub.operator()
    first = await hub.configuration.create_key(operator.id, role=Role.OPERATOR, label="one", not_after=None, **WHO)
    soon = hub.clock.now_ms() + 1000
    second = await hub.configuration.create_key(operator.id, role=Role.OPERATOR, label="two", not_after=soon, **WHO)
    with pytest.raises(ConflictError):
        await hub.configuration.create_key(operator.id, role=Role.OPERATOR, label="three", **WHO)
    for key in (first, second):
        holder = hub.configuration.directory.operator_by_key_hash(key_hash(key.bearer), hub.clock.now_ms())
        assert holder is not None
        assert holder.operator is not None
        assert holder.operator.id == operator.id
    hub.clock.ms = soon
    assert hub.configuration.directory.operator_by_key_hash(key_hash(second.bearer), hub.clock.now_ms()) is None
    third = await hub.configuration.create_key(operator.id, role=Role.OPERATOR, label="three", **WHO)
    await hub.configuration.delete(operator.id, Kind.KEY, first.stored.id, **WHO)
    directory = hub.configuration.directory
    assert directory.operator_by_key_hash(key_hash(first.bearer), soon) is None
    assert directory.operator_by_key_hash(key_hash(third.bearer), soon) is not None


async def test_an_operator_cannot_hold_an_administrators_key(hub: Hub) -> None:
    operator = await hub.operator()
    with pytest.raises(SettingsError):
        await hub.configuration.create_key(operator.id, role=Role.ADMIN, label="one", **WHO)
    with pytest.raises(SettingsError):
        await hub.configuration.create_key(HUB_SCOPE, role=Role.OPERATOR, label="one", **WHO)
    key = await hub.configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label="root", **WHO)
    holder = (await hub.another().load()).operator_by_key_hash(key_hash(key.bearer), 0)
    assert holder is not None
    assert (holder.role, holder.operator) == (Role.ADMIN, None)


async def test_a_key_that_was_shown_can_be_put_back_with_an_earlier_end(hub: Hub) -> None:
    operator = await hub.operator()
    key = await hub.configuration.create_key(operator.id, role=Role.OPERATOR, label="one", **WHO)
    now = hub.clock.now_ms()
    assert "hash" not in key.stored.body
    await hub.configuration.put(operator.id, Kind.KEY, {**key.stored.body, "not_after": now}, id=key.stored.id, **WHO)
    assert hub.configuration.directory.operator_by_key_hash(key_hash(key.bearer), now) is None


async def test_networks_let_in_who_is_on_the_list_alone(hub: Hub) -> None:
    operator = await hub.operator()
    await hub.connection(operator.id, allow_cidrs=["192.0.2.0/24", "2001:db8::/32"], trusted_proxies=["10.0.0.1/32"])
    live = hub.configuration.directory.connection_by_name("acme", "main")
    assert live is not None
    allowed = ["192.0.2.9", "2001:db8::1", "::ffff:192.0.2.9"]
    assert [live.allows(address) for address in [*allowed, "192.0.3.1", "::1", "nonsense", ""]] == [True] * 3 + [
        False
    ] * 4
    assert [live.trusts(address) for address in ("10.0.0.1", "10.0.0.2")] == [True, False]
