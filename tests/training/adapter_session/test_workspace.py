"""Where a training is kept: one process at a time, what goes on, and what is given up."""

import subprocess
import sys

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.values import Message
from dlp_local.training.adapter.rows import TrainingRow
from dlp_local.training.adapter.workspace import Workspace

HOLD = """
from dlp_local.training.adapter.workspace import Workspace
with Workspace("mine", ["sql"]).held():
    print("held", flush=True)
    input()
"""


@pytest.fixture
def workspace():
    made = Workspace("mine", ["sql"])
    with made.held():
        yield made


def reached(workspace):
    workspace.training.mkdir()
    (workspace.training / "training.pt").write_bytes(b"weights")


def test_a_second_training_of_the_same_adapter_is_told_of_the_first():
    other = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process trains 'sql' already"), Workspace("mine", ["sql"]).held():
        pass
    with Workspace("mine", ["dates"]).held():
        pass
    other.communicate("\n", timeout=30)
    with Workspace("mine", ["sql"]).held():
        pass


def test_a_training_of_the_same_request_is_known_and_another_one_gives_it_up(workspace):
    workspace.begin("one")
    assert not workspace.is_begun
    reached(workspace)
    assert workspace.is_begun
    assert workspace.is_of("one")
    assert not workspace.is_of("other")
    workspace.begin("other")
    assert not workspace.is_begun
    assert workspace.is_of("other")


def test_rows_alone_stay_when_it_is_over(workspace):
    workspace.begin("one")
    reached(workspace)
    workspace.keep_rows("sql", [TrainingRow((Message("user", "a"),), "b")])
    workspace.end()
    assert [path.name for path in workspace.folder.iterdir() if path.name != ".lock"] == ["sql.jsonl"]


def test_files_that_a_kill_left_half_written_are_removed():
    workspace = Workspace("mine", ["sql"])
    workspace.folder.mkdir(parents=True)
    cut_off = workspace.folder / "sql-0123abcd.part.jsonl"
    cut_off.write_text("{")
    with workspace.held():
        assert not cut_off.exists()
