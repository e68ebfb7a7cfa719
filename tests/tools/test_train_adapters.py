"""The training of a pack's adapters, from rows to PEFT folders: cut and gone on with, and what each begins with."""

from __future__ import annotations

import itertools
import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("transformers", reason="needs the train extra")

from safetensors.torch import load_file  # noqa: E402

from dlp_local.core.errors import InputError  # noqa: E402
from dlp_local.core.values import Message  # noqa: E402
from dlp_local.training.adapter.choices import Choices  # noqa: E402
from dlp_local.training.adapter.encoding import open_row_encoder  # noqa: E402
from dlp_local.training.adapter.fit import Fit  # noqa: E402
from tools.adapter_runs import AdapterRuns  # noqa: E402
from tools.adapter_set import AdapterPlan, AdapterSet  # noqa: E402
from tools.data import Row  # noqa: E402
from tools.recipes import RECIPES  # noqa: E402
from tools.train_adapters import LONGEST, encoded, train  # noqa: E402

ANSWERS = {"up": "one two", "down": "two one"}
TALK = (Message("user", "hello"), Message("assistant", "hello"))


def plan(rank):
    return AdapterPlan(16, Choices(rank=rank, rate=5e-3, epochs=2, batch_tokens=64))


TWO = AdapterSet(
    plans={"up": plan(4), "down": plan(8)},
    rows=lambda _, task, seed: (Row(f"count {task} to {number}", ANSWERS[task]) for number in itertools.count(seed)),
    histories=lambda _: itertools.cycle([(), TALK]),
)


@pytest.fixture(scope="module")
def backbone(bundled):
    torch.set_num_threads(1)
    return bundled / "backbone.gguf"


@pytest.fixture(scope="module")
def trained(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    train(TWO, folder, backbone, folder / "adapters")
    return folder / "adapters"


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def config(folder):
    return json.loads((folder / "adapter_config.json").read_text("utf-8"))


def losses(out):
    """The held-out losses of base and at the best epoch, by adapter."""
    runs = [json.loads(path.read_text("utf-8")) for path in (out / ".runs").glob("*/run.json")]
    return {run["adapters"][0]: run["held_out_loss"] for run in runs}


def test_each_adapter_learns_its_rows_with_its_own_rank_from_the_users_turn_on(trained):
    assert {name: config(trained / name)["r"] for name in TWO.plans} == {"up": 4, "down": 8}
    assert {len(config(trained / name)["alora_invocation_tokens"]) for name in TWO.plans} == {1}
    found = losses(trained)
    assert sorted(found) == ["down", "up"]
    assert all(loss["least"] < 0.7 * loss["base"] for loss in found.values())


def test_what_is_there_is_not_trained_again(backbone, trained, tmp_path, monkeypatch):
    shutil.copytree(trained / "up", tmp_path / "up")
    begun = []
    monkeypatch.setattr(AdapterRuns, "run", lambda self, rows, *more: begun.extend(rows) or pytest.fail("trained"))
    train(TWO, tmp_path, backbone, tmp_path, ["up"])
    assert begun == []


def test_a_training_that_was_cut_goes_on_to_the_same_weights(backbone, trained, tmp_path, monkeypatch):
    learn, steps = Fit._learn, []

    def cut(self, batch):
        if len(steps) == 5:
            steps.append(None)
            raise KeyboardInterrupt
        steps.append(learn(self, batch))
        return steps[-1]

    monkeypatch.setattr(Fit, "_learn", cut)
    with pytest.raises(KeyboardInterrupt):
        train(TWO, tmp_path, backbone, tmp_path / "adapters", ["up"])
    assert not (tmp_path / "adapters" / "up").exists()
    train(TWO, tmp_path, backbone, tmp_path / "adapters", ["up"])
    found, wanted = weights(tmp_path / "adapters" / "up"), weights(trained / "up")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_training_begins_with_the_adapter_that_it_is_given(backbone, trained, tmp_path):
    train(TWO, tmp_path, backbone, tmp_path / "on", ["up"], start=trained, most_rows=12)
    train(TWO, tmp_path, backbone, tmp_path / "anew", ["up"], start=tmp_path, most_rows=12)
    assert losses(tmp_path / "on")["up"]["least"] < losses(tmp_path / "anew")["up"]["least"]
    assert not list((tmp_path / "on" / ".runs").glob("*.gguf"))


def test_one_of_a_larger_rank_is_refused(backbone, trained, tmp_path):
    shutil.copytree(trained / "down", tmp_path / "up")
    with pytest.raises(InputError, match="its rank is 8, more than 4"):
        train(TWO, tmp_path, backbone, tmp_path / "out", ["up"], start=tmp_path)


def test_rows_come_after_their_history_unless_that_is_too_long(backbone, tmp_path):
    long = (Message("user", "hello " * LONGEST), Message("assistant", "hello"))
    with open_row_encoder(backbone, "", "turn", "", LONGEST) as encoder:
        rows = encoded(encoder, TWO, tmp_path, "up", 16)
        of_long = AdapterSet(TWO.plans, TWO.rows, lambda _: itertools.repeat(long))
        alone = encoded(encoder, of_long, tmp_path, "up", 16)
    prefixes = [example.prefix for example in (*rows.train, *rows.held_out)]
    assert len(prefixes) == 16
    assert sum(bool(prefix) for prefix in prefixes) == 8
    assert len(alone.train) + len(alone.held_out) == 16
    assert not any(example.prefix for example in (*alone.train, *alone.held_out))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_adapter_of_a_pack_has_a_plan(name):
    recipe = RECIPES[name]
    assert recipe.adapter_set.plans.keys() == recipe.adapters.keys()
