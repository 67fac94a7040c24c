import http.server
import threading

import pytest

from poise.machine import answers


@pytest.fixture
def server():
    """A server that has no page at all."""
    made = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def test_a_server_that_says_no_answers_and_one_that_is_not_there_does_not(server, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "log_message", lambda *_: None)
    url = f"http://127.0.0.1:{server.server_port}"
    assert answers(url)
    server.shutdown()
    server.server_close()
    assert not answers(f"{url}/gone", seconds=2.0)
    assert not answers("no address at all")
