"""SOAP read strictly: what two readers could understand in two ways is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from croupier.contract import Credentials, HttpRequest, HttpResponse, MalformedRequestError, Play, UpstreamError
from croupier.contract import UnsupportedOperationError as Unsupported
from croupier_tomhorn.adapter import TomhornAdapter
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.soap import ENVELOPE, INSTANCE, WALLET, SoapCodec, content_of, elements, envelope, fields_of

KEYS = Credentials({SECRET: ("1234567890",)})
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGN = "67E75698110870AB94F26E56AA9A514EE78CD3FD9C8073BCAAA0487C433080B8"
LEAVES = (
    f"<partnerID>Partner01</partnerID><sign>{SIGN}</sign><name>Player01</name><amount>3.40</amount>"
    "<currency>EUR</currency><reference>1761</reference><sessionID>669357</sessionID>"
    "<gameRoundID>1599</gameRoundID><gameModule>VSlotBM</gameModule>"
)
WITHDRAW = f'<Withdraw xmlns="{WALLET}">{LEAVES}</Withdraw>'

adapter = TomhornAdapter(TomhornSettings(partner_id="Partner01", api_url="https://tomhorn.example"))


def asked(body: bytes | str, url: str = "/") -> HttpRequest:
    return HttpRequest("POST", url, body=body if isinstance(body, bytes) else body.encode())


def understood(body: bytes | str) -> Play:
    (play,) = adapter.parse(adapter.verify(asked(body), KEYS, NOW)).items
    assert isinstance(play, Play)
    return play


@pytest.mark.parametrize(
    "body",
    [
        envelope(WITHDRAW),
        envelope(f"<Withdraw>{LEAVES}</Withdraw>"),
        envelope(f'<w:Withdraw xmlns:w="{WALLET}">{LEAVES}</w:Withdraw>'),
        b'<?xml version="1.0" encoding="utf-8"?>\n' + envelope(WITHDRAW),
        envelope(WITHDRAW).replace(b"><", b">\n  <").replace(b"EUR<", b"EUR<"),
        envelope(WITHDRAW).decode().encode("utf-16"),
        envelope(WITHDRAW.replace("</Withdraw>", "<fgbCampaignCode></fgbCampaignCode></Withdraw>")),
        envelope(
            WITHDRAW.replace(
                "</Withdraw>", f'<fgbCampaignCode xmlns:i="{INSTANCE}" i:nil="true"></fgbCampaignCode></Withdraw>'
            )
        ),
        f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Header><x>1</x></e:Header><e:Body>{WITHDRAW}</e:Body></e:Envelope>',
    ],
)
def test_one_withdraw_may_be_written_in_many_ways(body: bytes | str) -> None:
    play = understood(body)
    assert (play.player, play.round, play.game, play.movements[0].reference) == ("Player01", "1599", "VSlotBM", "1761")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<Withdraw/>",
        envelope(""),
        envelope(WITHDRAW + WITHDRAW),
        WITHDRAW,
        envelope(WITHDRAW)[:-20],
        envelope(WITHDRAW.replace("<amount>3.40</amount>", "<amount>3.40</amount><amount>3.40</amount>")),
        envelope(WITHDRAW.replace("<amount>3.40</amount>", "<amount><a>3.40</a></amount>")),
        envelope(WITHDRAW.replace("<amount>", '<amount unit="cent">')),
        envelope(WITHDRAW.replace("<amount>3.40", "<amount>3.400001")),
        b'<!DOCTYPE a [<!ENTITY e "3.40">]>' + envelope(WITHDRAW.replace("3.40", "&e;")),
        b"<!DOCTYPE a>" + envelope(WITHDRAW),
        b'<?xml version="1.0" encoding="no-such"?>' + envelope(WITHDRAW),
        envelope("<a>" * 50_000 + "</a>" * 50_000),
        envelope("<Withdraw " + " ".join([f'a{number}="1"' for number in range(1_000)]) + "/>"),
    ],
)
def test_what_is_no_such_document_is_malformed_and_has_an_answer(body: bytes | str) -> None:
    with pytest.raises((MalformedRequestError, Unsupported)) as refused:
        understood(body)
    assert adapter.render_error(asked(body), refused.value).status in {200, 500}


def test_a_method_of_another_namespace_is_none_of_the_wallets() -> None:
    with pytest.raises(Unsupported):
        understood(envelope(WITHDRAW.replace(WALLET, "http://other.example")))


def test_an_error_is_told_as_the_result_of_the_method_and_else_as_a_fault() -> None:
    error = MalformedRequestError("no")
    known, unknown = adapter.render_error(asked(envelope(WITHDRAW)), error), adapter.render_error(asked("<a/>"), error)
    assert (known.status, b"<WithdrawResult><Code>2</Code>" in known.body) == (200, True)
    assert (unknown.status, b"<faultcode>soap:Client</faultcode>" in unknown.body) == (500, True)


def test_soap_at_a_path_of_json_is_no_json() -> None:
    with pytest.raises(MalformedRequestError):
        adapter.verify(asked(envelope(WITHDRAW), "/Withdraw"), KEYS, NOW)


def test_markup_in_a_text_stays_a_text() -> None:
    document = content_of(envelope(f"<a>{elements({'name': '<b>&amp;'})}</a>"))
    assert fields_of(document) == {"name": "<b>&amp;"}
    assert elements({"name": "a\x00b"}) == "<name>ab</name>"


def test_an_answer_of_another_operation_is_none() -> None:
    codec = SoapCodec("http://tomhorn.example/integration")
    right = "<CloseSessionResponse><CloseSessionResult><Code>0</Code></CloseSessionResult></CloseSessionResponse>"
    assert codec.told(HttpResponse(200, body=envelope(right)), "CloseSession").text("Code") == "0"
    for body in (
        envelope(right.replace("CloseSession", "CreateSession")),
        envelope("<CloseSessionResponse/>"),
        envelope(right.replace("<Code>0</Code>", "<Code>0</Code><Code>1</Code>")),
        envelope(right.replace("<Code>0</Code>", "<a>" * 9 + "<b>1</b>" + "</a>" * 9)),
        b"<html/>",
    ):
        with pytest.raises(UpstreamError):
            codec.told(HttpResponse(200, body=body), "CloseSession")
