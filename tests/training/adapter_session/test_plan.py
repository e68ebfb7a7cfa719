"""How much memory a training takes, told by the backbone's header before it begins."""

from types import SimpleNamespace

import pytest

from dlp_local.core.errors import InputError
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
