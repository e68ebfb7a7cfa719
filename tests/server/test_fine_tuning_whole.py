"""A training that is none of a script: OpenAI's client sends rows, and gets an adapter of the bundled backbone."""

import json

import openai
import pytest

from dlp_local import open_assistant
from dlp_local.core.settings import Settings
from tests.support.http_server import running_server
from tests.support.scripted_training import wait_for_end

for package in ("torch", "transformers", "safetensors", "sacrebleu"):
    pytest.importorskip(package, reason="needs the train extra")

ROWS = [{"prompt": f"shout the word number {n}", "answer": f"WORD {n}!"} for n in range(12)]


def test_rows_become_an_adapter_that_is_answered_with(mine, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    with (
        open_assistant(Settings(), mine) as assistant,
        running_server(assistant) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0, timeout=60) as client,
    ):
        with rows.open("rb") as file:
            sent = client.files.create(file=file, purpose="fine-tune")
        hyperparameters = {"n_epochs": 2, "learning_rate_multiplier": 1.0, "batch_size": 4}
        begun = client.fine_tuning.jobs.create(
            training_file=sent.id,
            model="mine",
            suffix="phrases",
            method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            seed=3,
            extra_body={"dlp_local": {"force": True, "rank": 2}},
        )
        job = wait_for_end(client, begun.id, patience=300)
        assert (job.status, job.fine_tuned_model) == ("succeeded", "phrases"), job.error
        assert job.trained_tokens > 0
        assert job.hyperparameters.n_epochs == 2
        assert job.dlp_local["scores"].keys() == {"base", "pack today", "new adapter"}
        steps = [event.data for event in client.fine_tuning.jobs.list_events(job.id) if event.type == "metrics"]
        assert steps[0]["valid_loss"] < steps[-1]["valid_loss"], "the newest is listed first, and has learnt"
        assert client.files.content(job.result_files[0]).text.startswith("step,train_loss,valid_loss\n")
        answer = client.chat.completions.create(
            model=job.fine_tuned_model, messages=[{"role": "user", "content": "shout the word number 3"}], max_tokens=8
        )
        assert answer.dlp_local["mix"] == {"phrases": 1.0}
        assert "phrases" in {model.id for model in client.models.list()}
    assert (mine / "pack.toml").read_text("utf-8").count("[adapters.phrases]") == 1
