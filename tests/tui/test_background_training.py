"""`/train`: an adapter learns from its lessons while one goes on, and what another program trains is there at once."""

import threading

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.job import Job
from dlp_local.core.paths import packs_folder
from dlp_local.core.values import AdapterInfo, Lesson, Message
from dlp_local.history import History
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.events import (
    FitProgress,
    Prepared,
    RoutingEffect,
    Score,
    Stage,
    Stopped,
    TaskResult,
    Trained,
)
from tests.support.fakes import FakeAssistant, Gate
from tests.tui.window import READY, window
from tui.messages import StatusChanged, TrainingEnded
from tui.session import Session
from tui.session.training import progress_text, result_text
from tui.views.plain import PlainView

HALF = FitProgress(10, 20, 1, 2, 0.5, 0.4, 0.4, 400.0, 200.0)


def trained(refused="", replaced=True):
    scores = {"base": Score(8, 0.0, 0.1), "pack today": Score(8, 0.5, 0.6), "new adapter": Score(8, 1.0, 1.0)}
    result = TaskResult(scores, RoutingEffect(1.0, 9, (), 0, 0.0), refused, not refused, replaced)
    return Trained({"sql": result}, (0.4,), 20, 30.0, 400.0, 90.0, "whole")


class FakeTraining:
    """Gives its events; at `gate` it stops before the last one, until it is opened or the training is cancelled."""

    def __init__(self, *events, gate=None, error=None):
        self.events, self.gate, self.error = events, gate, error
        self.asked = []

    def __call__(self, pack, adapter, lessons):
        self.asked.append((pack, adapter, tuple(lesson.right for lesson in lessons)))
        return Job(self._run)

    def _run(self, cancellation):
        yield from self.events[:-1]
        if self.gate:
            with cancellation.forwarded(self.gate.break_off):
                self.gate.wait()
        if self.error:
            raise self.error
        yield Stopped(10, 20) if cancellation.requested else self.events[-1]


def taught(*adapters):
    history = History(None)
    history.add_lessons([Lesson(name, "p", (Message("user", "hi"),), "no", f"for {name}") for name in adapters])
    return history


@pytest.mark.parametrize(("seconds", "told"), [(170.0, "(about 3 minutes)"), (0.0, "")])
def test_how_long_it_takes_is_told_before_it_begins(seconds, told):
    plan = Prepared({}, Choices(), "cpu", 10**9, 2 * 10**9, resumed=False, dropped=False, seconds=seconds)
    assert progress_text(plan) == told


@pytest.mark.asyncio
async def test_one_goes_on_while_an_adapter_is_trained_and_its_end_stands_in_the_conversation():
    fake, gate = FakeAssistant(), Gate()
    training = FakeTraining(Stage("opening the model", 0.5), HALF, trained(), gate=gate)
    async with window(fake, size=(120, 40), history=taught("sql"), start_training=training) as w:
        await w.say("/train sql")
        await w.sees("sql is being trained from 1 lesson", "training sql 50%, 3.3 min left")
        await w.say_and_wait("question", "a fine answer")
        await w.sees("training sql 50%")
        gate.open()
        await w.sees(
            "Trained sql in 90 s, 20 steps.",
            "Exactly right of 8 answers to judge by: base 0%, pack today 50%, new adapter 100%.",
            "sql is in place, for the next message. `dlp-local adapters rollback sql --pack",
        )
        assert "training sql" not in w.text()
        assert training.asked == [(fake.pack_folder, "sql", ("for sql",))]
        await w.say_and_wait("next", "a fine answer")
        assert w.text().index("Trained sql") < w.text().index("next")
        await w.press("ctrl+n")
        await w.until(lambda: "Trained sql" not in w.text())


@pytest.mark.asyncio
async def test_an_adapter_that_replaced_none_offers_no_way_back():
    training = FakeTraining(trained(replaced=False))
    async with window(FakeAssistant(), history=taught("sql"), size=(120, 40), start_training=training) as w:
        await w.say("/train")
        await w.sees("sql is in place, for the next message.")
        assert "rollback" not in w.text()


@pytest.mark.asyncio
async def test_why_an_adapter_is_not_in_place_is_told():
    training = FakeTraining(trained("on held-out rows it is no better than base"))
    async with window(FakeAssistant(), history=taught("sql"), size=(120, 40), start_training=training) as w:
        await w.say("/train")
        await w.sees("sql is as it was, for on held-out rows it is no better than base. Teach it some more (F8)")


@pytest.mark.asyncio
async def test_a_training_is_stopped_and_says_what_it_reached():
    training = FakeTraining(HALF, trained(), gate=Gate())
    async with window(FakeAssistant(), history=taught("sql", "sql"), size=(120, 40), start_training=training) as w:
        await w.say("/train stop")
        await w.sees("no adapter is being trained")
        await w.say("/train")
        await w.sees("from 2 lessons", "training sql 50%")
        await w.say("/train sql")
        await w.sees("'sql' is being trained. /train stop ends that.")
        await w.say("/train stop")
        await w.sees("stopped at step 10 of 20. /train sql goes on from there")
        assert len(training.asked) == 1


@pytest.mark.asyncio
async def test_a_training_that_fails_is_told_as_a_problem_and_another_one_can_begin():
    training = FakeTraining(HALF, trained(), error=InputError("training needs torch. Install it."))
    async with window(FakeAssistant(), history=taught("sql"), size=(120, 40), start_training=training) as w:
        await w.say("/train sql")
        await w.sees("'sql' was not trained: training needs torch. Install it.")
        training.error = None
        await w.say("/train sql")
        await w.sees("sql is in place")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("adapters", "said", "told"),
    [
        ((), "/train", "there are no lessons yet. F8 on an answer makes one."),
        (("sql", "dates", "sql"), "/train", "say which adapter: /train dates."),
        (("sql",), "/train banking", "there are no lessons for 'banking' yet."),
    ],
)
async def test_what_cannot_be_trained_is_told(adapters, said, told):
    training = FakeTraining(trained())
    async with window(FakeAssistant(), history=taught(*adapters), size=(120, 40), start_training=training) as w:
        await w.say(said)
        await w.sees(told)
        assert training.asked == []


@pytest.mark.asyncio
async def test_a_pack_that_is_never_changed_or_a_servers_is_not_trained_and_says_why():
    fake = FakeAssistant()
    fake.read_only_reason, fake.pack_folder = "the adapters are those of the server. Change them there.", None
    training = FakeTraining(trained())
    async with window(fake, history=taught("sql"), size=(120, 40), start_training=training) as w:
        await w.say("/train sql")
        await w.sees("those of the server")
        assert training.asked == []


@pytest.mark.asyncio
async def test_an_adapter_that_was_trained_elsewhere_is_there_before_anything_is_said():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.sees("6 adapters")
        fake.trained = AdapterInfo("fresh", "from another terminal")
        await w.sees("7 adapters", READY)
        assert "fresh" in w.session.status.adapters
    assert len(fake.threads) == 1


@pytest.mark.asyncio
async def test_a_message_that_follows_at_once_has_it(monkeypatch):
    monkeypatch.setattr("tui.session.worker.LOOK_EVERY", None)
    fake = FakeAssistant()
    async with window(fake) as w:
        fake.trained = AdapterInfo("fresh")
        await w.say_and_wait("question", "a fine answer")
        await w.sees("7 adapters")


@pytest.mark.asyncio
async def test_a_change_that_is_not_taken_over_is_told_and_the_message_is_answered():
    fake = FakeAssistant()
    async with window(fake, size=(120, 40)) as w:
        fake.refresh_error = PackError("pack.toml: is damaged. Mend it.")
        await w.sees("The pack was changed", "pack.toml: is damaged")
        await w.say_and_wait("question", "a fine answer")


def test_a_training_ends_with_its_session():
    training = FakeTraining(HALF, trained(), gate=Gate())
    session, posted = Session(lambda _: FakeAssistant(), taught("sql"), start_training=training), []
    ready = threading.Event()

    def post(message):
        posted.append(message)
        if isinstance(message, StatusChanged) and message.status.phase == "ready":
            ready.set()

    session.post_to(post)
    session.start()
    assert ready.wait(60)
    assert session.train("sql") == 1
    assert session.close()
    assert [message.note for message in posted if isinstance(message, TrainingEnded)] == [
        "The training of sql was stopped at step 10 of 20. /train sql goes on from there."
    ]


def test_the_plain_chat_says_how_a_training_ended(capsys):
    view = PlainView(Session(lambda _: FakeAssistant(), History(None)))
    view.post(TrainingEnded("Trained sql."))
    view.post(TrainingEnded("", "it failed"))
    assert capsys.readouterr().out == "Trained sql.\nError: it failed\n"


def test_the_way_back_names_the_pack_and_one_that_was_stopped_early_names_no_step(tmp_path):
    assert "`dlp-local adapters rollback sql --pack mine`" in result_text("sql", trained(), packs_folder() / "mine")
    elsewhere = tmp_path / "my pack"
    assert f"rollback sql --pack '{elsewhere}'`" in result_text("sql", trained(), elsewhere)
    assert "stopped before it began" in result_text("sql", Stopped(0, 0), elsewhere)
