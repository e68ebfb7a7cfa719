"""A tiny random Llama: as transformers has it, as a GGUF file, and as the trainer reads it."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)  # tiny products: threads would wait for each other
for package in ("transformers", "peft", "safetensors"):
    pytest.importorskip(package, reason="needs the train extra")

from tests.support.tiny_models import random_model, write_backbone  # noqa: E402
from tools.side_by_side.adapters import AdapterBank  # noqa: E402
from tools.side_by_side.backbone import Backbone  # noqa: E402


@pytest.fixture(scope="session")
def tiny_llama():
    return random_model("llama")


@pytest.fixture(scope="session")
def backbone(tiny_llama, tmp_path_factory):
    path = tmp_path_factory.mktemp("backbone") / "llama.gguf"
    write_backbone("llama", tiny_llama, path)
    return Backbone(path)


@pytest.fixture
def bank(backbone, tmp_path):
    """Two adapters of rank 4 that do something: their B is not zero."""

    drawn, made = (AdapterBank(("one", "two"), backbone.shape, 4) for _ in range(2))
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in drawn.tensors.items():
            if name.endswith(".b"):
                tensor.normal_(0, 0.2, generator=draw)
    for name in drawn.names:  # a folder holds the weights alone, not what lies between their blocks
        drawn.save(name, tmp_path / f"drawn-{name}")
        made.load(name, tmp_path / f"drawn-{name}")
    return made
