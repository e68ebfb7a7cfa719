"""A training that is stopped goes on, is finished or begun anew; what goes wrong leaves the pack as it was."""

import errno
from dataclasses import replace

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.settings import Settings
from dlp_local.packs import open_pack
from dlp_local.training.adapter import placement
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.events import FitProgress, Prepared, Stage, Stopped, Trained, TrainingRequest
from dlp_local.training.adapter.session import train_adapters
from dlp_local.training.adapter.workspace import Workspace
from tests.support.pack_state import pack_state
from tests.training.adapter_session.conftest import rows_file

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("sacrebleu", reason="needs the train extra")
torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("in_shared_data")


@pytest.fixture(scope="module")
def request_(shared_pack, tmp_path_factory):
    rows = rows_file(tmp_path_factory.mktemp("rows") / "rows.jsonl", 12)
    return TrainingRequest(shared_pack, {"capitals": rows}, Choices(epochs=500, rank=2))


@pytest.fixture(scope="module")
def stopped(request_):
    """What a training says that is stopped after its first steps."""
    events, job = [], train_adapters(request_, Settings())
    for event in job:
        events.append(event)
        if isinstance(event, FitProgress) and event.step:
            job.cancel()
    return events


def first_event(request):
    job = train_adapters(request, Settings())
    event = next(job)
    job.close()
    return event


def test_a_stopped_training_says_how_far_it_came(stopped):
    last = stopped[-1]
    assert isinstance(last, Stopped)
    assert 0 < last.step < last.of_steps


def test_the_same_request_goes_on_from_there(stopped, request_):
    job = train_adapters(request_, Settings())
    progress = None
    for event in job:
        if isinstance(event, Prepared):
            assert event.resumed
        if isinstance(event, FitProgress):
            progress = progress or event
            job.cancel()
    assert progress.step == stopped[-1].step
    assert event.step >= stopped[-1].step


def test_a_pack_that_gets_another_backbone_meanwhile_is_left_as_it_is(stopped, request_):
    manifest = request_.pack / "pack.toml"
    text = manifest.read_text("utf-8")
    job = train_adapters(replace(request_, finish=True), Settings())
    try:
        next(event for event in job if isinstance(event, Stage) and event.name.endswith("new adapter"))
        manifest.write_text(text.replace("[backbone]\n", "[backbone]\ncontext = 512\n"), "utf-8")
        state = pack_state(request_.pack)
        with pytest.raises(PackError, match="got another backbone while adapters of it were trained"):
            job.finish()
        assert pack_state(request_.pack) == state
    finally:
        manifest.write_text(text, "utf-8")


def test_a_full_disk_is_told_and_what_was_reached_is_still_there(stopped, request_, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(placement, "add_adapter", full)
    before = pack_state(request_.pack)
    with pytest.raises(PackError, match="the disk is full"):
        train_adapters(replace(request_, finish=True, force=True), Settings()).finish()
    assert pack_state(request_.pack) == before
    assert Workspace("mine", ["capitals"]).is_begun


def test_one_that_is_not_better_is_refused_kept_and_put_in_place_by_force(stopped, request_):
    before = pack_state(request_.pack)
    refused = train_adapters(replace(request_, finish=True), Settings()).finish()
    assert isinstance(refused, Trained)
    result = refused.results["capitals"]
    assert not result.in_place
    assert "no better than" in result.refused
    assert pack_state(request_.pack) == before
    forced = train_adapters(replace(request_, finish=True, force=True), Settings()).finish()
    assert forced.results["capitals"].in_place
    assert forced.results["capitals"].refused == result.refused
    assert forced.steps == refused.steps
    assert "capitals" in open_pack(request_.pack).manifest.adapters
    assert not Workspace("mine", ["capitals"]).is_begun


def test_other_choices_give_up_what_was_reached_and_say_so(stopped, request_):
    workspace = Workspace("mine", ["capitals"])
    workspace.training.mkdir(exist_ok=True)
    (workspace.training / "training.pt").write_bytes(b"of other choices")
    plan = first_event(replace(request_, choices=Choices(epochs=1)))
    assert plan.dropped
    assert not plan.resumed
    assert not workspace.is_begun


def test_nothing_is_finished_that_was_not_begun(stopped, request_):
    other = replace(request_, choices=Choices(epochs=2), finish=True)
    with pytest.raises(InputError, match="--finish: there is no stopped training of these rows and choices"):
        first_event(other)
