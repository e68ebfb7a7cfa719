"""One server over the bundled pack for all tests of a file that leave it as it was, and OpenAI's own client."""

import httpx
import openai
import pytest

from tests.support.http_server import running_server


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
