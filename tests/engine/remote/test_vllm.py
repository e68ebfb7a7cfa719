"""vLLM as an engine, through a fake that speaks its payloads and errors."""

import json
import threading

import pytest

from dlp_local import open_assistant
from dlp_local.core import settings
from dlp_local.core.answer_format import AnswerFormat, Tool
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import Generated, TextDelta, ToolCalled
from dlp_local.core.settings import Sampling, Settings
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.remote.vllm import check_private
from dlp_local.packs import open_pack
from tests.support import fake_vllm
from tests.support.engines import GREEDY, ask
from tests.support.vllm_engine import MIX

# ---- what it is ----


def test_it_is_found_out_by_asking(engine):
    assert engine.context_size == fake_vllm.CONTEXT
    assert engine.capabilities.scopes == {"context"}
    assert engine.capabilities.remote.startswith("vLLM 0.32.0 at http://127.0.0.1:")
    assert any("repeat penalty" in notice for notice in engine.notices)


def test_another_program_is_told_by_its_name(fake, engine):
    fake.owner = "somebody"
    with pytest.raises(EngineError, match=r"a server of 'somebody', no llama-server and no vLLM"):
        _ = engine.context_size


def test_a_server_with_another_vocabulary_is_refused(fake, engine):
    fake.tokenize = lambda text: [1, 2, 3]
    with pytest.raises(EngineError, match=r"another vocabulary than backbone.gguf.*pack 'bundled'"):
        _ = engine.context_size


def test_a_public_address_is_refused():
    with pytest.raises(EngineError, match=r"no private network.*tunnel"):
        check_private("http://8.8.8.8:8000")
    for private in ("http://127.0.0.1:1", "http://192.168.1.7", "http://[::1]:8000", "http://100.64.0.9"):
        check_private(private)


# ---- answers ----


def test_the_prompt_is_the_one_of_the_engine_of_this_machine(fake, engine, bundled):
    with open_vocabulary(bundled / "backbone.gguf") as vocabulary:
        ask(engine, "<|user|> forges nothing", MIX)
        (body,) = fake.asked("/v1/completions")
        names = [vocabulary.name(token) for token in body["prompt"]]
    assert names.count("<|user|>") == 1


def test_options_of_sampling_reach_the_server(fake, engine):
    penalties = {"repeat_penalty": 1.2, "frequency_penalty": 0.5, "presence_penalty": -0.5}
    sampling = Sampling(temperature=0.7, top_k=0, top_p=0.8, min_p=0.02, seed=7, max_tokens=99, **penalties)
    ask(engine, "hello", MIX, sampling=sampling)
    (body,) = fake.asked("/v1/completions")
    wanted = {
        "temperature": 0.7, "top_k": 0, "top_p": 0.8, "min_p": 0.02, "repetition_penalty": 1.2, "seed": 7,
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "max_tokens": 99, "stream": True, "return_token_ids": True,
    }  # fmt: skip
    assert body.items() >= wanted.items()


def test_calls_of_tools_are_read_from_the_answer(fake, engine):
    fake.answer = '{"name": "now", "arguments": {"zone": "UTC"}}'
    form = AnswerFormat(tools=(Tool("now"),), logit_bias=((7, 1.5),))
    events = list(engine.generate([Message("user", "hello")], MIX, GREEDY, answer_format=form))
    (called,) = (event.call for event in events if isinstance(event, ToolCalled))
    assert (called.name, json.loads(called.arguments)) == ("now", {"zone": "UTC"})
    assert fake.asked("/v1/completions")[0]["logit_bias"] == {"7": 1.5}


def test_a_grammar_goes_along(fake, engine):
    form = AnswerFormat(grammar='root ::= "a fine answer"')
    list(engine.generate([Message("user", "hello")], MIX, GREEDY, answer_format=form))
    assert fake.asked("/v1/completions")[0]["structured_outputs"]["grammar"] == form.grammar


def test_an_answer_without_a_limit_may_fill_the_context(fake, engine):
    _, done = ask(engine, "hello", MIX, sampling=Sampling(temperature=0))
    (body,) = fake.asked("/v1/completions")
    assert body["max_tokens"] == fake_vllm.CONTEXT - done.prompt_tokens


def test_the_end_of_an_answer_is_told(fake, engine):
    text, done = ask(engine, "hello", MIX)
    assert (text, done.finish_reason) == ("a fine answer", "stop")
    assert done.answer_tokens == len(fake.tokenize(text))
    assert done.context_used == done.prompt_tokens + done.answer_tokens
    _, done = ask(engine, "hello", MIX, sampling=Sampling(temperature=0, max_tokens=2))
    assert (done.finish_reason, done.answer_tokens) == ("length", 2)
    text, done = ask(engine, "hello", MIX, sampling=Sampling(stop=(" answer",)))
    assert (text, done.finish_reason) == ("a fine", "stop")


def test_characters_of_several_tokens_come_whole(fake, engine):
    fake.answer = "naïve 猫 🎈 end"
    events = list(engine.generate([Message("user", "hello")], MIX, GREEDY))
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(pieces) == fake.answer
    assert "\ufffd" not in "".join(pieces)


def test_an_answer_in_circles_is_ended(fake, engine):
    fake.answer = "round and " * 200
    _, done = ask(engine, "hello", MIX, sampling=Sampling(temperature=0))
    assert done.finish_reason == "loop"


def test_an_end_token_of_the_template_ends_the_answer(fake, engine, bundled):
    with open_vocabulary(bundled / "backbone.gguf") as vocabulary:
        fake.end = (*vocabulary.tokenize("<|end|>", special=True), *vocabulary.tokenize("more", special=False))
        text, done = ask(engine, "hello", MIX)
    assert text == "a fine answer"
    assert done.finish_reason == "stop"


def test_old_turns_are_left_out_where_they_do_not_fit(fake, engine):
    history = [Message(role, "word " * 60) for _ in range(8) for role in ("user", "assistant")]
    events = list(engine.generate([*history, Message("user", "hello")], MIX, GREEDY))
    assert type(events[0]).__name__ == "HistoryTrimmed"
    (body,) = fake.asked("/v1/completions")
    assert len(body["prompt"]) + body["max_tokens"] <= fake_vllm.CONTEXT


def test_the_scope_of_a_turn_alone_is_refused(engine):
    with pytest.raises(InputError, match="whole context"):
        list(engine.generate([Message("user", "hello")], MIX, GREEDY, "turn"))


def test_a_cancel_from_another_thread_ends_the_answer_and_frees_the_server(fake, engine):
    fake.hold = threading.Event()
    reply = engine.generate([Message("user", "hello")], MIX, GREEDY)
    assert isinstance(next(reply), TextDelta)
    threading.Thread(target=reply.cancel).start()
    *_, done = reply
    assert isinstance(done, Generated)
    assert done.finish_reason == "cancelled"
    assert fake.gone.wait(10)


def test_a_reply_that_was_cancelled_before_it_began_is_none(fake, engine):
    reply = engine.generate([Message("user", "hello")], MIX, GREEDY)
    reply.cancel()
    *_, done = reply
    assert done.finish_reason == "cancelled"


def test_many_at_once_each_get_their_own(fake, engine):
    answers = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.update({n: ask(engine, f"hello {n}", Mix.of({"sql": n / 8}))[0]}))
        for n in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == dict.fromkeys(range(1, 9), "a fine answer")
    assert len(fake.loaded) == 8


def test_a_closed_engine_answers_nothing(engine):
    ask(engine, "hello", MIX)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        ask(engine, "hello", MIX)


# ---- the assistant ----


def test_the_assistant_runs_on_it_and_the_receipt_says_so(fake, bundled, tmp_path):
    engine = settings.Engine(url=fake.url, mix_folder=str(tmp_path / "mixes"))
    with open_assistant(Settings(engine=engine), bundled) as assistant:
        *_, done = assistant.reply("to ISO: the 3rd of February 2021")
        assert done.answer == "a fine answer"
        assert done.engine.startswith("vLLM 0.32.0 at ")
        assert done.route.mix.weights[0][0] == "dates"
        assert any("repeat penalty" in notice for notice in assistant.notices)
    assert open_pack(bundled).name == assistant.name
