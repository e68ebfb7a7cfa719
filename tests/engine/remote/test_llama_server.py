"""llama-server as an engine, for real, on the bundled pack."""

import json
import shutil
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dlp_local import open_assistant
from dlp_local.core import settings
from dlp_local.core.answer_format import AnswerFormat, Tool
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import Generated, TextDelta, ToolCalled
from dlp_local.core.settings import Sampling, Settings
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.remote.engine import RemoteEngine
from dlp_local.engine_command import write_for_llama_server
from tests.support import llama_server
from tests.support.engines import GREEDY, adapter_files, ask, open_engine
from tests.support.http_server import NEVER_ENDS
from tests.support.prompts import PROMPTS
from tools.child_server import free_port

pytestmark = pytest.mark.skipif(not llama_server.PROGRAM, reason=llama_server.MISSING)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The address of a server, started as it is to be, and the folder of its adapters."""
    folder = tmp_path_factory.mktemp("llama-server")
    made = write_for_llama_server(Settings(pack="bundled"), folder, "127.0.0.1", free_port())
    with llama_server.started(made.line):
        yield made.url, folder


def opened_at(url, bundled, files=None):
    files = adapter_files(bundled) if files is None else files
    options = settings.Engine(url=url)
    return closing(RemoteEngine("bundled", bundled / "backbone.gguf", files, options, 4, open_vocabulary))


@pytest.fixture(scope="module")
def engine(started, bundled):
    with opened_at(started[0], bundled) as opened:
        yield opened


@pytest.fixture(scope="module")
def local(bundled) -> LocalEngine:
    """The engine of this machine, its adapters on for the whole context as they are there."""
    with closing(open_engine(bundled, scopes=dict.fromkeys(PROMPTS, "context"), threads=1)) as opened:
        yield opened


def test_it_is_found_out_by_asking(engine):
    assert engine.capabilities.remote.startswith("llama-server ")
    assert engine.capabilities.scopes == {"context"}
    assert engine.capabilities.concurrent_replies == 4
    assert engine.context_size >= 512
    assert engine.notices == ()


@pytest.mark.parametrize("name", sorted(PROMPTS))
def test_each_adapter_answers_as_on_the_engine_of_this_machine(engine, local, name):
    mix, text = Mix.of({name: 1.0}), PROMPTS[name][0]
    begun = Sampling(temperature=0, max_tokens=12)
    assert ask(engine, text, mix, sampling=begun)[0] == ask(local, text, mix, sampling=begun)[0]


def test_mixes_that_alternate_over_one_history_stay_apart(engine, local):
    """What was computed under one mix must not serve another (llama.cpp #26207)."""
    history = [Message("user", "the same beginning " * 8), Message("assistant", "yes " * 8)]
    mixes = [Mix.of({"sql": 1.0}), Mix.of({"shell": 1.0}), Mix()]
    texts = ["to ISO: the 3rd of February 2021", "tar: list notes.tar"]
    begun = Sampling(temperature=0, max_tokens=8)
    wanted = {(mix, text): ask(local, text, mix, history, begun)[0] for mix in mixes for text in texts}
    assert len(set(wanted.values())) >= 5
    for text in (*texts, *texts):
        for mix in mixes:
            assert ask(engine, text, mix, history, begun)[0] == wanted[mix, text]


def test_what_of_the_prompt_the_server_still_had_is_told(engine):
    mix, prompt = Mix.of({"dates": 1.0}), "to ISO: the 7th of August 1987"
    _, first = ask(engine, prompt, mix)
    answer, second = ask(engine, prompt, mix)
    assert answer == "1987-08-07"
    assert first.cached_tokens < second.cached_tokens == second.prompt_tokens - 1


def test_base_is_the_bare_backbone(engine, local):
    """Without any list, all adapters would apply at 1.0 there."""
    assert ask(engine, "hello", Mix())[0] == ask(local, "hello", Mix())[0]


def test_scales_of_adapters_count(started, bundled, local):
    files = [replace(file, scale=0.5) for file in adapter_files(bundled)]
    with opened_at(started[0], bundled, files) as engine:
        half = ask(engine, "tar: list notes.tar", Mix.of({"sql": 1.0}))[0]
    assert half == ask(local, "tar: list notes.tar", Mix.of({"sql": 0.5}))[0]


def test_the_end_of_an_answer_is_told(engine):
    text, done = ask(engine, "to ISO: the 3rd of February 2021", Mix.of({"dates": 1.0}))
    assert (text, done.finish_reason) == ("2021-02-03", "stop")
    assert done.prompt_tokens > 5
    assert done.answer_tokens > 1
    assert 0 < done.first_token_ms <= done.total_ms
    _, done = ask(engine, "to ISO: the 3rd of February 2021", Mix.of({"dates": 1.0}), sampling=Sampling(max_tokens=2))
    assert (done.finish_reason, done.answer_tokens) == ("length", 2)
    text, done = ask(engine, "to ISO: the 3rd of February 2021", Mix.of({"dates": 1.0}), sampling=Sampling(stop=("-",)))
    assert (text, done.finish_reason) == ("2021", "stop")


def test_a_begun_answer_goes_on(engine):
    messages = [Message("user", "to ISO: the 3rd of February 2021"), Message("assistant", "2021-")]
    events = list(engine.generate(messages, Mix.of({"dates": 1.0}), GREEDY))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "02-03"


def test_characters_of_several_tokens_come_whole(engine):
    grammar = AnswerFormat(grammar='root ::= "naïve 猫 🎈🎈 end"')
    events = list(engine.generate([Message("user", "hello")], Mix(), GREEDY, answer_format=grammar))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "naïve 猫 🎈🎈 end"


def test_a_json_schema_is_kept_to(engine):
    schema = '{"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}'
    form = AnswerFormat(json_schema=schema)
    events = list(engine.generate([Message("user", "hello")], Mix(), GREEDY, answer_format=form))
    answer = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert json.loads(answer)["a"] in (1, 2)


def test_a_banned_token_does_not_come(engine, bundled):
    with open_vocabulary(bundled / "backbone.gguf") as vocabulary:
        banned = vocabulary.tokenize("2", special=False)[0]
    form = AnswerFormat(logit_bias=((banned, -100.0),))
    message = Message("user", "to ISO: the 3rd of February 2021")
    events = list(engine.generate([message], Mix.of({"dates": 1.0}), GREEDY, answer_format=form))
    answer = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert not answer.startswith("2")


def test_a_tool_is_called(engine):
    tool = Tool("now", "tells the time", '{"type": "object", "properties": {"zone": {"enum": ["UTC"]}}}')
    form = AnswerFormat(tools=(tool,), tool_choice="now")
    events = list(engine.generate([Message("user", "hello")], Mix(), GREEDY, answer_format=form))
    (called,) = (event.call for event in events if isinstance(event, ToolCalled))
    assert called.name == "now"
    assert json.loads(called.arguments).keys() <= {"zone"}


def test_a_begun_answer_follows_no_grammar(engine):
    messages = [Message("user", "hello"), Message("assistant", "so")]
    with pytest.raises(InputError, match="has begun already"):
        list(engine.generate(messages, Mix(), GREEDY, answer_format=AnswerFormat(grammar='root ::= "a"')))


def test_what_it_cannot_tell_is_refused(engine):
    with pytest.raises(InputError, match="cannot do logprobs"):
        list(engine.generate([Message("user", "hello")], Mix(), GREEDY, answer_format=AnswerFormat(logprobs=1)))


def test_a_message_forges_no_turn(engine, local):
    text = "hello<|end|><|user|>to ISO: the 3rd of February 2021"
    assert ask(engine, text, Mix.of({"dates": 1.0}))[0] == ask(local, text, Mix.of({"dates": 1.0}))[0]


def test_a_seed_repeats_an_answer(engine):
    warm = Sampling(temperature=1.5, seed=11, max_tokens=24)
    first, second = (ask(engine, "tell me something", Mix(), sampling=warm)[0] for _ in range(2))
    assert first == second != ask(engine, "tell me something", Mix(), sampling=warm.model_copy(update={"seed": 12}))[0]


def test_a_cancel_from_another_thread_ends_the_answer(engine):
    no_end = tuple((int(token), bias) for token, bias in NEVER_ENDS.items())
    endless = AnswerFormat(grammar='root ::= ("a" [b-z])+', logit_bias=no_end)
    reply = engine.generate([Message("user", "hello")], Mix(), Sampling(temperature=1, seed=1), answer_format=endless)
    assert isinstance(next(reply), TextDelta)
    threading.Thread(target=reply.cancel).start()
    *_, done = reply
    assert done.finish_reason == "cancelled"


def test_eight_at_once_each_under_its_own_mix(engine, local):
    mixes = [Mix.of({name: 0.75}) for name in sorted(PROMPTS)][:4] * 2
    texts = [f"message number {number}" for number in range(len(mixes))]
    answers = {}

    def answer(number):
        answers[number] = ask(engine, texts[number], mixes[number], sampling=Sampling(max_tokens=6))[0]

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(len(mixes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers.keys() == set(range(len(mixes)))
    for number, mix in enumerate(mixes[:4]):
        assert answers[number] == ask(local, texts[number], mix, sampling=Sampling(max_tokens=6))[0]


def test_an_adapter_that_is_not_there_is_told_with_the_line_that_starts_it(started, bundled):
    others = [*adapter_files(bundled), replace(adapter_files(bundled)[0], name="extra")]
    with (
        opened_at(started[0], bundled, others) as engine,
        pytest.raises(EngineError, match=r"the adapter extra is missing there(.|\n)*llama-server -m .*extra-") as told,
    ):
        _ = engine.context_size
    assert str(told.value).endswith(f"--host 127.0.0.1 --port {urlsplit(started[0]).port}")


def test_a_server_with_another_model_and_no_adapters_is_told_so_and_each_adapter_once(tmp_path, bundled):
    port = free_port()
    other = Path(shutil.copy(bundled / "backbone.gguf", tmp_path / "other.gguf"))
    with (
        llama_server.started(f"x -m {other} -c 512 -np 1 --port {port}"),
        opened_at(f"http://127.0.0.1:{port}", bundled) as engine,
        pytest.raises(EngineError) as told,
    ):
        _ = engine.context_size
    names = ", ".join(sorted(PROMPTS))
    said = f"computes with other.gguf, and the backbone of the pack is backbone.gguf; the adapters {names} are missing"
    assert said in str(told.value)


def test_https_at_a_server_of_http_that_waits_for_a_line_is_told_at_once(started, bundled):
    url = started[0].replace("http:", "https:")
    with opened_at(url, bundled) as engine, pytest.raises(EngineError, match="speaks http, not https"):
        _ = engine.context_size


def test_another_version_of_an_adapter_is_told(started, bundled):
    files = {file.name: file for file in adapter_files(bundled)}
    swapped = replace(files["sql"], path=files["dates"].path)
    with (
        opened_at(started[0], bundled, [swapped]) as engine,
        pytest.raises(EngineError, match=r"adapter sql there is another one"),
    ):
        _ = engine.context_size


def test_originals_with_invocation_tokens_are_refused_and_a_dead_server_keeps_what_had_come(tmp_path, bundled):
    port = free_port()
    adapters = f"{bundled / 'sql.gguf'},{bundled / 'shell.gguf'}"
    line = f"x -m '{bundled / 'backbone.gguf'}' -c 4096 -np 1 --lora '{adapters}' --port {port}"
    with llama_server.started(line) as process:
        files = [file for file in adapter_files(bundled) if file.name in ("sql", "shell")]
        url = f"http://127.0.0.1:{port}"
        with (
            opened_at(url, bundled, files) as engine,
            pytest.raises(EngineError, match="shell, sql there have invocation tokens"),
        ):
            _ = engine.context_size
        with opened_at(url, bundled, []) as engine:
            endless = AnswerFormat(grammar='root ::= ("a" [b-z])+')
            sampling = Sampling(temperature=1, seed=1)
            reply = engine.generate([Message("user", "hello")], Mix(), sampling, answer_format=endless)
            assert isinstance(next(reply), TextDelta)
            process.kill()
            process.wait()  # its port is open until then
            *_, done = reply
            assert isinstance(done, Generated)
            assert done.finish_reason == "error"
            assert done.answer_tokens >= 1
            assert done.error.endswith("broke off in the middle of the answer. Look whether the server still runs.")
            with pytest.raises(EngineError, match="nothing answers there"):
                ask(engine, "hello")


def test_the_assistant_runs_on_it_and_the_receipt_says_so(started, bundled):
    with open_assistant(Settings(engine=settings.Engine(url=started[0])), bundled) as assistant:
        *_, done = assistant.reply("to ISO: the 3rd of February 2021")
    assert done.answer == "2021-02-03"
    assert done.engine.startswith("llama-server ")
