"""Surface: the server of pages is announced when it answers, ends with its block, and no taken port is announced."""

import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from lcfs.cli.serving import HOST, check_port, served
from lcfs.errors import InputError

_SERVER = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
print("noise", flush=True)
time.sleep(0.5)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def test_a_server_is_there_within_the_block_alone(port: int, tmp_path: Path) -> None:
    with served([sys.executable, "-c", _SERVER, str(port)], port, tmp_path / "log") as process:
        assert urllib.request.urlopen(f"http://{HOST}:{port}/health").status == 200
        with pytest.raises(InputError, match="taken"):
            check_port(port)
    assert process.poll() is not None
    assert "noise" in (tmp_path / "log").read_text()
    check_port(port)


def test_a_server_that_ends_is_a_sentence_with_its_log(port: int, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=f"{tmp_path / 'log'} says why"),
        served([sys.executable, "-c", "raise SystemExit('broken')"], port, tmp_path / "log"),
    ):
        pass
    assert "broken" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [0, -1, 65536, 99999])
def test_no_such_port(number: int) -> None:
    with pytest.raises(InputError, match="must lie in"):
        check_port(number)
