"""Fits a method's adapters to rows: the best on held-out rows is kept, and a training that was left goes on."""

from __future__ import annotations

import math
import random
import time
from bisect import bisect_right
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, written_aside
from dlp_local.core.job import Cancellation
from dlp_local.training.adapter.backbone import Backbone, Thin
from dlp_local.training.adapter.batches import Batch, Example, Feed, all_once, training_tokens
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.events import FitProgress
from dlp_local.training.adapter.methods.ca import Teacher
from dlp_local.training.adapter.methods.method import Factors, Method
from dlp_local.training.adapter.optimizers import Optimizer, make_optimizer

Tensor = Any
WARM_UP, LOWEST = 0.05, 0.02
"""The share of the steps in which the rate rises, and the share of it that is left at the end."""

PATIENCE, LEAST_PATIENCE = 0.25, 2
"""The share of the epochs, and how many of them at least, after which a training without a gain ends."""

MOST_JUDGED = 50
"""Held-out rows whose loss is computed after each epoch."""

JUDGED_TOKENS = 256
"""Tokens of a batch of held-out rows, at least: without a way back, larger ones are faster and take no more memory."""

SAVE_SECONDS = 30.0
BACKWARD = 3.5
"""A token of a step takes so many times as long as one that is only judged, in larger batches; measured on two cores
with batches of 64 tokens (4.4) and of 128 (3.1)."""

TELL_SECONDS = 1.0
FILE = "training.pt"
DAMAGED = (RuntimeError, ValueError, TypeError, LookupError, EOFError, UnpicklingError)
"""What torch raises over a file that is cut, or that it did not write."""


class HeldOut(NamedTuple):
    """What held-out rows say of weights: the greater, the better.

    `accuracy`: the share of their answers' tokens that are the most probable ones, in the mean over tasks. It comes
    first, since answers are greedy: with few rows it still rises where the loss does, too, for want of doubt.
    """

    accuracy: float
    minus_loss: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training reached: `held_out_losses` of base, and then of each epoch; the method holds the best weights.

    `ended`: `whole`, `early` where held-out rows no longer gained, or `cancelled`.
    """

    held_out_losses: tuple[float, ...]
    steps: int
    seconds: float
    tokens_per_second: float
    ended: str


class Fit:
    """A training of one method on the rows of its tasks; it is kept in a folder, from where the same one goes on."""

    def __init__(
        self,
        backbone: Backbone,
        method: Method,
        train: Sequence[Sequence[Example]],
        held_out: Sequence[Sequence[Example]],
        choices: Choices,
        folder: Path,
        teacher: Teacher | None = None,
    ) -> None:
        """`train` and `held_out`: the rows of each task. Raises `InputError` for a teacher of another vocabulary."""
        if teacher is not None and teacher.vocabulary_size != backbone.vocabulary_size:
            raise InputError(
                f"--teacher: {teacher.path} has {teacher.vocabulary_size} tokens, and {backbone.path} "
                f"{backbone.vocabulary_size}. Name a file of the same model."
            )
        self._backbone, self._method, self._choices, self._file = backbone, method, choices, folder / FILE
        self._teacher = teacher
        self._feed = Feed(train, choices.batch_tokens, choices.seed)
        judged_tokens = max(choices.batch_tokens, JUDGED_TOKENS)
        self._held_out = [all_once(examples[:MOST_JUDGED], judged_tokens) for examples in held_out]
        self._epoch_tokens = training_tokens(train)
        self.of_steps = choices.epochs * self._feed.batches_an_epoch
        self._starts = [*method.stage_starts(self.of_steps), self.of_steps]
        self._optimizer: Optimizer = make_optimizer(method, choices)
        self._step, self._tokens, self._seconds = 0, 0, 0.0
        self._judged: list[HeldOut] = []
        self._best: dict[str, Any] = method.state()

    def run(self, cancellation: Cancellation) -> Generator[FitProgress, None, Fitted]:
        """Trains until the steps are done, held-out rows no longer gain, or it is cancelled.

        Says how far it is every few seconds, first of all where it begins. In the end the method has the weights of the
        epoch that was the best on held-out rows. Raises `OSError` where it cannot be kept.
        """
        make_folder(self._file.parent)
        speed = self._tokens / self._seconds if self._restore() and self._tokens else self._begin()
        yield self._progress(None, speed)
        before, began = self._seconds, time.monotonic()
        saved = told = began
        recent: list[float] = []
        for batch in self._feed.batches(skipped=self._step):
            if self._end or cancellation.requested:
                break
            self._enter_stage()
            recent = [*recent[-19:], self._learn(batch)]
            self._optimizer.step(self._rate())
            self._step += 1
            self._tokens += batch.tokens
            if is_epoch := self._step % self._feed.batches_an_epoch == 0:
                self._judge()
            now = time.monotonic()
            self._seconds = before + now - began
            if is_epoch or now - saved > SAVE_SECONDS:
                self._save()
                saved = now
            if is_epoch or now - told > TELL_SECONDS:
                yield self._progress(sum(recent) / len(recent), self._tokens / self._seconds)
                told = now
        if not self._end:
            self._save()
        self._method.restore(self._best)
        speed = self._tokens / max(self._seconds, 1e-9)
        losses = tuple(-judged.minus_loss for judged in self._judged)
        return Fitted(losses, self._step, self._seconds, speed, self._end or "cancelled")

    def _begin(self) -> float:
        """Judges what the training begins with; returns the tokens a second that it will take, about."""
        began = time.monotonic()
        self._judged = [self._judge_held_out(None)]
        seconds = time.monotonic() - began
        if self._choices.start is not None:
            self._judge()
        return sum(batch.tokens for batches in self._held_out for batch in batches) / max(seconds, 1e-9) / BACKWARD

    @property
    def _end(self) -> str:
        """Why there is no further step: `whole` or `early`; empty where there is one."""
        if self._step >= self.of_steps:
            return "whole"
        return "early" if self._has_stalled else ""

    def _enter_stage(self) -> None:
        """Begins the stage of this step, where it is another one than before."""
        stage = bisect_right(self._starts, self._step) - 1
        if stage != self._method.stage:
            self._method.enter(stage)
            self._optimizer = make_optimizer(self._method, self._choices)

    def _rate(self) -> float:
        """The learning rate of this step."""
        first, after = 0, self.of_steps
        if self._method.restarts_rate:
            first, after = self._starts[self._method.stage : self._method.stage + 2]
        return self._choices.rate * schedule((self._step - first) / (after - first))

    def _learn(self, batch: Batch) -> float:
        """Gradients of a batch: of each task's mean loss a token, summed. Returns their mean."""
        with self._backbone.mixed_precision():
            logits, targets, weights = self._backbone.learned_logits(batch, self._factors(batch), self._thin())
        losses = functional.cross_entropy(logits, targets, reduction="none")
        loss = (losses * weights).sum()
        if self._teacher is not None:
            loss = (loss + (divergence(self._teacher.logits(batch), logits) * weights).sum()) / 2
        loss.backward()
        return float((losses.detach() * weights).sum()) / len(batch.ids)

    def _thin(self) -> Thin | None:
        """Dropout of what A sees, drawn by the seed and the step; none where nothing is left out."""
        kept = 1 - self._choices.dropout
        if kept == 1:
            return None
        draw = torch.Generator(self._backbone.device)
        draw.manual_seed(random.Random(f"{self._choices.seed} {self._step}").getrandbits(63))
        return lambda x: x * (torch.rand(x.shape, generator=draw, device=x.device) < kept) / kept

    def _factors(self, batch: Batch) -> Callable[[str], Factors]:
        owners = torch.arange(len(batch.ids), device=self._backbone.device)
        return partial(self._method.factors, owners=owners)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _judge_held_out(self, method: Method | None) -> HeldOut:
        """What held-out rows say of a method; of base where there is none."""
        of_tasks = []
        for task, batches in enumerate(self._held_out):
            loss, right, count = 0.0, 0, 0
            for batch in batches:
                owners = torch.full((len(batch.ids),), task, device=self._backbone.device)
                factors = partial(method.factors, owners=owners) if method else None
                logits, targets, _ = self._backbone.learned_logits(batch, factors)
                loss += float(functional.cross_entropy(logits, targets, reduction="sum"))
                right += int((logits.argmax(-1) == targets).sum())
                count += len(targets)
            of_tasks.append((right / count, -loss / count))
        accuracy, minus_loss = (sum(values) / len(of_tasks) for values in zip(*of_tasks, strict=True))
        return HeldOut(accuracy, minus_loss) if math.isfinite(minus_loss) else HeldOut(0.0, -math.inf)

    def _judge(self) -> None:
        """Judges the weights, and keeps them where none of an epoch before were as good."""
        self._judged.append(self._judge_held_out(self._method))
        if self._judged[-1] > max(self._judged[1:-1], default=HeldOut(0.0, -math.inf)):
            self._best = self._method.state()

    @property
    def _has_stalled(self) -> bool:
        """Whether the last epochs brought held-out rows nothing; it changes at the end of an epoch alone."""
        patience = max(LEAST_PATIENCE, math.ceil(PATIENCE * self._choices.epochs))
        return len(self._judged) - 1 - self._judged.index(max(self._judged)) >= patience

    def _progress(self, loss: float | None, speed: float) -> FitProgress:
        left = (self.of_steps - self._step) / self._feed.batches_an_epoch * self._epoch_tokens
        return FitProgress(
            self._step,
            self.of_steps,
            self._step // self._feed.batches_an_epoch,
            self._choices.epochs,
            loss,
            -self._judged[-1].minus_loss,
            -max(self._judged).minus_loss,
            speed,
            left / max(speed, 1e-9),
        )

    def _save(self) -> None:
        """Keeps all that going on needs. Through memory: what torch says of a full disk is no `OSError`."""
        state = {
            "method": self._method.state(),
            "optimizer": self._optimizer.state(),
            "best": self._best,
            "reached": (self._step, self._tokens, self._seconds),
            "judged": [tuple(judged) for judged in self._judged],
        }
        content = BytesIO()
        torch.save(state, content)
        with written_aside(self._file) as part:
            part.write_bytes(content.getbuffer())

    def _restore(self) -> bool:
        """Goes on from where a training was left; whether there was one.

        A damaged file is none: rows and choices are as they were, and to begin anew is all that could be done.
        """
        if not self._file.exists():
            return False
        content = BytesIO(self._file.read_bytes())
        try:
            state: Mapping[str, Any] = torch.load(content, map_location=self._backbone.device, weights_only=True)
            best, reached, judged = state["best"], state["reached"], [HeldOut(*each) for each in state["judged"]]
            self._method.restore(state["method"])
            self._optimizer = make_optimizer(self._method, self._choices)
            self._optimizer.restore(state["optimizer"])
        except DAMAGED:
            self._method.restore(self._best)
            self._optimizer = make_optimizer(self._method, self._choices)
            return False
        self._best, self._judged, (self._step, self._tokens, self._seconds) = best, judged, reached
        return True


def schedule(share: float) -> float:
    """The part of the learning rate that counts where `share` of the steps is over: it rises, and falls as a cosine."""
    if share < WARM_UP:
        return max(share / WARM_UP, 0.1)
    cosine = 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))
    return LOWEST + (1 - LOWEST) * cosine


def divergence(wanted: Tensor, given: Tensor) -> Tensor:
    """KL(teacher ‖ student) of each token, (n,), from logits (n, vocabulary)."""
    wanted = functional.log_softmax(wanted, -1)
    return functional.kl_div(functional.log_softmax(given, -1), wanted, reduction="none", log_target=True).sum(-1)
