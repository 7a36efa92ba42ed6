"""What JDB is told, and what it makes of that."""

from __future__ import annotations

from decimal import Decimal

import pytest

from croupier.contract import (
    Applied,
    AuthenticationError,
    Balance,
    BalanceQuery,
    BalanceResult,
    Calls,
    CroupierError,
    Currency,
    Declined,
    DeclineReason,
    ForbiddenError,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    Movement,
    MovementKey,
    MovementKind,
    MovementResult,
    Notice,
    NoticeResult,
    Outcome,
    OverloadedError,
    Play,
    PlayResult,
    Result,
    StoreUnavailableError,
    Unknown,
    UnknownCause,
    UnsupportedOperationError,
    Verdict,
    WireAmount,
    WireCurrency,
    read_json_object,
)
from croupier_jdb import codes, mapping
from croupier_jdb.adapter import JdbAdapter
from croupier_jdb.peer import JdbPeer
from croupier_jdb.settings import JdbSettings

SETTINGS = JdbSettings(api_url="https://api.jdb.example", domain="test", agents={"EUR": "agent"})
EURO = Balance(Money(1_234_567, Currency("EUR", 2)))
ACTIONS = {operation: action for action, operation in codes.ACTIONS.items()}
OPERATIONS = sorted(ACTIONS)
CANCELS_ALL = codes.CANCEL_BET_AND_SETTLE
MONEY = [one for one in OPERATIONS if one not in {codes.BALANCE, codes.FREE_SPIN_HISTORY}]
peer = JdbPeer(SETTINGS)


def answered(operation: str, outcome: Outcome, balance: Balance | None = EURO) -> HttpResponse:
    result: Result
    if operation == codes.BALANCE:
        calls, result = Calls((BalanceQuery(operation=operation),)), BalanceResult(outcome=outcome, balance=balance)
    elif operation == codes.FREE_SPIN_HISTORY:
        calls, result = Calls((Notice(operation=operation, subject="s"),)), NoticeResult(outcome=outcome)
    else:
        bet = Movement(MovementKind.BET, keys=(MovementKey("bet", "1"),), amount=WireAmount.of(1))
        calls = Calls((Play(operation=operation, movements=(bet,)),))
        told = (MovementResult(reference="1", outcome=outcome),)
        result = PlayResult(outcome=outcome, movements=told, balance=balance)
    return mapping.render(calls, [result])


def refused(error: CroupierError) -> HttpResponse:
    return JdbAdapter(SETTINGS).render_error(HttpRequest("POST", "/"), error)


def heard(operation: str, response: HttpResponse) -> tuple[Verdict, str]:
    answer = peer.understood(ACTIONS[operation], response)
    return answer.verdict, answer.code


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_success_has_the_balance_as_the_action_wants_it(operation: str) -> None:
    told = read_json_object(answered(operation, Applied()).body)
    assert (told["status"], told["err_text"]) == ("0000", "")
    if operation in {codes.BET, codes.SETTLE, codes.CANCEL_BET}:
        assert told["balance"] == "12345.67"
    elif operation in {codes.WITHDRAW, codes.DEPOSIT, codes.CANCEL_WITHDRAW, codes.FREE_SPIN_HISTORY}:
        assert "balance" not in told
    else:
        assert told["balance"] == Decimal("12345.67")
    assert heard(operation, answered(operation, Applied()))[0] is Verdict.DONE


def test_balances_are_told_in_the_providers_own_thousands() -> None:
    wire = WireCurrency("RP", "IDR", Decimal(1000))
    told = answered(codes.BALANCE, Applied(), Balance(Money(1_234_567_899, Currency("IDR", 2)), wire=wire, digits=4))
    assert read_json_object(told.body)["balance"] == Decimal("12345.67")


@pytest.mark.parametrize("reason", DeclineReason)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_refusal_is_taken_for_a_success(operation: str, reason: DeclineReason) -> None:
    verdict, code = heard(operation, answered(operation, Declined(reason=reason)))
    if operation == CANCELS_ALL:
        # Every code but two means cancelled to JDB, and is told only where nothing stands.
        gone = {"target_unknown", "target_declined", "already_rolled_back", "cancelled"}
        unclear = {"conflict", "duplicate", "player_unknown"}
        assert (verdict is Verdict.DONE) is (reason.value in gone)
        assert code == ("9015" if reason.value in gone else "9017" if reason.value in unclear else "6101")
    else:
        assert verdict is not Verdict.DONE


@pytest.mark.parametrize("reason", DeclineReason)
@pytest.mark.parametrize("operation", sorted(codes.STAKES))
def test_a_refused_stake_is_refused_for_good(operation: str, reason: DeclineReason) -> None:
    assert heard(operation, answered(operation, Declined(reason=reason)))[0] is Verdict.REFUSED


@pytest.mark.parametrize(
    ("operation", "reason", "code"),
    [
        (codes.BET, "insufficient_funds", "6006"),
        (codes.BET_AND_SETTLE, "insufficient_funds", "6006"),
        (codes.WITHDRAW, "insufficient_funds", "6006"),
        (codes.BET, "session_expired", "7501"),
        (codes.BALANCE, "player_unknown", "7501"),
        (codes.BET, "player_blocked", "9999"),
        (codes.BET, "conflict", "9011"),
        (codes.BET, "maintenance", "9013"),
        (codes.BET, "currency_wrong", "8000"),
        (codes.SETTLE, "already_rolled_back", "9015"),
        (codes.SETTLE, "player_blocked", "9999"),
        (codes.CANCEL_BET, "target_settled", "6101"),
        (codes.CANCEL_WITHDRAW, "target_settled", "6101"),
        (codes.CANCEL_BET, "operation_not_allowed", "9999"),
        (CANCELS_ALL, "target_settled", "6101"),
        (CANCELS_ALL, "operation_not_allowed", "6101"),
    ],
)
def test_a_refusal_has_its_code(operation: str, reason: str, code: str) -> None:
    assert heard(operation, answered(operation, Declined(reason=DeclineReason(reason))))[1] == code


@pytest.mark.parametrize("cause", UnknownCause)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_unknown_makes_jdb_cancel_a_stake_and_ask_all_else_again(operation: str, cause: UnknownCause) -> None:
    response = answered(operation, Unknown(cause=cause))
    assert heard(operation, response)[0] is Verdict.RETRY
    if operation in codes.STAKES:
        # A status would be a failure that JDB need not cancel: it must be no correct answer at all.
        assert (response.status, response.body) == (503, b"no definite answer")
    else:
        assert read_json_object(response.body)["status"] == "9017"


@pytest.mark.parametrize("operation", MONEY)
def test_a_success_that_needs_a_balance_is_none_without_it(operation: str) -> None:
    verdict, _ = heard(operation, answered(operation, Applied(), None))
    silent = {codes.WITHDRAW, codes.DEPOSIT, codes.CANCEL_WITHDRAW, CANCELS_ALL}
    assert verdict is (Verdict.DONE if operation in silent else Verdict.RETRY)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthenticationError("x"), "9017"),
        (ForbiddenError("x"), "9017"),
        (MalformedRequestError("x"), "8000"),
        (UnsupportedOperationError("x"), "9007"),
        (StoreUnavailableError("x"), "9017"),
        (OverloadedError("x"), "9017"),
        (CroupierError("x"), "9017"),
    ],
)
def test_what_fails_before_there_is_a_call_has_a_status(error: CroupierError, code: str) -> None:
    assert read_json_object(refused(error).body)["status"] == code


@pytest.mark.parametrize("error", [AuthenticationError("x"), ForbiddenError("x")])
def test_who_is_not_believed_is_told_so_and_cancels_nothing_by_it(error: CroupierError) -> None:
    # A round may have been booked before its cancellation came from another address, or under another key.
    assert read_json_object(refused(error).body) == {"status": "9017", "err_text": "not authorised"}
    assert heard(CANCELS_ALL, refused(error))[0] is Verdict.RETRY


@pytest.mark.parametrize("wrong", [{"transferId": None}, {"mType": None}, {"uid": 5}, {"amount": "x"}, {"ts": "x"}])
def test_a_cancellation_of_a_whole_round_that_cannot_be_read_cancels_nothing(wrong: dict[str, object]) -> None:
    sound = {"ts": 1, "transferId": 1, "uid": "a", "currency": "EUR", "historyId": "1", "gType": 0, "mType": 8001}
    for action, code in ((4, "9017"), (11, "8000")):
        more = {"action": action, "refTransferIds": [1], "gameRoundSeqNo": "1"}
        with pytest.raises(MalformedRequestError) as failed:
            mapping.parse({**sound, **more, **wrong})
        assert heard(codes.ACTIONS[action], refused(failed.value))[1] == code


def test_the_cancellation_of_a_whole_round_is_asked_again_after_any_fault_of_the_hub() -> None:
    assert heard(CANCELS_ALL, refused(StoreUnavailableError("x"))) == (Verdict.RETRY, "9017")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"status":0}', b'{"status":"0000"}', b'{"status":"1234"}'])
def test_an_answer_that_is_not_formatted_rightly_is_none(body: bytes) -> None:
    assert peer.understood(9, HttpResponse.json(body)).verdict is Verdict.RETRY


@pytest.mark.parametrize(("action", "balance"), [(9, b"1"), (10, b"1.5"), (8, b'"1"'), (6, b'"1"'), (16, b"true")])
def test_a_balance_of_the_wrong_kind_is_none(action: int, balance: bytes) -> None:
    body = b'{"status":"0000","balance":%s}' % balance
    assert peer.understood(action, HttpResponse.json(body)).verdict is Verdict.RETRY


def test_the_policy_says_what_the_codes_say() -> None:
    policies = JdbAdapter(SETTINGS).policies
    for operation in OPERATIONS:
        retried = policies.of(operation).retry_class
        for reason in DeclineReason:
            if operation != codes.FREE_SPIN_HISTORY:
                verdict, _ = heard(operation, answered(operation, Declined(reason=reason)))
                assert (verdict is Verdict.RETRY) is (reason.value in retried), (operation, reason)
