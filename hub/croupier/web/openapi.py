"""The OpenAPI document and the documentation page of a JSON API, made from its table of endpoints.

The classes that read requests and write answers give the schemas, their docstrings the descriptions: a field that is
not documented there is not documented anywhere, and none can be documented that is not there.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, get_type_hints

import attrs
import msgspec
from attrs import frozen

from croupier import __version__
from croupier.contract import Headers, HttpResponse
from croupier.web.api import AnyEndpoint, Document, Nothing, RouteTable
from croupier.web.docs_page import docs_page
from croupier.web.problems import STATUS_WORDS, ProblemAnswer

_REF: Final = "#/components/schemas/{name}"
_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.*)$")
_ALWAYS: Final = (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 502, 503)


@frozen(kw_only=True)
class Told:
    """A message that the hub sends to the caller of an API, on its own account.

    Attributes:
        name: Its name in the document.
        summary: When it is sent.
        body: The class that describes it. It may grow: a receiver passes over what it does not know.
    """

    name: str
    summary: str
    body: type[Any]


@frozen(kw_only=True)
class ApiDescription:
    """What an API says of itself.

    Attributes:
        name: Its short name.
        title: Its title.
        summary: What it is for.
        prefix: What its documents' paths begin with (`/admin`), or empty.
        told: What the hub sends by itself.
    """

    name: str
    title: str
    summary: str
    prefix: str
    told: tuple[Told, ...] = ()


def documents(description: ApiDescription, table: RouteTable) -> Mapping[str, Document]:
    """The documents that the API shows to everybody, by path."""
    return shown(lambda: openapi(description, table), description.prefix)


def shown(make: Callable[[], Mapping[str, Any]], prefix: str) -> Mapping[str, Document]:
    """An OpenAPI document and the page made of it, by path below a prefix.

    Both are made when one is first asked for: most processes never are, and every one of them starts the sooner.
    """
    made = cache(lambda: _shown(make()))
    return {f"{prefix}/openapi.json": lambda: made()[0], f"{prefix}/docs": lambda: made()[1]}


def _shown(document: Mapping[str, Any]) -> tuple[HttpResponse, HttpResponse]:
    raw = msgspec.json.format(msgspec.json.encode(document), indent=1)
    page, style = docs_page(msgspec.json.decode(raw))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    common = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-cache"))
    html = Headers((("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy), *common))
    json = Headers((("Content-Type", "application/json"), *common))
    return HttpResponse(200, json, raw), HttpResponse(200, html, page.encode())


def openapi(description: ApiDescription, table: RouteTable) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a table."""
    kinds = {kind for endpoint in table.endpoints for kind in (endpoint.body, endpoint.answer) if kind is not Nothing}
    queries = {endpoint.query for endpoint in table.endpoints if endpoint.query is not Nothing}
    sent = [told.body for told in description.told]
    named = sorted({*kinds, *queries, *sent, ProblemAnswer}, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(named, ref_template=_REF)
    _describe(components, _attrs_classes(named))
    for name in _attrs_classes(sent).keys() - _attrs_classes([*kinds, *queries]).keys():
        components[name].pop("additionalProperties")
    paths: dict[str, Any] = {}
    for endpoint in table.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, components)
    for query in queries:
        components.pop(query.__name__)
    webhooks = {told.name: {"post": _webhook(told)} for told in description.told}
    return {
        "openapi": "3.1.0",
        "info": {"title": description.title, "version": __version__, "summary": description.summary},
        "paths": paths,
        **({"webhooks": webhooks} if webhooks else {}),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key of the hub."}},
            "responses": {
                str(status): {
                    "description": STATUS_WORDS[status],
                    "content": {"application/json": {"schema": {"$ref": _REF.format(name="ProblemAnswer")}}},
                }
                for status in _ALWAYS
            },
        },
        "security": [{"key": []}],
    }


def _operation(endpoint: AnyEndpoint, components: Mapping[str, Any]) -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": _REF.format(name=endpoint.answer.__name__)}}}
    operation: dict[str, Any] = {
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "responses": {
            str(endpoint.status): {"description": "Done.", "content": answer},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in _ALWAYS},
        },
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in endpoint.parameters
    ]
    if endpoint.query is not Nothing:
        schema = components[endpoint.query.__name__]
        for name, value in schema.get("properties", {}).items():
            plain = {key: item for key, item in value.items() if key != "description"}
            parameter = {"name": name, "in": "query", "schema": _without_null(plain)}
            if name in schema.get("required", ()):
                parameter["required"] = True
            if "description" in value:
                parameter["description"] = value["description"]
            parameters.append(parameter)
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not Nothing:
        reference = {"$ref": _REF.format(name=endpoint.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    return operation


def _webhook(told: Told) -> dict[str, Any]:
    """A message as Standard Webhooks sends it; `Amount` and the like are shared with the answers of the API."""
    headers = (
        ("webhook-id", "The same for every attempt to deliver this message."),
        ("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
        ("webhook-signature", "`v1,` and a signature in base64, for each valid secret, parted by spaces."),
    )
    reference = {"$ref": _REF.format(name=told.body.__name__)}
    return {
        "operationId": f"events.{told.name}",
        "summary": told.summary,
        "tags": ["events"],
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": words}
            for name, words in headers
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": reference}}},
        "responses": {
            "2XX": {"description": "Taken: it is not sent again."},
            "410": {"description": "No events are wanted any more."},
            "default": {"description": "Not taken: it is sent again."},
        },
    }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, never null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    return {**rest, **options[0]}


def _attrs_classes(kinds: list[Any]) -> dict[str, Any]:
    """Every attrs class that is reached from some, by name."""
    found: dict[str, Any] = {}
    waiting: list[Any] = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting.extend(getattr(kind, "__args__", ()))
        if isinstance(kind, type) and attrs.has(kind) and kind.__name__ not in found:
            found[kind.__name__] = kind
            waiting.extend(get_type_hints(kind).values())
    return found


def _describe(components: dict[str, Any], classes: Mapping[str, Any]) -> None:
    """Take the descriptions of classes and fields from docstrings; refuse what is not among the fields sent."""
    for name, schema in components.items():
        kind = classes.get(name)
        text = inspect.cleandoc(kind.__doc__ or "") if kind else schema.get("description", "")
        summary = text.partition("\n\n")[0]
        schema["description"] = " ".join(summary.split())
        if kind is None:
            schema.pop("description") if not schema["description"] else None
            continue
        schema["additionalProperties"] = False
        for base in reversed(kind.__mro__):
            for field, words in _attribute_words(inspect.cleandoc(base.__doc__ or "")).items():
                if field in schema.get("properties", {}):
                    schema["properties"][field]["description"] = words


def _attribute_words(text: str) -> dict[str, str]:
    """The words of an `Attributes:` section, by attribute."""
    found: dict[str, str] = {}
    name = ""
    for line in text.partition("Attributes:\n")[2].splitlines():
        begins = _ATTRIBUTE.match(line)
        if begins:
            name, found[begins[1]] = begins[1], begins[2].strip()
        elif name and line.startswith(" " * 8):
            found[name] += " " + line.strip()
    return found
