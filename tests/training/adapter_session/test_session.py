"""A whole training on the bundled backbone: rows in, a routed adapter in the pack, and the one before it again."""

import json

import pytest

from dlp_local.cli.train_screen import training_text
from dlp_local.core.settings import Settings
from dlp_local.core.values import AdapterChange
from dlp_local.formats.lora import read_lora
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import remove_adapter, rollback_adapter, set_adapter, verify_pack
from dlp_local.training.adapter.acceptance import BASE_NAME, NEW, PRESENT
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.comparison import TRIAL
from dlp_local.training.adapter.events import (
    FitProgress,
    Prepared,
    Stage,
    Trained,
    TrainingRequest,
    event_json,
    event_of_json,
)
from dlp_local.training.adapter.session import train_adapters
from dlp_local.training.adapter.workspace import Workspace
from tests.training.adapter_session.conftest import rows_file

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("sacrebleu", reason="needs the train extra")
torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("in_shared_data")

CHOICES = Choices(epochs=1, rank=2)


def run(request, at_progress=lambda: None):
    events = []
    for event in train_adapters(request, Settings()):
        if isinstance(event, FitProgress) and not any(isinstance(one, FitProgress) for one in events):
            at_progress()
        events.append(event)
    return events


@pytest.fixture(scope="module")
def told(shared_pack, tmp_path_factory):
    """What a training of a new adapter says, which is put in place by force."""
    rows = rows_file(tmp_path_factory.mktemp("rows") / "rows.jsonl", 16)
    return run(TrainingRequest(shared_pack, {"capitals": rows}, CHOICES, force=True))


@pytest.fixture
def adapter(told, shared_pack):
    pack = open_pack(shared_pack)
    return pack, pack.manifest.adapters["capitals"]


def test_a_training_tells_its_plan_then_how_far_it_is_and_then_what_came_out(told):
    kinds = list(dict.fromkeys(type(event) for event in told))
    assert kinds == [Prepared, Stage, FitProgress, Trained]
    plan, result = told[0], told[-1]
    assert (plan.tasks["capitals"].train, plan.tasks["capitals"].held_out) == (11, 5)
    assert plan.choices.epochs == 1
    assert 0 < plan.memory < plan.free_memory
    assert 5 < plan.seconds < 3600
    assert not plan.resumed
    assert not plan.dropped
    assert result.steps == next(event for event in told if isinstance(event, FitProgress)).of_steps
    assert result.seconds > result.training_seconds > 0


def test_held_out_rows_are_answered_by_base_by_the_pack_and_by_the_new_adapter(told):
    scores = told[-1].results["capitals"].scores
    assert list(scores) == [BASE_NAME, PRESENT, NEW]
    assert {score.rows for score in scores.values()} == {5}
    answering = [event.share for event in told if isinstance(event, Stage) and event.name.endswith(NEW)]
    assert answering == [0, 0.2, 0.4, 0.6, 0.8, 1]


def test_every_event_has_a_json_form_that_is_read_back(told):
    assert [event_of_json(json.loads(json.dumps(event_json(event)))) for event in told] == told


def test_the_adapter_is_in_the_pack_with_the_messages_that_it_is_routed_by(adapter):
    pack, entry = adapter
    assert verify_pack(pack) == []
    assert (entry.description, entry.scope, entry.enabled) == ("trained on this machine", "turn", True)
    examples = pack.examples("capitals")
    assert examples
    assert all(text.startswith("Write in capitals: ") for text in examples)
    assert TRIAL not in pack.manifest.adapters
    assert "capitals" not in pack.manifest.adapters_before


def test_how_it_was_trained_is_in_its_file_and_told_in_a_line(told, adapter):
    pack, entry = adapter
    lora = read_lora(pack.path(entry))
    line = training_text(lora.metadata["general.training"])
    steps = f"{told[-1].steps} step"
    assert line.startswith(f"11 rows, {steps}")
    assert "method lora, optimizer adamw, rank 2, alpha 4, rate 0.002, decay 0.01, " in line
    assert "epochs 1, batch tokens 64, scope turn, seed 0" in line
    assert lora.invocation_tokens


def test_rows_alone_stay_of_a_training_that_is_over(told):
    folder = Workspace("mine", ["capitals"]).folder
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == ["capitals.jsonl"]


def test_one_trained_anew_keeps_what_was_said_of_it_and_takes_over_a_change_of_the_pack(told, shared_pack, tmp_path):
    change = AdapterChange(description="shouts", scale=0.5, enabled=False)
    set_adapter(shared_pack, "capitals", change)
    before = open_pack(shared_pack).manifest.adapters["capitals"]
    request = TrainingRequest(
        shared_pack, {"capitals": rows_file(tmp_path / "rows.jsonl", 12, seed=1)}, CHOICES, force=True
    )
    last = run(request, at_progress=lambda: remove_adapter(shared_pack, "shell"))[-1]
    assert last.results["capitals"].replaced
    pack = open_pack(shared_pack)
    now = pack.manifest.adapters["capitals"]
    assert (now.description, now.scale, now.enabled) == ("shouts", 0.5, True)
    assert now.sha256 != before.sha256
    assert "shell" not in pack.manifest.adapters
    assert pack.manifest.adapters_before["capitals"] == before
    for expected in (before, now):
        rollback_adapter(shared_pack, "capitals")
        assert open_pack(shared_pack).manifest.adapters["capitals"] == expected
