"""What the user does with a conversation, as calls that the window and the plain chat make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual.message import Message as Posted

from dlp_local.answer_parts import begun_answer
from dlp_local.conversation_turn import store_message
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.events import ReplyDone
from dlp_local.core.values import Correction, Lesson, Message, Mix, Route
from dlp_local.history import History
from dlp_local.history.open_conversation import OpenConversation
from tui.lessons import mended, teachable
from tui.session.assistant_backend import AssistantBackend, OpenAssistant
from tui.session.jobs import AnswerJob, CorrectionJob, PackJob, SwitchJob, WarmJob
from tui.session.shared_state import SharedState
from tui.session.training import BackgroundTraining, StartTraining, train_adapter
from tui.session.worker import NO_PACK, AssistantWorker
from tui.state import HERE, ConversationView, Place, Status, Turn, TurnRouting

ChangeOptions = Callable[[ChatOptions], ChatOptions]
"""What is set on the command line, over the options that the conversation has."""

LEFT, TAKEN_BACK = "Not answered: another conversation was opened.", "Not answered: it was taken back."


class Session:
    """The open conversation, and the worker that answers in it.

    What stores something waits for the history, so it belongs off the window's thread, one call after the other; what
    reads, `stop` and `close` may come from any thread at any time.
    """

    def __init__(
        self,
        open_assistant: OpenAssistant,
        history: History,
        notice: str = "",
        no_corrections: str = "",
        place: Place = HERE,
        start_training: StartTraining = train_adapter,
    ) -> None:
        """`open_assistant` is called in the worker's thread. `notice`: what the user must know of the history.

        `no_corrections`: why messages cannot be corrected; empty where they can. `place`: where answers are computed.
        `start_training`: how adapters are trained beside the conversation.
        """
        self.history = history
        self._no_corrections = no_corrections
        self._state = SharedState(OpenConversation(history), notice, place)
        self._worker = AssistantWorker(open_assistant, self._state)
        self._training = BackgroundTraining(start_training, self._state)

    def post_to(self, post: Callable[[Posted], object]) -> None:
        """Values go to `post` from now on, which must be safe to call from any thread.

        What changed before is in `view` and `status`: whoever draws those once this is done misses nothing.
        """
        self._state.post_to(post)

    def start(self) -> None:
        """Starts to load the assistant."""
        self._worker.start()

    # ---- what there is ----

    @property
    def status(self) -> Status:
        """The state of the session."""
        return self._state.status

    @property
    def conversation(self) -> OpenConversation:
        """The open conversation."""
        return self._state.conversation

    @property
    def busy(self) -> bool:
        """Whether a message is being answered."""
        return self._worker.busy

    @property
    def changing(self) -> bool:
        """Whether a change of the pack is made or waits."""
        return self._worker.changing

    @property
    def history_messages(self) -> tuple[Message, ...]:
        """The answered turns of the shown path, as the assistant gets them."""
        return self.conversation.history_messages(self.conversation.tip)

    @property
    def other_pack(self) -> str:
        """The pack that answered in the open conversation last, where it is not the one that answers now."""
        path = self.conversation.path()
        pack = path[-1].pack if path else ""
        return pack if self.status.name and pack != self.status.name else ""

    def view(self) -> ConversationView:
        """The conversation as it is to be shown."""
        return self._state.view()

    def turn(self, number: int) -> Turn:
        """A turn of the open conversation as it is now."""
        return self._state.turn(number)

    # ---- messages ----

    def send(self, text: str) -> Turn:
        """Queues a message after the shown path; it is answered at once where nothing is before it."""
        return self._queue(text, self.conversation.tip)

    def edit(self, turn: int, text: str) -> Turn:
        """Sends another message in the place of a turn's; the old one stays as an alternative."""
        return self._queue(text, self.conversation[turn].parent)

    def retry(self, turn: int, mix: Mix | None = None) -> Turn:
        """Asks for another answer to a turn's message, perhaps under a mix given for it alone."""
        before = self.conversation[turn]
        return self._queue(before.text, before.parent, mix, another=True)

    def continue_answer(self, turn: int) -> Turn:
        """Goes on with an answer that was cut, as an alternative of it."""
        before = self.conversation[turn]
        mix = before.done.route.mix if before.done and not before.done.route.probabilities else None
        begun_parts = before.done.parts if before.done else None
        answer_prefix = begun_answer(begun_parts) if begun_parts else before.answer
        return self._queue(before.text, before.parent, mix, answer_prefix=answer_prefix, begun_parts=begun_parts)

    def _queue(
        self,
        text: str,
        parent: int | None,
        mix: Mix | None = None,
        *,
        answer_prefix: str = "",
        begun_parts: tuple[ReplyDone, ...] | None = None,
        another: bool = False,
    ) -> Turn:
        conversation = self.conversation
        stored = store_message(conversation, text, parent=parent, pack=self.status.name)
        self._state.check_stored(conversation)
        self._state.show_path()
        waiting = self._state.turn(stored.id)
        self._worker.put(AnswerJob(conversation, stored.id, mix, answer_prefix, begun_parts, another))
        return waiting

    def stop(self) -> None:
        """Ends the running answer; the part that was written stays."""
        self._worker.stop()

    # ---- conversations ----

    def new(self, options: ChatOptions | None = None) -> None:
        """Begins a new conversation; what runs or waits in the old one ends."""
        self._leave_for(OpenConversation(self.history, options=options))

    def open(self, number: int) -> None:
        """Goes to a stored conversation; raises `HistoryError` where it cannot be read."""
        if number != self.conversation.number:
            self.history.end_unfinished(number)
            self._leave_for(OpenConversation(self.history, self.history.conversation(number)))

    def leave_deleted(self) -> None:
        """Begins a new conversation where the open one was deleted; raises `HistoryError` where that cannot be read."""
        if (number := self.conversation.number) is not None and not self.history.has(number):
            self.new()

    def _leave_for(self, conversation: OpenConversation) -> None:
        self._worker.drop_waiting(LEFT)
        self.stop()
        self._state.open(conversation)
        self._warm()

    def _warm(self) -> None:
        """The open conversation is computed as it is now, while nothing is asked."""
        self._worker.put(WarmJob(self.conversation))

    def _show_path(self) -> None:
        self._state.show_path()
        self._warm()

    def step(self, turn: int, by: int) -> None:
        """Goes to the alternative before (-1) or after (1) a turn; not while an answer is being written."""
        if not self.busy and self.conversation.step(turn, by):
            self._show_path()

    def show(self, turn: int) -> None:
        """Goes to the branch through a turn."""
        self.conversation.show(turn)
        self._show_path()

    def undo(self) -> str:
        """Takes the last turn back; returns its message, to be written anew."""
        turn = None if self.busy else self.conversation.undo()
        if turn:
            self._worker.drop_waiting(TAKEN_BACK, turn.id)
        self._show_path()
        return turn.text if turn else ""

    def set_options(self, options: ChatOptions) -> None:
        """What this conversation sets for itself, from the next message on."""
        self.conversation.set_options(options)
        self._state.check_stored(self.conversation)
        self._state.update(options=options)
        self._warm()

    # ---- the router and the pack ----

    def routing(self, turn: int) -> TurnRouting:
        """How a turn was routed; where its mix was given by hand, what the router says of its message now.

        Raises `HistoryError` where it cannot be read what the user said of it.
        """
        shown, stored = self.turn(turn), self.conversation[turn]
        router: Mapping[str, float] = {}
        if shown.route and not shown.route.carried:
            router = self._worker.probabilities(stored.text, self.conversation.route_before(stored))
        corrections = {correction.text: correction.right for correction in self.history.corrections(self.status.name)}
        return TurnRouting(shown, router, corrections, self.status.adapters, self.conversation.options)

    def correct(self, turn: int, right: str, part: int | None = None) -> None:
        """A turn's message, or one of its parts, belongs to another adapter from the next answer on.

        Raises `HistoryError` where that cannot be stored, and `InputError` where nothing can be corrected.
        """
        if self._no_corrections:
            raise InputError(self._no_corrections)
        route = self._route(turn, part)
        self.history.correct(Correction(route.text, route.mix, right, self.status.name))
        self._worker.put(CorrectionJob(route.text, right))

    def uncorrect(self, turn: int, part: int | None = None) -> None:
        """Takes back what was said of a turn's message or part; raises `HistoryError` where that cannot be stored."""
        text = self._route(turn, part).text
        stored = self.history.corrections(self.status.name)
        self.history.forget_corrections([each.id for each in stored if each.text == text])
        self._worker.put(CorrectionJob(text, None))

    def _route(self, turn: int, part: int | None) -> Route:
        """How a turn's message, or one of its parts, was routed, also while it is being answered."""
        shown = self.turn(turn)
        route = shown.route or Route(shown.text, {}, Mix())
        return route if part is None else route.parts[part]

    def lessons(self, turn: int) -> tuple[Lesson, ...]:
        """What can be mended of a turn: its answer, or that of each of its parts; `right` is what was answered."""
        conversation = self.conversation
        return teachable(conversation, conversation[turn], self.status.name)

    def teach(self, lessons: Sequence[Lesson]) -> tuple[Lesson, ...]:
        """Stores the lessons whose answers were mended, and gives them.

        Raises `InputError` where none was or one cannot be, and `HistoryError` where they cannot be stored.
        """
        taught = mended(lessons)
        self.history.add_lessons(taught)
        return taught

    def train(self, adapter: str) -> int:
        """Begins to train an adapter from its lessons, beside the conversation; gives how many these are.

        `TrainingEnded` tells what came of it. Raises `InputError` where it cannot be begun.
        """
        self._check_changeable()
        if (folder := self.status.pack_folder) is None:
            raise InputError(NO_PACK)
        lessons = self.history.lessons(adapter)
        self._training.start(folder, adapter, lessons)
        return len(lessons)

    def stop_training(self) -> None:
        """Ends the training, which keeps what it reached; raises `InputError` where there is none."""
        self._training.stop()

    def _check_changeable(self) -> None:
        """Raises `InputError` for a pack that cannot be changed."""
        if problem := self.status.read_only_reason or (NO_PACK if self.status.phase == "failed" else ""):
            raise InputError(problem)

    def change_pack(self, activity: str, done: str, change: Callable[[AssistantBackend], str | None]) -> None:
        """Queues a change of the pack's adapters; `PackUpdated` tells what came of it.

        `activity` is what the status line says meanwhile. Raises `InputError` for a pack that cannot be changed.
        """
        self._check_changeable()
        self._worker.put(PackJob(activity, done, change))

    def switch_pack(self, pack: str) -> None:
        """Queues the opening of another pack in place of this one; `PackUpdated` tells what came of it."""
        self._worker.put(SwitchJob(pack))

    def close(self, timeout: float = 3.0) -> bool:
        """Ends the worker; False where it goes on: in an answer for `timeout` seconds, or with a pack still loading."""
        self._training.close()
        return self._worker.close(timeout)
