"""Gold: what is no message of the protocol, rightly signed. It must be answered, and may not move money."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from croupier.contract import HttpRequest, WalletApplied, WalletMove, WalletRefused
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_forge import (
    amount_of,
    forged,
    player_of,
    transaction_of,
    value_at,
    with_field,
    with_value,
)
from croupier_conformance.certification.wallet_story import Story, told, wallet_rule

STRANGE: Final = {
    "a quote and SQL": "x'; UPDATE accounts SET balance = 0; --",
    "a NUL": "a\0b",
    "markup": "<script>alert(1)</script>",
    "a template": "${7*7}{{7*7}}%s%n",
    "other scripts": "игрок-玩家-لاعب-🎰",
    "four thousand letters": "x" * 4_000,
    "half a character": "\ud800",
}
HUGE: Final = 4 * 1024 * 1024


@wallet_rule(
    "broken-json-is-refused",
    Tier.GOLD,
    "A body that is no JSON object is refused",
    expects="an answer such as 400, no success and no fault of the wallet's own, and the balance unchanged",
)
def broken_json_is_refused(story: Story) -> None:
    """A body can be cut by a proxy, and a fault in the parser must not look like a wallet in trouble.

    Signed bodies are sent that are empty, cut, no object, no UTF-8, or nested a hundred thousand deep. It is usually
    broken by an exception that nobody catches: the answer is 500, and the hub sends the same again. The depth alone
    ends many a parser with an error of another class than the one that is caught.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    request = story.written(bet)
    bodies = {
        "an empty body": b"",
        "half a body": request.body[: len(request.body) // 2],
        "a body that is a list": b"[" + request.body + b"]",
        "a body that is null": b"null",
        "a body that is no UTF-8": request.body.replace(b"certification", b"\xff\xfe", 1),
        "a body with something behind it": request.body + b"}",
        "a body that is nested too deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    }
    _refuse_all(story, bet, before, ((title, forged(story, request, body)) for title, body in bodies.items()))


@wallet_rule(
    "wrong-types-are-refused",
    Tier.GOLD,
    "An amount that is no amount is refused",
    expects="an answer such as 400, no success and no fault of the wallet's own, and the balance unchanged",
)
def wrong_types_are_refused(story: Story) -> None:
    """A wallet that guesses what was meant guesses wrong one day.

    A bet and a win are sent whose amount is null, true, a list, an object, a word, empty, or a number between two minor
    units; and whose ids are no text. It is usually broken by a conversion that takes `true` for 1, or cuts 1.5 to 1.
    """
    before = story.balance()
    for name in ("bet", "win"):
        move = story.bet(name, 7) if name == "bet" else story.win(name, 7)
        path = amount_of(story, move)
        values = ["null", "true", "[]", "{}", '"word"', '""', "[7]"]
        values += ["1.5", "7e400"] if isinstance(value_at(story, move, path), int) else ['"1.5.5"', '"NaN"']
        _refuse_all(
            story, move, before, ((f"a {name} of {value}", with_value(story, move, path, value)) for value in values)
        )
    bet = story.bet("ids", 7)
    for what, path in (("transaction", transaction_of(story, bet)), ("player", player_of(story, bet))):
        _refuse_all(
            story,
            bet,
            before,
            ((f"a bet whose {what} is {value}", with_value(story, bet, path, value)) for value in ("null", "{}", "[]")),
        )


@wallet_rule(
    "missing-fields-are-refused",
    Tier.GOLD,
    "A movement without its amount, id or player is refused",
    expects="an answer such as 400, no success and no fault of the wallet's own, and the balance unchanged",
)
def missing_fields_are_refused(story: Story) -> None:
    """What is missing has no default where money is concerned.

    Bets and wins are sent without their amount, without their id and without their player. It is usually broken by an
    exception that nobody catches, or by a missing amount that counts as zero and is answered with success.
    """
    before = story.balance()
    for move in (story.bet("bet", 7), story.win("win", 7)):
        places = {
            "amount": amount_of(story, move),
            "transaction": transaction_of(story, move),
            "player": player_of(story, move),
        }
        word = move.movement.operation.value
        _refuse_all(
            story,
            move,
            before,
            ((f"a {word} without its {what}", with_value(story, move, path, None)) for what, path in places.items()),
        )


@wallet_rule(
    "negative-amounts-are-refused",
    Tier.GOLD,
    "An amount below zero is refused",
    expects="an answer such as 400 or a refusal, no success, and the balance unchanged",
)
def negative_amounts_are_refused(story: Story) -> None:
    """A bet of minus ten is a gift.

    A bet and a win of an amount below zero are sent. The hub never does that; whoever finds a way to make it do so is
    stopped here. It is usually broken by a subtraction without a look at the sign.
    """
    before = story.balance()
    for move in (story.bet("bet", 7), story.win("win", 7)):
        path = amount_of(story, move)
        value = value_at(story, move, path)
        below = json.dumps(-value if isinstance(value, int) else f"-{value}")
        title = f"a {move.movement.operation.value} of {below}"
        _refuse_all(story, move, before, ((title, with_value(story, move, path, below)),))


@wallet_rule(
    "unknown-fields-are-ignored",
    Tier.GOLD,
    "Fields that the wallet does not know do no harm",
    expects="success, and the bet taken once",
)
def unknown_fields_are_ignored(story: Story) -> None:
    """The protocol grows: an optional field more must not stop a casino.

    A bet with one more field, of each JSON type, is sent. It is usually broken by a schema that forbids what it does
    not name.
    """
    before = story.balance()
    for number, value in enumerate(('"text"', "7", "null", "true", '{"deeper": [1]}')):
        bet = story.bet(f"bet {number}", 2)
        title = f"a bet with an unknown field that holds {value}"
        heard = story.post(bet, with_field(story, bet, "certification_field", value), title)
        if not isinstance(heard.reply, WalletApplied):
            story.broken(f"{title} {told(heard.reply)}")
        story.must_hold(before - 2 * (number + 1), title)


@wallet_rule(
    "huge-body-does-no-harm",
    Tier.GOLD,
    "A body of four megabytes does no harm",
    expects="a refusal, a closed connection or success; money that fits it, and a wallet that goes on",
)
def huge_body_does_no_harm(story: Story) -> None:
    """Memory is not for whoever sends most.

    A win with an unknown field of four megabytes is sent. The wallet may refuse it (413), close the connection, or do
    it; a fault of its own (5xx) is the one wrong answer, and money without success the other. It is usually broken by
    a limit that is met in the middle of the work.
    """
    before, win = story.balance(), story.win("win", 7)
    title = "a win of four megabytes"
    heard = story.post(win, with_field(story, win, "certification_field", f'"{"x" * HUGE}"'), title)
    if heard.response is not None and heard.response.status >= 500:
        story.broken(f"{title}: the wallet failed with HTTP {heard.response.status}")
    story.settle()
    story.must_hold(before + 7 if isinstance(heard.reply, WalletApplied) else before, title)


@wallet_rule(
    "strange-text-does-no-harm",
    Tier.GOLD,
    "Strange text in an id is text",
    expects="an unknown player is refused, whatever the name is made of, and the balance unchanged",
)
def strange_text_does_no_harm(story: Story) -> None:
    """Ids come from players' browsers in the end.

    Bets of players are sent whose names hold SQL, markup, templates, a NUL, other scripts, thousands of letters and
    half a character. It is usually broken by text that is put into a statement, or by a database that cannot store
    what JSON can hold: look before you store, and answer 400.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    path = player_of(story, bet)
    _refuse_all(
        story,
        bet,
        before,
        (
            (f"a player named with {what}", with_value(story, bet, path, json.dumps(text)))
            for what, text in STRANGE.items()
        ),
    )


def _refuse_all(story: Story, move: WalletMove, before: int, requests: Iterable[tuple[str, HttpRequest]]) -> None:
    """None of the requests succeeds, fails in the wallet, or moves money; and the wallet goes on after them."""
    for title, request in requests:
        heard = story.not_accepted(move, request, title)
        if isinstance(heard.reply, WalletRefused) or heard.response is not None:
            story.must_hold(before, title)
