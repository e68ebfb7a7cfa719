"""Completions, embeddings, routes and models, with OpenAI's own client where it has them."""

import json
import threading

import httpx
import numpy as np
import openai
import pytest

from dlp_local.core.values import Mix
from tests.support.fakes import PATIENCE, Answer, FakeAssistant
from tests.support.http_server import running_server

DATE = "to ISO: the 3rd of February 2021"


def test_a_text_is_completed_and_echoed(client):
    completion = client.completions.create(model="dates", prompt=[DATE, "to ISO: 4 July 1999"], echo=True)
    assert [choice.text for choice in completion.choices] == [f"{DATE}2021-02-03", "to ISO: 4 July 19991999-07-04"]
    assert completion.dlp_local["mix"] == {"dates": 1.0}


def test_each_of_several_texts_has_its_own_receipt_and_the_header_is_of_the_first(client):
    raw = client.completions.with_raw_response.create(model="auto", prompt=[DATE, "hello, what can you do?"], n=2)
    completion = raw.parse()
    mixes = [choice.dlp_local["mix"] for choice in completion.choices]
    assert mixes[0] == mixes[1] == completion.dlp_local["mix"] == {"dates": 1.0}
    assert mixes[2] == mixes[3] != mixes[0]
    assert raw.headers["X-DLP-Local-Mix"] == "dates=1"


class LateFirst(FakeAssistant):
    """Routes the first text after the second one is answered."""

    def __init__(self):
        super().__init__()
        self.concurrent_replies = 2
        self.second_ended = threading.Event()

    def _reply(self, call, cancellation):
        if call.text == "first":
            assert self.second_ended.wait(PATIENCE)
        self.script = [Answer(mix=Mix.of({"sql" if call.text == "first" else "shell": 1.0}))]
        yield from super()._reply(call, cancellation)
        self.second_ended.set()


@pytest.mark.parametrize("streams", [False, True])
def test_the_header_is_of_the_first_text_whichever_is_routed_first(streams):
    with running_server(LateFirst()) as running:
        asked = {"prompt": ["first", "second"], "stream": streams}
        answer = httpx.post(f"{running.url}/v1/completions", json=asked, timeout=PATIENCE)
    assert answer.headers["X-DLP-Local-Mix"] == "sql=1"
    if streams:
        chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
        texts = ["".join(c["text"] for chunk in chunks for c in chunk["choices"] if c["index"] == n) for n in (0, 1)]
        assert texts == ["a fine answer"] * 2


def test_a_streamed_completion_is_the_whole_one(client):
    chunks = client.completions.create(model="auto", prompt=DATE, stream=True)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "2021-02-03"


def test_embeddings_are_of_unit_length_and_the_same_as_base64(client):
    texts = ["a cat on a mat", "the stock market fell", "a kitten on a rug"]
    as_base64 = client.embeddings.create(model="encoder", input=texts)
    as_numbers = client.embeddings.create(model="encoder", input=texts, encoding_format="float")
    first, second = (np.array([one.embedding for one in reply.data]) for reply in (as_base64, as_numbers))
    assert first.shape == (3, 384)
    assert np.allclose(first, second, atol=1e-6)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    assert first[0] @ first[2] > first[0] @ first[1]
    assert as_base64.usage.prompt_tokens > 9


@pytest.mark.parametrize(
    ("wrong", "param"),
    [({"input": []}, "input"), ({"input": "a", "dimensions": 64}, "dimensions"), ({"input": ["a", ""]}, "input[1]")],
)
def test_embeddings_that_cannot_be_are_refused_by_name(client, wrong, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="encoder", **wrong)
    assert refused.value.param == param


def test_a_route_is_that_of_the_assistant(http, assistant):
    reply = http.post("/v1/route", json={"text": DATE})
    route = assistant.route(DATE)
    assert reply.json()["mix"] == route.mix.as_dict()
    assert reply.headers["X-DLP-Local-Mix"] == "dates=1"
    vetoed = http.post("/v1/route", json={"text": DATE, "veto": ["dates"]}).json()
    assert "dates" not in vetoed["mix"]


def test_an_unsure_message_is_routed_as_the_turn_before_it(http):
    unsure = "and the one after that?"
    alone = http.post("/v1/route", json={"text": unsure}).json()["probabilities"]["dates"]
    after = http.post("/v1/route", json={"text": unsure, "previous": {"dates": 1.0}}).json()["probabilities"]["dates"]
    assert after > alone


@pytest.mark.parametrize("previous", [{"dates": -0.5}, {"dates": 1e300}, {"dates": 0.9, "sql": 0.9}])
def test_what_are_no_probabilities_is_not_taken_for_the_turn_before(http, previous):
    refused = http.post("/v1/route", json={"text": DATE, "previous": previous})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous"


def test_the_turn_before_may_have_been_under_an_adapter_that_is_no_more(http):
    alone = http.post("/v1/route", json={"text": DATE}).json()["mix"]
    assert http.post("/v1/route", json={"text": DATE, "previous": {"gone": 1.0}}).json()["mix"] == alone


def test_models_are_auto_base_the_pack_and_its_adapters(client):
    models = {model.id: model for model in client.models.list()}
    assert {"auto", "base", "bundled", "sql", "dates"} <= models.keys()
    assert models["sql"].parent == "base"
    assert models["auto"].parent is None
    assert models["auto"].max_model_len > 0
    assert not hasattr(client.models.retrieve("encoder"), "max_model_len")
    assert client.models.retrieve("sql=0.7,shell=0.3").id == "sql=0.7,shell=0.3"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("sql=0.7,nothing=0.3")
