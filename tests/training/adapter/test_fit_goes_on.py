"""A training goes on where it was left as if it had not been; what cannot be gone on from is begun anew."""

import errno
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dlp_local.core.job import Cancellation  # noqa: E402
from dlp_local.training.adapter.fit import FILE, Fit  # noqa: E402
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
    "cola": {},
    "xgb": {"booster_steps": 3},
}
STEPS = 12
"""Of the trainings here: three epochs of four batches. A link of the chain has four, too."""


def new_fit(backbone, method, choices, folder):
    return Fit(backbone, method, [examples(12)], [examples(12)], choices, folder)


@pytest.fixture(scope="module")
def whole(backbone, tmp_path_factory):
    """The state and the losses of a training that nothing stopped, by what is chosen."""
    known = {}

    def train(choices):
        if choices not in known:
            method, fitted = trained(backbone, choices, tmp_path_factory.mktemp("whole"))
            known[choices] = method.state(), fitted.held_out_losses
        return known[choices]

    return train


@pytest.mark.parametrize("stops", [(4,), (1, 6, 11)], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_a_training_that_was_stopped_goes_on_to_exactly_the_same_weights(backbone, whole, tmp_path, way, stops):
    choices = some_choices(**{"method": way} | WAYS[way])
    done = 0
    for stop in stops:
        left = run_for(new_fit(backbone, new_method(backbone, choices), choices, tmp_path / "cut"), stop - done)
        assert (left.steps, left.ended) == (stop, "cancelled")
        done = stop
    method = new_method(backbone, choices)
    fitted, _ = run_to_end(new_fit(backbone, method, choices, tmp_path / "cut"))
    state, losses = whole(choices)
    assert same(method.state(), state)
    assert (fitted.held_out_losses, fitted.steps, fitted.ended) == (losses, STEPS, "whole")


def test_a_training_that_was_killed_goes_on_from_what_was_saved(backbone, whole, tmp_path):
    choices = some_choices()

    class Killed(BaseException):
        pass

    asked = iter([False] * 6)

    class Cut(Cancellation):
        @property
        def requested(self):
            for _ in asked:
                return False
            raise Killed

    with pytest.raises(Killed):
        run_to_end(new_fit(backbone, new_method(backbone, choices), choices, tmp_path / "cut"), Cut())
    method = new_method(backbone, choices)
    run_to_end(new_fit(backbone, method, choices, tmp_path / "cut"))
    assert same(method.state(), whole(choices)[0])


DAMAGE = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "empty": lambda whole: b"",
    "another file": lambda whole: b"GGUF" + bytes(1000),
    "one bit less": lambda whole: whole[:-1],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_no_training_to_go_on_from(backbone, whole, tmp_path, damage):
    choices = some_choices()
    run_for(new_fit(backbone, new_method(backbone, choices), choices, tmp_path / "cut"), 6)
    file = tmp_path / "cut" / FILE
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    method = new_method(backbone, choices)
    fitted, said = run_to_end(new_fit(backbone, method, choices, tmp_path / "cut"))
    state, losses = whole(choices)
    assert (said[0].step, fitted.held_out_losses) == (0, losses)
    assert same(method.state(), state)


def test_a_training_of_another_shape_is_none_to_go_on_from(backbone, whole, tmp_path):
    trained(backbone, some_choices(rank=2), tmp_path)
    method, _ = trained(backbone, some_choices(), tmp_path)
    assert same(method.state(), whole(some_choices())[0])


def test_a_file_with_code_in_it_is_not_run(backbone, tmp_path):
    class Harm:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "harm",))

    torch.save({"method": Harm()}, tmp_path / FILE)
    trained(backbone, some_choices(epochs=1), tmp_path)
    assert not (tmp_path / "harm").exists()


def test_a_full_disk_is_told_and_leaves_what_was_kept_before(backbone, tmp_path, monkeypatch):
    choices = some_choices()
    run_for(new_fit(backbone, new_method(backbone, choices), choices, tmp_path), 5)
    kept = (tmp_path / FILE).read_bytes()

    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        run_to_end(new_fit(backbone, new_method(backbone, choices), choices, tmp_path))
    assert (tmp_path / FILE).read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
