"""Answers to questions, each computed once through the product's own turn, and kept in a file as it comes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Generator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import TypeAdapter

from dlp_local.asked_together import ask_together, groups
from dlp_local.assistant import Assistant
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import Event, HistoryTrimmed, ReplyDone, TokenScores
from dlp_local.core.files import make_folder
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.serialize import messages_json
from dlp_local.core.values import Message, Mix, Route
from dlp_local.evaluation.metrics.choices import choice_grammar
from dlp_local.packs.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Question:
    """A message, what was said before it, and under which mix it is answered.

    Without a `mix` it is routed by the product itself, `previous` being the route of the turn before, and answered in
    `parts`, which are told for what is kept of it. With a `choice` the answer can only be that, and how likely it is
    counts.
    """

    text: str
    mix: Mix | None
    options: ChatOptions
    history: tuple[Message, ...] = ()
    parts: tuple[tuple[str, Mix], ...] = ()
    previous: Route | None = None
    choice: str | None = None

    @property
    def mixes(self) -> tuple[Mix, ...]:
        """The mixes that have a part in the answer."""
        return tuple(mix for _, mix in self.parts) if self.mix is None else (self.mix,)

    @property
    def how(self) -> str:
        """The mix, or the parts with theirs, as text."""
        return str(self.mix) if self.mix is not None else json.dumps([[text, str(mix)] for text, mix in self.parts])


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, the seconds to its first token and to its end, and how it ended.

    `trimmed`: of what was said before, the oldest turns that did not fit the context and were left out.
    Of a choice, `log_likelihood` is the sum of the natural logarithms of its tokens' probabilities: Σ log p(tᵢ | t₁ …
    tᵢ₋₁, conversation, mix), over the tokens that the model finds likeliest to write it with, without the one that ends
    the answer.
    """

    text: str
    first_token: float
    seconds: float
    finish_reason: str
    log_likelihood: float = 0.0
    trimmed: int = 0


class Answers:
    """A pack's answers to questions; where there is a file, they are kept in it, a JSON object a line.

    An answer is known by all that it depends on: the weights, scale and scope of the adapters in its mix, the backbone,
    the chat template, the conversation, and the options. Any number of threads may ask.
    """

    def __init__(self, assistant: Assistant, pack: Manifest, file: Path | None, context: Mapping[str, Any]) -> None:
        """`context` is what else the answers depend on: the settings under the options, as JSON has them."""
        self._assistant, self._pack, self._file, self._context = assistant, pack, file, context
        self._writing = Lock()
        self._known: dict[str, Answer] = {}
        """By key, in the order in which they came."""

        self._begun: dict[str, int] = {}
        """How many answers were known when some questions were first asked, by a hash of their keys."""

        if file:
            self._read(file)

    def of_all(
        self, questions: Mapping[str, Question], cancellation: Cancellation
    ) -> Generator[tuple[str, Answer | InputError | EngineError], None, None]:
        """The answers to many questions by their keys, or why there is none, as they come: those that are known first.

        The same questions get the same answers, to the letter, also where some of them were answered in a run that was
        cut: then their whole group is answered again (`asked_together`). What was known before that run, of other
        questions, is not. Where it is cancelled, the rest is missing.
        """
        before = set(islice(self._known, self._begin(questions)))
        missing = questions.keys() - self._known.keys()
        yield from ((key, self._known[key]) for key in questions if key in self._known)

        def ask(key: str) -> Answer | None:
            return None if cancellation.requested else self._compute(key, questions[key], cancellation)

        for group in groups(self._assistant, [key for key in questions if key not in before]):
            if missing.isdisjoint(group) or cancellation.requested:
                continue
            with closing(ask_together(self._assistant, group, ask)) as ended:
                try:
                    for key, future in ended:
                        if key in missing and (answer := _result(future)) is not None:
                            yield key, answer
                except BaseException:
                    cancellation.request()
                    raise

    def _begin(self, questions: Collection[str]) -> int:
        """How many answers were known when these questions, by their keys, were first asked; noted where it is now."""
        asked = hashlib.sha256(json.dumps(list(questions)).encode()).hexdigest()[:32]
        if asked not in self._begun and not self._known.keys() >= set(questions):
            self._begun[asked] = len(self._known)
            self._write({"begun": asked})
        return self._begun.get(asked, len(self._known))

    def _compute(self, key: str, question: Question, cancellation: Cancellation) -> Answer | None:
        """The answer, kept unless one is known."""
        job = self._job(question)
        log_likelihood, trimmed, done = 0.0, 0, None
        with cancellation.forwarded(job.cancel):
            for event in job:
                if isinstance(event, TokenScores):
                    log_likelihood += event.chosen.logprob
                elif isinstance(event, HistoryTrimmed):
                    trimmed = max(trimmed, event.turns)
                elif isinstance(event, ReplyDone):
                    done = event
        if done is None or done.finish_reason == "cancelled":
            return None
        if done.error:
            raise EngineError(done.error)
        if question.choice is not None and done.answer.strip() != question.choice.strip():
            raise InputError(f"the choice '{question.choice[:64]}' does not fit into the longest answer. Allow more.")
        likelihood = log_likelihood if question.choice is not None and math.isfinite(log_likelihood) else 0.0
        seconds = (round(done.timings.first_token / 1000, 6), round(done.timings.total / 1000, 6))
        answer = Answer(done.answer, *seconds, done.finish_reason, round(likelihood, 6), trimmed)
        return self._keep(key, question, answer)

    def _job(self, question: Question) -> Job[Event]:
        form = ANY_TEXT
        if question.choice is not None:
            form = AnswerFormat(grammar=choice_grammar(question.choice), logprobs=0)
        return self._assistant.reply(
            question.text,
            question.history,
            mix=question.mix,
            options=question.options,
            previous_route=question.previous,
            answer_format=form,
        )

    def key(self, question: Question) -> str:
        """A hash of all that an answer depends on."""
        depends_on = {
            "weights": self._weights(question.mixes),
            "mix": question.how,
            "history": messages_json(question.history),
            "text": question.text,
            "options": _options_json(question.options),
            "choice": question.choice,
            "context": self._context,
        }
        return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:32]

    def _weights(self, mixes: Collection[Mix]) -> list[Any]:
        """The hashes of the files that some mixes use, and how the pack uses them."""
        backbone, names = self._pack.backbone, sorted({name for mix in mixes for name, _ in mix.weights})
        template = backbone.chat_template_file.sha256 if backbone.chat_template_file else backbone.chat_template
        adapters = [(name, self._pack.adapters[name]) for name in names]
        used = [[name, adapter.sha256, adapter.scale, adapter.scope] for name, adapter in adapters]
        return [backbone.sha256, template, used]

    def _keep(self, key: str, question: Question, answer: Answer) -> Answer:
        line = {"key": key, "message": question.text, "mix": question.how, **asdict(answer)}
        with self._writing:
            if key not in self._known:
                self._write(line)
            return self._known.setdefault(key, answer)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file:
            with self._file.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _read(self, file: Path) -> None:
        """Takes over what a file has; what a run that was killed left of its last line is removed."""
        for line in whole_lines(file):
            try:
                values = json.loads(line)
                if "begun" in values:
                    self._begun.setdefault(str(values["begun"]), len(self._known))
                else:
                    self._known[str(values["key"])] = _ANSWER.validate_python(values)
            except (ValueError, TypeError, KeyError):  # pydantic's errors are values, too
                continue  # a damaged line is computed again


_ANSWER = TypeAdapter(Answer)


def _result(future: Future[Answer | None]) -> Answer | InputError | EngineError | None:
    try:
        return future.result()
    except (InputError, EngineError) as error:
        return error


@lru_cache(maxsize=64)
def _options_json(options: ChatOptions) -> dict[str, Any]:
    return options.model_dump(mode="json", exclude_none=True)


def whole_lines(file: Path) -> list[str]:
    """The whole lines of a file that is written line by line; a part of a line at its end is removed.

    Makes its folder where there is none; raises `InputError` where it cannot be read or written.
    """
    try:
        make_folder(file.parent)
        text = file.read_text("utf-8", errors="replace") if file.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            file.write_text(whole, "utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{file}: cannot be used ({error.strerror}). Name another folder.") from None
    return whole.split("\n")[:-1]
