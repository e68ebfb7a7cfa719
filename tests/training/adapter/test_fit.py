"""A training learns, keeps the best, and goes on where it was left as if it had not been."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dlp_local.training.adapter import fit as fit_module  # noqa: E402
from dlp_local.training.adapter.fit import Fit, HeldOut, schedule  # noqa: E402
from tests.support.adapter_training import (  # noqa: E402
    examples,
    new_method,
    run_for,
    run_to_end,
    same,
    some_choices,
    trained,
)

WAYS = {
    "lora": {},
    "dropout": {"method": "lora", "dropout": 0.3},
    "rite": {"method": "lora", "optimizer": "rite"},
    "cola": {"links": 3},
    "xgb": {"booster_steps": 3},
    "multilora": {"links": 2},
}
STEPS = 12
"""Of the trainings here: three epochs of four batches."""


def choices_of(way, **more):
    return some_choices(**{"method": way} | WAYS[way] | more)


def new_fit(backbone, method, choices, folder, held_out=None):
    return Fit(backbone, method, [examples(12)], [held_out or examples(12)], choices, folder)


@pytest.mark.parametrize("way", WAYS)
def test_it_learns(backbone, tmp_path, way):
    _, fitted = trained(backbone, choices_of(way), tmp_path)
    assert (fitted.steps, fitted.ended, len(fitted.held_out_losses)) == (STEPS, "whole", 4)
    assert fitted.held_out_losses[-1] < fitted.held_out_losses[0] - 0.1


@pytest.mark.parametrize("way", WAYS)
def test_the_same_seed_gives_the_same_adapter_and_another_another(backbone, tmp_path, way):
    one, other, third = (
        trained(backbone, choices_of(way, epochs=1, seed=seed), tmp_path / str(number))
        for number, seed in enumerate((0, 0, 1))
    )
    assert same(one[0].state(), other[0].state())
    assert one[1].held_out_losses == other[1].held_out_losses
    assert not same(one[0].state(), third[0].state())


@pytest.mark.parametrize("way", ["lora", "cola", "xgb", "multilora"])
def test_the_weights_of_the_best_epoch_are_kept(backbone, tmp_path, way):
    """On held-out rows of other answers it becomes worse from some epoch on."""
    others = examples(6, seed=5)
    choices = choices_of(way, epochs=8, rate=3e-2)
    method = new_method(backbone, choices)
    fit = new_fit(backbone, method, choices, tmp_path, others)
    run_to_end(fit)
    best = max(fit._judged[1:])
    assert best > fit._judged[-1]
    assert new_fit(backbone, method, choices, tmp_path / "judge", others)._judge_held_out(method) == pytest.approx(best)


def test_right_tokens_count_before_the_loss():
    """The answers are greedy, and a loss that rises beside more right tokens tells of too little doubt alone."""
    assert HeldOut(0.6, -2.5) > HeldOut(0.5, -1.5) > HeldOut(0.5, -1.6)


def test_it_ends_early_where_held_out_rows_no_longer_gain(backbone, tmp_path):
    choices = some_choices(epochs=12, rate=3e-2)
    method = new_method(backbone, choices)
    others = examples(6, seed=5)
    fit = new_fit(backbone, method, choices, tmp_path, others)
    fitted, said = run_to_end(fit)
    assert fitted.ended == "early"
    assert fitted.steps < 12 * 4
    epochs = len(fit._judged) - 1
    assert epochs - fit._judged.index(max(fit._judged)) == 3  # a quarter of them
    assert said[-1].epoch == epochs
    again, _ = run_to_end(new_fit(backbone, new_method(backbone, choices), choices, tmp_path, others))
    assert (again.steps, again.ended) == (fitted.steps, "early")


def test_what_is_cancelled_before_its_first_epoch_has_changed_nothing_yet(backbone, tmp_path):
    method = new_method(backbone, some_choices())
    before = method.state()
    fitted = run_for(new_fit(backbone, method, some_choices(), tmp_path), 2)
    assert (fitted.steps, fitted.ended, len(fitted.held_out_losses)) == (2, "cancelled", 1)
    assert same(method.state(), before)


def test_it_says_how_far_it_is(backbone, tmp_path):
    method = new_method(backbone, some_choices())
    fitted, said = run_to_end(new_fit(backbone, method, some_choices(), tmp_path))
    assert (said[0].step, said[0].loss, said[0].held_out_loss) == (0, None, fitted.held_out_losses[0])
    epochs = [one for one in said if one.step and one.step % 4 == 0]
    assert [one.epoch for one in epochs] == [1, 2, 3]
    assert [one.held_out_loss for one in epochs] == list(fitted.held_out_losses[1:])
    assert all(one.of_steps == STEPS and one.seconds_left >= 0 and one.tokens_per_second > 0 for one in said)
    assert said[-1].seconds_left == 0
    assert said[-1].loss < said[1].loss


def test_weights_whose_loss_is_no_number_are_never_the_best(backbone, tmp_path):
    choices = some_choices(rate=1.0, alpha=1e6)
    method = new_method(backbone, choices)
    before = method.state()
    fitted, _ = run_to_end(new_fit(backbone, method, choices, tmp_path))
    assert {*fitted.held_out_losses[1:]} == {math.inf}
    assert same(method.state(), before)


def test_the_rate_rises_and_falls_once_and_in_each_link_of_a_chain(backbone, tmp_path, monkeypatch):
    rates = {}
    for way in ("lora", "cola"):
        rates[way] = []

        def noting(method, choices, told=rates[way], make=fit_module.make_optimizer):
            made = make(method, choices)
            step = made.step
            made.step = lambda rate: (told.append(rate), step(rate))
            return made

        with monkeypatch.context() as patched:
            patched.setattr(fit_module, "make_optimizer", noting)
            trained(backbone, choices_of(way), tmp_path / way)
    assert rates["cola"] == pytest.approx(rates["cola"][:4] * 3)
    assert rates["lora"][1:] == sorted(rates["lora"][1:], reverse=True)
    assert rates["lora"][0] == pytest.approx(1e-3)


def test_the_schedule_rises_to_the_whole_rate_and_falls_to_little_of_it():
    shares = [schedule(step / 1000) for step in range(1000)]
    top = shares.index(max(shares))
    assert shares[:top] == sorted(shares[:top])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert (shares[0], max(shares), shares[-1]) == (0.1, 1.0, pytest.approx(0.02, abs=1e-3))


def test_dropout_leaves_a_share_out_keeps_the_mean_and_differs_from_step_to_step(backbone, tmp_path):
    choices = some_choices(dropout=0.25)
    fit = new_fit(backbone, new_method(backbone, choices), choices, tmp_path)
    ones = torch.ones(200, 200)
    first = fit._thin()(ones)
    assert abs(float((first == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(first.mean()) - 1) < 0.02
    assert torch.equal(first, fit._thin()(ones))
    fit._step += 1
    assert not torch.equal(first, fit._thin()(ones))
    plain = some_choices()
    assert new_fit(backbone, new_method(backbone, plain), plain, tmp_path)._thin() is None
