"""The proof: the vectors of `reference/protocols/tomhorn.md`, and what is no proof."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import (
    AmountError,
    AuthenticationError,
    Credentials,
    HttpRequest,
    MalformedRequestError,
    write_json,
)
from croupier_tomhorn.adapter import TomhornAdapter
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.sign import amount_text, prove, sign, signed_text
from croupier_tomhorn.soap import WALLET, elements, envelope

KEY = "1234567890"
KEYS = Credentials({SECRET: (KEY,)})
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WHO = {"partnerID": "Partner01", "name": "Player01"}
WITHDRAW = {
    **WHO,
    "amount": Decimal("3.4"),
    "currency": "EUR",
    "reference": 1761,
    "sessionID": 669357,
    "gameRoundID": 1599,
    "gameModule": "VSlotBM",
}
DEPOSIT = {**WITHDRAW, "amount": Decimal("12.3"), "reference": 1762, "type": 0, "isRoundEnd": "True"}
IN_CAMPAIGN = {
    **DEPOSIT,
    "amount": Decimal("0.50"),
    "reference": 1763,
    "gameRoundID": 1600,
    "fgbCampaignCode": "campaign1",
    "isRoundEnd": "False",
}
BALANCE = {**WHO, "currency": "EUR", "sessionID": 29649, "gameModule": "VSlotBM", "type": 0}
ROLLBACK = {**WHO, "reference": 1761, "sessionID": 669357}

VECTORS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "GetBalance",
        BALANCE,
        "Partner01Player01EUR29649VSlotBM0",
        "E081B8929A0E37EFF350118052C8D0F879E3BF3D744A649DDA469329F0AAB50C",
    ),
    (
        "Withdraw",
        WITHDRAW,
        "Partner01Player013.40EUR17616693571599VSlotBM",
        "67E75698110870AB94F26E56AA9A514EE78CD3FD9C8073BCAAA0487C433080B8",
    ),
    (
        "Deposit",
        DEPOSIT,
        "Partner01Player0112.30EUR17626693571599VSlotBM0True",
        "65B4200897BFD87E1F552CBF2CDA4A8FBEACAB19E54717DE3641D7E5FD21B84B",
    ),
    (
        "Deposit",
        IN_CAMPAIGN,
        "Partner01Player010.50EUR17636693571600VSlotBM0campaign1False",
        "64AC44904143D97F5E0F987EB2110E96346700E1C0D49E4038F7A53CF6411695",
    ),
    (
        "RollbackTransaction",
        ROLLBACK,
        "Partner01Player011761669357",
        "894DD707021FDED879158AB55434EB58EA7310F3720B8E6402D2DE8A003272CB",
    ),
]

adapter = TomhornAdapter(TomhornSettings(partner_id="Partner01", api_url="https://tomhorn.example"))


def in_json(method: str, fields: dict[str, Any]) -> HttpRequest:
    return HttpRequest("POST", f"/{method}", body=write_json(fields))


def in_soap(method: str, fields: dict[str, Any]) -> HttpRequest:
    inner = elements(fields)
    return HttpRequest("POST", "/", body=envelope(f'<{method} xmlns="{WALLET}">{inner}</{method}>'))


def test_the_published_vector_of_the_scheme_is_reproduced() -> None:
    text = "Partner01Player0112.30474e1a293c2f4e7ab122c52d68423fcbab9c15f2efdd46278e4a56b303127234"
    assert sign(text, KEY) == "475D834ACC3AB61D7DF4EA42751C6275387BC1787A098D2D0E091698D9BF2043"


@pytest.mark.parametrize(("method", "fields", "text", "expected"), VECTORS)
def test_the_vectors_of_each_method_are_reproduced(
    method: str, fields: dict[str, Any], text: str, expected: str
) -> None:
    assert signed_text(method, fields) == text
    assert sign(text, KEY) == expected


@pytest.mark.parametrize("say", [in_json, in_soap])
@pytest.mark.parametrize(("method", "fields", "_text", "proof"), VECTORS)
def test_the_vectors_are_believed_in_both_codecs(
    say: Any, method: str, fields: dict[str, Any], _text: str, proof: str
) -> None:
    request = say(method, {**fields, "sign": proof})
    assert adapter.parse(adapter.verify(request, KEYS, NOW)).items[0].operation == method


@pytest.mark.parametrize("say", [in_json, in_soap])
@pytest.mark.parametrize(("method", "fields", "_text", "proof"), VECTORS)
def test_any_other_value_that_is_signed_is_not_believed(
    say: Any, method: str, fields: dict[str, Any], _text: str, proof: str
) -> None:
    for name, value in fields.items():
        other = value + 1 if isinstance(value, int | Decimal) else f"{value}x"
        with pytest.raises(AuthenticationError):
            adapter.verify(say(method, {**fields, name: other, "sign": proof}), KEYS, NOW)


def test_what_is_absent_null_or_empty_contributes_nothing_and_a_zero_contributes_itself() -> None:
    short = {**WHO, "currency": "EUR"}
    assert signed_text("GetBalance", short) == "Partner01Player01EUR"
    assert signed_text("GetBalance", {**short, "sessionID": None, "gameModule": ""}) == "Partner01Player01EUR"
    assert signed_text("GetBalance", {**short, "sessionID": 0, "type": 0}) == "Partner01Player01EUR00"
    assert signed_text("Deposit", {**WHO, "isRoundEnd": True}) == "Partner01Player01True"


@pytest.mark.parametrize(
    ("written_as", "text"),
    [
        ("3.4", "3.40"),
        ("3.40", "3.40"),
        (Decimal("3.400"), "3.40"),
        (3, "3.00"),
        (Decimal("1E+1"), "10.00"),
        (0, "0.00"),
    ],
)
def test_an_amount_has_two_decimals_in_the_proof_however_it_was_written(written_as: Any, text: str) -> None:
    assert amount_text(written_as) == text


@pytest.mark.parametrize("amount", ["0.001", Decimal("1.005"), "1e3", "", " 1", True, [], "9" * 60])
def test_an_amount_that_cannot_be_signed_is_refused(amount: Any) -> None:
    with pytest.raises(AmountError):
        amount_text(amount)


@pytest.mark.parametrize("value", [["x"], {"a": 1}, Decimal("1.5")])
def test_a_value_that_is_no_text_and_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(MalformedRequestError):
        signed_text("RollbackTransaction", {**ROLLBACK, "reference": value})


@pytest.mark.parametrize("proof", [None, "", 17, ["x"], "\u0416" * 64, "0" * 64])
def test_what_is_no_proof_is_not_believed(proof: Any) -> None:
    with pytest.raises(AuthenticationError):
        prove("RollbackTransaction", {**ROLLBACK, "sign": proof}, KEYS)


def test_hex_is_read_in_either_case() -> None:
    prove("RollbackTransaction", {**ROLLBACK, "sign": VECTORS[-1][3].lower()}, KEYS)


def test_without_a_secret_nothing_is_proven() -> None:
    for keys in (Credentials({}), Credentials({SECRET: ("",)})):
        for text in (sign(VECTORS[-1][2], ""), VECTORS[-1][3]):
            with pytest.raises(AuthenticationError):
                prove("RollbackTransaction", {**ROLLBACK, "sign": text}, keys)


def test_a_withdraw_is_no_deposit_under_the_same_proof() -> None:
    moved = in_json("Deposit", {**WITHDRAW, "sign": VECTORS[1][3]})
    with pytest.raises(MalformedRequestError, match="type"):
        adapter.parse(adapter.verify(moved, KEYS, NOW))
