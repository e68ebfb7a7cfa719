"""Random turns of many interleaved conversations, each answer compared with the one of an engine that knows nothing.

    python -m tools.bench.interleaved models/bundled --turns 10000 --conversations 50 --parallel 16

A turn goes on, edits the message before, asks under another mix, is cancelled or abandoned. With `--parallel 1` every
answer has to be equal. With more, several run at once in batches, and an answer may part from the other at a token
where the best two are nearer to each other than llama.cpp's own rounding: measured as the most by which logits move
between a prompt in one batch and token by token. Ends with an error where an answer differs otherwise.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.answer_format import ANY_TEXT
from dlp_local.core.events import TextDelta
from dlp_local.core.job import Cancellation
from dlp_local.core.settings import Engine, Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.engine.local.stepper import Running
from dlp_local.packs import open_pack

CONTEXT, LONGEST = 512, 16
CANCELLED, ABANDONED, EDITED = 0.1, 0.05, 0.2
"""How often a turn ends early, goes with its client, or takes the place of the one before."""

TEXTS = ("hello", "to ISO: 4 July 1999", "tar: list", "a table for two", "My card is lost", "tell me more", "and then?")


@dataclass(slots=True)
class Conversation:
    """What was said, and the turn that runs."""

    history: list[Message] = field(default_factory=list)
    asked: list[Message] = field(default_factory=list)
    mix: Mix = field(default_factory=Mix)
    text: str = ""
    running: Running | None = None


class Fuzz:
    """One engine that was asked much before, and one that forgets everything after each answer."""

    def __init__(self, pack_folder: Path, conversations: int, parallel: int, seed: int) -> None:
        pack = open_pack(pack_folder)
        files = pack.adapter_files()
        options = Engine(context=CONTEXT, parallel=parallel, reuse_base_answers=False)
        self.warm, self.cold = (LocalEngine(pack.backbone_path, files, options) for _ in range(2))
        self.names = [file.name for file in files]
        self.draw = random.Random(seed)
        self.conversations = [Conversation() for _ in range(conversations)]
        self.parallel = parallel
        self.compared = 0
        self.leads: list[float] = []
        """By how much the best token led where an answer was another one."""

    def run(self, turns: int) -> None:
        """Begins turns until there were so many, and compares what has ended."""
        begun = 0
        while begun < turns or any(conversation.running for conversation in self.conversations):
            resting = [conversation for conversation in self.conversations if not conversation.running]
            running = len(self.conversations) - len(resting)
            if begun < turns and resting and running < 2 * self.parallel and self.draw.random() < 0.5:
                self.begin(self.draw.choice(resting))
                begun += 1
            elif running:
                self.warm.step()
                for conversation in self.conversations:
                    self.end(conversation)

    def begin(self, conversation: Conversation) -> None:
        """Asks the next message, perhaps in place of the one before."""
        if self.draw.random() < EDITED or len(conversation.history) > 8:
            del conversation.history[-2 * self.draw.randrange(1, 4) :]
        names = self.draw.sample(self.names, self.draw.randrange(min(4, len(self.names) + 1)))
        conversation.mix = Mix.of({name: self.draw.randrange(1, 11) / 32 for name in names})
        text = f"{self.draw.choice(TEXTS)} {self.draw.randrange(9)}"
        conversation.asked = [*conversation.history, Message("user", text)]
        conversation.text, cancellation = "", Cancellation()

        def take(event: Any) -> None:
            conversation.text += event.text if isinstance(event, TextDelta) else ""
            if self.draw.random() < CANCELLED / 4:
                cancellation.request()

        conversation.running = self.warm.start_reply(
            conversation.asked, conversation.mix, Sampling(max_tokens=LONGEST), None, ANY_TEXT, cancellation, take
        )

    def end(self, conversation: Conversation) -> None:
        """Compares an answer that has ended; now and then gives one up whose client is gone."""
        running = conversation.running
        if running and self.draw.random() < ABANDONED / 20:
            running.close()
            conversation.running = None
        elif running and running.ended:
            if running.error:
                raise running.error
            conversation.running = None
            if not running.cancellation.requested:
                self.compare(conversation)
            answer = Message("assistant", conversation.text or "…")
            conversation.history = [*conversation.asked, answer]

    def compare(self, conversation: Conversation) -> None:
        """Asks the engine that knows nothing; where its answer differs, notes its lead at the token where it does."""
        self.compared += 1
        text, logits = self.answer(conversation.asked, conversation.mix)
        if text == conversation.text:
            return
        vocabulary, written, at = self.cold._backbone.vocabulary, b"", 0
        for at, row in enumerate(logits):  # noqa: B007 - the last one where all are alike
            written += vocabulary.piece(int(row.argmax()))
            if not conversation.text.encode().startswith(written):
                break
        second, best = np.sort(logits[at])[-2:]
        self.leads.append(float(best - second))
        print(f"  {conversation.mix}: {conversation.text!r} for {text!r}, lead {best - second:.3f}", flush=True)

    def answer(self, messages: list[Message], mix: Mix) -> tuple[str, list[NDArray[np.float32]]]:
        """A cold engine's answer, and the logits of each of its tokens and of its end."""
        self.cold._cache.clear()
        backbone, seen = self.cold._backbone, list[NDArray[np.float32]]()
        logits_in_place = backbone.logits_in_place

        def look(row: int) -> NDArray[np.float32]:
            seen.append(logits_in_place(row).copy())
            return logits_in_place(row)

        with mock.patch.object(backbone, "logits_in_place", look):
            events = list(self.cold.generate(messages, mix, Sampling(max_tokens=LONGEST)))
        return "".join(event.text for event in events if isinstance(event, TextDelta)), seen

    def rounding(self, prompts: int = 20) -> float:
        """The most by which logits move where a prompt is computed in one batch, and token by token."""
        backbone, most = self.cold._backbone, 0.0
        self.cold._cache.clear()
        for number in range(prompts):
            tokens = backbone.vocabulary.tokenize(f"{TEXTS[number % len(TEXTS)]} {number} " * 4, special=False)
            self.cold._mixer.set({self.names[number % len(self.names)]: 1.0})
            backbone.decode(tokens, 0, 0)
            whole = backbone.logits()
            backbone.drop(0)
            for position, token in enumerate(tokens):
                backbone.decode((token,), position, 0)
            most = max(most, float(np.abs(whole - backbone.logits()).max()))
            backbone.drop(0)
        return most


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--conversations", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    fuzz = Fuzz(args.pack, args.conversations, args.parallel, args.seed)
    rounding = fuzz.rounding() if args.parallel > 1 else 0.0
    fuzz.run(args.turns)
    # Both of two logits move, each by the rounding at most.
    apart = [lead for lead in fuzz.leads if lead > 2 * rounding]
    print(
        f"{args.turns} turns of {args.conversations} conversations, {args.parallel} at once: {fuzz.compared} compared, "
        f"{len(fuzz.leads)} differ, the leads there up to {max(fuzz.leads, default=0):.3f}; rounding {rounding:.3f}"
    )
    if apart:
        raise SystemExit(f"{len(apart)} answers differ where no two tokens were near")


if __name__ == "__main__":
    main()
