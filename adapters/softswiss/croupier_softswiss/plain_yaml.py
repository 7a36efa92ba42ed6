"""YAML without what catalogue files do not need: aliases are refused, tags mean nothing, scalars stay their own text.

Written over PyYAML's events, which come one by one: its loaders recurse, and one of them ends the whole process on
a file that is nested deeply enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # PyYAML carries no types

from croupier.contract import MAX_DEPTH, MalformedRequestError

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_PARSER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_plain_yaml(body: bytes) -> Any:
    """Read the first document into dicts, lists and texts; what is null in YAML is `None`.

    Raises:
        MalformedRequestError: No YAML, an alias, a key that stands twice or is no text, or nesting deeper than
            `MAX_DEPTH`.
    """
    try:
        text = body.decode("utf-8")
        return _document(yaml.parse(text, Loader=_PARSER))
    except (yaml.YAMLError, ValueError) as error:
        raise MalformedRequestError(f"no YAML: {type(error).__name__}") from None


def _document(events: Iterator[Any]) -> Any:
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            return _node(event, events, 1)
    return None


def _node(event: Any, events: Iterator[Any], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise MalformedRequestError(f"the YAML is nested deeper than {MAX_DEPTH}")
    if isinstance(event, yaml.ScalarEvent):
        return None if event.implicit[0] and event.value in _NULLS else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return [_node(item, events, depth + 1) for item in _until(yaml.SequenceEndEvent, events)]
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(events, depth)
    raise MalformedRequestError("the YAML has an alias", where=f"line {event.start_mark.line + 1}")


def _mapping(events: Iterator[Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for event in _until(yaml.MappingEndEvent, events):
        key = _node(event, events, depth + 1)
        if not isinstance(key, str) or key in found:
            raise MalformedRequestError("a key stands twice or is no text", where=f"line {event.start_mark.line + 1}")
        found[key] = _node(next(events), events, depth + 1)
    return found


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event
