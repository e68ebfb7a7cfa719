"""The page at `/` as it is served: its files, what a browser may do with them, and that none leads elsewhere."""

import re

import httpx
import pytest

from dlp_local.server.endpoints.page import FOLDER, TYPES

FILES = sorted(path.name for path in FOLDER.iterdir())


def test_the_page_and_its_files_are_served_with_a_policy_that_lets_them_ask_this_server_alone(http):
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = set(re.findall(r'(?:href|src)="/page/([^"]+)"', page.text))
    imported = {name for file in FILES if file.endswith(".js") for name in _imports(FOLDER / file)}
    assert named | imported | {"index.html"} == set(FILES)
    for name in FILES:
        reply = http.get(f"/page/{name}")
        assert reply.headers["content-type"].split(";")[0] == TYPES[f".{name.rpartition('.')[2]}"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {policy[kind] for kind in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
        again = http.get(f"/page/{name}", headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def _imports(path):
    return re.findall(r'from "\./([^"]+)"', path.read_text("utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_no_file_of_the_page_names_another_server_or_makes_html_of_a_text(name):
    text = (FOLDER / name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z0-9-]+\.[a-z]{2,}|url\(|@import", text)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", text
    )
    assert not re.search(r"\son[a-z]+=|<style|javascript:", text)


@pytest.mark.parametrize("path", ["/page/none.js", "/page/..%2f__init__.py", "/page/%2e%2e/app.py", "/page/"])
def test_what_is_no_file_of_the_page_is_not_served(http, path):
    assert http.get(path).status_code == 404


def test_the_pack_tells_what_a_window_over_it_shows(http, assistant):
    pack = http.get("/v1/pack").json()
    assert (pack["name"], pack["context_size"]) == (assistant.name, assistant.context_size)
    assert pack["examples"] == list(assistant.examples)
    assert {adapter["name"] for adapter in pack["adapters"] if adapter["enabled"]} == set(assistant.adapters)
    assert pack["option_defaults"]["temperature"] == {"value": 0.0, "base": 0.7, "source": "default"}


def test_the_page_is_served_without_a_key_and_the_pack_is_not(guarded):
    assert httpx.get(f"{guarded.url}/").status_code == 200
    assert httpx.get(f"{guarded.url}/page/page.js").status_code == 200
    assert httpx.get(f"{guarded.url}/v1/pack").status_code == 401
