"""Bronze: what the hub did not sign is not believed, and what it signed is believed for what it says."""

from __future__ import annotations

from datetime import timedelta

from croupier.contract import HttpRequest, WalletApplied, WalletBalance, WalletCall
from croupier_conformance.certification.rule import RuleNotApplicableError, Tier
from croupier_conformance.certification.wallet_forge import signed_by_another, unproven, with_altered_proof
from croupier_conformance.certification.wallet_story import Story, wallet_rule

AGE = timedelta(hours=1)


@wallet_rule(
    "forged-signature-is-refused",
    Tier.BRONZE,
    "A request that is signed with another secret is refused",
    expects="an answer such as 401, no success, and the balance unchanged",
)
def forged_signature_is_refused(story: Story) -> None:
    """Whoever finds the wallet's address must not be able to move money or to read balances.

    A bet, a win and a balance are signed with a secret that differs from the right one in a single character (or with
    another key, where keys come in pairs), and one more bet has a signature that is right but for a character near its
    end. It is usually broken by a signature that is compared by its beginning, or that is checked for movements only.
    Compare the whole in constant time, before the body is read.
    """
    before = story.balance()
    calls: tuple[tuple[WalletCall, str], ...] = (
        (story.bet("bet", 7), "a bet with a forged signature"),
        (story.win("win", 7), "a win with a forged signature"),
        (WalletBalance(player=story.player()), "a balance with a forged signature"),
    )
    for call, title in calls:
        story.not_accepted(call, signed_by_another(story, call), title)
        story.must_hold(before, title)
    nearly = story.bet("nearly", 7)
    story.not_accepted(nearly, with_altered_proof(story, nearly), "a bet whose signature is right but for its end")
    story.must_hold(before, "a bet whose signature is right but for its end")


@wallet_rule(
    "unsigned-is-refused",
    Tier.BRONZE,
    "A request without a signature is refused",
    expects="an answer such as 401, no success, and the balance unchanged",
)
def unsigned_is_refused(story: Story) -> None:
    """A missing signature is a wrong signature.

    A bet is sent without the header fields that prove it. It is usually broken by a check that is skipped when there
    is nothing to check.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    story.not_accepted(bet, unproven(story, bet), "a bet without a signature")
    story.must_hold(before, "a bet without a signature")


@wallet_rule(
    "tampered-body-is-refused",
    Tier.BRONZE,
    "A body that was changed after it was signed is refused",
    expects="an answer such as 401, no success, and the balance unchanged",
)
def tampered_body_is_refused(story: Story) -> None:
    """The signature covers the bytes, so that nobody between can make a small win a large one.

    The proof of one win is sent with the body of another. It is usually broken by a signature over the id and the time
    alone, or over fields that were parsed and written again. Check the bytes as they were received.
    """
    before = story.balance()
    small, large = story.written(story.win("win", 7)), story.written(story.win("win", 700))
    if small.body == large.body:
        raise RuleNotApplicableError("this protocol has no amounts in its body")
    tampered = HttpRequest(small.method, small.url, small.headers, large.body, small.effect)
    story.not_accepted(story.win("win", 700), tampered, "a win whose amount was changed on its way")
    story.must_hold(before, "a win whose amount was changed on its way")


@wallet_rule(
    "old-message-is-refused",
    Tier.BRONZE,
    "A message from another hour is refused",
    expects="an answer such as 401 to a message signed an hour ago, or an hour ahead, and the balance unchanged",
)
def old_message_is_refused(story: Story) -> None:
    """A message that was overheard must not be of use for ever.

    A bet is sent that was rightly signed, with the time of an hour ago, and one with that of an hour ahead. It is
    usually broken by a time stamp that is signed and never compared, or compared one way only. It is not checked where
    the protocol has no time stamp. If everything else fails, too, look at the clock of the wallet's machine.
    """
    if not story.subject.dialect.spec.proves_time:
        raise RuleNotApplicableError("this protocol has no time stamp")
    before, credentials, now = story.balance(), story.subject.credentials, story.subject.now()
    for name, at in (("old", now - AGE), ("early", now + AGE)):
        bet = story.bet(name, 7)
        request = story.subject.dialect.request(bet, credentials, at)
        if request == story.subject.dialect.request(bet, credentials, now):
            raise RuleNotApplicableError("this protocol has no time stamp")
        story.not_accepted(bet, request, f"a bet with the time of an hour {'ago' if at < now else 'ahead'}")
        story.must_hold(before, "a bet with a time that is far away")


@wallet_rule(
    "replayed-message-moves-nothing",
    Tier.BRONZE,
    "The same bytes sent again move nothing",
    expects="the repeat's answer or a refusal, and money moved once",
)
def replayed_message_moves_nothing(story: Story) -> None:
    """Whoever overheard a message can send it again while it is fresh.

    The very bytes of a win are sent three times. A wallet may refuse the copies as replays or answer them as repeats;
    what counts is that they move nothing. It is usually broken where repeats are not recognised at all.
    """
    before, win = story.balance(), story.win("win", 7)
    request = story.written(win)
    if not isinstance(story.post(win, request, "a win").reply, WalletApplied):
        story.broken("a win was not accepted")
    for _ in range(2):
        story.post(win, request, "the same bytes again")
        story.must_hold(before + 7, "the same bytes again")


@wallet_rule(
    "message-for-another-path-is-refused",
    Tier.BRONZE,
    "A message that was signed for one path is refused on another",
    expects="an answer such as 400, no success, and the balance unchanged",
)
def message_for_another_path_is_refused(story: Story) -> None:
    """A bet must not become a win because somebody sent it to the other address.

    The signed body of a bet is sent to the path of wins, and of a win to that of bets. It is usually broken by a
    wallet that believes the path and does not look at the operation in the body, which is what was signed. It is not
    checked where the protocol signs nothing that tells one from the other.
    """
    before = story.balance()
    bet, win = story.bet("bet", 7), story.win("win", 7)
    of_bet, of_win = story.written(bet), story.written(win)
    if of_bet.url == of_win.url:
        raise RuleNotApplicableError("this protocol has one path for all")
    if not story.subject.dialect.spec.proves_operation:
        raise RuleNotApplicableError("this protocol's proof does not say which path is meant")
    for call, request, url in ((win, of_bet, of_win.url), (bet, of_win, of_bet.url)):
        astray = HttpRequest(request.method, url, request.headers, request.body, request.effect)
        story.not_accepted(call, astray, "a message on another message's path")
        story.must_hold(before, "a message on another message's path")
