"""Room for mixes on a vLLM: what was not used for longest goes, and nothing that anybody uses or is about to."""

import os
import threading
from itertools import cycle, islice

import pytest

from dlp_local.core.events import TextDelta
from dlp_local.core.values import Message, Mix
from dlp_local.engine.remote import mixes as mixes_module
from tests.support.engines import GREEDY, ask
from tests.support.fakes import PATIENCE

LOAD, UNLOAD, COMPLETE = "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/completions"
FIRST, SECOND, THIRD = (Mix.of({"sql": weight}) for weight in (0.25, 0.5, 0.75))
BLINK = 0.3
"""Seconds for something that must not happen."""


@pytest.fixture
def grow_old(tmp_path):
    """Has all mixes on the disk be used a second earlier than they were."""

    def grow_old():
        for folder in (tmp_path / "mixes").iterdir():
            used = folder.stat().st_mtime_ns - 10**9
            os.utime(folder, ns=(used, used))

    return grow_old


def name_of(fake, engine, mix):
    """What a mix is called there, once it is loaded."""
    ask(engine, "hello", mix)
    return fake.asked(COMPLETE)[-1]["model"]


def test_a_mix_that_is_used_over_and_over_is_loaded_once_however_many_come_and_go(fake, engine, monkeypatch, grow_old):
    monkeypatch.setattr(mixes_module, "KEPT", 2)
    base = name_of(fake, engine, Mix())
    for weight in (0.2, 0.3, 0.4, 0.5):
        ask(engine, "hello", Mix.of({"sql": weight}))
        grow_old()
        ask(engine, "hello", Mix())
        grow_old()
    assert [body["lora_name"] for body in fake.asked(LOAD)].count(base) == 1
    assert base not in [body["lora_name"] for body in fake.asked(UNLOAD)]
    assert len(fake.loaded) == 2


def test_a_mix_that_is_wanted_while_it_is_unloaded_is_loaded_again(fake, engine, monkeypatch, grow_old):
    first = name_of(fake, engine, FIRST)
    grow_old()
    monkeypatch.setattr(mixes_module, "KEPT", 1)
    told, is_asking, is_gone = [], threading.Event(), threading.Event()

    def want():
        try:
            told.append(ask(engine, "hello", FIRST)[0])
        except Exception as error:
            told.append(error)

    wanting = threading.Thread(target=want, daemon=True)

    def before(path, body):
        if path == UNLOAD and not wanting.ident:
            wanting.start()
            is_asking.wait(BLINK)  # for an answer under what is about to go
        elif path == COMPLETE and body["model"] == first:
            is_asking.set()
            is_gone.wait(PATIENCE)
        elif path == COMPLETE:
            is_gone.set()

    fake.before = before
    assert ask(engine, "hello", SECOND)[0] == "a fine answer"
    wanting.join(PATIENCE)
    assert told == ["a fine answer"]
    assert [body["lora_name"] for body in fake.asked(LOAD)].count(first) == 2


def test_a_mix_that_is_used_by_the_time_that_it_would_go_stays(fake, engine, monkeypatch, grow_old):
    first = name_of(fake, engine, FIRST)
    grow_old()
    second = name_of(fake, engine, SECOND)
    grow_old()
    monkeypatch.setattr(mixes_module, "KEPT", 1)
    fake.hold = threading.Event()
    begun = engine.generate([Message("user", "hello")], SECOND, GREEDY)

    def before(path, body):
        if path == UNLOAD and body["lora_name"] == first:
            assert isinstance(next(begun), TextDelta)
        elif path == COMPLETE and body["model"] != second:
            fake.hold.set()

    fake.before = before
    assert ask(engine, "hello", THIRD)[0] == "a fine answer"
    assert [body["lora_name"] for body in fake.asked(UNLOAD)] == [first]
    *_, done = begun
    assert done.finish_reason == "stop"


def test_many_at_once_with_room_for_few_all_get_their_answers(fake, engine, monkeypatch):
    monkeypatch.setattr(mixes_module, "KEPT", 1)
    mixes, told = [Mix(), FIRST, SECOND, THIRD], []

    def several(start):
        try:
            told.extend(ask(engine, "hello", mix)[0] for mix in islice(cycle(mixes), start, start + 8))
        except Exception as error:
            told.append(error)

    threads = [threading.Thread(target=several, args=(start,), daemon=True) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert told == ["a fine answer"] * 32
