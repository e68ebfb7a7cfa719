"""A folder that no adapter is read from is called what it is, and the adapter in it is named where there is one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import PackError
from dlp_local.formats.peft.file_names import which_adapter
from dlp_local.formats.peft.folder import read_folder
from tests.support.peft_folder import CONFIG, pair, safetensors

ADAPTER = {"adapter_config.json": json.dumps(CONFIG).encode(), "adapter_model.safetensors": safetensors(pair())}
MODEL = {"config.json": b"{}", "model.safetensors": safetensors({"model.norm.weight": np.ones(4, np.float32)})}


def inside(folder, files):
    return {f"{folder}/{name}": content for name, content in files.items()}


FOLDERS = {
    "checkpoints": (
        inside("checkpoint-500", ADAPTER) | inside("checkpoint-1500", ADAPTER) | inside("checkpoint-1000", ADAPTER),
        r"checkpoints of a training, and no adapter beside them\. The newest is .*here/checkpoint-1500: name it",
    ),
    "epochs of torchtune": (inside("epoch_0", ADAPTER) | inside("epoch_2", ADAPTER), r"The newest is .*/epoch_2:"),
    "one folder": (inside("final", ADAPTER), r"holds its adapter in a folder\. Name it: .*/final\."),
    "several adapters": (
        inside("sql", ADAPTER) | inside("checkpoint-1", ADAPTER),
        r"holds several adapters\. Name one of them: .*/checkpoint-1, .*/sql\.",
    ),
    "a whole model": (
        MODEL,
        r"holds a whole model, not an adapter.*convert_hf_to_gguf\.py.*dlp-local pack create NAME --backbone",
    ),
    "an optimizer's state": (
        {"optimizer.pt": b"x", "scheduler.pt": b"x", "rng_state.pth": b"x", "trainer_state.json": b"{}"},
        r"the state of a training \(optimizer, scheduler\), and no weights\. Name the folder that adapter_model",
    ),
    "DeepSpeed": ({"zero_to_fp32.py": b"", "global_step10/x.pt": b"x"}, "a checkpoint of DeepSpeed.*save_pretrained"),
    "FSDP": ({"pytorch_model_fsdp_0/__0_0.distcp": b"x"}, r"in shards \(FSDP\)\. .*accelerate merge-weights"),
    "pickles": (
        {"adapter_model.bin": b"x"},
        r"holds adapter_model\.bin, a pickle.*Get the adapter as adapter_model\.s",
    ),
    "torchtune's pickles": ({"adapter_0.pt": b"x", "recipe_state.pt": b"x"}, r"holds adapter_0\.pt, a pickle"),
    "tensors alone": ({"adapter_model.safetensors": b""}, r"without its adapter_config\.json, which says its rank"),
    "nothing": ({}, "is empty"),
    "other things": ({"README.md": b"x"}, r"holds no adapter: there is no adapter_config\.json"),
}
WITHOUT_WEIGHTS = {
    "in parts": (
        {f"adapter_model-0000{n}-of-00002.safetensors": b"x" for n in (1, 2)},
        r"its tensors are in 2 files, and adapter_model\.safetensors is read alone\. Load it with PEFT",
    ),
    "a pickle": ({"adapter_model.pt": b"x"}, r"holds adapter_model\.pt, a pickle"),
    "merged": (MODEL, r"adapter_model\.safetensors: is not there.*It holds a whole model"),
    "nothing": ({}, r"adapter_model\.safetensors: is not there, beside adapter_config\.json\. Get the whole folder\.$"),
    "a pointer": (
        {"adapter_model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"},
        None,  # read, and told by what reads the tensors
    ),
}


def write(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_without_an_adapter_at_its_top_is_named_for_what_it_is(tmp_path, kind):
    files, told = FOLDERS[kind]
    with pytest.raises(PackError, match=f"here: .*{told}"):
        read_folder(write(tmp_path / "here", files))


@pytest.mark.parametrize("kind", WITHOUT_WEIGHTS)
def test_a_configuration_without_its_tensors_is_told_with_what_lies_beside_it(tmp_path, kind):
    files, told = WITHOUT_WEIGHTS[kind]
    folder = write(tmp_path / "here", {"adapter_config.json": ADAPTER["adapter_config.json"]} | files)
    if told is None:
        assert read_folder(folder).weights.exists()
        return
    with pytest.raises(PackError, match=told):
        read_folder(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html>", "is a web page"),
        (b"", "is empty"),
    ],
)
def test_a_configuration_that_is_another_file_is_told_what_it_is(tmp_path, content, told):
    with pytest.raises(PackError, match=rf"adapter_config\.json: {told}"):
        read_folder(write(tmp_path / "here", ADAPTER | {"adapter_config.json": content}))


@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=5))
def test_the_newest_checkpoint_is_that_of_the_largest_number(steps):
    folders = sorted(f"checkpoint-{step}" for step in steps)
    assert f"The newest is out/checkpoint-{max(steps)}:" in which_adapter(folders, "out/")
