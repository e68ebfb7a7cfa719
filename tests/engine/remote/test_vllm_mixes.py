"""How mixes get to vLLM: as one adapter under a name of its content, loaded once, unloaded before its files go."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dlp_local.core import settings
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.values import Mix
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.remote import mixes as mixes_module
from dlp_local.engine.remote.engine import RemoteEngine
from dlp_local.formats.safetensors_file import open_safetensors
from tests.support.engines import adapter_files, ask
from tests.support.fake_vllm import Fault, hash_of
from tests.support.vllm_engine import MIX, engine_at


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
