"""What a rule is: a record with a check. A broken one says what was sent, what came back and what is expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, IntEnum, unique
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import field, frozen

from croupier.contract import Capability, CroupierError, WalletCapability

if TYPE_CHECKING:
    from croupier_conformance.certification.bench import AdapterBench, WalletBench

Bench = TypeVar("Bench")


@unique
class Tier(IntEnum):
    """What a subject has proved; a tier holds if every rule up to it holds."""

    NONE = 0
    BRONZE = 1
    """It speaks its protocol: nothing unproven is believed, nothing is misread, every outcome has an answer."""
    SILVER = 2
    """Money is right through the real engine, in every order, repeated, late and lost."""
    GOLD = 3
    """All of the provider's documented operations are there or left out for a reason, both ways, with faults."""
    PLATINUM = 4
    """It is cheap, and offers what operators ask for beyond play: free rounds, logs, replay."""

    @property
    def word(self) -> str:
        """Its name for people and files."""
        return self.name.lower()


@unique
class Layer(Enum):
    """How a rule looks at its subject."""

    STATIC = "static"
    TRANSCRIPTS = "transcripts"
    PROPERTIES = "properties"
    SCENARIOS = "scenarios"
    MISTAKES = "mistakes"
    """Scenarios of what others get wrong: ids that are mixed up, parties that are switched off, a wallet's nonsense."""
    FLOWS = "flows"
    SPEED = "speed"
    WALLET = "wallet"


@frozen(kw_only=True)
class Exchange:
    """One message and its answer, as a report shows them: text, already without secrets.

    Attributes:
        title: What it is in the story of the rule.
        sent: The request.
        came_back: The answer; empty where there was none.
    """

    title: str
    sent: str
    came_back: str = ""


class RuleBrokenError(Exception):
    """The subject breaks a rule.

    Args:
        message: What is wrong, in a sentence.
        sent: What was sent, or the place in the code.
        came_back: What came back, or what stands there.
        hint: What usually mends it.
    """

    def __init__(self, message: str, *, sent: str = "", came_back: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.came_back = came_back
        self.hint = hint


class RuleNotApplicableError(Exception):
    """The subject has nothing that the rule is about; the text says what. It counts as not collected."""


@frozen(kw_only=True, eq=False)
class Rule(Generic[Bench]):
    """One rule.

    Attributes:
        slug: Its stable name, as in exemptions and on its page.
        layer: How it looks.
        tier: The tier that it belongs to.
        title: What holds, as a sentence.
        expects: What the rule expects, for the failure's message.
        check: Raises `RuleBrokenError` where it does not hold. Its docstring is the rule's page: why the rule is there,
            how it is checked, and how it is usually broken and mended.
        needs: Capabilities without which it is not collected: one of each set.
    """

    slug: str
    layer: Layer
    tier: Tier
    title: str
    expects: str
    check: Callable[[Bench], None] = field(repr=False)
    needs: tuple[frozenset[Capability | WalletCapability], ...] = ()

    def is_about(self, declared: frozenset[Capability] | frozenset[WalletCapability]) -> bool:
        """Whether a subject that declares this is checked by it."""
        return all(one & declared for one in self.needs)


AdapterRule = Rule["AdapterBench"]
WalletRule = Rule["WalletBench"]


class RuleError(CroupierError):
    """A rule is written wrong: its slug is taken, or its check has no text."""


class RuleBook(Generic[Bench]):
    """The rules of one kind of subject, in the order in which they are written."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule[Bench]] = {}

    def rule(
        self,
        slug: str,
        *,
        layer: Layer,
        tier: Tier,
        title: str,
        expects: str,
        needs: tuple[frozenset[Capability | WalletCapability], ...] = (),
    ) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
        """Make a rule of a check; to be used as its decorator.

        Raises:
            RuleError: The slug is taken, or the check has no docstring.
        """

        def register(check: Callable[[Bench], None]) -> Callable[[Bench], None]:
            if slug in self._rules:
                raise RuleError("there are two rules of this name", where=slug)
            if not (check.__doc__ or "").strip():
                raise RuleError("a rule's check explains itself in its docstring", where=slug)
            self._rules[slug] = Rule(
                slug=slug, layer=layer, tier=tier, title=title, expects=expects, check=check, needs=needs
            )
            return check

        return register

    def __iter__(self) -> Iterator[Rule[Bench]]:
        return iter(self._rules.values())

    def get(self, slug: str) -> Rule[Bench] | None:
        """The rule of a name."""
        return self._rules.get(slug)


ADAPTER_RULES: RuleBook[AdapterBench] = RuleBook()
"""Filled by the modules of `adapter_rules`; import that package to have them all."""

WALLET_RULES: RuleBook[WalletBench] = RuleBook()
"""Filled by the modules of `wallet_rules`; import that package to have them all."""
