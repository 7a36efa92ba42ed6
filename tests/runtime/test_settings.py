"""A settings file that is right, and every way to be wrong with its key and line."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from croupier.contract import SettingsError
from croupier.runtime import settings as module
from croupier.runtime.settings import Settings, check_settings, load_settings
from croupier.runtime.settings_files import check_files
from croupier.runtime.toml_lines import line_of

KEY = base64.b64encode(bytes(range(32))).decode()
MINIMAL = '[secrets]\ncurrent = "k1"\nkeys.k1 = { env = "HUB_KEY" }\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "hub.toml"
    file.write_text(text)
    return file


def test_the_smallest_file_names_the_keys_for_secrets(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL))
    assert settings.listeners.providers.port == 8080
    assert settings.listeners.providers.tls is None
    assert settings.database.sqlite_path == tmp_path / "croupier.db"
    assert settings.outgoing.guard().refuses_url("http://wallet.example/") is not None
    assert settings.secrets.read({"HUB_KEY": KEY}) == {"k1": bytes(range(32))}


def test_the_file_in_the_documentation_has_every_section_and_is_right(tmp_path: Path) -> None:
    example = (module.__doc__ or "").split("```toml\n")[1].split("```")[0]
    settings = load_settings(write(tmp_path, example))
    assert settings.owner == "hub-1"
    assert settings.listeners.providers.tls is not None
    assert settings.listeners.providers.tls.client_ca == tmp_path / "tls/providers.pem"
    assert settings.listeners.admin.port == 8082
    assert settings.packages.allow_list().refuses_adapter("other", "croupier-other") is not None
    assert settings.packages.allow_list().refuses_adapter("pragmatic", "croupier-pragmatic") is None
    assert settings.outgoing.guard().refuses_address("10.20.1.1") is None
    sections = {name for name in Settings.__annotations__ if name != "owner"}
    assert {name for name in sections if f"[{name}" in example} == sections


def test_an_absolute_database_path_stays_as_it_is(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL + '[database]\nurl = "sqlite:////var/lib/hub.db"\n'))
    assert settings.database.sqlite_path == Path("/var/lib/hub.db")


def test_a_database_server_has_no_file_and_does_not_show_its_password(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL + '[database]\nurl = "postgresql://u:hunter2@db/hub"\n'))
    assert settings.database.sqlite_path is None
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[listeners.providers]\nhost = 'x'\nport = '80'",
            "6: listeners.providers.port: expected a whole number, not text",
        ),
        (
            "[listeners]\nproviders.port = true",
            "5: listeners.providers.port: expected a whole number, not true or false",
        ),
        ("listeners = 7", "1: listeners: expected a table of keys and values, not a whole number"),
        (
            "[listeners.admin]\nport = 70000",
            "5: listeners.admin.port: expected a number from 0 to 65535",
        ),
        (
            "[listeners.admin]\ntls = { certificate = 'a.crt' }",
            "5: listeners.admin.tls.key: is missing: expected a path as text",
        ),
        (
            "[listeners.admin]\ntls = { certificate = 'a', key = 'b', client_required = true }",
            "5: listeners.admin.tls.client_ca: is missing: client_required needs the authorities",
        ),
        ("[listeners.web]\nport = 1", "4: listeners.web: unknown key: expected admin, operators, probes or providers"),
        ("[limits]\n\n# a comment\nbody_byte = 1", "7: limits.body_byte: unknown key: did you mean body_bytes?"),
        ("[limits]\nbody_bytes = 1", "5: limits.body_bytes: expected a number from 1024 to 67108864"),
        (
            '[database]\nurl = "mysql://db"',
            "5: database.url: expected sqlite:///PATH or postgresql://HOST/NAME",
        ),
        (
            '[database]\nurl = "sqlite://hub.db"',
            "5: database.url: expected three slashes and a path: sqlite:///croupier.db",
        ),
        ('[database]\nurl = "postgresql://u:p@ss@db/hub"', "5: database.url: @ in a user or password is written %40"),
        (
            '[database]\nurl = "postgresql://u:pa/ss@db/hub"',
            "5: database.url: expected a number as port (in a user or password / is written %2F, ? %3F and # %23)",
        ),
        ('[telemetry]\nlevel = "loud"', '5: telemetry.level: expected "debug", "info", "warning" or "error"'),
        (
            '[outgoing]\nnetworks = ["10.0.0.0/8", "ten"]',
            "5: outgoing.networks.1: expected a CIDR block such as 10.0.0.0/8",
        ),
        ("[packages]\nadapters = 'pragmatic'", "5: packages.adapters: expected a list, not text"),
        ("[deliveries]\nscale = 0", "5: deliveries.scale: expected a number from 0.001 to 1000000"),
    ],
)
def test_a_wrong_value_is_told_with_its_line_and_path(tmp_path: Path, text: str, problem: str) -> None:
    whole = MINIMAL + text if text.startswith("[") else text + "\n" + MINIMAL
    file = write(tmp_path, whole)
    assert [str(found) for found in check_settings(file)] == [f"line {problem}"]
    line, path, message = problem.split(": ", 2)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert caught.value.where == f"{file}:{line} {path}"
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("owner = hub", "line 1 column 9: not TOML: Invalid value"),
        ("a = 1\nb 2", "line 2 column 3: not TOML: Expected '=' after a key in a key/value pair"),
        ("a = 1\na = 2", "line 2 column 6: not TOML: Cannot overwrite a value"),
        ('a = "x', "line 1 column 7: not TOML: Unterminated string"),
    ],
)
def test_wrong_syntax_is_told_with_its_line_and_column(tmp_path: Path, text: str, problem: str) -> None:
    assert [str(found) for found in check_settings(write(tmp_path, text))] == [problem]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, '[limits]\nbody_bytes = "x"\nzzz = 1\n')
    assert [(found.path, found.line) for found in check_settings(file)] == [
        ("secrets", None),
        ("limits.body_bytes", 2),
        ("limits.zzz", 3),
    ]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_settings(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_bytes(b"owner = '\xff'")
    assert [str(found) for found in check_settings(file)] == ["the file is not UTF-8"]


@pytest.mark.parametrize(
    ("keys", "environ", "where"),
    [
        ('keys.k1 = { env = "HUB_KEY" }', {}, "secrets.keys.k1.env"),
        ('keys.k1 = { env = "HUB_KEY" }', {"HUB_KEY": "hunter2"}, "secrets.keys.k1"),
        ('keys.k1 = { env = "HUB_KEY" }', {"HUB_KEY": base64.b64encode(b"short").decode()}, "secrets.keys.k1"),
        ('keys.k1 = { file = "missing" }', {}, "secrets.keys.k1.file"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_its_text(
    tmp_path: Path, keys: str, environ: dict[str, str], where: str
) -> None:
    settings = load_settings(write(tmp_path, f'[secrets]\ncurrent = "k1"\n{keys}\n'))
    with pytest.raises(SettingsError) as caught:
        settings.secrets.read(environ)
    assert caught.value.where == where
    assert "hunter2" not in str(caught.value)


def test_a_key_is_read_from_a_file_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "k1").write_text(KEY + "\n")
    settings = load_settings(write(tmp_path, '[secrets]\ncurrent = "k1"\nkeys.k1 = { file = "k1" }\n'))
    assert settings.secrets.read({}) == {"k1": bytes(range(32))}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('current = "k2"\nkeys.k1 = { env = "A" }', "secrets.current: there is no key of this id"),
        ('current = "k1"\nkeys.k1 = { env = "A", file = "b" }', "secrets.keys.k1: expected either a file or an env"),
        ('current = "k1"\nkeys.k1 = {}', "secrets.keys.k1: expected either a file or an env"),
        ('current = "k1"\nkeys.k1 = "c2VjcmV0"', "secrets.keys.k1: expected a table of keys and values, not text"),
    ],
)
def test_keys_that_make_no_sense_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = check_settings(write(tmp_path, f"[secrets]\n{text}\n"))
    assert f"{found.path}: {found.message}" == problem


def test_lines_are_found_in_tables_dotted_keys_and_arrays_of_tables() -> None:
    text = '[a]\nb.c = 1\n[[d]]\nx = 1\n[[d]]\nx = 2\n[a."q.r"]\ny = { z = 1 }\n'
    assert line_of(text, ["a", "b", "c"]) == 2
    assert line_of(text, ["d", "0", "x"]) == 4
    assert line_of(text, ["d", "1", "x"]) == 6
    assert line_of(text, ["a", "q.r", "y", "z"]) == 8
    assert line_of(text, ["a", "nothing"]) == 1
    assert line_of(text, ["nowhere"]) is None


def test_the_servers_address_is_not_shown_and_rates_are_unlimited_unless_named(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL + '[accelerator]\nurl = "rediss://u:hunter2@cache/0"\n'))
    assert settings.accelerator.url == "rediss://u:hunter2@cache/0"
    assert "hunter2" not in repr(settings)
    assert (settings.rates.operator_api, settings.rates.operator_api_address, settings.rates.connection) == (None,) * 3


@pytest.mark.parametrize("url", ["http://cache", "cache:6379", "redis://", "memcached://cache"])
def test_a_server_of_another_kind_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(write(tmp_path, MINIMAL + f'[accelerator]\nurl = "{url}"\n'))
    assert "accelerator.url" in str(refused.value)
    assert "redis+cluster://" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis://cache:port/0", "rediss://cache:65536", "redis+cluster://cache:0", "redis://u:hunter2#x@cache"]
)
def test_a_server_whose_port_is_none_is_refused_without_showing_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"accelerator\.url: expected a port") as refused:
        load_settings(write(tmp_path, MINIMAL + f'[accelerator]\nurl = "{url}"\n'))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://[::1]:6379", "unix:///run/cache:1/socket", "rediss://u:p%40@cache/1"])
def test_an_address_of_a_server_needs_no_port(tmp_path: Path, url: str) -> None:
    assert load_settings(write(tmp_path, MINIMAL + f'[accelerator]\nurl = "{url}"\n')).accelerator.url == url


@pytest.mark.parametrize("rate", ["0", "-1", "2000000", '"many"'])
def test_a_rate_that_cannot_be_one_is_refused(tmp_path: Path, rate: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(write(tmp_path, MINIMAL + f"[rates]\nconnection = {rate}\n"))
    assert "rates.connection" in str(refused.value)


def test_files_that_a_start_could_not_use_are_told_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing\n")
    text = """
[secrets]
current = "k1"
keys.k1 = { file = "missing.key" }
[listeners.admin]
tls = { certificate = "missing.crt", key = "bad.pem" }
[listeners.providers]
tls = { certificate = "bad.pem", key = "bad.pem" }
[outgoing]
ca = "bad.pem"
"""
    file = write(tmp_path, text)
    assert check_settings(file) == ()
    secret, providers, admin, outgoing = map(str, check_files(file))
    missing = "cannot be read: No such file or directory"
    assert secret == f"line 4: secrets.keys.k1.file: {tmp_path / 'missing.key'} {missing}"
    assert providers.startswith("line 8: listeners.providers.tls: the TLS files cannot be used: ")
    assert admin == f"line 6: listeners.admin.tls.certificate: {tmp_path / 'missing.crt'} {missing}"
    assert outgoing == f"line 10: outgoing.ca: {tmp_path / 'bad.pem'} does not hold certificates in PEM"


def test_files_that_are_right_are_no_problem(tmp_path: Path) -> None:
    (tmp_path / "k1").write_text(KEY + "\n")
    assert check_files(write(tmp_path, '[secrets]\ncurrent = "k1"\nkeys.k1 = { file = "k1" }\n')) == ()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss@db1:5432,[::1]:5433,db2/hub?target_session_attrs=read-write",
        "postgresql:///hub?host=/run",
    ],
)
def test_urls_of_several_hosts_and_of_sockets_are_right(tmp_path: Path, url: str) -> None:
    assert check_settings(write(tmp_path, MINIMAL + f'[database]\nurl = "{url}"\n')) == ()
