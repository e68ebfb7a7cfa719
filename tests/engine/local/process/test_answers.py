"""The engine's process answers as the engine itself, also where answers are cancelled, abandoned or at once."""

import random
import threading

import psutil
import pytest

from dlp_local.core.errors import EngineError, InputError, PackError
from dlp_local.core.events import TextDelta
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.process.client import EngineProcess
from tests.support.engine_process import ENDLESS, MESSAGE, text_of
from tests.support.engines import ask, open_engine
from tests.support.prompts import PROMPTS


def test_the_process_answers_as_the_engine_itself(engine, bundled):
    direct = open_engine(bundled)
    history = (Message("user", "hello"), Message("assistant", "Hello!"))
    for task, prompts in sorted(PROMPTS.items()):
        mix = Mix.of({task: 0.75, "sql" if task != "sql" else "dates": 0.25})
        answer, done = ask(engine, prompts[0], mix, history)
        wanted, expected = ask(direct, prompts[0], mix, history)
        assert answer == wanted
        assert (done.prompt_tokens, done.answer_tokens) == (expected.prompt_tokens, expected.answer_tokens)
    assert engine.context_size == direct.context_size
    direct.close()


def test_errors_come_through_as_what_they_are(engine):
    with pytest.raises(InputError, match="no adapter 'poems'"):
        ask(engine, MESSAGE, mix=Mix.of({"poems": 1.0}))
    with pytest.raises(InputError, match="too long"):
        ask(engine, "word " * 3000)
    assert ask(engine, MESSAGE)[0]


def test_a_backbone_that_cannot_be_loaded_is_told_as_without_a_process(bundled, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes((bundled / "backbone.gguf").read_bytes()[:100_000])
    engine = EngineProcess(path, [], Options())
    for _ in range(2):
        with pytest.raises(PackError, match=r"model\.gguf: is cut off or damaged"):
            _ = engine.context_size
    engine.close()


def test_cancelling_ends_the_answer_and_the_next_one_is_whole(engine):
    whole, _ = ask(engine, MESSAGE)
    reply = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(reply)
    reply.cancel()
    rest = list(reply)
    assert rest[-1].finish_reason == "cancelled"
    assert rest[-1].answer_tokens < ENDLESS.max_tokens
    assert ask(engine, MESSAGE)[0] == whole


def test_a_reply_that_is_cancelled_before_it_begins_ends_at_once_and_the_next_one_is_whole(engine):
    reply = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    reply.cancel()
    assert reply.finish().finish_reason == "cancelled"
    assert ask(engine, MESSAGE)[1].finish_reason == "stop"


def test_of_two_replies_at_once_from_two_threads_the_cancelled_one_ends_and_the_other_is_untouched(engine):
    whole = text_of(engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS))
    for cancelled in (0, 1):
        replies = [engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS) for _ in range(2)]
        begun, texts = threading.Event(), ["", ""]

        def read(index, replies=replies, begun=begun, texts=texts):
            for event in replies[index]:
                begun.set()
                texts[index] += event.text if isinstance(event, TextDelta) else ""

        threads = [threading.Thread(target=read, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        assert begun.wait(60)
        replies[cancelled].cancel()
        for thread in threads:
            thread.join(60)
        assert texts[1 - cancelled] == whole
        assert len(texts[cancelled]) < len(whole)
        assert whole.startswith(texts[cancelled])


def test_a_second_request_waits_for_its_turn(engine):
    first = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    started = next(first)
    second = ask(engine, MESSAGE)[1]
    assert second.finish_reason == "stop"
    rest = list(first)
    assert rest[-1].finish_reason == "length"
    assert started.text + text_of(rest) == text_of(engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS))


def test_warming_that_is_cancelled_ends_and_leaves_the_next_answer_as_it_was(engine):
    history = (Message("user", "word " * 700), Message("assistant", "Hello!"))
    expected, _ = ask(engine, MESSAGE, history=history)
    ask(engine, MESSAGE)
    warming = engine.warm(history, 64)
    timer = threading.Timer(0.02, warming.cancel)
    timer.start()
    warming.finish()
    timer.join()
    assert ask(engine, MESSAGE, history=history)[0] == expected


def test_an_abandoned_answer_is_cancelled(engine):
    whole, _ = ask(engine, MESSAGE)
    abandoned = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(abandoned)
    sent = []
    cancel = engine._child.cancel
    engine._child.cancel = lambda number: (sent.append(number), cancel(number))[1]
    abandoned.close()
    del engine._child.cancel
    assert sent
    assert ask(engine, MESSAGE)[0] == whole


def test_a_failure_in_python_is_told_and_leaves_the_process_alive(engine):
    pid = engine.pid
    with pytest.raises(EngineError, match="something unexpected happened in the engine"):
        list(engine.generate([], Mix(), Sampling()))
    assert ask(engine, MESSAGE)[0]
    assert engine.pid == pid


def test_a_word_of_tens_of_thousands_of_letters_is_too_long_and_ends_nothing(engine):
    draw = random.Random(0)
    pid = engine.pid
    with pytest.raises(InputError, match="too long"):
        ask(engine, "".join(draw.choices("acgt", k=60_000)))
    assert ask(engine, MESSAGE)[0]
    assert engine.pid == pid


def test_two_conversations_at_once_do_not_mix(engine):
    def conversation(task, prompts):
        history, answers = [], []
        for prompt in prompts:
            answer, _ = ask(engine, prompt, Mix.of({task: 1.0}), history)
            history += [Message("user", prompt), Message("assistant", answer)]
            answers.append(answer)
            yield answers

    alone = [list(conversation(task, PROMPTS[task][:3]))[-1] for task in ("sql", "dates")]
    together = list(zip(*(conversation(task, PROMPTS[task][:3]) for task in ("sql", "dates")), strict=True))[-1]
    assert list(together) == alone


def test_a_closed_engine_says_so_and_leaves_no_process(bundled):
    engine = open_engine(bundled, EngineProcess)
    ask(engine, MESSAGE)
    pid = engine.pid
    engine.close()
    engine.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(EngineError, match="engine is closed"):
        ask(engine, MESSAGE)
