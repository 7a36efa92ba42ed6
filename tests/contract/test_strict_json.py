"""The one reader of JSON from outside."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import MalformedRequestError, read_json, read_json_object

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_what_python_writes_is_read_as_it_was(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value


def test_numbers_with_a_point_are_exact() -> None:
    assert read_json(b'{"a": 1.00000000000000000001, "b": 1e2}') == {
        "a": Decimal("1.00000000000000000001"),
        "b": Decimal("1e2"),
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff{}",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e400}',
        b'{"a": ' + b"9" * 50 + b"}",
        b'{"a": 0.' + b"1" * 50 + b"}",
        b"[" * 40 + b"]" * 40,
        b'{"a": 1} {"b": 2}',
        b"{'a': 1}",
    ],
)
def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read_json(body)


def test_brackets_in_text_are_no_depth() -> None:
    assert read_json(json.dumps(["[" * 100 + '"' + "{" * 100])) == ["[" * 100 + '"' + "{" * 100]


def test_a_body_that_is_no_object_is_refused_where_one_is_needed() -> None:
    with pytest.raises(MalformedRequestError, match="object"):
        read_json_object(b"[]")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else_happens(body: bytes) -> None:
    with contextlib.suppress(MalformedRequestError):
        read_json(body)
