"""vLLM as an engine, through a fake that speaks its payloads and errors."""

import json
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dlp_local import open_assistant
from dlp_local.core import settings
from dlp_local.core.answer_format import AnswerFormat, Tool
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import Generated, TextDelta, ToolCalled
from dlp_local.core.settings import Sampling, Settings
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.remote import mixes as mixes_module
from dlp_local.engine.remote.engine import RemoteEngine
from dlp_local.engine.remote.vllm import check_private
from dlp_local.formats.safetensors_file import open_safetensors
from dlp_local.packs import open_pack
from tests.support import fake_vllm
from tests.support.engines import GREEDY, adapter_files, ask
from tests.support.fake_vllm import Fault, hash_of
from tests.support.vllm_engine import MIX, engine_at

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


# ---- mixes ----


def test_a_mix_is_loaded_under_a_name_of_its_content_and_asked_for_by_it(fake, engine):
    assert ask(engine, "hello", MIX)[0] == "a fine answer"
    loaded = fake.asked("/v1/load_lora_adapter")
    assert [body["model"] for body in fake.asked("/v1/completions")] == [loaded[0]["lora_name"]]
    ask(engine, "again", MIX)
    assert len(fake.asked("/v1/load_lora_adapter")) == 1
    ask(engine, "other weights", Mix.of({"sql": 0.25, "shell": 0.75}))
    first, second = (hash_of(body["lora_name"]) for body in fake.asked("/v1/load_lora_adapter"))
    assert first != second


def test_an_adapters_scale_and_content_are_part_of_the_name(fake, bundled, tmp_path):
    names = []
    for scale in (1.0, 0.5):
        files = [replace(file, scale=scale) for file in adapter_files(bundled)]
        options = settings.Engine(url=fake.url, mix_folder=str(tmp_path / "mixes"))
        with closing(RemoteEngine("p", bundled / "backbone.gguf", files, options, 4, open_vocabulary)) as engine:
            ask(engine, "hello", MIX)
        names.append(fake.asked("/v1/load_lora_adapter")[-1]["lora_name"])
    assert names[0] != names[1]


def test_the_stack_has_an_allowed_rank_and_no_invocation_tokens(fake, engine):
    ask(engine, "hello", Mix.of({"sql": 0.5, "shell": 0.25, "dates": 0.25}))
    (folder,) = fake.loaded.values()
    config = json.loads((Path(folder) / "adapter_config.json").read_text("utf-8"))
    assert (config["r"], config["lora_alpha"]) == (64, 64)  # three of rank 16
    assert "alora_invocation_tokens" not in config


def test_base_is_an_adapter_of_zeros(fake, engine, tmp_path):
    ask(engine, "hello", Mix())
    (name,) = fake.loaded
    assert fake.asked("/v1/completions")[0]["model"] == name != "tiny"
    with open_safetensors(tmp_path / "mixes" / name / "adapter_model.safetensors") as tensors:
        assert not any(tensors.read(key).any() for key in tensors.shapes if "lora_B" in key)


def test_a_mix_that_was_loaded_by_another_process_is_taken_as_it_is(fake, bundled, tmp_path):
    for _ in range(2):
        with engine_at(fake, bundled, tmp_path) as engine:
            assert ask(engine, "hello", MIX)[0] == "a fine answer"
    assert len(fake.asked("/v1/load_lora_adapter")) == 2
    assert len(fake.loaded) == 1


def test_a_mix_that_the_server_forgot_is_loaded_again_once(fake, engine):
    ask(engine, "hello", MIX)
    fake.loaded.clear()
    assert ask(engine, "hello", MIX)[0] == "a fine answer"
    refusal = {"message": "The model does not exist.", "type": "NotFoundError", "param": "model", "code": 404}
    fake.faults["/v1/completions"] = [Fault(404, json.dumps({"error": refusal}).encode())] * 2
    with pytest.raises(EngineError, match="404: The model does not exist"):
        ask(engine, "hello", MIX)


def test_the_least_recently_used_mixes_are_unloaded_before_their_files_go(fake, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(mixes_module, "KEPT", 2)
    for weight in (0.25, 0.5, 0.75, 1.0):
        ask(engine, "hello", Mix.of({"sql": weight}))
    folders = {folder.name for folder in (tmp_path / "mixes").iterdir()}
    assert folders == fake.loaded.keys()
    assert len(folders) == 2
    assert len(fake.asked("/v1/unload_lora_adapter")) == 2
    assert ask(engine, "hello", Mix.of({"sql": 0.25}))[0] == "a fine answer"


def test_a_rank_that_the_server_does_not_take_is_told_with_the_line_that_starts_it(fake, engine):
    fake.max_rank = 16
    with pytest.raises(EngineError, match=r"rank 32 is greater(.|\n)*engine command vllm(.|\n)*--max-lora-rank 64"):
        ask(engine, "hello", MIX)


def test_a_rank_that_no_vllm_takes_is_refused_before_anything_is_written(fake, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(mixes_module, "RANKS", (8, 16))
    with pytest.raises(InputError, match=r"rank 32 together, and vLLM takes 16 at most.*max_adapters"):
        ask(engine, "hello", MIX)
    assert not list((tmp_path / "mixes").glob("*"))


def test_a_server_that_loads_nothing_at_run_time_is_told_so(fake, engine):
    fake.updating = False
    with pytest.raises(EngineError, match=r"without loading(.|\n)*VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve"):
        ask(engine, "hello", MIX)


def test_a_folder_that_the_server_does_not_see_is_explained(fake, bundled, tmp_path):
    with (
        engine_at(fake, bundled, tmp_path, mix_folder_there="/shared/mixes/") as engine,
        pytest.raises(EngineError, match=r"does not find /shared/mixes/dlp-local-.*engine.mix_folder_there"),
    ):
        ask(engine, "hello", MIX)


def test_an_unknown_adapter_is_refused(engine):
    with pytest.raises(InputError, match="no adapter 'sq'"):
        ask(engine, "hello", Mix.of({"sq": 1.0}))


def test_adapters_come_and_go_while_it_runs(engine, bundled):
    file = replace(adapter_files(bundled)[0], name="another")
    engine.add_adapter(file)
    assert ask(engine, "hello", Mix.of({"another": 1.0}))[0] == "a fine answer"
    engine.remove_adapter("another")
    with pytest.raises(InputError, match="no adapter 'another'"):
        ask(engine, "hello", Mix.of({"another": 1.0}))


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
