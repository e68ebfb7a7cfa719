"""What a training computes is what llama.cpp computes with the file that it writes, whatever the method."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dlp_local.training.adapter.choices import METHODS, SEVERAL  # noqa: E402
from dlp_local.training.adapter.export import write_adapter  # noqa: E402
from dlp_local.training.adapter.fit import Fit  # noqa: E402
from tests.support.adapter_training import (  # noqa: E402
    TOKENS,
    drawn_method,
    examples,
    next_logits,
    run_to_end,
    some_choices,
)
from tests.support.logits import difference, llama_logits  # noqa: E402

CLOSE = 1e-3
"""Largest difference of two logits, relative to the largest logit."""

ONE = sorted(METHODS.keys() - SEVERAL)
pytestmark = pytest.mark.usefixtures("exact_cache")


def test_every_method_is_compared_here():
    assert {*ONE, "flora", "mtl"} == METHODS.keys()


def choices_of(method, tiny_path, **more):
    taught = {"teacher": tiny_path, "start": tiny_path} if method == "ca" else {}
    return some_choices(method=method, booster_steps=2, **taught, **more)


def train(backbone, method, choices, folder):
    """A few steps from random weights, each task on rows of its own."""
    rows = [examples(10, seed) for seed in range(len(method.tasks))]
    run_to_end(Fit(backbone, method, rows, rows, choices, folder))


@pytest.mark.parametrize("name", ONE)
def test_the_forward_pass_of_a_training_is_llama_cpps_with_its_file(backbone, tiny_path, tmp_path, name):
    choices = choices_of(name, tiny_path)
    method = drawn_method(backbone, choices)
    train(backbone, method, choices, tmp_path)
    write_adapter(method, 0, tiny_path, tmp_path / "a.gguf", precision="f32")
    wanted = next_logits(backbone, TOKENS, method)
    assert difference(next_logits(backbone, TOKENS), wanted) > 100 * CLOSE
    assert difference(llama_logits(tiny_path, TOKENS, tmp_path / "a.gguf"), wanted) <= CLOSE


@pytest.mark.parametrize(("name", "optimizer"), [("flora", "adamw"), ("flora", "rite"), ("mtl", "adamw")])
def test_each_task_of_several_has_a_file_of_its_own(backbone, tiny_path, tmp_path, name, optimizer):
    choices = choices_of(name, tiny_path, optimizer=optimizer)
    method = drawn_method(backbone, choices, ("one", "two", "three"))
    train(backbone, method, choices, tmp_path)
    wanted = [next_logits(backbone, TOKENS, method, task) for task in range(3)]
    assert all(difference(wanted[task], wanted[task - 1]) > 10 * CLOSE for task in range(3))
    for task in range(3):
        write_adapter(method, task, tiny_path, tmp_path / f"{task}.gguf", precision="f32")
        assert difference(llama_logits(tiny_path, TOKENS, tmp_path / f"{task}.gguf"), wanted[task]) <= CLOSE
