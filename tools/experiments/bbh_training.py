"""LoRAs of BIG-Bench Hard as `adapters train` fits them: several in one run (FLoRA), and one large one on all rows."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from dlp_local.core.settings import Settings
from dlp_local.core.values import Message
from dlp_local.opening import settings_for
from dlp_local.packs import open_pack
from dlp_local.training.adapter.batches import pack
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.encoding import RowEncoder, open_row_encoder
from dlp_local.training.adapter.rows import TrainingRow, split_rows
from tools.adapter_runs import AdapterRuns, Rows, Run
from tools.data import Row
from tools.experiments.bbh_rows import BbhTask
from tools.experiments.part import Setup

LARGE = "every-task"
"""What the one LoRA on the rows of all tasks is called."""

RANK, TIMES = 8, 4
"""The rank of a task's LoRA, and how many times that is the one of the large LoRA."""

MOST_TOKENS = {"cuda": 16_000}
MOST_TOKENS_ELSEWHERE = 1_500
"""Tokens of a batch, padding counted in, that fit the memory: each takes about 3 MB with rows of 600 tokens."""

MORE_BATCHES, LONGER = 1.25, 2.0
"""How many times as many batches an adapter may have as another one in the same run, and how much longer rows."""


class Size(NamedTuple):
    """The batches of an epoch of an adapter, and the tokens of its row in the largest."""

    batches: int
    longest: int

    @classmethod
    def of(cls, rows: Rows, batch_tokens: int) -> Size:
        """That of rows, in batches of so many tokens."""
        longest = max(batch_tokens, *(len(one.tokens) for one in rows.train))
        return cls(len(pack(rows.train, batch_tokens)), longest)


class Trainer:
    """Trains LoRAs of a pack's backbone, those that are not there."""

    def __init__(self, setup: Setup) -> None:
        pack = open_pack(setup.pack)
        self._setup, self._path = setup, pack.backbone_path
        self._runs = AdapterRuns(self._path, setup.build / "bbh" / "adapters")
        self._engine = settings_for(pack, Settings.model_construct()).engine

    def of_tasks(self, tasks: Sequence[BbhTask], seed: int) -> list[Run]:
        """The adapters of all tasks, a group of them in each run, and the large one, in a run of its own."""
        with self._encoder() as encoder:
            rows = {task.name: _encoded(encoder, [task], seed) for task in tasks}
            every = _encoded(encoder, tasks, seed)
            most = max(len(of_task.train) for of_task in rows.values())
            small = Choices(method="flora", rank=RANK, seed=seed, epochs=self._setup.bbh_epochs).for_rows(most)
            large = Choices(rank=TIMES * RANK, seed=seed, epochs=small.epochs).for_rows(len(every.train))
            sizes = {name: Size.of(of_task, small.batch_tokens) for name, of_task in rows.items()}
            plans = [
                *((names, {name: rows[name] for name in names}, small) for names in groups(sizes, self._most_tokens)),
                ((LARGE,), {LARGE: every}, large),
            ]
            runs = []
            for number, (names, of_names, choices) in enumerate(plans, start=1):
                print(f"  seed {seed}, run {number} of {len(plans)}: {', '.join(names)}", file=sys.stderr, flush=True)
                runs.append(self._runs.run(of_names, choices, encoder))
            return runs

    def _encoder(self) -> AbstractContextManager[RowEncoder]:
        return open_row_encoder(self._path, self._engine.chat_template, "turn", "", self._engine.context)

    @property
    def _most_tokens(self) -> int:
        return MOST_TOKENS.get(self._runs.device, MOST_TOKENS_ELSEWHERE)


def groups(sizes: Mapping[str, Size], most: int) -> list[tuple[str, ...]]:
    """Adapters that are trained in one run: much alike in size, and as many as a batch has room for.

    A batch has a row of each, padded to the longest, and `most` tokens; one adapter is always trained. In a run the
    rows of an adapter that has fewer batches than another begin anew, so that they are learnt from more often.
    """
    found: list[list[str]] = []
    for name, size in sorted(sizes.items(), key=lambda item: (item[1].batches, item[1].longest, item[0])):
        own = [sizes[other] for other in found[-1]] if found else []
        longest = [one.longest for one in (*own, size)]
        is_alike = own and size.batches <= MORE_BATCHES * own[0].batches and max(longest) <= LONGER * min(longest)
        if is_alike and len(longest) * max(longest) <= most:
            found[-1].append(name)
        else:
            found.append([name])
    return [tuple(names) for names in found]


def _encoded(encoder: RowEncoder, tasks: Sequence[BbhTask], seed: int) -> Rows:
    """The rows of some tasks in tokens, shuffled; each task's are split as `adapters train` does it."""
    splits = [split_rows([_training_row(row) for row in task.train]) for task in tasks]
    train = [row for split in splits for row in split.train]
    held_out = [row for split in splits for row in split.held_out]
    random.Random(seed).shuffle(held_out)  # not all of many are looked at
    return Rows(encoder.encode_all(train, seed)[0], encoder.encode_held_out(held_out)[0])


def _training_row(row: Row) -> TrainingRow:
    return TrainingRow((Message("user", row.message.strip()),), row.answer.strip())
