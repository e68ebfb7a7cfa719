"""`dlp-local router` where there is little to say: no table without a number in it."""

from typer.testing import CliRunner

from dlp_local.cli.main import app


def test_of_too_few_rows_to_hold_one_out_there_are_no_figures(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "to ISO: 3 May", "adapter": "dates"}\n{"text": "ls", "adapter": "shell"}\n')
    result = CliRunner().invoke(app, ["router", "train", "--examples", str(rows), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0
    told = result.stdout.splitlines()
    assert told == ["2 rows, 0 held out, 3 labels", f"written to {tmp_path / 'out' / 'router.onnx'}"]
