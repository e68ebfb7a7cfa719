"""What cannot become a training is refused before it waits, by the name of the field that has to change."""

import json
import subprocess
import sys

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dlp_local.core.errors import InputError
from dlp_local.server.replies.fine_tuning import FineTuningJob
from dlp_local.server.replies.status import ErrorReply
from dlp_local.server.requests.fine_tuning import FineTuningRequest
from tests.support.scripted_training import ScriptedTrainer, begin, send, serving, wait_for_end

METHOD = {"type": "supervised"}
RATE = "hyperparameters.learning_rate_multiplier"


def _own(**extension):
    return {"extra_body": {"dlp_local": extension}}


@pytest.mark.parametrize(
    ("asked", "status", "param", "code"),
    [
        ({"suffix": openai.NOT_GIVEN}, 400, "suffix", "missing_required_parameter"),
        ({"suffix": "My Adapter"}, 400, "suffix", "invalid_value"),
        ({"suffix": "../x"}, 400, "suffix", "invalid_value"),
        ({"suffix": "auto"}, 400, "suffix", "invalid_value"),
        ({"suffix": "bundled"}, 400, "suffix", "invalid_value"),
        ({"model": "gpt-4o-mini"}, 404, "model", "model_not_found"),
        ({"model": "sql"}, 400, "model", "invalid_value"),
        ({"training_file": "file-000000000000000000000000"}, 400, "training_file", "file_not_found"),
        ({"training_file": "../../etc/passwd"}, 400, "training_file", "file_not_found"),
        ({"validation_file": "nothing"}, 400, "validation_file", "file_not_found"),
        ({"hyperparameters": {"n_epochs": 0}}, 400, "hyperparameters.n_epochs", "invalid_value"),
        ({"hyperparameters": {"batch_size": "many"}}, 400, "hyperparameters.batch_size", "invalid_value"),
        ({"hyperparameters": {"learning_rate_multiplier": 1e9}}, 400, RATE, "invalid_value"),
        ({"hyperparameters": {"n_epochs": 3}, "method": METHOD}, 400, "hyperparameters", "invalid_value"),
        ({"method": {"type": "dpo"}}, 400, "method.type", "invalid_value"),
        ({"method": {"type": "supervised", "dpo": {}}}, 400, "method.dpo", "unknown_parameter"),
        ({"integrations": [{"type": "wandb"}]}, 400, "integrations", "unknown_parameter"),
        ({"seed": -1}, 400, "seed", "invalid_value"),
        (_own(method="flora"), 400, "dlp_local.method", "invalid_value"),
        (_own(method="share", optimizer="rite"), 400, "dlp_local.optimizer", "invalid_value"),
        (_own(teacher="/etc/passwd"), 400, "dlp_local.teacher", "unknown_parameter"),
    ],
)  # fmt: skip
def test_what_cannot_become_a_training_is_refused_by_name(one_client, asked, status, param, code):
    with pytest.raises(openai.APIStatusError) as refused:
        begin(one_client, **asked)
    assert (refused.value.status_code, refused.value.param, refused.value.code) == (status, param, code)


@pytest.fixture(scope="module")
def one_client():
    """One server for all requests that begin nothing, or whose training nobody waits for."""
    with serving(trainings=1000) as client:
        yield client


def test_an_unknown_training_is_refused(one_client):
    jobs = one_client.fine_tuning.jobs
    for ask in (jobs.retrieve, jobs.cancel, jobs.list_events, jobs.checkpoints.list):
        with pytest.raises(openai.NotFoundError) as refused:
            ask("ftjob-none")
        assert refused.value.code == "job_not_found"


def test_nobody_trains_where_that_is_switched_off():
    with serving(trainings=0) as client, pytest.raises(openai.PermissionDeniedError, match="trainings is 0") as refused:
        begin(client)
    assert refused.value.code == "training_not_allowed"


def test_the_server_is_imported_without_torch():
    code = "import sys, dlp_local.server.serving; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_losses_are_no_rows(one_client):
    (result,) = wait_for_end(one_client, begin(one_client).id).result_files
    with pytest.raises(openai.BadRequestError) as refused:
        begin(one_client, training_file=result)
    assert refused.value.code == "file_not_found"


def test_a_training_that_can_never_be_is_refused_before_it_waits(assistant):
    missing = ScriptedTrainer()
    missing.missing = InputError("training needs torch, which is not installed. Install the train extra: pip …")
    with serving(missing) as client, pytest.raises(openai.BadRequestError, match="Install the train extra") as refused:
        begin(client)
    assert refused.value.code == "training_not_installed"
    with serving(assistant=assistant) as client, pytest.raises(openai.BadRequestError, match="pack create") as refused:
        begin(client)
    assert (refused.value.param, refused.value.code) == ("model", "pack_read_only")


NAMES = ["type", "supervised", "hyperparameters", "n_epochs", "rank"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "supervised", "hyperparameters", "n_epochs", "rank"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def test_any_field_of_any_value_is_answered_or_refused_as_the_document_says(one_client):
    file = send(one_client)
    operation = httpx.get(f"{one_client.base_url.join('/openapi.json')}").json()["paths"]["/v1/fine_tuning/jobs"][
        "post"
    ]

    @settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)
    @given(field=st.sampled_from([*FineTuningRequest.model_fields, "user", "n"]), value=VALUES)
    def check(field, value):
        asked = {"training_file": file, "model": "base", "suffix": "phrases"} | {field: value}
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(f"{one_client.base_url}fine_tuning/jobs", content=json.dumps(asked), headers=headers)
        assert str(answer.status_code) in operation["responses"]
        assert answer.status_code < 500, answer.text
        reply = FineTuningJob if answer.status_code == 200 else ErrorReply
        TypeAdapter(reply).validate_json(answer.content, strict=True)

    check()
