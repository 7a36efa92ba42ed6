"""Layer of static rules: what stands in the package's source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, Tier
from croupier_conformance.certification.source import SourceFile, has_file, modules

STANDARD: Final = frozenset(
    """
    __future__ abc base64 binascii bisect calendar collections contextlib copy csv dataclasses datetime decimal enum
    functools hashlib heapq hmac html io itertools json math operator re string struct textwrap types typing unicodedata
    urllib.parse uuid xml.etree.ElementTree xml.sax.saxutils zlib
    """.split()
)
"""Modules of the standard library that compute and do nothing else."""

LIBRARIES: Final = frozenset(
    "attr attrs msgspec orjson defusedxml yaml cryptography.hazmat cryptography.x509 cryptography.exceptions".split()
)
"""Other libraries that compute and do nothing else; of PyYAML what builds objects is forbidden beside."""

CONTRACT: Final = "croupier.contract"
HOOK: Final = "hookimpl"

_CALLS: Final = {
    "open": "it opens a file",
    "print": "it prints",
    "input": "it reads from a terminal",
    "breakpoint": "it stops the process",
    "eval": "it runs text as code",
    "exec": "it runs text as code",
    "compile": "it runs text as code",
    "__import__": "it imports what nobody sees",
}
_METHODS: Final = {
    "io.open": "it opens a file",
    "datetime.now": "it reads a clock",
    "datetime.utcnow": "it reads a clock",
    "datetime.today": "it reads a clock",
    "date.today": "it reads a clock",
    "uuid.uuid1": "it reads a clock and an address",
    "uuid.uuid4": "it is left to chance",
    "uuid1": "it reads a clock and an address",
    "uuid4": "it is left to chance",
    "yaml.load": "it builds objects that the text names",
    "yaml.unsafe_load": "it builds objects that the text names",
    "yaml.full_load": "it builds objects that the text names",
    "ElementTree.parse": "it expands entities: defusedxml reads",
    "ElementTree.fromstring": "it expands entities: defusedxml reads",
    "ElementTree.iterparse": "it expands entities: defusedxml reads",
    "ElementTree.XML": "it expands entities: defusedxml reads",
}
_FLOATING: Final = {
    "timestamp": "seconds since 1970 as a float: use epoch_ms or epoch_seconds",
    "total_seconds": "a float: divide by a timedelta",
    "fromtimestamp": "it takes a float: use from_epoch_ms",
}


@ADAPTER_RULES.rule(
    "imports-are-pure",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="A package imports the contract, itself, and what only computes",
    expects="no module beyond croupier.contract, the package, and the kit's lists of pure modules is imported",
)
def imports_are_pure(bench: AdapterBench) -> None:
    """What is not imported cannot be used: no socket, file, clock, environment, chance, log, thread or event loop.

    The rule walks every module of the package, the peer too. It allows `croupier.contract`, `from croupier import
    hookimpl`, the package itself, modules of the standard library that compute, and attrs, msgspec, orjson,
    cryptography's primitives, defusedxml and PyYAML's events. It is usually broken by `os`, `time`, `random`, `logging`
    or an HTTP client: the hub does all of that, and hands in what is needed.
    """
    package = bench.subject.package
    for module in modules(bench.subject):
        for node, name, taken in _imports(module):
            if not _is_pure(name, taken, package):
                raise RuleBrokenError(
                    f"{name} is imported", sent=module.place(node), came_back=name, hint="the hub does that: hand it in"
                )


@ADAPTER_RULES.rule(
    "calls-are-pure",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="Nothing is read or done outside of the arguments",
    expects="no open, print, eval, clock, chance, unsafe reader, global statement, async or thread in the source",
)
def calls_are_pure(bench: AdapterBench) -> None:
    """A function of its arguments alone can be replayed, fuzzed, run twice and in any process.

    The rule looks for calls that reach outside with what a pure module still offers: `open`, `datetime.now`, `uuid4`,
    `yaml.load`; and for `global`, `async` and `await`. It is usually broken by a time stamp "only for the answer":
    `render` is handed `now` and a nonce.
    """
    for module in modules(bench.subject):
        for node in module.nodes:
            why = _impure(node)
            if why is not None:
                raise RuleBrokenError(
                    f"{module.path}: {why}", sent=module.place(node), came_back=ast.unparse(node)[:400]
                )


@ADAPTER_RULES.rule(
    "no-float",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="There is no float",
    expects="no float literal, no float type, no true division, no round and nothing that returns a float",
)
def there_is_no_float(bench: AdapterBench) -> None:
    """0.1 + 0.2 is not 0.3, and an amount that went through a float is no longer what the provider sent.

    The rule looks for literals with a point, for `float`, for `/` and `round` (of decimals, too: they round by a
    context that anybody may set), and for methods that return floats. `WireAmount` and `Balance` do what adapters need
    of arithmetic; a peer that scales amounts does it by `scaleb` in a context of its own.
    """
    for module in modules(bench.subject):
        for node in module.nodes:
            why = _floating(node)
            if why is not None:
                raise RuleBrokenError(
                    f"{module.path}: {why}", sent=module.place(node), came_back=ast.unparse(node)[:400]
                )


@ADAPTER_RULES.rule(
    "everything-is-typed",
    layer=Layer.STATIC,
    tier=Tier.BRONZE,
    title="Every function says what it takes and returns",
    expects="every parameter and result has an annotation, and the package has its py.typed",
)
def everything_is_typed(bench: AdapterBench) -> None:
    """The contract is types: what checks them finds a forgotten outcome before a player does.

    The rule looks at every function of the package, inner ones too; `self`, `cls` and lambdas need no annotation.
    Whether the annotations hold is for a type checker: run mypy in strict mode. It is usually broken by a missing
    `-> None`, or by a package without `py.typed`.
    """
    if not has_file(bench.subject, "py.typed"):
        raise RuleBrokenError("the package has no py.typed", sent=bench.subject.package, came_back="no such file")
    for module in modules(bench.subject):
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef):
                missing = list(_untyped(node))
                if missing:
                    raise RuleBrokenError(
                        f"{node.name} does not say of what type {', '.join(missing)} is",
                        sent=module.place(node),
                        came_back="no annotation",
                    )


def _imports(module: SourceFile) -> Iterator[tuple[ast.AST, str, str]]:
    """Every import: its node, the module, and what is taken from it."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node, "." * node.level + (node.module or ""), alias.name


def _is_pure(name: str, taken: str, package: str) -> bool:
    if name == "croupier":
        return taken == HOOK
    if name.startswith("."):
        return True
    allowed = (CONTRACT, package, *LIBRARIES)
    if any(name == one or name.startswith(f"{one}.") for one in allowed):
        return True
    whole = f"{name}.{taken}"
    return name.partition(".")[0] in STANDARD - {"xml", "urllib"} or name in STANDARD or whole in STANDARD


def _impure(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS or name in _METHODS:
            return f"{name}: {_CALLS.get(name) or _METHODS[name]}"
        case ast.Call(func=ast.Attribute(value=value, attr=attr)):
            end = ast.unparse(value).rpartition(".")[2]
            why = _METHODS.get(f"{end}.{attr}")
            return f"{end}.{attr}: {why}" if why else None
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            return "async: the hub awaits, an adapter computes"
        case ast.Global():
            return "global: an adapter keeps nothing"
        case _:
            return None


def _floating(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=float() | complex()):
            return "a float literal"
        case ast.Name(id="float"):
            return "float"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "a division with /"
        case ast.Call(func=ast.Name(id="round")):
            return "round"
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in _FLOATING:
            return f"{attr}: {_FLOATING[attr]}"
        case _:
            return None


def _untyped(function: ast.FunctionDef) -> Iterator[str]:
    told = function.args
    named = [*told.posonlyargs, *told.args]
    if named and named[0].arg in {"self", "cls"}:
        named = named[1:]
    more = [one for one in (told.vararg, told.kwarg) if one is not None]
    for argument in (*named, *told.kwonlyargs, *more):
        if argument.annotation is None:
            yield argument.arg
    if function.returns is None:
        yield "the result"
