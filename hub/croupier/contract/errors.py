"""Every error of Croupier, grouped by what the one who meets it can do.

| group | what to do |
|---|---|
| `RetryLaterError` | send the same again, unchanged, later |
| `DeclinedError` | accept the refusal: it is definite, nothing moved |
| `FixRequestError` | correct the request: the same bytes will never be accepted |
| `FixConfigurationError` | correct settings, keys or policies, then try again |
| `CallPersonError` | nothing automatic will help: a person must look |

An error has a stable `code`; `hub/docs/errors.md` has a section for each. Messages name what was wrong, `where`
(a field's path), and what to do; they never contain secrets, tokens or a player's data.
"""

from __future__ import annotations

from enum import Enum, unique
from math import ceil
from typing import ClassVar


class CroupierError(Exception):
    """Root of every error raised by the hub, the contract and what is written against it.

    Args:
        message: What was wrong, in one sentence, without secrets or player data.
        where: The field, header, key path or row that the message speaks of.
        hint: What to do about it.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{hint}"


class RetryLaterError(CroupierError):
    """The same request, unchanged, may succeed later."""

    code = "retry_later"
    status = 503


class StoreUnavailableError(RetryLaterError):
    """The ledger cannot store anything now (disk full, read-only, locked): nothing was sent to the operator."""

    code = "store_unavailable"


class OverloadedError(RetryLaterError):
    """The hub refuses work to stay within its limits; nothing was started."""

    code = "overloaded"


class RateLimitedError(OverloadedError):
    """The caller sends more than it may; nothing was started. Never what brings a player money or undoes a movement.

    Attributes:
        retry_after: In how many whole seconds there is room again, from 1.
    """

    code = "rate_limited"
    status = 429

    def __init__(
        self, message: str, *, retry_after: float = 1.0, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.retry_after = max(1, ceil(retry_after))


@unique
class TransportProblem(Enum):
    """How far a call got before it failed: what decides whether it may have had an effect."""

    NOT_SENT = "not_sent"
    """Nothing reached the other side (refused, no route, TLS failed): no effect is possible."""
    NO_ANSWER = "no_answer"
    """It may have arrived: time-out, reset, half an answer. The effect is unknown."""


class TransportError(RetryLaterError):
    """Thrown into an outbound flow when its request got no answer."""

    code = "transport"

    def __init__(self, message: str, *, problem: TransportProblem, where: str | None = None) -> None:
        super().__init__(message, where=where)
        self.problem = problem


class UpstreamError(RetryLaterError):
    """The other side answered, but not with something that can be used."""

    code = "upstream"
    status = 502


class DeclinedError(CroupierError):
    """A definite refusal by a rule."""

    code = "declined"
    status = 409


class FixRequestError(CroupierError):
    """The request itself is wrong: the same bytes will never be accepted."""

    code = "bad_request"
    status = 400


class AuthenticationError(FixRequestError):
    """The proof of origin is missing or wrong (signature, hash, token, decryption)."""

    code = "authentication"
    status = 401


class ForbiddenError(FixRequestError):
    """The caller is known but not allowed (address not on the list, another operator's record)."""

    code = "forbidden"
    status = 403


class NotFoundError(FixRequestError):
    """There is no such thing, or not for this caller: the two are told the same way."""

    code = "not_found"
    status = 404


class MalformedRequestError(FixRequestError):
    """The bytes cannot be read as the protocol says: syntax, a missing field, a wrong type."""

    code = "malformed"


class AmountError(MalformedRequestError):
    """A number that is no amount: not finite, too many digits, negative where it must not be."""

    code = "amount"


class UnknownCurrencyError(FixRequestError):
    """A currency code that is not registered."""

    code = "unknown_currency"


class BodyTooLargeError(FixRequestError):
    """The body is larger than the limit of this entrance."""

    code = "body_too_large"
    status = 413


class ConflictError(FixRequestError):
    """The same key was used before with other content."""

    code = "conflict"
    status = 409


class UnsupportedOperationError(FixRequestError):
    """The operation is not declared by the adapter or dialect, or not known to it."""

    code = "unsupported"
    status = 404


class ProviderRefusedError(FixRequestError):
    """The provider answered an outbound call with a definite refusal.

    Attributes:
        provider_code: The provider's own error code, as it was sent.
    """

    code = "provider_refused"
    status = 422

    def __init__(self, message: str, *, provider_code: str, where: str | None = None) -> None:
        super().__init__(message, where=where)
        self.provider_code = provider_code


class FixConfigurationError(CroupierError):
    """A setting is wrong or missing."""

    code = "configuration"
    status = 422


class SettingsError(FixConfigurationError):
    """A value in the settings file or in a stored configuration is not what was expected; `where` is its path."""

    code = "settings"


class PackageError(FixConfigurationError):
    """An adapter or plugin package cannot be used: it does not import, or speaks another `ADAPTER_API`."""

    code = "package"


class CertificateError(PackageError):
    """An adapter has no certificate that counts, or one of a lower tier than this hub requires."""

    code = "certificate"


class UnsafeStoreError(FixConfigurationError):
    """The database would lose acknowledged money on a crash with its present settings."""

    code = "unsafe_store"


class CallPersonError(CroupierError):
    """Nothing automatic will help."""

    code = "call_person"


class LedgerCorruptError(CallPersonError):
    """The ledger contradicts itself: an invariant that is checked at run time does not hold."""

    code = "ledger_corrupt"
