"""docs/evaluation.md: its commands and rows are some, and every policy and metric is on it."""

import json
import re
from pathlib import Path

from dlp_local.evaluation.metrics import METRICS, missing_package
from dlp_local.evaluation.policies import KINDS
from dlp_local.evaluation.rows import FIELDS, read_rows
from tests.evaluation.example_rows import numbered
from tests.support.documented_commands import check_command, every_command_of

FILE = Path(__file__).parent.parent.parent / "docs" / "evaluation.md"
PAGE = FILE.read_text("utf-8")


@every_command_of(FILE)
def test_every_command_exists_with_its_options(line):
    check_command(line)


def test_every_policy_metric_and_field_is_on_the_page():
    for name in (*KINDS, *METRICS, *FIELDS):
        assert f"`{name}`" in PAGE, name


def test_the_rows_of_the_page_are_some():
    examples = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()
    rows, problems = read_rows(numbered(examples), ("dates",))
    assert not problems
    assert [row.metric for row in rows] == ["exact", "sql", "choice", "exact"]
    assert not missing_package("exact")


def test_the_report_of_the_page_is_json():
    assert "policies" in json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
