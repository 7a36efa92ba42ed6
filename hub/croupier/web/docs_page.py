"""The documentation page of an OpenAPI document: one HTML page without scripts, which loads nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from croupier.web.problems import every_error

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem } h3 { margin-top: 2rem } code, pre { font: 14px/1.4 ui-monospace, monospace }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #8886; padding: .3rem .5rem }
td, th { text-align: left; vertical-align: top } nav li { display: inline-block; margin-right: 1rem }
nav ul { padding: 0 } .method { display: inline-block; min-width: 4.5rem; font-weight: 700 } .type { opacity: .75 }
"""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ info.title }}</title><style>{{ style|safe }}</style></head><body>
<h1>{{ info.title }}</h1><p>{{ info.summary }} Version {{ info.version }}; the machine-readable document is
<a href="openapi.json">openapi.json</a>.{% if own %} Every request carries
<code>Authorization: Bearer &lt;key&gt;</code>.{% endif %}</p>
{% for paragraph in about %}<p>{{ paragraph }}</p>{% endfor %}
<nav><ul>{% for tag in tags %}<li><a href="#{{ tag|replace(' ', '-') }}">{{ tag }}</a></li>{% endfor %}
<li><a href="#schemas">schemas</a></li>{% if own %}<li><a href="#errors">errors</a></li>{% endif %}</ul></nav>
{% for tag, operations in tags.items() %}<h2 id="{{ tag|replace(' ', '-') }}">{{ tag }}</h2>
{% for path, method, one in operations %}<h3 id="{{ one.operationId }}"><span class="method">{{ method|upper }}</span>
<code>{{ path }}</code></h3><p>{{ one.summary }}{% if one.description %}. {{ one.description }}{% endif %}</p>
{% if one.parameters %}<table><tr><th>Parameter</th><th>Type</th><th>Meaning</th></tr>
{% for each in one.parameters|map('whole') %}<tr><td><code>{{ each.name }}</code>
{%- if each.required %} *{% endif %}</td>
<td class="type">{{ kind(each.schema) }}</td><td>{{ each.description or '' }}</td></tr>{% endfor %}</table>{% endif %}
{% if one.requestBody %}<p>Body: {{ kind(one.requestBody.content['application/json'].schema) }}</p>{% endif %}
<p>Answer: {% for status, answer in one.responses.items() %}{% if answer.content %}{{ status }}
{{ kind(answer.content['application/json'].schema) }}{% endif %}{% endfor %}</p>{% endfor %}{% endfor %}
<h2 id="schemas">schemas</h2>{% for name, schema in schemas.items() %}<h3 id="schema-{{ name }}">{{ name }}</h3>
<p>{{ schema.description or '' }}</p>
{% if schema.enum %}<p class="type">one of {{ schema.enum|join(', ') }}</p>{% endif %}
{% if schema.properties %}<table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>
{% for field, each in schema.properties.items() %}<tr><td><code>{{ field }}</code>
{%- if field in (schema.required or []) %} *{% endif %}</td><td class="type">{{ kind(each) }}</td>
<td>{{ each.description or '' }}</td></tr>{% endfor %}</table>{% endif %}{% endfor %}
{% if own %}<h2 id="errors">errors</h2><p>An error is answered as {{ link({'$ref': '/ProblemAnswer'}) }}.</p>
<table><tr><th>Code</th><th>Status</th><th>Meaning</th></tr>{% for each in errors %}
<tr id="{{ each.code }}"><td><code>{{ each.code }}</code></td><td>{{ each.status }}</td>
<td>{{ first_line(each) }}</td></tr>{% endfor %}</table>{% endif %}</body></html>
"""


def docs_page(document: Mapping[str, Any]) -> tuple[str, str]:
    """The documentation as one page that loads nothing, and the text of its style (for the content policy)."""
    from jinja2 import Environment
    from markupsafe import Markup, escape

    def link(schema: Mapping[str, Any]) -> Markup:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return Markup('<a href="#schema-{0}"><code>{0}</code></a>').format(name)

    def kind(schema: Mapping[str, Any]) -> Markup:
        if "$ref" in schema:
            return link(schema)
        if options := schema.get("allOf"):
            return Markup(" ").join(kind(option) for option in options if "$ref" in option)
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return Markup(" or ").join(kind(option) for option in options)
        if schema.get("type") == "array":
            return Markup("list of ") + kind(schema.get("items") or {"type": "anything"})
        if isinstance(schema.get("additionalProperties"), Mapping):
            return Markup("object of ") + kind(schema["additionalProperties"])
        bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
        return escape(" ".join([str(schema.get("type", "any")), *bounds]))

    tags: dict[str, list[tuple[str, str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, one in operations.items():
            tags.setdefault((one.get("tags") or ["operations"])[0], []).append((path, method, one))
    environment = Environment(autoescape=True)
    environment.filters["whole"] = lambda part: _whole(document, part)
    page = environment.from_string(_PAGE)
    text = page.render(
        info=document["info"],
        tags=tags,
        own="bearer" in str(document["components"].get("securitySchemes", "")),
        about=[part for part in document["info"].get("description", "").split("\n\n") if part],
        schemas=document["components"]["schemas"],
        errors=every_error(),
        style=_STYLE,
        link=link,
        kind=kind,
        first_line=lambda error: (inspect.getdoc(error) or "").partition("\n")[0],
    )
    return text, _STYLE


def _whole(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of the document itself, where only a reference to it stands."""
    if "$ref" not in part:
        return part
    found: Any = document
    for name in str(part["$ref"]).removeprefix("#/").split("/"):
        found = found[name]
    whole: Mapping[str, Any] = found
    return whole


_BOUNDS: Final = {
    "format": "",
    "minimum": "from",
    "maximum": "to",
    "minLength": "of at least",
    "maxLength": "of at most",
    "pattern": "like",
    "default": "default",
}
