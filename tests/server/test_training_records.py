"""Trainings of which not every number is finite: they are kept as they were, and clients are sent JSON."""

import json
import math
from dataclasses import replace

from dlp_local.core.paths import serving_folder
from dlp_local.server.kept_folder import KeptFolder
from dlp_local.server.training_records import TrainingRecords
from dlp_local.training.adapter.events import FitProgress, Trained
from tests.support.scripted_training import ScriptedTrainer, begin, serving, wait_for_end


class Diverging(ScriptedTrainer):
    """Tells what a training tells whose weights have become infinite."""

    def _events(self, request, cancellation):
        for event in super()._events(request, cancellation):
            match event:
                case FitProgress() if event.step:
                    yield replace(event, loss=math.nan, held_out_loss=math.inf)
                case Trained():
                    yield replace(event, held_out_losses=(2.5, math.inf, -math.inf, math.nan))
                case _:
                    yield event


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def replies(client, number):
    """What clients are sent of a training, as it is."""
    asked = client.fine_tuning.jobs
    raw = [
        asked.with_raw_response.retrieve(number),
        asked.with_raw_response.list(),
        asked.with_raw_response.list_events(number),
    ]
    return [json.loads(reply.content, parse_constant=refuse) for reply in raw]


def test_a_training_that_diverged_is_there_after_a_restart_and_what_is_sent_of_it_is_json():
    with serving(Diverging()) as client:
        job = wait_for_end(client, begin(client).id)
        before = replies(client, job.id)
    with serving() as client:
        assert client.fine_tuning.jobs.retrieve(job.id) == job
        assert replies(client, job.id) == before
    metrics = [event["data"] for event in before[2]["data"] if event["type"] == "metrics"]
    assert [data["valid_loss"] for data in metrics] == [None, None, 2.5]


def test_losses_that_are_not_finite_are_read_back_as_they_were():
    with serving(Diverging()) as client:
        number = wait_for_end(client, begin(client).id).id
    folder = KeptFolder(serving_folder("bundled"))
    try:
        losses = TrainingRecords(folder).get(number).trained.held_out_losses
    finally:
        folder.close()
    assert losses[:3] == (2.5, math.inf, -math.inf)
    assert math.isnan(losses[3])
