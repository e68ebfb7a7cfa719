"""How much memory and time a training takes, told by the backbone's header before it begins."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.packs import bundled_pack
from dlp_local.training.adapter import plan
from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.choices import Choices

CHOICES = Choices().for_rows(50)


def example(tokens):
    return Example((), tuple(range(tokens)), tokens // 2)


ROWS = ((example(60),),)


def needed(bundled, choices=CHOICES, tasks=ROWS):
    return plan.training_memory(bundled / "backbone.gguf", choices, tasks)


def test_longer_rows_larger_batches_more_adapters_and_higher_ranks_take_more_memory(bundled):
    usual = needed(bundled)
    assert usual > (bundled / "backbone.gguf").stat().st_size
    assert needed(bundled, tasks=((example(900),),)) > usual
    assert needed(bundled, Choices(batch_tokens=4096).for_rows(50)) > usual
    assert needed(bundled, tasks=((example(60),), (example(60),))) > usual
    assert needed(bundled, Choices(rank=128).for_rows(50)) > usual


def test_a_machine_that_has_not_enough_memory_at_all_is_told_the_numbers(monkeypatch):
    memory = SimpleNamespace(total=2 * 10**9, available=10**9)
    monkeypatch.setattr(plan, "psutil", SimpleNamespace(virtual_memory=lambda: memory))
    assert plan.free_memory(15 * 10**8) == 10**9
    with pytest.raises(InputError, match=r"needs about 3\.00 GB of memory, and this machine has 2\.00 GB"):
        plan.free_memory(3 * 10**9)


SPEED = 1e10


def seconds(bundled, choices=CHOICES, tasks=ROWS, held_out=ROWS):
    return plan.training_work(bundled / "backbone.gguf", choices, tasks, held_out).seconds(SPEED)


def test_twice_the_rows_or_the_epochs_take_twice_the_steps(bundled):
    once, rows, epochs = (
        plan.training_work(bundled / "backbone.gguf", choices, tasks, ((),)).layer_passes
        for choices, tasks in (
            (Choices(epochs=8).for_rows(50), ROWS),
            (Choices(epochs=8).for_rows(50), ((example(60),) * 2,)),
            (Choices(epochs=16).for_rows(50), ROWS),
        )
    )
    assert rows == epochs == pytest.approx(2 * once, abs=1)


@given(
    tokens=st.integers(2, 400), rows=st.integers(1, 200), epochs=st.integers(1, 50), tasks=st.integers(1, 3),
    speed=st.floats(1e8, 1e14),
)  # fmt: skip
def test_more_of_anything_takes_longer_and_a_faster_machine_less(tokens, rows, epochs, tasks, speed):
    backbone = bundled_pack() / "backbone.gguf"

    def needed(tokens=tokens, rows=rows, epochs=epochs, tasks=tasks, speed=speed, held_out=1):
        of = ((example(tokens),) * rows,) * tasks
        choices = Choices(epochs=epochs).for_rows(rows)
        choices = replace(choices, batch_tokens=256)
        return plan.training_work(backbone, choices, of, ((example(tokens),) * held_out,) * tasks).seconds(speed)

    usual = needed()
    assert 0 < usual < math.inf
    more = (needed(tokens=2 * tokens), needed(rows=rows + 1), needed(epochs=epochs + 1), needed(tasks=tasks + 1))
    assert min(*more, needed(held_out=2)) > usual > needed(speed=2 * speed)


def test_a_teacher_takes_its_part(bundled):
    alone, taught = (
        Choices().for_rows(50),
        Choices(method="ca", teacher=bundled / "backbone.gguf", start=Path("a.gguf")).for_rows(50),
    )
    assert seconds(bundled, taught) > seconds(bundled, alone)


def test_products_of_a_backbones_sizes_have_a_speed():
    pytest.importorskip("torch", reason="needs the train extra")
    from dlp_local.training.adapter.speed import products_speed

    assert 1e6 < products_speed(((64, 64), (64, 96)), 32, "cpu") < 1e14
