"""An adapter that another program brings into a pack answers in what is open already: an assistant, and a server."""

import httpx
import pytest

from dlp_local import open_assistant
from dlp_local.core.settings import Settings
from dlp_local.core.values import AdapterChange, Mix
from dlp_local.packs.adapters import add_adapter, remove_adapter
from tests.support.http_server import running_server
from tests.support.turns import finish

EXAMPLES = "zorp the frobnicator\nzorp every frobnicator\nplease zorp my frobnicator\n"


@pytest.fixture
def opened(pack_copy, caches_of_earlier_tests):
    with open_assistant(Settings(), pack_copy) as assistant:
        yield assistant


def add_elsewhere(pack, tmp_path):
    examples = tmp_path / "examples.txt"
    examples.write_text(EXAMPLES, "utf-8")
    add_adapter(pack, pack / "dates.gguf", "zorp", AdapterChange(examples=examples))


def test_an_assistant_routes_to_it_and_answers_with_it(opened, pack_copy, tmp_path):
    assert not opened.refresh_if_changed()
    add_elsewhere(pack_copy, tmp_path)
    assert opened.refresh_if_changed()
    assert "zorp" in opened.adapters
    assert dict(opened.route("zorp the old frobnicator").mix.weights).get("zorp", 0) > 0.5
    assert finish(opened, "to ISO: 4 July 1999", mix=Mix.of({"zorp": 1.0})).answer == "1999-07-04"
    remove_adapter(pack_copy, "zorp")
    assert opened.refresh_if_changed()
    assert "zorp" not in opened.adapters


def test_a_server_has_it_with_the_next_request_and_tells_what_it_cannot_take_over(opened, pack_copy, tmp_path, capfd):
    with running_server(opened) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        assert "zorp" not in http.get("/v1/models").text
        add_elsewhere(pack_copy, tmp_path)
        asked = {"model": "zorp", "messages": [{"role": "user", "content": "to ISO: 4 July 1999"}]}
        answer = http.post("/v1/chat/completions", json=asked).json()
        assert answer["choices"][0]["message"]["content"] == "1999-07-04"
        (pack_copy / "pack.toml").write_text("no manifest", "utf-8")
        assert http.post("/v1/chat/completions", json=asked).status_code == http.get("/v1/models").status_code == 200
    told = capfd.readouterr().err
    assert told.count("the pack was changed, and what was open goes on") == 1
    assert "pack.toml" in told
