"""Rows that a router is trained on: who says what of a text, and which are held out."""

import contextlib

import pytest

from dlp_local.core.errors import HistoryError
from dlp_local.core.paths import history_file
from dlp_local.core.values import Correction, Mix
from dlp_local.history import History
from dlp_local.packs import open_pack
from dlp_local.training.router.data import held_out_texts, pack_rows
from tests.support.prompts import PROMPTS
from tests.support.router_rows import rows_of, write_rows


def test_a_history_that_cannot_be_read_is_told_for_a_router_without_its_corrections_would_be_another(mine):
    with contextlib.closing(History(history_file())):
        pass
    history_file().write_bytes(b"no database" * 1000)
    with pytest.raises(HistoryError):
        pack_rows(open_pack(mine), [])


def test_corrections_go_before_everything_else_that_is_said_of_a_text(mine, tmp_path):
    text = PROMPTS["sql"][0]
    with contextlib.closing(History(history_file())) as history:
        history.correct(Correction(text, Mix(), "shell"))
        history.correct(Correction("what a day", Mix(), "an adapter of another pack"))
        history.correct(Correction("said of mine", Mix(), "sql", mine.name))
        history.correct(Correction("said of another pack", Mix(), "sql", "another"))
    file = write_rows(tmp_path / "rows.jsonl", rows_of())
    found = pack_rows(open_pack(mine), [file])
    assert found[text] == "shell"
    assert "what a day" not in found
    assert found["said of mine"] == "sql"
    assert "said of another pack" not in found


def test_the_held_out_part_stays_the_same_and_leaves_every_label_something():
    rows = {f"text {n}": str(n % 3) for n in range(600)} | {"alone": "rare"}
    held = held_out_texts(rows)
    assert len(held) == pytest.approx(120, abs=40)
    assert held_out_texts(dict(reversed(rows.items()))) == held
    assert "alone" not in held
    more = rows | {f"more {n}": "0" for n in range(6000)}
    assert {text for text in held_out_texts(more) if text in rows} <= held
