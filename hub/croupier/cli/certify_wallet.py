"""`croupier certify wallet`: play the hub against an operator's test wallet, and say what it proved."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from croupier.cli.certify import all_rules, no_kit
from croupier.contract import Credentials, CroupierError, Currencies, SettingsError, WalletCapability
from croupier.registry import Registry

if TYPE_CHECKING:
    from croupier_conformance.certification.report import Report
    from croupier_conformance.certification.rule import WalletRule
    from croupier_conformance.certification.run_wallet import WalletKnobs
    from croupier_conformance.certification.wallet_subject import WalletSubject

_TIERS: Final = ("bronze", "silver", "gold", "platinum")
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_CAPABILITIES: Final = sorted(capability.value for capability in WalletCapability)


@click.command("wallet")
@click.option("--url", required=True, help="Where the wallet is.")
@click.option("--dialect", default="native", show_default=True, help="The wallet's protocol.")
@click.option("--settings", type=click.File("rb"), help="More settings of the dialect: a JSON object in a file.")
@click.option(
    "--secret-env",
    "secret_names",
    multiple=True,
    metavar="[FIELD=]NAME",
    help="The environment variable that holds the secret; with several secrets, one for each field.",
)
@click.option("--player", "players", multiple=True, required=True, help="A test player with money. Give two.")
@click.option("--session", "sessions", multiple=True, help="The session token of each player, in the same order.")
@click.option("--ended-session", help="A token of the first player's whose session has ended.")
@click.option("--currency", default="EUR", show_default=True, help="The test players' currency.")
@click.option("--scale", type=click.IntRange(0, 9), help="Digits after the point, of a currency of your own.")
@click.option("--game", default="certification--game", show_default=True, help="The game id that is sent.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(_CAPABILITIES),
    help="What the wallet cannot do; may be repeated.",
)
@click.option("--seed", type=click.IntRange(0), help="Of every id; by default a new one for each run.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 60), default=8.0, show_default=True, help="Seconds for an answer."
)
@click.option(
    "--settle",
    type=click.FloatRange(0, 60),
    default=0.5,
    show_default=True,
    help="Seconds in which a call that was given up may still take effect.",
)
@click.option(
    "--ca", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Trust these authorities (PEM)."
)
@click.option("--rule", "chosen", multiple=True, metavar="RULE", help="Check this rule only; may be repeated.")
@click.option("--html", type=_FILE, help="Write the report as one HTML page.")
@click.option("--junit", type=_FILE, help="Write the report as JUnit XML.")
@click.option("--json", "json_file", type=_FILE, help="Write the report as JSON.")
@click.option("--policy", type=_FILE, help="Write the knobs that were proved as JSON.")
@click.option("--minimum", type=click.Choice(_TIERS), help="Leave with status 1 unless this tier is proved.")
def wallet(
    *,
    url: str,
    dialect: str,
    settings: BinaryIO | None,
    secret_names: tuple[str, ...],
    players: tuple[str, ...],
    sessions: tuple[str, ...],
    ended_session: str | None,
    currency: str,
    scale: int | None,
    game: str,
    without: tuple[str, ...],
    seed: int | None,
    timeout: float,
    settle: float,
    ca: Path | None,
    chosen: tuple[str, ...],
    html: Path | None,
    junit: Path | None,
    json_file: Path | None,
    policy: Path | None,
    minimum: str | None,
) -> None:
    """Certify the test wallet at --url by playing the hub against it. Never use it on a wallet with real money.

    The two test players are used by nobody else meanwhile, have no limits, and hold money (the run says how much they
    need, and leaves them a little poorer). What was proved is printed as the part of the operator's configuration that
    follows from it.

    Leaves with status 0 if no rule is broken, or, with --minimum, if that tier is proved; with 1 if not; with 2 if the
    wallet cannot be certified as things are: not reached, another secret, no such player, too little money.
    """
    known = {rule.slug for kind, rule in all_rules() if kind == "wallet"}
    if unknown := sorted(set(chosen) - known):
        raise click.BadParameter(f"there is no rule {unknown[0]}: see `croupier certify rules`", param_hint="--rule")
    if chosen and minimum:
        raise click.UsageError("a part of the rules proves no tier: --minimum needs all of them")
    if len(players) != 2 or len(sessions) not in {0, 2}:
        raise click.UsageError("give --player twice, and --session twice or not at all")
    try:
        from croupier_conformance.certification.wallet_line import WalletLine
        from croupier_conformance.certification.wallet_subject import TestPlayer, WalletSubject

        speaks = Registry().configure_dialect(dialect, {**_more(settings), "url": url})
        money = Currencies({} if scale is None else {currency: scale}).get(currency)
        people = [
            TestPlayer(
                player=player,
                currency=money,
                session=sessions[number] if sessions else None,
                ended_session=ended_session if number == 0 else None,
            )
            for number, player in enumerate(players)
        ]
        credentials = _credentials(secret_names, [field.name for field in speaks.spec.secrets])
        line = WalletLine(ca)
    except ModuleNotFoundError as error:
        raise no_kit(error) from None
    except CroupierError as error:
        raise _Unfit(str(error)) from None
    with line:
        subject = WalletSubject(
            name=url,
            dialect=speaks,
            credentials=credentials,
            capabilities=speaks.spec.capabilities - {WalletCapability(one) for one in without},
            send=line.send,
            players=people,
            game=game,
            timeout_seconds=timeout,
            settle_seconds=settle,
        )
        drawn = secrets.randbits(48) if seed is None else seed
        report, knobs = _certify(subject, drawn, lambda rule: not chosen or rule.slug in chosen)
    _write(report, html, junit, json_file)
    if report.certification.whole:
        _tell(report, knobs, policy)
    certification = report.certification
    wrong = certification.tier.word not in _TIERS[_TIERS.index(minimum) :] if minimum else bool(certification.broken)
    if wrong:
        click.get_current_context().exit(1)


class _Unfit(click.ClickException):
    """The wallet cannot be certified as things are."""

    exit_code = 2


def _more(settings: BinaryIO | None) -> Mapping[str, Any]:
    if settings is None:
        return {}
    try:
        read = json.load(settings)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise SettingsError("expected a file with a JSON object", where="--settings")
    return read


def _credentials(names: tuple[str, ...], fields: list[str]) -> Credentials:
    """The secrets from the environment, by the dialect's names for them."""
    values: dict[str, tuple[str, ...]] = {}
    for given in names:
        field, equals, name = given.rpartition("=")
        if not equals and len(fields) != 1:
            raise SettingsError(
                f"expected FIELD=NAME with a FIELD of {', '.join(fields) or 'none'}", where="--secret-env"
            )
        field = field or fields[0]
        if field not in fields:
            raise SettingsError(f"the dialect has no secret {field}", where="--secret-env")
        secret = os.environ.get(name, "")
        if not secret:
            raise SettingsError(f"the environment variable {name} is not set", where="--secret-env")
        values[field] = (*values.get(field, ()), secret)
    if lacking := [field for field in fields if field not in values]:
        raise SettingsError(f"the secret {lacking[0]} is missing", where="--secret-env")
    return Credentials(values)


def _certify(subject: WalletSubject, seed: int, whether: Callable[[WalletRule], bool]) -> tuple[Report, WalletKnobs]:
    from croupier_conformance.certification.report import Report
    from croupier_conformance.certification.report_terminal import console, tell_report, tell_result
    from croupier_conformance.certification.run_wallet import NotReadyError, certify_wallet, check_ready, policy_of
    from croupier_conformance.certification.wallet_subject import NEEDED

    needs = " and ".join(f"{minor}" for minor in NEEDED)
    click.echo(f"The test players need {needs} minor units of {subject.players[0].currency.code}.")
    try:
        check_ready(subject)
    except NotReadyError as error:
        raise _Unfit(f"{error.message}. {error.hint}") from None
    except CroupierError as error:
        raise _Unfit(str(error)) from None
    screen = console()
    certification = certify_wallet(subject, seed=seed, only=whether, heard=partial(tell_result, screen))
    report = Report(certification=certification, date=datetime.now(UTC), seed=seed)
    tell_report(screen, report)
    return report, policy_of(certification, subject)


def _tell(report: Report, knobs: WalletKnobs, file: Path | None) -> None:
    document = json.dumps(knobs.as_document(), indent=2)
    click.echo("\nWhat was proved, for the operator's configuration:")
    click.echo(document)
    if not knobs.retry_safe:
        click.echo(
            "Not proven safe for retries: the hub takes back a bet that got no answer, and never sends it again."
        )
    if report.certification.whole and report.certification.tier.word not in _TIERS[1:]:
        click.echo("Below silver a wallet is not fit for real money: the hub repeats every win and rollback.")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{document}\n", "utf-8")


def _write(report: Report, html: Path | None, junit: Path | None, json_file: Path | None) -> None:
    from croupier_conformance.certification.report_html import html as as_html
    from croupier_conformance.certification.report_json import as_json
    from croupier_conformance.certification.report_junit import junit as as_junit

    for file, write in ((html, as_html), (junit, as_junit), (json_file, as_json)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(write(report), "utf-8")
            click.echo(f"report: {file}")
