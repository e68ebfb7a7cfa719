"""A tiny random Llama as a GGUF file in f32, and as trainings compute it."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # tiny products: threads would wait for each other
for package in ("transformers", "peft", "safetensors"):
    pytest.importorskip(package, reason="needs the train extra")

from llama_cpp import llama_cpp as lib  # noqa: E402

from dlp_local.engine.local import context_params  # noqa: E402
from dlp_local.training.adapter.backbone import Backbone  # noqa: E402
from tests.support.tiny_models import random_model, write_backbone  # noqa: E402


@pytest.fixture(scope="session")
def tiny_llama():
    return random_model("llama")


@pytest.fixture(scope="session")
def tiny_path(tiny_llama, tmp_path_factory):
    path = tmp_path_factory.mktemp("backbone") / "llama.gguf"
    write_backbone("llama", tiny_llama, path)
    return path


@pytest.fixture(scope="session")
def backbone(tiny_path):
    return Backbone(tiny_path)


@pytest.fixture
def exact_cache(monkeypatch):
    """Keys and values in f32, whose rounding to f16 alone makes differences of 0.002."""
    monkeypatch.setitem(context_params.KV_TYPES, "f16", lib.GGML_TYPE_F32)
