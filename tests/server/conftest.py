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
