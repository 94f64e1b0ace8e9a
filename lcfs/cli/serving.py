"""A server of pages as a child process: announced when it answers, its noise in a file, ended with its parent."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lcfs.errors import InputError

HOST = "127.0.0.1"
_PATIENCE = 180.0  # seconds; a first start with a new store takes up to 30 on a busy laptop


def check_port(port: int) -> None:
    """Raise InputError unless a server may listen on this port of this machine."""
    if not 0 < port < 2**16:
        raise InputError(f"--port must lie in 1…65535, got {port}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(f"port {port} of this machine is taken ({error.strerror}); pass another --port") from error


@contextmanager
def served(command: Sequence[str], port: int, log: Path) -> Iterator[subprocess.Popen]:
    """Start a server and go on when it answers; end it with the block.

    Args:
        command: what starts it on this port.
        log: the file that gets all it says.

    Raises:
        InputError: it ended, or did not answer in time.
    """
    with log.open("w") as noise, subprocess.Popen(command, stdout=noise, stderr=subprocess.STDOUT) as server:
        try:
            until = time.monotonic() + _PATIENCE
            while not _answers(port):
                if server.poll() is not None or time.monotonic() > until:
                    raise InputError(f"MLflow's server did not come up; {log} says why")
                time.sleep(0.2)
            yield server
        finally:
            server.terminate()


def open_in_browser(address: str) -> None:
    """Open an address in the user's browser, where there is a screen to open it on."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if screen and sys.stdout.isatty():
        webbrowser.open(address)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
