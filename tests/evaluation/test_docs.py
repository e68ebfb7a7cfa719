"""docs/evaluation.md: its commands and rows are some, and every policy and metric is on it."""

import json
import re
from dataclasses import replace
from pathlib import Path

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.settings import Routing
from dlp_local.evaluation.metrics import METRICS, missing_package
from dlp_local.evaluation.policies import KINDS, parse_policies
from dlp_local.evaluation.rows import FIELDS, read_rows
from dlp_local.evaluation.runner import Plan, check_plan
from dlp_local.evaluation.shots import Shots
from tests.evaluation.example_rows import numbered
from tests.support.documented_commands import check_command, commands_in, every_command_of

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
    rows, problems = read_rows(numbered(examples), ("dates", "sql"))
    assert not problems
    assert [row.metric for row in rows] == ["exact", "sql", "choice", "exact"]
    assert not missing_package("exact")


def test_the_rows_of_the_page_fit_every_command_of_the_page():
    examples = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()
    rows, _ = read_rows(numbered(examples), ("dates", "sql"))
    shots = Shots([replace(row, text=f"{row.text} {number}") for row in rows for number in range(5)])
    asked = {words for line in commands_in(FILE) for words in re.findall(r"--policies (\S+)", line)}
    assert len(asked) > 2
    for policies in asked:
        parsed = parse_policies(policies, ("dates", "sql"), Routing())
        check_plan(Plan(rows, parsed, ChatOptions(), shots=shots))


def test_the_report_of_the_page_is_json():
    assert "policies" in json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
