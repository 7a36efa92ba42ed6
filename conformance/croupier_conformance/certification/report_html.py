"""The report as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, StrictUndefined

from croupier_conformance.certification.report import WORDS, Report, page_of, text_of
from croupier_conformance.certification.rule import Layer
from croupier_conformance.certification.run import Outcome


def html(report: Report) -> str:
    """The report as an HTML page; whatever a subject answered is text in it, never markup."""
    template = resources.files(__package__).joinpath("report_page.html.jinja").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    layers = [(layer, report.of_layer(layer)) for layer in Layer]
    return environment.from_string(template).render(
        report=report,
        certification=report.certification,
        layers=[(layer.value, results) for layer, results in layers if results],
        words=WORDS,
        wrong={Outcome.BROKEN, Outcome.ERROR},
        page_of=page_of,
        text_of=text_of,
    )
