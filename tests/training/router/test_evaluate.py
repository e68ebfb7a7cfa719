"""`router eval`: what a router does with rows whose adapters are known."""

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Settings
from dlp_local.core.values import BASE, AdapterChange
from dlp_local.opening import open_router
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import set_adapter
from dlp_local.packs.example_rows import read_labelled_rows
from dlp_local.training.router.evaluate import evaluate, evaluate_file
from dlp_local.training.router.train import train_file
from tests.support.router_rows import open_pack_router, rows_of, silent, write_rows


def test_evaluation_counts_what_went_where(bundled, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [*rows_of(["dates", "sql"]), ("tell me a joke", "sql")])
    pack = open_pack(bundled)
    found = evaluate(pack, open_router(pack, Settings()), file)
    assert found.rows == len(read_labelled_rows(file))
    assert found.accuracy > 0.9
    assert ("sql", BASE, 1) in found.confusion or found.confusion[0][0] == "sql"
    assert found.base_recall is None
    assert 0 < found.base_share < 0.1


def test_evaluation_sends_what_is_switched_off_to_base_as_a_route_does(mine, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", rows_of(["dates"]))
    assert evaluate(open_pack(mine), open_pack_router(mine), file).accuracy > 0.9
    set_adapter(mine, "dates", AdapterChange(enabled=False))
    found = evaluate(open_pack(mine), open_pack_router(mine), file)
    assert found.accuracy == 0
    assert found.base_share > 0.9


def test_a_router_that_was_trained_to_a_folder_is_measured_on_its_own(bundled, tmp_path):
    rows = [(text, f"label of {label}") for text, label in rows_of(["dates", "sql", "shell"])]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    train_file(bundled, [file], tmp_path / "out", progress=silent)
    figures = evaluate_file(open_pack(bundled), tmp_path / "out", file)
    assert figures.rows == len(dict(rows))
    assert figures.accuracy > 0.9
    with pytest.raises(InputError, match=r"--router: there is no .*nowhere"):
        evaluate_file(open_pack(bundled), tmp_path / "nowhere", file)
