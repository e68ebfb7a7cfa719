"""The tables of an evaluation on a terminal: nothing of them is cut, and each row says whose it is."""

import pytest

from dlp_local.cli import terminal
from dlp_local.cli.eval_screen import print_report

ENTRY = {"score": 0.5, "low": 0.125, "high": 0.75, "rows": 4}
TIMES = {"answer": 1.25, "first_token": 0.25}
POLICIES = ("base", "top1", "top-p", "per-query-oracle")
REPORT = {
    "pack": "mine", "rows": 4, "repeated": 0, "joined": 0, "seeds": 1, "temperature": 0, "max_tokens": 9,
    "drawings": 2000, "problems": [], "at_once": 4, "remote": False, "signatures": {},
    "policies": {
        name: ENTRY | {
            "against_top1": {"difference": -0.25, "low": -0.5, "high": 0.0, "p": 0.125},
            "tasks": {"describe": {"metric": "bleu, rougeL"} | ENTRY},
            "metrics": dict.fromkeys(("bleu", "rougeL", "rouge1"), ENTRY),
        } for name in POLICIES
    },
    "routing": {
        "accuracy": 0.5, "calibration_error": 0.5, "base_share": 0.0, "base_recall": None, "rows": 4,
        "confusion": [{"adapter": "describe", "as": name, "rows": 2} for name in ("extract", "sql")],
    },
    "seconds": dict.fromkeys(POLICIES, TIMES),
    "trimmed": {},
    "by_adapters": {"top-p": {str(count): {"answers": count, "score": 0.5} | TIMES for count in (1, 2, 3)}},
}  # fmt: skip


@pytest.fixture
def printed(monkeypatch, capsys):
    def print_on(width):
        monkeypatch.setattr(terminal, "text_console", lambda: terminal.Console(width=width, markup=False))
        print_report(REPORT, None)
        return capsys.readouterr().out

    return print_on


@pytest.mark.parametrize("width", range(36, 140))
def test_no_cell_of_a_table_is_cut_where_two_columns_fit(printed, width):
    tables = printed(width).partition("Pack mine")[0]
    assert tables.count("12.5…75.0") == 4
    assert tables.count("…") == 4
    assert all(len(line) <= width for line in tables.splitlines())


def test_where_a_table_is_cut_in_two_each_part_says_how_many_adapters_its_rows_have(printed):
    parts = printed(36).partition("By the number of adapters")[2].partition("Routed wrong")[0].split("\n\n")
    rows = [line.split() for part in parts for line in part.splitlines() if line.startswith("top-p ")]
    assert len(rows) > 3
    assert [row[:2] for row in rows] == [["top-p", count] for count in "123"] * (len(rows) // 3)
