"""What a training is done with: presets, bounds, and choices that do not go together."""

from pathlib import Path

import pytest

from dlp_local.core.errors import InputError
from dlp_local.training.adapter.choices import METHODS, PRESETS, SEVERAL, Choices


@pytest.mark.parametrize(("rows", "epochs", "batch_tokens"), [(10, *PRESETS[0][1:]), (60, *PRESETS[0][1:])])
def test_the_number_of_rows_sets_what_nothing_was_said_of(rows, epochs, batch_tokens):
    chosen = Choices(rank=4).for_rows(rows)
    assert (chosen.epochs, chosen.batch_tokens, chosen.alpha) == (epochs, batch_tokens, 8.0)


def test_more_rows_are_gone_through_less_often_in_batches_that_are_no_smaller():
    counts = [1, 61, 151, 601, 2001, 100_000]
    chosen = [Choices().for_rows(count) for count in counts]
    assert [one.epochs for one in chosen] == sorted((one.epochs for one in chosen), reverse=True)
    assert [one.batch_tokens for one in chosen] == sorted(one.batch_tokens for one in chosen)
    assert chosen[0].epochs > chosen[-1].epochs


def test_what_was_chosen_stays():
    chosen = Choices(epochs=3, batch_tokens=99, alpha=5.0)
    assert chosen.for_rows(10) == chosen


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"method": "lorra"}, r"there is no method 'lorra'\. Did you mean 'lora' .* There are: lora, rslora"),
        ({"optimizer": "adam"}, r"there is no optimizer 'adam'\. Did you mean 'adamw'"),
        ({"rank": 0}, "rank: 0 is none. Give a number from 1 to 256"),
        ({"rate": float("nan")}, "rate: nan is none"),
        ({"rate": 0.0}, "rate: 0 is none"),
        ({"dropout": 1.0}, "dropout: 1 is none. Give a number from 0 to 0.9"),
        ({"epochs": -1}, "epochs: -1 is none"),
        ({"booster_layers": 2.0}, "booster_layers: 2 is none"),
        ({"method": "ca", "teacher": Path("better.gguf")}, "Name their GGUFs with --teacher and --start"),
        ({"teacher": Path("better.gguf")}, "Use --method ca, or leave it out"),
        ({"method": "xgb", "start": Path("old.gguf")}, "method xgb begins anew"),
        ({"method": "share", "optimizer": "rite"}, "Use adamw"),
    ],
)
def test_choices_that_cannot_be_are_refused_with_what_can(wrong, reason):
    with pytest.raises(InputError, match=reason):
        Choices(**wrong)


def test_those_that_count_for_the_method_are_told_and_all_are_kept():
    lora, cola = Choices(), Choices(method="cola")
    assert not {"links", "booster_steps", "booster_layers", "start", "teacher", "batch_rows"} & lora.told().keys()
    assert cola.told()["links"] == cola.links
    assert {"booster_steps", "booster_layers"} <= Choices(method="xgb").told().keys()
    assert "dropout" not in lora.told()
    assert Choices(dropout=0.1).told()["dropout"] == 0.1
    assert lora.told().items() <= lora.as_dict().items()


def test_paths_are_text_where_choices_are_kept():
    assert Choices(start=Path("old.gguf")).as_dict()["start"] == "old.gguf"


def test_methods_of_several_adapters_are_methods():
    assert set(METHODS) > SEVERAL
    assert [name for name in METHODS if name != "ca" and Choices(method=name).is_of_several] == ["flora", "mtl"]
