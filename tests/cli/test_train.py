"""`dlp-local adapters train`: what is asked for, what is shown, and how it ends."""

import json
import re
import signal

import pytest
from typer.testing import CliRunner

from dlp_local.cli.main import app
from dlp_local.cli.train_screen import Screen, training_text
from dlp_local.core.errors import ExitCode, InputError
from dlp_local.core.job import Job
from dlp_local.packs.adapters import add_adapter
from dlp_local.training.adapter import session
from dlp_local.training.adapter.choices import METHODS, Choices
from dlp_local.training.adapter.events import (
    FitProgress,
    Prepared,
    RoutingEffect,
    Score,
    Stage,
    Stopped,
    TaskResult,
    TaskRows,
    Trained,
    event_of_json,
)
from tests.support.command import out, refused

ROWS = TaskRows(train=48, held_out=12, tokens=1429, duplicates=2, leaked=0, ambiguous=1, too_long=0)
CLEAN = TaskRows(train=48, held_out=12, tokens=1429, duplicates=0, leaked=0, ambiguous=0, too_long=0)
SCORES = {"base": Score(12, 0.0, 0.05), "pack today": Score(12, 0.25, 0.5), "new adapter": Score(12, 0.75, 0.9)}
ROUTING = RoutingEffect(0.9, 120, (), 0, 0.01)


def plan(rows=ROWS, **more):
    usual = {"device": "cpu", "memory": 900_000_000, "free_memory": 8 * 10**9, "resumed": False, "dropped": False}
    usual |= {"seconds": 170.0}
    return Prepared({"capitals": rows}, Choices().for_rows(48), **usual | more)


def progress(step, loss, **more):
    usual = {"of_steps": 60, "epoch": step // 6, "of_epochs": 10, "held_out_loss": 2.0, "best_loss": 1.5}
    return FitProgress(step=step, loss=loss, **usual | {"tokens_per_second": 700.0, "seconds_left": 120.0} | more)


def trained(refused="", in_place=True, replaced=False):
    result = TaskResult(SCORES, ROUTING, refused, in_place, replaced)
    return Trained({"capitals": result}, (3.0, 1.5), 60, 50.0, 700.0, 130.0, "whole")


EVENTS = [plan(), Stage("opening the model", 0.0), progress(0, None), progress(12, 1.2), trained()]


@pytest.fixture
def train(monkeypatch, mine, tmp_path):
    """Runs the command in this process with a training that tells some events; the request is in `train.request`."""
    (tmp_path / "rows.jsonl").write_text("")

    def run(*args, events=EVENTS):
        def scripted(request, settings):
            run.request = request
            return Job(lambda cancellation: iter(events))

        monkeypatch.setattr(session, "train_adapters", scripted)
        words = args if args and not args[0].startswith("--") else ("capitals", str(tmp_path / "rows.jsonl"), *args)
        result = CliRunner().invoke(app, ["adapters", "train", *words, "--pack", "mine"])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_what_is_said_is_what_is_asked_for(train, mine, tmp_path):
    train("--method", "cola", "--links", "2", "--rank", "4", "--system", "Be brief.", "--force", "--finish")
    assert train.request.pack == mine
    assert train.request.rows == {"capitals": tmp_path / "rows.jsonl"}
    assert train.request.choices == Choices(method="cola", links=2, rank=4)
    assert (train.request.system, train.request.force, train.request.finish) == ("Be brief.", True, True)
    assert (train.request.restart, train.request.held_out, train.request.description) == (False, None, None)


def test_what_is_not_said_is_left_to_the_choices_alone(train):
    train()
    assert train.request.choices == Choices()


def test_the_plan_the_progress_and_the_result_are_told(train):
    said = train().stdout
    assert "capitals: 48 rows to train on, 12 held out, 1429 tokens" in said
    assert "2 rows written twice, counted once" in said
    assert "1 row whose message has another answer in another row" in said
    assert "method lora, optimizer adamw, rank 8, alpha 16, rate 0.002" in said
    assert "about 3 minutes, about 900 MB of memory, on cpu" in said
    assert "60 steps, about 2.0 min" in said
    for policy, exact, chrf in (("base", "0%", "5.0"), ("pack today", "25%", "50.0"), ("new adapter", "75%", "90.0")):
        assert re.search(rf"^{policy} +{exact} +{chrf}$", said, re.MULTILINE)
    assert "of 120 messages of others it takes 0" in said
    assert "60 steps at 700 tokens/s, 2.2 min in all" in said


def test_without_a_terminal_each_epoch_is_a_line_of_the_log(train):
    assert "epoch 2 of 10: loss 1.20, held out 2.00 (best 1.50), 700 tokens/s, 2.0 min left" in train().stderr


def test_what_does_not_count_is_not_told(train):
    said = train(events=[plan(CLEAN), trained()]).stdout
    assert not re.search("twice|another answer|too long|links|goes on|given up", said)


def test_a_training_that_goes_on_and_one_that_begins_anew_are_told(train):
    assert "it goes on from where it was stopped" in train(events=[plan(resumed=True), trained()]).stdout
    assert "other rows or choices had reached is given up" in train(events=[plan(dropped=True), trained()]).stdout


def test_less_free_memory_than_is_needed_is_a_warning(train):
    assert "only 100 MB of memory are free" in train(events=[plan(free_memory=10**8), trained()]).stderr


@pytest.mark.parametrize(
    ("event", "code", "told"),
    [
        (trained(), ExitCode.OK, "capitals is in place, for it is better\ntry it: dlp-local ask --pack mine"),
        (trained(replaced=True), ExitCode.OK, "back with: dlp-local adapters rollback capitals --pack mine"),
        (trained("it is no better"), ExitCode.OK, "in place, by --force, although it is no better"),
        (trained("it is no better", in_place=False), ExitCode.FAILURE, "not put in place: it is no better.\n"),
        (Stopped(7, 60), ExitCode.INTERRUPTED, "stopped at step 7 of 60. The same command goes on from there"),
        (Stopped(0, 0), ExitCode.INTERRUPTED, "stopped before it trained"),
    ],
)
def test_how_it_ended_is_told_and_is_the_exit_code(train, event, code, told):
    result = train(events=[plan(), event])
    assert result.exit_code == code
    assert told in result.stdout


def test_one_of_several_that_is_not_in_place_is_a_failure(train):
    good, bad = trained(), trained("no better", in_place=False)
    both = Trained({**good.results, "other": bad.results["capitals"]}, (1.0,), 1, 1.0, 1.0, 1.0, "whole")
    assert train(events=[plan(), both]).exit_code == ExitCode.FAILURE


def test_as_json_every_event_is_a_line_and_nothing_else(train):
    result = train("--json")
    assert [event_of_json(json.loads(line)) for line in result.stdout.splitlines()] == EVENTS
    assert result.stderr == ""


def test_names_that_would_steer_the_terminal_are_made_visible(train):
    bad = trained("it would take '\x1b[2J'", in_place=False)
    assert "\x1b" not in train(events=[plan(), bad]).stdout


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["capitals"], "give a name and its rows"),
        (["a", "x", "b"], "give a name and its rows"),
        (["a", "x", "a", "y"], "an adapter is named twice"),
        (["a", "x", "--method", "lorra"], "Did you mean 'lora'"),
        (["a", "x", "b", "y", "--lessons"], "--lessons: is for one adapter"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(train, args, reason):
    with pytest.raises(InputError, match=reason):
        train(*args)


def test_ctrl_c_asks_the_training_to_stop_and_a_second_one_ends_it(train):
    def events():
        yield plan()
        signal.raise_signal(signal.SIGINT)
        yield Stopped(1, 60)

    assert train(events=events()).exit_code == ExitCode.INTERRUPTED

    def impatient():
        yield plan()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    assert train(events=impatient()).exit_code != ExitCode.OK
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_the_end_of_a_step_is_acknowledged_on_a_terminal(capsys, monkeypatch):
    screen = Screen(None, as_json=False)
    screen._bars.disable = False
    screen.note_stop()
    assert "stopping" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["", "no", "[]", "{}", '{"rows": 1, "steps": 2}', '{"rows": "x", "steps": 1}', "[" * 9999]
)
def test_what_a_foreign_file_says_of_its_training_is_shown_only_where_it_can_be_read(text):
    assert training_text(text) == ""


def test_the_paths_of_choices_are_told_by_name():
    told = {"rows": 1, "steps": 2, "choices": {"method": "lora", "start": "/home/ana/old.gguf"}}
    assert training_text(json.dumps(told)) == "1 row, 2 steps, method lora, start old.gguf"


def test_the_help_names_every_method_in_the_panel_of_what_is_about_it():
    said = " ".join(out("adapters", "train", "--help", COLUMNS="120", TERM="dumb").split())
    panel = said.partition("How it is trained")[2]
    assert all(name in panel for name in METHODS)
    for option in ("--method", "--optimizer", "--rank", "--teacher", "--seed", "--scope", "--booster-steps"):
        assert option in panel
    assert "--held-out" not in panel


def test_rolling_back_from_the_command_line(mine, bundled):
    add_adapter(mine, bundled / "dates.gguf", "sql", replace=True, keep_before=True)
    assert "the sql before is in place again" in out("adapters", "rollback", "sql", "--pack", "mine")
    assert "no adapter before this 'dates'" in refused(2, "adapters", "rollback", "dates", "--pack", "mine")
    assert "trained" not in out("adapters", "show", "sql", "--pack", "mine")


def test_a_pack_of_the_program_is_refused_with_the_way_to_one_of_your_own(tmp_path):
    said = refused(2, "adapters", "train", "a", tmp_path / "rows.jsonl", "--pack", "bundled")
    assert "dlp-local pack create mine --from bundled && dlp-local pack use mine" in said
