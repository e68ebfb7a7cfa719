"""The converter's files against those of llama.cpp's own convert_lora_to_gguf.py, tensor for tensor.

The script is in llama-cpp-python's source distribution only; `DLP_LOCAL_LLAMA_CPP` names the folder of llama.cpp there.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("transformers", reason="needs the train extra")

from dlp_local.formats.peft.convert import convert_lora
from tests.support.lora import read_pairs
from tests.support.peft_adapters import add_adapter, modules_of
from tests.support.tiny_models import MODELS, random_model, write_backbone

SOURCE = os.environ.get("DLP_LOCAL_LLAMA_CPP", "")
SCRIPT = Path(SOURCE) / "convert_lora_to_gguf.py"
pytestmark = pytest.mark.skipif(not SOURCE, reason="DLP_LOCAL_LLAMA_CPP does not name llama.cpp's sources")

NOT_THEIRS = {"gpt2", "mistral3"}
"""Their script turns GPT-2's matrices round in adapters, too, so that the file fits no backbone; in place of an adapter
of Ministral 3 it begins to convert the model."""


PRECISIONS = [*((name, "f32") for name in sorted(MODELS.keys() - NOT_THEIRS)), ("llama", "f16"), ("llama", "q8_0")]


@pytest.mark.parametrize(("name", "precision"), PRECISIONS)
def test_the_file_is_llama_cpps_tensor_for_tensor(tmp_path, name, precision):
    model = random_model(name)
    write_backbone(name, model, tmp_path / "b.gguf")
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(tmp_path / "base")
    modules = [module for module in modules_of(model) if (name, module) != ("phi2", "lm_head")]  # it stops at its bias
    add_adapter(model, modules).save_pretrained(tmp_path / "peft")
    convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "ours.gguf", precision=precision)
    command = [SCRIPT, "--base", tmp_path / "base", "--outfile", tmp_path / "theirs.gguf", "--no-lazy"]
    command += ["--outtype", precision, tmp_path / "peft"]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = read_pairs(tmp_path / "ours.gguf"), read_pairs(tmp_path / "theirs.gguf")
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not np.array_equal(ours[key], theirs[key])] == []
