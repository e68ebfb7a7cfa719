"""The training of the bundled adapters: cut and gone on with, and the mean of two trainings."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("transformers", reason="needs the train extra")

from peft import get_peft_model_state_dict  # noqa: E402

from tools import train_adapters, train_backbone  # noqa: E402

PLAN = train_adapters.Plan(steps=6, batch=2, lr=1e-2)


class Rows:
    """Six batches of two short rows; a training that asks for more than `cut` of them is interrupted."""

    def __init__(self, cut: int = 6) -> None:
        self.cut = cut

    def batches(self):
        draw = torch.Generator().manual_seed(0)
        for number in itertools.count():
            if number == self.cut:
                raise KeyboardInterrupt
            ids = torch.randint(5, 60, (2, 8), generator=draw)
            yield ids, torch.where(torch.arange(8) < 4, train_adapters.IGNORED, ids)


@pytest.fixture
def new_model(monkeypatch):
    """Makes the same untrained adapter on the same tiny backbone each time."""
    monkeypatch.setattr(train_adapters.LoraLinear, "forward", train_adapters.LoraLinear.forward)
    plan = train_backbone.Plan(vocab=64, hidden=32, layers=1, heads=2, kv_heads=2, ffn=32, context=16)
    return lambda: train_adapters.add_adapter(train_backbone.build_model(plan), [3], PLAN)


def weights(model):
    return get_peft_model_state_dict(model)


def same(one, other):
    return all(torch.allclose(one[name], other[name], atol=1e-6) for name in one | other)


def test_a_training_that_was_cut_ends_where_an_uncut_one_does(new_model, tmp_path):
    whole, cut = new_model(), new_model()
    mean = train_adapters.fit(whole, Rows(), PLAN, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train_adapters.fit(cut, Rows(cut=5), PLAN, tmp_path / "cut.pt", save_every=4)
    goes_on = new_model()
    again = train_adapters.fit(goes_on, Rows(), PLAN, tmp_path / "cut.pt", save_every=4)
    assert same(weights(goes_on), weights(whole))
    assert not same(weights(goes_on), weights(new_model()))
    assert again.count == mean.count == 3
    assert same(again.tensors, mean.tensors)


def test_a_finished_training_is_taken_from_its_checkpoint_without_reading_a_row(new_model, tmp_path):
    model, other = new_model(), new_model()
    train_adapters.fit(model, Rows(), PLAN, tmp_path / "task.pt")
    train_adapters.fit(other, Rows(cut=0), PLAN, tmp_path / "task.pt")
    assert same(weights(other), weights(model))


def test_the_mean_is_that_of_all_that_was_added():
    mean = train_adapters.Mean()
    for value in (1.0, 2.0, 6.0):
        mean.add({"w": torch.full((2, 2), value)})
    assert torch.allclose(mean.tensors["w"], torch.full((2, 2), 3.0))
