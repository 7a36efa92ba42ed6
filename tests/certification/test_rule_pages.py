"""Every rule has its page, and what is committed is what the rules say now."""

from __future__ import annotations

from pathlib import Path

from croupier_conformance.certification.pages import INDEX, pages, rules, write
from croupier_conformance.certification.report import page_name

FOLDER = Path(__file__).resolve().parents[2] / "hub/docs/rules"


def test_the_pages_are_those_of_the_rules() -> None:
    there = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*")}
    wanted = pages()
    outdated = sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))
    assert outdated == [], "run `python -m croupier_conformance.certification.pages`"


def test_every_rule_has_one_page_and_stands_in_the_index() -> None:
    names = [page_name(rule) for _, rule in rules()]
    assert names
    assert len(set(names)) == len(names)
    text = pages()[INDEX]
    assert [name for name in names if f"]({name})" not in text] == []


def test_a_page_tells_what_the_rule_says() -> None:
    for kind, rule in rules():
        text = pages()[page_name(rule)]
        assert text.startswith(f"# {rule.title}\n")
        for told in (f"`{rule.slug}`", kind, rule.tier.word, rule.layer.value, rule.expects.rstrip(".")):
            assert told in text


def test_pages_of_rules_that_are_gone_are_removed_and_the_rest_is_left_alone(tmp_path: Path) -> None:
    assert set(write(tmp_path)) == set(pages())
    assert write(tmp_path) == []
    (tmp_path / "gone.md").write_text("# Gone")
    (tmp_path / INDEX).write_text("old")
    assert write(tmp_path) == [INDEX, "gone.md"]
    assert {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()} == pages()
