"""One server over the bundled pack for all tests of a file that leave it as it was, and OpenAI's own client."""

import shutil

import httpx
import openai
import pytest

from tests.support.http_server import running_server
from tests.support.tab import Tab

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.fixture(scope="module")
def server(assistant):
    with running_server(assistant) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


KEY = "a-key-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def guarded(assistant, tmp_path_factory):
    """The same server behind a key."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"{KEY}\n", "utf-8")
    with running_server(assistant, api_key_file=str(file)) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (the dev extra)")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_tab(browser):
    contexts = []

    def open_tab(server, **options):
        contexts.append(browser.new_context(**options))
        return Tab(contexts[-1], server.url)

    yield open_tab
    for context in contexts:
        context.close()
