"""The admin API of a running hub, as the commands below `croupier admin` call it.

The standard library's client is enough here, and keeps the command line fast. It follows no redirect and uses no proxy
of the environment: the administrator's key goes to the hub and nowhere else.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click
from attrs import field, frozen

from croupier.contract import (
    AuthenticationError,
    BodyTooLargeError,
    ConflictError,
    CroupierError,
    FixConfigurationError,
    FixRequestError,
    ForbiddenError,
    MalformedRequestError,
    NotFoundError,
    RetryLaterError,
    SettingsError,
    TransportError,
    TransportProblem,
    UpstreamError,
    read_json_object,
)

DEFAULT_URL: Final = "http://127.0.0.1:8082"
"""Where a hub with default settings listens for administrators."""

HUB: Final = "hub"
"""In place of an operator, for the keys of administrators."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SETTINGS: Final = frozenset({"configuration", "settings", "package", "certificate", "unsafe_store"})
_SECONDS: Final = 120.0
"""Long enough for a provider's list of games."""


@frozen(kw_only=True)
class Admin:
    """The admin API of one hub.

    Attributes:
        url: The address of the admin listener.
        key: The administrator's bearer key.
        ca: The authorities to trust instead of the system's (PEM).
        plain_http: Whether the key may be sent unencrypted to another machine.
    """

    url: str
    key: str = field(repr=False)
    ca: Path | None = None
    plain_http: bool = False

    def ask(self, method: str, path: str, *, body: bytes | None = None, **query: str | int | None) -> dict[str, Any]:
        """One request; what was answered.

        Args:
            method: The HTTP method.
            path: The path below `/admin/v1`.
            body: JSON.
            query: What is not `None` is sent.

        Raises:
            SettingsError: The address or the key cannot be used.
            TransportError: There was no answer.
            CroupierError: The hub answered with an error; its group is the hub's.
        """
        status, raw = self._exchange(method, path, body, {name: one for name, one in query.items() if one is not None})
        try:
            answer = read_json_object(raw)
        except MalformedRequestError as error:
            message = f"this is no admin API: {status} without JSON"
            if status >= 500:
                raise UpstreamError(message, where=self.url) from error
            raise SettingsError(message, where=self.url, hint="name the hub's admin listener") from error
        if not 200 <= status < 300:
            raise _problem(status, answer)
        return answer

    def change(self, method: str, path: str, why: str, **fields: Any) -> dict[str, Any]:
        """A request whose body says why; raises as `ask` does."""
        given = {name: value for name, value in fields.items() if value is not None}
        return self.ask(method, path, body=json.dumps({"why": why, **given}).encode())

    def put(
        self, method: str, path: str, *, why: str, name: str, document: bytes, version: int | None
    ) -> dict[str, Any]:
        """Hand over a document, byte for byte as it was written: no number in it is read and written again.

        Args:
            method: `POST` or `PUT`.
            path: The path below `/admin/v1`.
            why: Why.
            name: The field that holds the document.
            document: A JSON object.
            version: The version that the change was made on.

        Raises:
            MalformedRequestError: The document is no JSON object.
            CroupierError: As `ask`.
        """
        read_json_object(document)
        rest = {"why": why} | ({} if version is None else {"version": version})
        head = json.dumps(rest)[:-1].encode()
        return self.ask(method, path, body=b'%s, "%s": %s}' % (head, name.encode(), document.strip()))

    def operator_id(self, operator: str) -> str:
        """The id of an operator, given by name or id.

        Raises:
            NotFoundError: There is none of this name.
        """
        if _UUID.fullmatch(operator):
            return operator
        return self._named(operator, "/operators", "operator")

    def id_by_name(self, operator: str, plural: str, thing: str) -> str:
        """The id of a thing that has a name (`connections`, `sinks`), given by name or id; `operator` is an id.

        Raises:
            NotFoundError: There is none of this name.
        """
        if _UUID.fullmatch(thing):
            return thing
        return self._named(thing, f"/operators/{operator}/{plural}", plural.removesuffix("s"))

    def _named(self, name: str, path: str, word: str) -> str:
        for one in self.ask("GET", path)["items"]:
            if one["body"].get("name") == name:
                return str(one["id"])
        raise NotFoundError(f"there is no such {word}", where=name)

    def _exchange(self, method: str, path: str, body: bytes | None, query: Mapping[str, Any]) -> tuple[int, bytes]:
        connection, prefix = self._connection()
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        target = f"{prefix}/admin/v1{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        try:
            connection.connect()
        except OSError as error:
            raise TransportError(_reason(error), problem=TransportProblem.NOT_SENT, where=self.url) from error
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise TransportError(
                f"the connection broke: {type(error).__name__}", problem=TransportProblem.NO_ANSWER, where=self.url
            ) from error
        finally:
            connection.close()

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        if not self.key or not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise SettingsError("expected an administrator's key", where="key", hint="--key or CROUPIER_ADMIN_KEY")
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise SettingsError("expected an address like https://hub.example:8082", where="url") from None
        if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
            raise SettingsError("expected an address like https://hub.example:8082", where="url")
        prefix = parts.path.rstrip("/")
        if parts.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=self.ca)
            except (OSError, ssl.SSLError) as error:
                reason = (
                    "holds no certificates in PEM"
                    if isinstance(error, ssl.SSLError)
                    else f"cannot be read: {error.strerror}"
                )
                raise SettingsError(f"{self.ca} {reason}", where="ca") from error
            return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context), prefix
        if not self.plain_http and not _is_this_machine(host):
            raise SettingsError(
                "the key would travel unencrypted", where="url", hint="use https, or --plain-http inside a safe network"
            )
        return http.client.HTTPConnection(host, port, timeout=_SECONDS), prefix


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection can be made: {(error.reason or type(error).__name__).lower().replace('_', ' ')}"
    return f"the hub cannot be reached: {error.strerror or type(error).__name__}"


def _problem(status: int, answer: Mapping[str, Any]) -> CroupierError:
    """The hub's error as the same kind of error here."""
    error = answer.get("error")
    told: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    code = str(told.get("code") or f"status {status}")
    provider = f" {told['provider_code']}" if told.get("provider_code") else ""
    message = f"{told.get('message') or 'the hub gave no reason'} [{code}{provider}]"
    kinds = {
        400: MalformedRequestError,
        401: AuthenticationError,
        403: ForbiddenError,
        404: NotFoundError,
        409: ConflictError,
        413: BodyTooLargeError,
    }
    kind: type[CroupierError]
    if code in _SETTINGS:
        kind = FixConfigurationError
    elif status in {502, 503}:
        kind = RetryLaterError
    elif status < 500:
        kind = kinds.get(status, FixRequestError)
    else:
        kind = CroupierError
    return kind(message, where=told.get("where"), hint=told.get("hint"))


Command = TypeVar("Command", bound=Callable[..., Any])


def calls_the_hub(command: Command) -> Command:
    """Give a command what it needs to call a hub; its function gets an `Admin` as the argument `hub`."""

    def wrapped(*, url: str, key: str | None, ca: Path | None, plain_http: bool, **arguments: Any) -> Any:
        return command(hub=Admin(url=url, key=key or "", ca=ca, plain_http=plain_http), **arguments)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__click_params__ = list(getattr(command, "__click_params__", ()))  # type: ignore[attr-defined]  # where click collects options
    for option in reversed(_CALLING):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # click calls it by keywords, as it would have called the command


_CALLING: Final = (
    click.option("--url", envvar="CROUPIER_ADMIN_URL", default=DEFAULT_URL, show_default=True, show_envvar=True,
                 help="The hub's admin listener."),
    click.option("--key", envvar="CROUPIER_ADMIN_KEY", show_envvar=True,
                 help="An administrator's key. Others on this machine can read arguments: prefer the variable."),
    click.option("--ca", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                 help="The authorities to trust instead of the system's (PEM)."),
    click.option("--plain-http", is_flag=True, help="Send the key unencrypted to another machine."),
)  # fmt: skip

as_json = click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="The most to list."
)
cursor_option = click.option("--cursor", help="Go on behind a list that was too long: what it told.")
why_option = click.option("--why", required=True, help="Why: it is kept with the change, beside the name of the key.")


def tell_of_more(answer: Mapping[str, Any]) -> None:
    """Say how a list that was too long goes on."""
    if answer["next_cursor"]:
        click.echo(f"there are more: --cursor {answer['next_cursor']}", err=True)
