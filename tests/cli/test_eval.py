"""`dlp-local eval`: what it prints, what it leaves, what it refuses, and that it goes on where it was killed."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dlp_local.cli import eval as command
from dlp_local.cli.main import app
from dlp_local.core.errors import InputError
from dlp_local.evaluation import metrics, plots
from tests.evaluation.example_rows import example_rows, jsonl
from tests.support.command import COMMAND, out, refused, run
from tests.support.terminal import wait_until

SHORT = ("--max-tokens", "16")


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(jsonl(example_rows("dates")[:4] + example_rows("sql")[:4]), "utf-8")
    return path


def called(*arguments):
    """The command in this process."""
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def test_tables_are_printed_json_is_the_same_and_all_is_left_in_the_folder(rows, tmp_path):
    folder = tmp_path / "new" / "results"
    asked = ("eval", rows, "--policies", "base,oracle,top1,top-p", *SHORT, "--out", folder)
    printed = out(*asked)
    for policy in ("Policies", "base", "oracle", "top1", "top-p"):
        assert f"\n{policy} " in f"\n{printed.replace('Policies', 'Policies ')}"
    assert "Pack bundled, 8 rows, 1 seed." in printed
    left = {path.name for path in folder.iterdir()}
    assert {"answers.jsonl", "outcomes.jsonl", "report.json", "report.md"} <= left
    assert ({"policies.svg", "policies.png"} <= left) == plots.can_draw()

    told = json.loads(out(*asked, "--json"))
    assert told == json.loads((folder / "report.json").read_text("utf-8"))
    assert list(told["policies"]) == ["base", "oracle", "top1", "top-p"]
    top_p = told["policies"]["top-p"]
    assert 0 < top_p["low"] <= top_p["score"] <= top_p["high"] <= 1
    assert top_p["tasks"]["dates"]["score"] == 1
    assert told["policies"]["base"]["score"] == 0


def test_a_bad_row_is_named_and_the_others_are_measured(rows):
    given = b'{"text": "x"}\n\nnot json\n' + rows.read_bytes()
    process = run("eval", "-", "--policies", "base,top1", *SHORT, stdin=given)
    assert process.returncode == 1
    assert b"8 rows" in process.stdout
    assert b"dlp-local: line 1: has no answer." in process.stderr
    assert b"dlp-local: line 3: is not JSON" in process.stderr


def test_a_run_that_was_killed_gives_the_same_table_afterwards(rows, tmp_path):
    asked = ["eval", rows, "--policies", "base,oracle,top1", *SHORT, "--no-plots"]
    out(*asked, "--out", tmp_path / "whole")
    kept = tmp_path / "killed" / "answers.jsonl"
    rows.write_text(rows.read_text("utf-8"), "utf-8")
    process = subprocess.Popen([*COMMAND, *map(str, asked), "--out", tmp_path / "killed"], stdout=subprocess.DEVNULL)
    wait_until(lambda: kept.exists() and kept.read_bytes().count(b"\n") >= 3)
    process.kill()
    process.wait(60)
    assert not (tmp_path / "killed" / "report.json").exists()
    before = kept.read_bytes()
    out(*asked, "--out", tmp_path / "killed", "--resume")
    assert kept.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    whole, killed = (json.loads((tmp_path / name / "report.json").read_bytes()) for name in ("whole", "killed"))
    assert killed["policies"] == whole["policies"]


def test_answers_that_were_computed_beside_another_number_of_others_are_asked_anew(rows, tmp_path, monkeypatch):
    asked = (rows, "--policies", "oracle", *SHORT, "--no-plots", "--out", tmp_path)
    kept = tmp_path / "answers.jsonl"
    lines = []
    for parallel in ("4", "2", "1", "1"):
        monkeypatch.setenv("DLP_LOCAL_ENGINE__PARALLEL", parallel)
        assert called(*asked).exit_code == 0
        lines.append(kept.read_text("utf-8").count('{"key": '))
    assert lines == [8, 16, 24, 24]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--policies", "top2"], "there is no policy 'top2'. Did you mean 'top-p' or 'top1'?"),
        (["--policies", "single:dat"], "there is no adapter 'dat'. Did you mean 'dates'?"),
        (["--policies", "few-shot:2"], "Give them with --shots FILE"),
        (["--server", "http://127.0.0.1:1"], "eval measures a pack on this machine"),
        (["--resume"], "about the folder of --out"),
        (["--plots"], "about the folder of --out"),
        (["--policies", "few-shot:2", "--shots", "missing.jsonl"], "missing.jsonl: cannot be read"),
        (["--shots", "missing.jsonl"], "--shots: no policy draws examples from it. Add few-shot:5 to --policies"),
    ],
)
def test_what_cannot_be_is_refused_with_what_there_is_before_the_model_is_opened(rows, arguments, told, monkeypatch):
    monkeypatch.setattr("dlp_local.opening.open_assistant", None)
    result = called(rows, *arguments)
    assert isinstance(result.exception, InputError)
    assert told in str(result.exception)


def test_of_many_bad_rows_ten_are_named_here_and_all_in_the_folder(rows, tmp_path):
    given = rows.read_bytes() + b'{"text": "x", "answer": "y", "metric": ["exact"]}\n' * 12
    for arguments, where in (
        (["--out", tmp_path / "out"], f"{tmp_path / 'out' / 'report.md'} names them all"),
        ([], "--json and the report.md of --out name them all"),
    ):
        process = run("eval", "-", "--policies", "base", *SHORT, "--no-plots", *arguments, stdin=given)
        assert process.returncode == 1
        told = process.stderr.decode()
        assert [line in told for line in ("line 9: metric: is no text", "line 18: metric", "line 19: metric")] == [
            *(True, True, False)
        ]
        assert f"dlp-local: and 2 lines more; {where}" in told
    page = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert all(f"- line {line}: metric: is no text" in page for line in range(9, 21))
    shots = tmp_path / "shots.jsonl"
    shots.write_bytes(given)
    refused_by = called(rows, "--policies", "few-shot:1", "--shots", shots).exception
    assert f"--shots: {shots}, line 9: metric: is no text" in str(refused_by)


def test_files_that_cannot_be_used_are_told(rows, tmp_path):
    assert "cannot be read" in refused(2, "eval", tmp_path / "missing.jsonl")
    for text, told in (("\n", "holds no row that can be measured"), ('{"text": "x"}\n', "Line 1: has no answer")):
        (tmp_path / "bad.jsonl").write_text(text)
        assert told in str(called(tmp_path / "bad.jsonl").exception)
    shots = called(rows, "--policies", "few-shot:1", "--shots", tmp_path / "bad.jsonl")
    assert "has no answer" in str(shots.exception)
    assert "cannot be used" in str(called(rows, "--policies", "base", "--out", rows / "folder").exception)


def test_the_help_names_every_policy_and_metric(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    told = called("--help").stdout
    for name in (*command.KINDS, *metrics.METRICS):
        assert f"{name}: " in told


def test_without_the_extra_the_rest_works_and_what_is_lacking_is_told(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with rows.open("a") as file:
        file.write('{"text": "x", "answer": "y", "metric": "rougeL"}\n')
    result = called(rows, "--policies", "top1", *SHORT, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "line 9: metric: rougeL needs the package rouge_score" in result.stderr
    assert "no pictures: matplotlib is not installed (pip install 'dlp-local[eval]')" in result.stderr
    assert not list((tmp_path / "out").glob("*.png"))
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["rows"] == 8
    plotted = called(rows, "--out", tmp_path / "out", "--plots")
    assert "--plots needs matplotlib" in str(plotted.exception)


def test_neither_torch_nor_what_draws_and_scores_is_imported_before_it_is_needed():
    code = (
        "import sys, dlp_local.cli.eval, dlp_local.evaluation.runner, dlp_local.evaluation.results\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'sacrebleu', 'rouge_score', 'llama_cpp'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
