"""Who may ask: keys, names, web pages."""

import socket

import httpx
import openai
import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Server
from dlp_local.server.keys import read_keys
from dlp_local.server.serving import listen, url_of
from tests.support.fakes import FakeAssistant
from tests.support.http_server import running_server

KEY, OTHER = "first-key-of-the-tests", "second-key-of-the-tests"
PAGE = "https://page.example"
WRITTEN = " HTTPS://Other.Example:443/"
"""An origin as a person may write it."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"# mine\n{KEY}\n\n{OTHER}\n", "utf-8")
    options = {"api_key_file": str(keys), "origins": (PAGE, WRITTEN), "allowed_hosts": ("desk.example",)}
    with running_server(FakeAssistant(), **options) as running:
        yield running


@pytest.fixture(scope="module")
def site(guarded):
    with httpx.Client(base_url=guarded.url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"x-api-key": OTHER}])
def test_either_header_and_every_key_of_the_file_is_taken(site, headers):
    assert site.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}, {"x-api-key": f"{KEY}x"}]
)
def test_without_a_right_key_nothing_is_answered(site, headers):
    for path in ("/v1/models", "/metrics", "/v1/chat/completions"):
        refused = site.get(path, headers=headers)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"


def test_the_client_tells_a_wrong_key_as_such(guarded):
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_whether_the_server_is_there_is_told_without_a_key(site):
    assert site.get("/health").status_code == 200
    assert site.get("/openapi.json").status_code == 200


def test_stored_responses_are_their_owners_alone(guarded):
    mine, others = (openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=key, max_retries=0) for key in (KEY, OTHER))
    response = mine.responses.create(model="auto", input="hello")
    assert mine.responses.retrieve(response.id).id == response.id
    with pytest.raises(openai.NotFoundError):
        others.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        others.responses.delete(response.id)
    with pytest.raises(openai.BadRequestError, match="is not here"):
        others.responses.create(model="auto", input="go on", previous_response_id=response.id)
    assert mine.responses.create(model="auto", input="go on", previous_response_id=response.id).id


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "[::1]:9", "192.168.3.4:80", "desk.example", "DESK.example:8"]
)
def test_addresses_localhost_and_the_names_of_the_settings_are_the_servers(site, host):
    assert site.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "a b",
        "[::1",
        "e@127.0.0.1",
        "localhost/.",
        "localhost#",
    ],
)
def test_a_name_that_a_page_pointed_here_is_refused(site, host):
    refused = site.get("/health", headers={"Host": host})
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("page", [PAGE, "https://other.example"])
def test_a_page_that_is_named_in_the_settings_may_ask(site, page):
    wanted = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-stainless-os",
    }
    preflight = site.options("/v1/chat/completions", headers=wanted)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == page
    answer = site.get("/v1/models", headers={"Origin": page, "x-api-key": KEY})
    assert answer.headers["access-control-allow-origin"] == page


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PAGE}.evil.example", "http://page.example"])
def test_any_other_page_is_refused(site, origin):
    refused = site.get("/v1/models", headers={"Origin": origin, "x-api-key": KEY})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


def test_the_line_of_a_request_that_was_refused_says_from_where_it_came(tmp_path, capsys):
    (tmp_path / "keys").write_text(KEY, "utf-8")
    with running_server(FakeAssistant(), api_key_file=str(tmp_path / "keys"), log_requests=True) as running:
        for headers in ({}, {"Host": "evil.example"}, {"X": "a" * 32_700}, {"x-api-key": KEY}):
            httpx.get(f"{running.url}/v1/models", headers=headers)
    lines = [line.split(" GET ")[0] for line in capsys.readouterr().err.splitlines() if " GET /v1/models " in line]
    assert lines == [*["dlp-local: 127.0.0.1"] * 3, "dlp-local: key 1"]


def test_a_second_origin_is_looked_at_too(site, guarded):
    headers = [("Origin", guarded.url), ("Origin", "https://evil.example"), ("x-api-key", KEY)]
    assert site.get("/v1/models", headers=headers).status_code == 403


def test_the_servers_own_page_may_ask(site, guarded):
    assert site.get("/v1/models", headers={"Origin": guarded.url, "x-api-key": KEY}).status_code == 200


def test_a_form_of_a_web_page_is_no_request(site):
    """A page may send a form, or text, anywhere without asking first; JSON it may not."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        sent = site.post("/v1/route", content=b'{"text": "hello"}', headers={"Content-Type": kind, "x-api-key": KEY})
        assert (sent.status_code, sent.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_others_reach_needs_a_key(host):
    with pytest.raises(InputError, match="no key"):
        listen(Server(host=host, port=0))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_address_that_is_told_of_all_addresses_is_one_that_works(host, tmp_path):
    with listen(Server(host=host, port=0, api_key_file="keys")) as listening:
        url = httpx.URL(url_of(listening))
        assert url.host in ("127.0.0.1", "::1")
        with socket.create_connection((url.host, url.port), timeout=30):
            pass


def test_a_taken_port_and_an_unknown_address_are_told():
    with listen(Server(port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}: is taken"):
            listen(Server(port=port))
    with pytest.raises(InputError, match="no address of this machine"):
        listen(Server(host="no.such.host.invalid", port=0))


@pytest.mark.parametrize(
    ("text", "reason"), [("# none\n", "no key"), ("short\n", "16"), ("with a space in the key\n", "16")]
)
def test_a_file_without_a_good_key_is_refused(tmp_path, text, reason):
    (tmp_path / "keys").write_text(text, "utf-8")
    with pytest.raises(InputError, match=reason):
        read_keys(tmp_path / "keys")
