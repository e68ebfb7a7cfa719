"""The training of a pack's adapters, from rows to PEFT folders: cut and gone on with, and the choice among variants."""

from __future__ import annotations

import itertools
import json

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("transformers", reason="needs the train extra")

from safetensors.torch import load_file  # noqa: E402

from tools.adapter_set import AdapterSet, Choice, Variant  # noqa: E402
from tools.data import Row  # noqa: E402
from tools.frame import ASSISTANT, END, USER  # noqa: E402
from tools.side_by_side.data import ChatFrame  # noqa: E402
from tools.side_by_side.trainer import Budget, Plan  # noqa: E402
from tools.train_adapters import choose, train  # noqa: E402

ROWS = {"up": Row("count to two", "one two"), "down": Row("count down", "two one")}


def adapters(variants):
    return AdapterSet(
        frame=ChatFrame(USER, f"{END}{ASSISTANT}", END),
        before="",
        variants=variants,
        chosen={"up": Choice(("up-a", "up-b"), "last"), "down": Choice(("down",))},
        rows=lambda _, task, seed: itertools.repeat(ROWS[task]),
        valid_rows=lambda _, task: [ROWS[task]] * 3,
        prefixes=lambda _, tokenize: itertools.cycle([[], tokenize(f"{USER}hello{END}{ASSISTANT}hello{END}")]),
        batch_rows=2,
        length=32,
        seconds=1,
    )


PLAN = Plan(rate=0.005)
TWO_TASKS = adapters({"up-a": Variant("up", PLAN, 4), "up-b": Variant("up", PLAN, 4), "down": Variant("down", PLAN, 8)})


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def backbone(bundled):
    torch.set_num_threads(1)
    return bundled / "backbone.gguf"


def test_adapters_learn_their_rows_and_a_second_run_goes_on(backbone, tmp_path, capsys):
    train(TWO_TASKS, tmp_path, backbone, tmp_path / "out", Budget(steps=5))
    first = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["steps"]
    train(TWO_TASKS, tmp_path, backbone, tmp_path / "out", Budget(steps=40), valid=3)
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["steps"] > first
    right = json.loads((tmp_path / "out" / "valid.json").read_text("utf-8"))
    assert right == {"up-a": 100.0, "up-b": 100.0, "down": 100.0}, capsys.readouterr().out

    choose(TWO_TASKS, backbone, tmp_path / "out", tmp_path / "adapters")
    one, other = (weights(tmp_path / "out" / "last" / name) for name in ("up-a", "up-b"))
    for name, tensor in weights(tmp_path / "adapters" / "up").items():
        mean = (one[name].float() + other[name].float()) / 2
        torch.testing.assert_close(tensor.float(), mean, atol=1e-3, rtol=1e-2)
    config = json.loads((tmp_path / "adapters" / "down" / "adapter_config.json").read_text("utf-8"))
    assert config["r"] == 8
    assert len(config["alora_invocation_tokens"]) == 1
