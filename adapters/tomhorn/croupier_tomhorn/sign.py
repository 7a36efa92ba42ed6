"""The proof: an HMAC over the values of a message, one behind the other in the method's own order.

Facts: `reference/protocols/tomhorn.md`, section "Signature (both directions)", and the provider's help centre.

The text that is signed does not show where one value ends and the next begins. So every value is read strictly, what
is not signed is not read (`fgbBetAmount`), and the same text cut into another `reference` is a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from croupier.contract.errors import AmountError, AuthenticationError, MalformedRequestError
from croupier.contract.money import WireAmount
from croupier.contract.secrets import Credentials, hmac_hex, require_proof
from croupier_tomhorn.codes import DEPOSIT, GET_BALANCE, ROLLBACK, WITHDRAW
from croupier_tomhorn.settings import SECRET

SIGN: Final = "sign"
REPORT_SIGN: Final = "Sign"
AMOUNT: Final = "amount"

_SIGNED: Final = (str, int, bool)

_MOVE: Final = "partnerID name amount currency reference sessionID gameRoundID gameModule"
_ORDERS: Final = {
    GET_BALANCE: "partnerID name currency sessionID gameModule type",
    WITHDRAW: f"{_MOVE} fgbCampaignCode",
    DEPOSIT: f"{_MOVE} type fgbCampaignCode isRoundEnd",
    ROLLBACK: "partnerID name reference sessionID",
    "CreateIdentity": "partnerID name currency",
    "CreateSession": "partnerID name",
    "CloseSession": "partnerID sessionID",
    "GetModuleInfo": "partnerID sessionID module",
    "GetPlayMoneyModuleInfo": "partnerID module currency",
    "GetModuleSettings": "partnerID gameModuleKey currency",
    "GetGameLaunchToken": "partnerID name currency",
    "GetGameModules": "partnerID channel",
    "CreateCampaign": "partnerID campaignName module currency gamesPerPlayer timeFrom timeTo",
    "AssignPlayerToCampaign": "partnerID players campaignCode currency",
    "CancelCampaign": "partnerID campaignCode",
    "GetCampaigns": "partnerID name type",
    "GetCustomerCampaigns": "partnerID type",
    "GetGameRoundDetails": "PlayerName RoundId",
}
ORDERS: Final[Mapping[str, tuple[str, ...]]] = {method: tuple(names.split()) for method, names in _ORDERS.items()}
"""The signed values of each method, in order."""


def signed_text(method: str, fields: Mapping[str, Any]) -> str:
    """What is signed: nothing for what is absent, null or empty, `0` for a zero, an amount with exactly two decimals.

    Raises:
        MalformedRequestError: A value is no text, whole number or truth value, or an amount has more decimals.
    """
    parts = []
    for name in ORDERS[method]:
        value = fields.get(name)
        if name == AMOUNT and value is not None:
            parts.append(amount_text(value))
        elif value is not None and type(value) not in _SIGNED:
            raise MalformedRequestError("expected a text or a whole number", where=name)
        elif value is not None:
            parts.append(str(value))
    return "".join(parts)


def amount_text(value: Any) -> str:
    """An amount with exactly two decimals.

    Raises:
        AmountError: It is no decimal number, or has more decimals.
    """
    amount = WireAmount.of(value).value
    text = f"{amount:.2f}"
    if Decimal(text) != amount:
        raise AmountError("an amount has at most two decimals", where=AMOUNT)
    return text


def sign(text: str | bytes, secret: str) -> str:
    """Upper-case hex HMAC-SHA256 of a text."""
    return hmac_hex(secret, text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).upper()


def prove(method: str, fields: Mapping[str, Any], credentials: Credentials, where: str = SIGN) -> bytes:
    """The text that was signed with any of the connection's secrets, as bytes; hex is compared without case.

    Raises:
        AuthenticationError: The proof is missing or wrong, or the connection has no secret.
        MalformedRequestError: What should be signed cannot be.
    """
    given = fields.get(where)
    if type(given) is not str or not given.isascii():
        raise AuthenticationError("the proof of origin is missing", where=where)
    text = signed_text(method, fields).encode("utf-8", "surrogatepass")
    candidates = tuple([sign(text, secret) for secret in credentials.every(SECRET) if secret])
    require_proof(candidates, given.upper(), where=where)
    return text
