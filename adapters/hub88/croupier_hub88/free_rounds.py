"""Free rounds ("rewards"): made of a template of the provider's ("prepaid").

Every flow raises `ProviderRefusedError` for a definite refusal, and `UpstreamError` for an answer that cannot be used.

Source: `reference/protocols/hub88.md`, section "Operator → provider".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from croupier.contract.errors import ProviderRefusedError, UnsupportedOperationError, UpstreamError
from croupier.contract.fields import Told
from croupier.contract.flows import Flow, FreeRoundsIssued, FreeRoundsQuery
from croupier.contract.http import Effect
from croupier.contract.times import iso_utc
from croupier_hub88.outbound import API, Ask, rows_of, told_of
from croupier_hub88.settings import Hub88Settings

PREPAIDS_LIST: Final = f"{API}/freebet/prepaids/list"
REWARDS_CREATE: Final = f"{API}/freebet/rewards/create"
REWARDS_CANCEL: Final = f"{API}/freebet/rewards/cancel"
REWARDS_LIST: Final = f"{API}/freebet/rewards/list"
PATHS: Final = frozenset({PREPAIDS_LIST, REWARDS_CREATE, REWARDS_CANCEL, REWARDS_LIST})

FAILED: Final = "FRS_FAILED"
NO_PREPAID: Final = "no prepaid"

_PAGE: Final = 80
_MOST_PAGES: Final = 25
_STEPS: Final = 5


def issue(settings: Hub88Settings, query: FreeRoundsQuery, ask: Ask) -> Flow[FreeRoundsIssued]:
    """Give a player free rounds in one game.

    The provider promises nothing for a repeat, so the player's rewards are looked through first: one that carries the
    hub's reference is the answer.

    Raises:
        UnsupportedOperationError: A reward is for one game, and its worth is told in the wire's steps.
        ProviderRefusedError: Also where the provider has no template for it.
    """
    if len(query.games) != 1:
        raise UnsupportedOperationError("free rounds are for one game each", where="games")
    value = _bet_value(query)
    known = yield from _rewards(query.player, ask)
    for reward in known:
        if reward.word(settings.reward_reference) == query.grant and reward.word("status") != FAILED:
            return _issued(reward)
    template = query.template
    if template is None:
        template = yield from _template(query, value, ask)
    body = {
        "user": query.player,
        "sub_partner_id": settings.sub_partner_id,
        "prepaid_uuid": template,
        "game_code": query.games[0],
        "currency": query.currency,
        "bet_count": query.rounds,
        "bet_value": value,
        "start_time": iso_utc(query.valid_from, 0),
        "end_time": iso_utc(query.valid_until, 0),
        settings.reward_reference: query.grant,
    }
    created = yield from told_of(ask(REWARDS_CREATE, body, Effect.ONCE), "rewards/create")
    return _issued(created)


def cancel(reward: str, ask: Ask) -> Flow[None]:
    """Take free rounds back that nobody has played."""
    told = yield from told_of(ask(REWARDS_CANCEL, {"reward_uuid": reward}, Effect.IDEMPOTENT), "rewards/cancel")
    if told.text("reward_uuid") != reward:
        raise UpstreamError("the answer is about other free rounds", where="rewards/cancel")


def of_player(player: str, ask: Ask) -> Flow[tuple[FreeRoundsIssued, ...]]:
    """All free rounds of a player."""
    rewards = yield from _rewards(player, ask)
    return tuple([_issued(reward) for reward in rewards])


def _rewards(player: str, ask: Ask) -> Flow[tuple[Told, ...]]:
    """A player's rewards, page after page."""
    found: list[Told] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        paging = {"limit": _PAGE} if cursor is None else {"limit": _PAGE, "cursor": cursor}
        request = ask(REWARDS_LIST, {"user": player, "pagination": paging}, Effect.READ)
        told = yield from told_of(request, "rewards/list")
        found += [reward for reward in told.objects("rewards") if reward.word("user") in (None, player)]
        page = told.values.get("pagination")
        after = page.get("next_cursor") if isinstance(page, Mapping) else None
        if after is None:
            return tuple(found)
        if not isinstance(after, str) or after == cursor:
            raise UpstreamError("the cursor leads nowhere", where="rewards/list.pagination")
        cursor = after
    raise UpstreamError(f"there are more than {_MOST_PAGES} pages", where="rewards/list")


def _template(query: FreeRoundsQuery, value: int | None, ask: Ask) -> Flow[str]:
    """A template that allows what is asked for; one that leaves a value open allows every value."""
    asked = {"game_code": query.games[0], "currency": query.currency}
    prepaids = yield from rows_of(ask(PREPAIDS_LIST, asked, Effect.READ), "prepaids/list")
    for prepaid in prepaids:
        fits = all(prepaid.word(name) == wanted for name, wanted in asked.items())
        if fits and not prepaid.flag("bonus_buy") and _allows(prepaid, query.rounds, value):
            return prepaid.text("prepaid_uuid")
    raise ProviderRefusedError("no template fits what is asked for", provider_code=NO_PREPAID, where="games")


def _allows(prepaid: Told, rounds: int, value: int | None) -> bool:
    count, worth = prepaid.values.get("bet_count"), prepaid.values.get("bet_value")
    return count in (None, rounds) and (value is not None if worth is None else value in (None, worth))


def _bet_value(query: FreeRoundsQuery) -> int | None:
    """The worth of one round in steps of the wire."""
    if query.bet is None:
        return None
    if query.currency != query.scale.code:
        raise UnsupportedOperationError("its worth is not known under the provider's name of a currency", where="bet")
    shift = _STEPS - query.scale.scale
    if shift >= 0:
        return int(query.bet * 10**shift)
    value, lost = divmod(query.bet, 10**-shift)
    if lost:
        raise UnsupportedOperationError("the worth of a round has more digits than the wire keeps", where="bet")
    return int(value)


def _issued(reward: Told) -> FreeRoundsIssued:
    count = reward.values.get("bet_count")
    rounds = count if type(count) is int else None
    return FreeRoundsIssued(reference=reward.text("reward_uuid"), state=reward.word("status"), rounds=rounds)
