"""The bank of adapters: used where it is right, and built while others write."""

import numpy as np
import pytest

from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import AdapterFile, Mix
from dlp_local.engine.local import bank as bank_module
from dlp_local.engine.local import stacking
from dlp_local.engine.local.bank import Bank
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.packs import open_pack
from tests.support.at_once import ENDLESS, Asked, assert_alike, finish
from tests.support.engines import adapter_files, open_engine
from tests.support.quantized import quantize

DATE = "to ISO: 4 July 1999"
LONG = Sampling(temperature=5, top_k=0, top_p=1, min_p=0, seed=1, max_tokens=60)


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0", "Q4_1"])
def test_batches_of_many_mixes_are_there_whatever_the_backbone_is_quantized_to(bundled, tmp_path, kind):
    backbone = quantize(open_pack(bundled).backbone_path, tmp_path / "b.gguf", kind)
    engine = LocalEngine(backbone, adapter_files(bundled), Options(parallel=2, check_memory=False))
    assert engine._bank
    engine.close()


@pytest.mark.parametrize("wrong", [lambda rows: rows[::-1].copy(), np.zeros_like, lambda rows: 2 * rows])
def test_a_bank_that_computes_something_else_is_not_used(bundled, monkeypatch, wrong):
    stack = np.stack
    monkeypatch.setattr(bank_module.np, "stack", lambda rows: wrong(stack(rows)))
    engine = open_engine(bundled, parallel=2)
    assert engine._bank is None
    assert not engine._backbone._adapters - set(engine._mixer._held.values())
    engine.close()


@pytest.fixture
def small(bundled, monkeypatch):
    """An engine whose bank has room for some of its adapters, and comes in many files."""
    monkeypatch.setattr(bank_module, "MOST_RANKS", 40)
    monkeypatch.setattr(stacking, "FILE_SIZE", 1 << 16)
    engine = open_engine(bundled, parallel=8)
    assert 1 < len(engine._bank.names) < len(engine._mixer.names)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def alone(bundled):
    engine = open_engine(bundled, parallel=8)
    yield engine
    engine.close()


def missing(engine):
    return next(name for name in engine._mixer.names if name not in engine._bank.names)


def test_while_a_bank_is_built_those_that_run_go_on_with_theirs(small, alone):
    name = missing(small)
    first = Asked(small, "tell me something", Mix.of({small._bank.names[0]: 1.0}), sampling=LONG)
    while len(first.events) < 3:
        small.step()
    second = Asked(small, DATE, Mix.of({name: 1.0}))
    written = []
    while name not in small._bank.names:
        before = len(first.events)
        small.step()
        written.append(len(first.events) - before)
    assert len(written) > 3
    assert max(written) <= 2
    assert sum(written) >= len(written) - 2
    finish(small)
    assert_alike(second, alone)
    assert len(small._backbone._adapters - set(small._mixer._held.values())) == 1


def test_what_comes_after_one_that_waits_for_a_bank_keeps_its_turn(small, alone):
    known, other = small._bank.names[0], missing(small)
    asked = [Asked(small, "tell me something", Mix.of({known: 1.0}), sampling=LONG)]
    small.step()
    asked += [Asked(small, DATE, Mix.of({name: 1.0})) for name in (other, known)]
    while not small._bank.holds([((other, 1.0),)]):
        small.step()
        assert len(small._stepper._running) == 1 or other in small._bank.names
    finish(small)
    for reply in asked[1:]:
        assert_alike(reply, alone)


def test_an_adapter_that_is_replaced_while_others_write_is_in_a_new_bank(small, bundled):
    in_use, replaced = small._bank.names[0], small._bank.names[-1]
    running = [Asked(small, "tell me something", Mix.of({in_use: weight}), sampling=ENDLESS) for weight in (1.0, 0.5)]
    for _ in range(8):
        small.step()
    small.add_adapter(next(file for file in adapter_files(bundled) if file.name == replaced))
    assert not small._bank.names
    for _ in range(100):
        small.step()
    assert small._stepper._uses_bank()
    for reply in running:
        reply.cancellation.request()
    finish(small)


def test_an_adapter_that_cannot_be_in_a_bank_keeps_no_others_out(bundled, tmp_path, alone):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF and no more")
    files = [AdapterFile("bad", bad), *adapter_files(bundled)]
    engine = LocalEngine(open_pack(bundled).backbone_path, files, Options(parallel=4))
    assert set(engine._bank.names) == {file.name for file in files[1:]}
    asked = [Asked(engine, DATE, Mix.of({name: 1.0})) for name in ("dates", "sql", "bad")]
    finish(engine)
    assert "bad.gguf" in str(asked[2].running.error)
    for reply in asked[:2]:
        assert_alike(reply, alone)
    engine.close()


def test_an_engine_can_be_closed_while_a_bank_is_built(bundled, monkeypatch):
    monkeypatch.setattr(bank_module, "MOST_RANKS", 40)
    monkeypatch.setattr(stacking, "FILE_SIZE", 1 << 16)
    engine = open_engine(bundled, parallel=8)
    for name in (engine._bank.names[0], missing(engine)):
        Asked(engine, "tell me something", Mix.of({name: 1.0}), sampling=ENDLESS)
    for _ in range(3):
        engine.step()
    assert engine._bank._building
    engine.close()


def test_where_there_is_no_room_for_a_bank_answers_come_by_mix(small, alone, monkeypatch):
    monkeypatch.setattr(small._mixer, "budget", 1)
    tried = []
    load = Bank._load
    monkeypatch.setattr(Bank, "_load", lambda bank, needed: (tried.append(needed), load(bank, needed))[1])
    asked = [Asked(small, DATE, Mix.of({name: 1.0})) for name in small._mixer.names]
    finish(small)
    for reply in asked:
        assert_alike(reply, alone)
    assert len(tried) == len(set(tried)) > 0
