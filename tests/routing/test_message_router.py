"""Adapters known by their examples alone, corrections, and why a message goes where it goes."""

import contextlib
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dlp_local.core.paths import history_file
from dlp_local.core.settings import Settings
from dlp_local.core.user_message import Attachment, UserMessage
from dlp_local.core.values import BASE, AdapterChange, Correction, Mix
from dlp_local.history import History
from dlp_local.opening import open_assistant
from dlp_local.packs.adapters import add_adapter, remove_adapter, set_adapter
from dlp_local.packs.create import start_pack
from dlp_local.routing import MessageRouter, Router
from tests.support.prompts import FRENCH, PROMPTS, SMALL_TALK
from tests.support.router_rows import open_pack_router, top


def test_a_new_adapter_is_routed_by_its_examples_at_once_and_the_others_go_where_they_went(mine, bundled, tmp_path):
    (tmp_path / "french.txt").write_text("\n".join(FRENCH))
    before = open_pack_router(mine)
    add_adapter(mine, bundled / "sql.gguf", "french", AdapterChange(examples=tmp_path / "french.txt"))
    router = open_pack_router(mine)
    assert set(router.labels) == {*PROMPTS, BASE, "french"}
    for text in ("how would I say good night in french", "translate 'where is the station' to french"):
        assert top(router, text) == "french"
    for label, prompts in PROMPTS.items():
        for prompt in prompts:
            assert top(router, prompt) == top(before, prompt), (label, prompt)
    for text in SMALL_TALK:
        assert top(router, text) == BASE
    set_adapter(mine, "french", AdapterChange(enabled=False))
    assert "french" not in open_pack_router(mine).labels


def test_an_adapter_that_is_gone_does_not_keep_its_messages_from_a_new_one(mine, bundled, tmp_path):
    messages = PROMPTS["describe"]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in messages[::2]))
    remove_adapter(mine, "describe")
    add_adapter(mine, bundled / "describe.gguf", "new", AdapterChange(examples=tmp_path / "mine.jsonl"))
    router = open_pack_router(mine)
    for text in messages[1::2]:
        assert dict(router.route(text, Settings().routing).mix.weights).get("new", 0) > 0.5
    for text in SMALL_TALK:
        assert top(router, text) == BASE


def test_one_example_works(mine, bundled, tmp_path):
    (tmp_path / "french.txt").write_text(FRENCH[0])
    add_adapter(mine, bundled / "sql.gguf", "french", AdapterChange(examples=tmp_path / "french.txt"))
    assert top(open_pack_router(mine), "translate good evening to french") == "french"
    assert top(open_pack_router(mine), "tell me a joke") == BASE


def test_a_pack_with_neither_router_nor_examples_sends_all_to_base(bundled):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    add_adapter(folder, bundled / "sql.gguf", "sql")
    router = open_pack_router(folder)
    assert router.labels == (BASE,)
    assert router.route("anything", Settings().routing).probabilities == {BASE: 1.0}


def test_the_bundled_routes_are_those_of_its_router_alone(bundled):
    router, alone = open_pack_router(bundled), Router(bundled / "router.onnx", 1)
    for prompts in PROMPTS.values():
        vectors = router.embeddings(prompts)
        np.testing.assert_allclose(router.probabilities(vectors), alone.probabilities(vectors), atol=1e-7)


def test_a_correction_counts_at_once_for_what_is_almost_the_same_and_at_the_next_start(assistant, bundled):
    text, other = "list everything in the cellar of table wines", "to ISO: the 3rd of February 2021"
    router = open_pack_router(bundled)
    before = top(router, text)
    right = "sql" if before != "sql" else "shell"
    router.correct(text, right)
    assert top(router, text) == right
    assert top(router, f"{text} please") == right
    assert top(router, other) == "dates"
    with contextlib.closing(History(history_file())) as history:
        history.correct(Correction(text, Mix(), right, "another pack"))
    assert top(open_pack_router(bundled), text) == before
    with contextlib.closing(History(history_file())) as history:
        history.correct(Correction(text, Mix(), right, "bundled"))
    assert top(open_pack_router(bundled), text) == right


def test_a_correction_that_is_taken_back_counts_no_more(mine, bundled):
    text, options = "what is on the menu of files", Settings().routing
    add_adapter(mine, bundled / "sql.gguf", "french")
    router = open_pack_router(mine)
    before = router.route(text, options).probabilities
    for right in ("shell", "french"):
        router.correct(text, right)
        assert top(router, text) == right
        router.correct(text, None)
        assert router.route(text, options).probabilities == before


def test_corrections_of_several_threads_at_once_lose_none(bundled):
    router = open_pack_router(bundled)
    texts = [f"{word} {number}" for word in ("marmalade", "zeppelin", "glacier", "tuba") for number in range(3)]
    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(lambda text: router.correct(text, "shell"), texts))
    assert [top(router, text) for text in texts] == ["shell"] * len(texts)


def test_the_embeddings_of_many_adapters_are_asked_for_at_once(bundled, tmp_path, monkeypatch):
    opened, connect = [], sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: opened.append(args) or connect(*args, **kwargs))
    adapters = {f"task{n}": [f"please do task number {n}", f"number {n}, please"] for n in range(50)} | {"none": []}
    for times in (2, 3):
        router = MessageRouter(
            bundled / "encoder.onnx",
            bundled / "encoder_tokenizer.json",
            bundled / "router.onnx",
            1,
            adapters,
            cache=tmp_path / "kept.sqlite",
        )
        assert set(adapters) - set(router.labels) == {"none"}
        assert top(router, "please do task number 7") == "task7"
        assert len(opened) == times


def test_the_assistant_corrects(bundled):
    with open_assistant(Settings(), bundled) as opened_assistant:
        opened_assistant.correct("what is on the menu of files", "shell")
        route = opened_assistant.route("what is on the menu of files")
    assert route.mix.as_dict()["shell"] > 0.9


def test_a_correction_to_an_adapter_without_examples_is_its_first_example(mine, bundled):
    add_adapter(mine, bundled / "sql.gguf", "french")
    router = open_pack_router(mine)
    assert "french" not in router.labels
    router.correct("translate good morning to french", "french")
    assert top(router, "translate good night to french") == "french"


def test_why_shows_what_is_near_what_was_carried_and_what_was_cut(bundled):
    router, options = open_pack_router(bundled), Settings().routing
    previous = router.route("Which bands are from Spain?\ncolumns: band, country, year", options).probabilities
    router.correct("my own words", "sql")
    why = router.explain("my card has not arrived", options, previous)
    assert why.nearest[0].adapter == "banking"
    assert why.nearest[0].cosine > 0.8
    assert [n.cosine for n in why.nearest] == sorted((n.cosine for n in why.nearest), reverse=True)
    assert why.alone == router.route("my card has not arrived", options).probabilities
    assert why.carried == router.route("my card has not arrived", options, previous).probabilities
    assert why.kept.keys() | why.cut.keys() == set(router.labels)
    assert not why.kept.keys() & why.cut.keys()
    assert router.explain("my own words", options).nearest[0].is_corrected


def test_what_is_attached_does_not_decide_where_a_message_goes(bundled):
    router, request = open_pack_router(bundled), "to ISO: the 3rd of February 2021"
    prose = "The restaurant by the river has French food and is cheap. Its customers rate it highly. " * 30
    message = UserMessage(request, (Attachment(prose), Attachment("I need a table for four", "notes.txt")))
    options = Settings().routing
    assert router.route(str(message), options).probabilities == router.route(request, options).probabilities
    assert router.route(str(message), options).text == str(message)
    router.correct(str(message), "sql")
    assert top(router, request) == "sql"
    assert top(router, str(UserMessage("", (Attachment("I need a table for four at 8pm"),)))) == "extract"


def test_of_a_long_message_its_end_counts(bundled):
    router = open_pack_router(bundled)
    minutes = (
        "It was agreed that the garden be left as it is until the summer, when the fence is due to be painted. " * 20
    )
    for request, label in (("tar: extract archive.tar.gz into /tmp", "shell"), ("a table for two at 8pm", "extract")):
        assert top(router, f"{minutes}\n\n{request}") == label
        assert top(router, f"{request}\n\n{minutes}") == label


LETTER = """Hello everyone,

thank you for coming to the meeting on such short notice, and sorry again for the noise from the building site. I
promised to write down what we talked about, so here it is. Please tell me if I have forgotten something.

First of all we agreed that the new schedule is too tight. Robert pointed out that two people are away, and that the
review by the other team always takes longer than they say. Susan will speak with their lead this week.

With much love,
Eleanor"""


def test_a_request_beside_a_longer_text_goes_where_it_goes_alone_and_the_text_alone_to_base(bundled):
    router, options = open_pack_router(bundled), Settings().routing
    assert top(router, LETTER) == BASE
    for request in ("tar: extract archive.tar.gz into /tmp", "to ISO: the 3rd of February 2021"):
        alone = router.route(request, options).probabilities
        for message in (f"{request}\n\n{LETTER}", f"{LETTER}\n\n{request}"):
            assert router.route(message, options).probabilities == pytest.approx(alone, abs=1e-3)
            assert router.explain(message, options).alone == router.route(message, options).probabilities
    router.correct(message, BASE)
    assert top(router, message) == BASE


TWO_TASKS = "to ISO: the 3rd of February 2021. I need a table for four on Friday at 8pm"


def test_a_message_of_two_tasks_is_routed_in_parts_unless_that_is_not_wanted_or_it_was_corrected(bundled, monkeypatch):
    router = open_pack_router(bundled)
    routing = Settings().routing
    first, second = TWO_TASKS.split(". ")
    pure = {f"{first}.": "dates", second: "extract"}
    labels = router.labels
    vectors = {text: np.eye(router.dims, dtype=np.float32)[index] for index, text in enumerate([TWO_TASKS, *pure])}
    monkeypatch.setattr(router._encoder, "encode", lambda texts: np.stack([vectors[text] for text in texts]))

    def probabilities(_, embedding):
        text = list(vectors)[int(embedding[0].argmax())]
        return {label: 0.97 if label == pure.get(text) else 0.03 / len(labels) for label in labels}

    monkeypatch.setattr(type(router._classifier), "probabilities", probabilities)
    route = router.route(TWO_TASKS, routing)
    assert [(part.text, str(part.mix).split()[0]) for part in route.parts] == [*pure.items()]
    assert route.parts[0].total_ms == 0 < route.total_ms
    assert router.route(TWO_TASKS, routing.model_copy(update={"split": False})).parts == ()
    assert router.route(TWO_TASKS, routing, without=("dates",)).parts == ()
    router.correct(TWO_TASKS, "dates")
    assert router.route(TWO_TASKS, routing).parts == ()
