"""Certify the example wallet: start it as a process, play the hub against it, and leave with what came of it.

    python examples/operator/certify.py            # reports in build/certify

It is what an operator does with a test wallet of its own, where starting it and opening the players is the operator's.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WALLET = Path(__file__).with_name("operator_wallet.py")
SECRET = "whsec_dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXk="  # noqa: S105 # a test key
PLAYERS = {"p-1": "s-1", "p-2": "s-2"}


@contextmanager
def running_wallet(folder: Path, *, balance: int = 100_000) -> Iterator[str]:
    """The wallet as a process, with two players and a session that has ended; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--database", str(folder / "wallet.sqlite"), "--port", str(port), "--admin", "--secret", SECRET]
    with (folder / "wallet.log").open("wb") as log:
        command = [sys.executable, str(WALLET), *words]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 # a script of this folder
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(port, process)
        for player, session in (("p-1", "s-ended"), *PLAYERS.items()):
            call("POST", f"{url}/players", {"player": player, "session": session, "balance": balance})
        call("DELETE", f"{url}/sessions/s-ended")
        yield url
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    sys.exit("the wallet did not start: see wallet.log")


def call(method: str, url: str, body: dict[str, object] | None = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)  # noqa: S310 # the wallet that was started here
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 # same


def certify(url: str, reports: Path) -> int:
    """Run the command, and give its status."""
    words = ["certify", "wallet", "--url", url, "--secret-env", "WALLET_SECRET", "--minimum", "platinum"]
    for player, session in PLAYERS.items():
        words += ["--player", player, "--session", session]
    words += ["--ended-session", "s-ended", "--settle", "0.2", "--policy", str(reports / "operator-wallet.policy.json")]
    for option, ending in (("--html", "html"), ("--junit", "junit.xml"), ("--json", "json")):
        words += [option, str(reports / f"operator-wallet.{ending}")]
    environment = {**os.environ, "WALLET_SECRET": SECRET}
    command = [sys.executable, "-m", "croupier", *words]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 # the hub's own command


def main() -> int:
    reports = Path(sys.argv[1] if len(sys.argv) > 1 else "build/certify")
    with tempfile.TemporaryDirectory(prefix="croupier-wallet-") as folder, running_wallet(Path(folder)) as url:
        return certify(url, reports)


if __name__ == "__main__":
    sys.exit(main())
