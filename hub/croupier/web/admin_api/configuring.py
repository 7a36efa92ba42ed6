"""Operators, connections, keys, games, routes, sinks and policies: read, changed, taken out of force, with history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields, frozen

from croupier.configuration.documents import HUB_SCOPE, Kind, Role
from croupier.configuration.service import Stored
from croupier.contract import FixRequestError, NotFoundError, Policy, UnsupportedOperationError
from croupier.web.admin_api.messages import (
    DeleteQuery,
    KeyBody,
    MadeKey,
    PolicyAnswer,
    PolicyBody,
    PutBody,
    PutThing,
    StoredThing,
    StoredThings,
)
from croupier.web.admin_api.parts import AdminAsk, AdminParts, Plain
from croupier.web.api import Nothing
from croupier.web.paging import milliseconds_or_none, moment
from croupier.web.provider_record import plain_value


@frozen
class Things:
    """Handlers about the things of one kind.

    Attributes:
        parts: The rooms below.
        kind: The kind. In paths an operator's id stands as `operator`, another thing's as `id` below its operator.
    """

    parts: AdminParts
    kind: Kind

    async def list(self, ask: Plain) -> StoredThings:
        """Everything of the kind that is in force."""
        operator = None if self.kind is Kind.OPERATOR else self._owner(ask.path)
        return StoredThings(items=tuple(shown(one) for one in self.parts.configuration.list(operator, self.kind)))

    async def get(self, ask: Plain) -> StoredThing:
        """The newest version of one."""
        operator, which = self._which(ask.path)
        return shown(self.parts.configuration.get(operator, self.kind, which))

    async def history(self, ask: Plain) -> StoredThings:
        """Every version of one, oldest first."""
        operator, which = self._which(ask.path)
        versions = await self.parts.configuration.history(operator, self.kind, which)
        if not versions:
            raise NotFoundError(f"there is no such {self.kind.value}")
        return StoredThings(items=tuple(shown(one) for one in versions))

    async def create(self, ask: AdminAsk[Nothing, PutBody]) -> PutThing:
        """Make a new one."""
        operator = None if self.kind is Kind.OPERATOR else self._owner(ask.path)
        return await self._put(ask, operator, None)

    async def replace(self, ask: AdminAsk[Nothing, PutBody]) -> PutThing:
        """Store a new version of one."""
        operator, which = self._which(ask.path)
        return await self._put(ask, operator, which)

    async def delete(self, ask: AdminAsk[DeleteQuery, Nothing]) -> StoredThing:
        """Take one out of force; its versions stay."""
        operator, which = self._which(ask.path)
        stored = await self.parts.configuration.delete(
            operator, self.kind, which, who=ask.caller.name, why=ask.query.why, version=ask.query.version
        )
        return shown(stored)

    async def create_key(self, ask: AdminAsk[Nothing, KeyBody]) -> MadeKey:
        """Make a bearer key, shown this once."""
        operator, body = self._owner(ask.path), ask.body
        if (operator == HUB_SCOPE) is not (body.role is Role.ADMIN):
            raise FixRequestError("admin keys stand under hub, operator keys under their operator", where="body.role")
        made = await self.parts.configuration.create_key(
            operator,
            role=body.role,
            label=body.label,
            who=ask.caller.name,
            why=body.why,
            not_after=milliseconds_or_none(body.not_after),
        )
        return MadeKey(key=made.bearer, stored=shown(made.stored))

    async def _put(self, ask: AdminAsk[Nothing, PutBody], operator: str | None, which: str | None) -> PutThing:
        stored = await self.parts.configuration.put(
            operator,
            self.kind,
            ask.body.body,
            who=ask.caller.name,
            why=ask.body.why,
            id=which,
            version=ask.body.version,
        )
        return PutThing(**_said(stored), unchanged=stored.unchanged)

    def _owner(self, path: Mapping[str, str]) -> str:
        operator = path["operator"]
        if operator != HUB_SCOPE or self.kind is not Kind.KEY:
            self.parts.configuration.get(operator, Kind.OPERATOR, operator)
        return operator

    def _which(self, path: Mapping[str, str]) -> tuple[str, str]:
        if self.kind is Kind.OPERATOR:
            return path["operator"], path["operator"]
        return self._owner(path), path["id"]


@frozen
class PolicyHandlers:
    """Handlers about the policy of a connection."""

    parts: AdminParts

    async def get(self, ask: Plain) -> PolicyAnswer:
        """The policy as it is configured and as it is in force."""
        return self._answer(ask.path["operator"], ask.path["id"])

    async def replace(self, ask: AdminAsk[Nothing, PolicyBody]) -> PolicyAnswer:
        """Store new overrides; nothing else of the connection changes."""
        operator, connection = ask.path["operator"], ask.path["id"]
        stored = self.parts.configuration.get(operator, Kind.CONNECTION, connection)
        await self.parts.configuration.put(
            operator,
            Kind.CONNECTION,
            {**stored.body, "policy": ask.body.policy},
            who=ask.caller.name,
            why=ask.body.why,
            id=connection,
            version=stored.version if ask.body.version is None else ask.body.version,
        )
        return self._answer(operator, connection)

    def _answer(self, operator: str, connection: str) -> PolicyAnswer:
        stored = self.parts.configuration.get(operator, Kind.CONNECTION, connection)
        owner = self.parts.configuration.directory.operators.get(operator)
        live = owner.connections.get(connection) if owner else None
        if live is None:
            raise UnsupportedOperationError(
                "the connection does not work, so its adapter's defaults are not known", where="connection"
            )
        policies = live.connection.policies
        common = _knobs(policies.default)
        return PolicyAnswer(
            overrides=stored.body.get("policy", {}),
            effective=common,
            operations={
                name: {knob: value for knob, value in _knobs(policy).items() if value != common[knob]}
                for name, policy in sorted(policies.operations.items())
            },
        )


def shown(stored: Stored) -> StoredThing:
    """A stored thing as the API shows it."""
    return StoredThing(**_said(stored))


def _said(stored: Stored) -> dict[str, Any]:
    return {
        "operator": stored.operator,
        "kind": stored.kind,
        "id": stored.id,
        "version": stored.version,
        "active": stored.active,
        "body": stored.body,
        "secrets": stored.secrets,
        "at": moment(stored.at),
        "who": stored.who,
        "why": stored.why,
    }


def _knobs(policy: Policy) -> dict[str, Any]:
    return {attribute.name: plain_value(getattr(policy, attribute.name)) for attribute in fields(Policy)}
