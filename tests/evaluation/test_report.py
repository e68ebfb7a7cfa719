"""The report: its numbers by hand, its tables, and its pictures."""

import json
from types import SimpleNamespace

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.settings import Routing
from dlp_local.evaluation import plots
from dlp_local.evaluation.policies import parse_policies
from dlp_local.evaluation.report import Setting, build_report
from dlp_local.evaluation.results import open_folder, write_results
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.rows import RowProblem
from dlp_local.evaluation.runner import Measured, Outcome, Plan
from dlp_local.evaluation.tables import markdown, notes, tables

NAMES = "base,oracle,top1,top-p:0.5,top-p:0.9"
RIGHT = {"base": [0, 0, 0, 1], "oracle": [1, 1, 1, 1], "top1": [1, 1, 0, 1], "top-p:0.5": [1, 1, 0, 1],
         "top-p:0.9": [1, 0, 0, 1]}  # fmt: skip
ROWS = [EvalRow(f"row {n}", ("x",), "exact", "sql" if n < 3 else "dates", line=n + 1) for n in range(4)]
SURE = [{"sql": 0.9, "base": 0.1}, {"sql": 0.8, "dates": 0.2}, {"sql": 0.4, "dates": 0.6}, {"dates": 1.0, "sql": 0.0}]


def outcome(row, policy, right, seed=0):
    adapters = 2 if (policy, row.line) == ("top-p:0.9", 2) else 1
    return Outcome(
        row, seed, policy, "x" if right else "y", {"exact": (float(right), 1.0)}, float(right), adapters, 0.1, 0.5
    )


@pytest.fixture
def report():
    plan = Plan(
        tuple(ROWS), parse_policies(NAMES, ("dates", "sql"), Routing()), ChatOptions(temperature=0, max_tokens=9)
    )
    outcomes = [
        outcome(row, name, right) for name, flags in RIGHT.items() for row, right in zip(ROWS, flags, strict=True)
    ]
    probabilities = {row.identity: sure for row, sure in zip(ROWS, SURE, strict=True)}
    problems = [RowProblem(9, "has no | answer.")]
    return build_report(Measured(tuple(outcomes), probabilities), plan, Setting("mine", 4), problems)


def test_scores_are_the_means_of_the_tasks_beside_the_oracles_and_top_1s(report):
    top = report["policies"]["top-p:0.9"]
    assert (top["tasks"]["sql"]["score"], top["tasks"]["dates"]["score"]) == (0.333333, 1)
    assert top["score"] == pytest.approx((1 / 3 + 1) / 2, abs=1e-6)
    assert top["share_of_oracle"] == top["score"]
    assert top["against_top1"]["difference"] == pytest.approx(-1 / 6, abs=1e-6)
    assert top["tasks"]["dates"]["against_top1"]["p"] == 1
    assert "against_top1" not in report["policies"]["top1"]
    assert report["seconds"]["base"] == {"answer": 0.5, "first_token": 0.1}
    assert report["by_adapters"]["top-p:0.9"]["2"]["answers"] == 1
    assert report["problems"] == [{"line": 9, "error": "has no | answer."}]
    assert json.loads(json.dumps(report)) == report


def test_the_router_is_judged_by_the_rows_that_say_whose_they_are(report):
    routing = report["routing"]
    assert routing["accuracy"] == 0.75
    assert routing["confusion"] == [{"adapter": "sql", "as": "dates", "rows": 1}]
    assert routing["chosen"] == {"dates": {"dates": 1}, "sql": {"dates": 1, "sql": 2}}
    assert [(one["rows"], one["right"]) for one in routing["bins"]] == [(1, 0), (1, 1), (1, 1), (1, 1)]
    assert routing["calibration_error"] == pytest.approx((0.1 + 0.2 + 0.6 + 0.0) / 4, abs=1e-6)


def test_several_seeds_of_a_row_are_one_row_in_the_intervals():
    plan = Plan(
        tuple(ROWS),
        parse_policies("base", ("dates", "sql"), Routing()),
        ChatOptions(temperature=0.7, max_tokens=9),
        seeds=2,
    )
    outcomes = [
        outcome(row, "base", right, seed) for seed in (0, 1) for row, right in zip(ROWS, [1, 0, seed, 1], strict=True)
    ]
    measured = Measured(tuple(outcomes), {row.identity: {"sql": 1.0} for row in ROWS})
    base = build_report(measured, plan, Setting("mine", 4))["policies"]["base"]
    assert base["rows"] == 4
    assert base["tasks"]["sql"]["score"] == 0.5
    assert base["seeds"] == [pytest.approx((1 / 3 + 1) / 2, abs=1e-6), pytest.approx((2 / 3 + 1) / 2, abs=1e-6)]


def test_the_tables_have_every_policy_and_task(report):
    by_title = {table.title: table for table in tables(report)}
    assert [row[0] for row in by_title["Policies"].rows] == NAMES.split(",")
    assert [row[:3] for row in by_title["Tasks"].rows] == [("dates", "exact", "1"), ("sql", "exact", "3")]
    assert by_title["Routed wrong"].rows == (("sql", "dates", "1"),)
    assert all(len(row) == len(table.header) for table in by_title.values() for row in table.rows)
    page = markdown(report, ["top-p.svg"])
    assert "| top-p:0.9 | 66.7 |" in page
    assert "has no \\| answer." in page
    assert "![top p](top-p.svg)" in page


def test_what_is_written_is_the_report_its_page_every_outcome_and_pictures(report, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the eval extra")
    outcomes = [outcome(ROWS[0], "base", right=False)]
    tmp_path = open_folder(tmp_path / "out").parent
    files = write_results(tmp_path, report, outcomes, plots=True)
    assert sorted([*files, "answers.jsonl"]) == sorted(path.name for path in tmp_path.iterdir())
    assert {name.partition(".")[0] for name in files if name.endswith((".png", ".svg"))} == {
        *("policies", "tasks", "top-p", "adapters", "calibration", "confusion")
    }
    for name in files:
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\x89PNG") or not name.endswith(".png")
        assert b"<svg" in content or not name.endswith(".svg")
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == report
    assert json.loads((tmp_path / "outcomes.jsonl").read_text("utf-8"))["answer"] == "y"
    assert "![policies](policies.svg)" in (tmp_path / "report.md").read_text("utf-8")


def test_pictures_have_numbers_or_are_not_drawn(report, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the eval extra")
    few = report | {"routing": None, "by_adapters": {}, "policies": {"base": report["policies"]["base"]}}
    assert {name.partition(".")[0] for name in plots.draw_plots(few, tmp_path)} == {"policies", "tasks"}


def test_the_score_against_p_has_every_p_however_it_is_written():
    names = "top-p,top-p:0.5,top-p:softmax:+0.6,top-p:.9:softmax,top-p: 0.8,top-p:1e-1,base,few-shot:5"
    policies = {policy.name: policy.name for policy in parse_policies(names, ("sql",), Routing())}
    lines = plots._sweep({"policies": policies})
    assert {how: sorted(points) for how, points in lines.items()} == {
        "as the settings normalize": [0.1, 0.5, 0.8], "softmax": [0.6, 0.9],
    }  # fmt: skip


def test_the_test_against_top_1_is_told_of_where_there_is_one(report):
    policies = {"base": {key: value for key, value in report["policies"]["base"].items() if key != "against_top1"}}
    assert ["permutation" in " ".join(notes(one)) for one in (report, report | {"policies": policies})] == [True, False]


def test_without_pictures_matplotlib_is_not_asked_for(report, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "draw_plots", SimpleNamespace())
    files = write_results(tmp_path, report, [], plots=False)
    assert files == ["report.json", "report.md", "outcomes.jsonl"]


@pytest.mark.parametrize("draws", [True, False])
def test_pictures_of_an_earlier_report_do_not_stay_beside_a_new_one(report, tmp_path, draws):
    if draws:
        pytest.importorskip("matplotlib", reason="needs the eval extra")
    for name in ("calibration.png", "confusion.svg", "top-p.svg", "mine.png"):
        (tmp_path / name).write_text("old")
    few = report | {"routing": None, "by_adapters": {}, "policies": {"base": report["policies"]["base"]}}
    files = write_results(tmp_path, few, [], plots=draws)
    left = {path.name for path in tmp_path.iterdir() if path.suffix in (".png", ".svg")}
    assert left == {name for name in files if name.endswith((".png", ".svg"))} | {"mine.png"}
    assert len(left) == (5 if draws else 1)


def test_every_row_that_could_not_be_measured_is_named_on_the_page(report):
    many = report | {"problems": [{"line": line, "error": "has no answer."} for line in range(1, 31)]}
    page = markdown(many)
    assert "Rows that could not be measured: 30" in page
    assert all(f"- line {line}: has no answer." in page for line in range(1, 31))


@pytest.mark.parametrize("remote", [True, False])
def test_that_another_run_may_give_other_answers_is_told_of_another_program_alone(report, remote):
    assert ("in another run some may read otherwise" in " ".join(notes(report | {"remote": remote}))) == remote


def test_a_restart_forgets_the_answers(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "answers.jsonl").write_text("{}\n")
    assert open_folder(tmp_path / "out").read_text() == "{}\n"
    assert open_folder(tmp_path / "out", restart=True).read_text() == ""
