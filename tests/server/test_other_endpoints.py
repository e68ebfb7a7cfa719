"""Completions, embeddings, routes and models, with OpenAI's own client where it has them."""

import numpy as np
import openai
import pytest

DATE = "to ISO: the 3rd of February 2021"


def test_a_text_is_completed_and_echoed(client):
    completion = client.completions.create(model="dates", prompt=[DATE, "to ISO: 4 July 1999"], echo=True)
    assert [choice.text for choice in completion.choices] == [f"{DATE}2021-02-03", "to ISO: 4 July 19991999-07-04"]
    assert completion.dlp_local["mix"] == {"dates": 1.0}


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


def test_models_are_auto_base_the_pack_and_its_adapters(client):
    models = {model.id: model for model in client.models.list()}
    assert {"auto", "base", "bundled", "sql", "dates"} <= models.keys()
    assert models["sql"].parent == "base"
    assert models["auto"].parent is None
    assert client.models.retrieve("sql=0.7,shell=0.3").id == "sql=0.7,shell=0.3"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("sql=0.7,nothing=0.3")
