"""Many clients at once: `dlp-local serve` against llama-server, on one backbone with the same adapters, in one run.

    pip install '.[bench,serve,smollm2]' && python -m tools.bench.serve models/smollm2 --rounds 3
    python -m tools.bench.serve --shape 0.5B --rounds 3

The second is of a model of that shape with random weights, and seven adapters of rank 16 on all weights.

In each round every case is measured with one server and then with the other, each started for that and ended after.
Answers are as long as is said, for the tokens that end an answer are biased away. Prints the medians over the rounds
with the smallest and the largest, and their ratios, taken within a round.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import httpx

from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.events import Generated
from dlp_local.core.settings import Engine, Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.library import usable_cores
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.local.process.client import EngineProcess
from dlp_local.packs import Pack, open_pack
from tools.bench import peers
from tools.bench.random_models import SHAPES, open_shape
from tools.bench.servers import Side, Sides, Weights

CLIENTS, ANSWER, HISTORY_CLIENTS = 16, 64, 8
PROMPT, HISTORY, FOLLOW_UP = 54, 1000, 16
PAIRS = 5
ADAPTERS = 7
THAT = Message("assistant", "That is so.")
NEVER = -100.0
WORDS = "please look at the list below and tell me which of these names and numbers belong together in one row".split()

Messages = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds to the first token and to the end of one answer, and its tokens."""

    first: float
    total: float
    tokens: int


def text_of(tokens: int, seed: int) -> str:
    """About so many tokens, other ones for each seed."""
    return " ".join(WORDS[(seed + i * (1 + seed % 5)) % len(WORDS)] for i in range(tokens))


def ask(side: Side, messages: Messages, mix: Weights, longest: int, biases: dict[str, float]) -> Answer:
    """One streamed answer of `longest` tokens."""
    body = {
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "model": "auto",
        "max_tokens": longest,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logit_bias": biases,
    } | side.with_mix(mix)
    started, first, tokens = time.perf_counter(), 0.0, 0
    with httpx.stream("POST", f"{side.url}/v1/chat/completions", json=body, timeout=600) as response:
        if response.status_code != 200:
            raise SystemExit(f"{side.name}: {response.status_code}: {response.read().decode()}")
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if not first and any(choice["delta"].get("content") for choice in chunk["choices"]):
                first = time.perf_counter() - started
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    return Answer(first, time.perf_counter() - started, tokens)


def at_once(jobs: Sequence[Callable[[], Answer]]) -> tuple[list[Answer], float]:
    """The answers to what is asked in the same moment, and the seconds until the last one's end."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda job=job: answers.append(job())) for job in jobs]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answers) < len(jobs):
        raise SystemExit("a request failed")
    return answers, time.perf_counter() - started


class Bench:
    """The cases, each a number of figures of one side."""

    def __init__(self, pack: Pack, clients: int, answer: int, history_clients: int) -> None:
        self.clients, self.answer, self.history_clients = clients, answer, history_clients
        self.names = [file.name for file in pack.adapter_files()][:ADAPTERS]
        with open_vocabulary(pack.backbone_path) as vocabulary:
            ends = [token for token in range(vocabulary.size) if vocabulary.is_end(token)]
        self.biases = {str(token): NEVER for token in ends}
        self.asked = 0

    def mix(self, number: int) -> Weights:
        """A mix of one to three adapters, another one for each number."""
        count = 1 + number % 3
        return {self.names[(number + 2 * i) % len(self.names)]: (8 + number) / 32 / count for i in range(count)}

    def message(self, tokens: int = PROMPT) -> list[Message]:
        """A message that was not asked before."""
        self.asked += 1
        return [Message("user", text_of(tokens, self.asked))]

    def many(self, side: Side, mixes: Sequence[Weights], seed: int) -> dict[str, float]:
        """Tokens a second, and the median first token, of a client for each mix."""
        self.asked = seed
        jobs = [partial(ask, side, self.message(), mix, self.answer, self.biases) for mix in mixes]
        answers, seconds = at_once(jobs)
        tokens = sum(answer.tokens for answer in answers)
        return {"tokens/s": tokens / seconds, "first token, s": median(answer.first for answer in answers)}

    def second_turn(self, side: Side, seed: int) -> dict[str, float]:
        """The median first token of second turns whose history was there in the first, under another mix."""
        self.asked = seed
        histories = [
            [*self.message(HISTORY // 2), Message("assistant", text_of(HISTORY // 2, self.asked + 7))]
            for _ in range(self.history_clients)
        ]

        def turns(conversations: Sequence[Messages], first_mix: int) -> list[Callable[[], Answer]]:
            return [
                partial(ask, side, messages, self.mix(first_mix + n), FOLLOW_UP, self.biases)
                for n, messages in enumerate(conversations)
            ]

        first = [[*history, *self.message(12)] for history in histories]
        at_once(turns(first, 0))
        answers, _ = at_once(turns([[*asked, THAT, *self.message(12)] for asked in first], 1))
        return {"first token, s": median(answer.first for answer in answers)}

    def cases(self, side: Side, number: int) -> dict[str, dict[str, float]]:
        """All figures of one side in one round."""
        seed = 1000 * (number + 1)
        one = self.mix(2)
        return {
            "one mix": self.many(side, [one] * self.clients, seed),
            "each another mix": self.many(side, [self.mix(n) for n in range(self.clients)], seed + 100),
            "second turn": self.second_turn(side, seed + 200) if self.history_clients else {},
        }


def token_time(answer: Answer) -> float:
    """Milliseconds for each token after the first."""
    return (answer.total - answer.first) / max(answer.tokens - 1, 1) * 1000


def ask_alone(engine: EngineProcess, bench: Bench, seed: int) -> float:
    """Milliseconds a token of an engine with one reply at a time, as `ask` has it."""
    bench.asked = seed
    answer_format = AnswerFormat(logit_bias=tuple((int(token), bias) for token, bias in bench.biases.items()))
    reply = engine.generate(
        bench.message(), Mix.of(bench.mix(2)), Sampling(max_tokens=bench.answer), answer_format=answer_format
    )
    done = reply.finish()
    if not isinstance(done, Generated):
        raise SystemExit("the engine did not answer")
    return token_time(Answer(done.first_token_ms / 1000, done.total_ms / 1000, done.answer_tokens))


def one_client(side: Side, engine: EngineProcess, bench: Bench, seed: int) -> float:
    """Milliseconds a token of the server over those of the engine alone: medians of answers in turn."""
    served, asked = [], []
    for number in range(PAIRS):
        bench.asked = seed + number
        served.append(token_time(ask(side, bench.message(), bench.mix(2), bench.answer, bench.biases)))
        asked.append(ask_alone(engine, bench, seed + number))
    return median(served) / median(asked)


def measure(pack: Pack, bench: Bench, sides: Sides, rounds: int) -> dict[str, list[float]]:
    """All figures by name, a number for each round; the side that begins changes with the rounds."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)
        print(f"  {name}: {value:.3f}", flush=True)

    def ours(number: int) -> dict[str, dict[str, float]]:
        with sides.serve() as side:
            bench.many(side, [bench.mix(n) for n in range(2)], 10)
            with contextlib.closing(EngineProcess(pack.backbone_path, pack.adapter_files(), Engine())) as alone:
                ask_alone(alone, bench, 1)
                note("one client, ms a token: serve / ask", one_client(side, alone, bench, 1000 * number + 900))
            return bench.cases(side, number)

    def theirs(number: int) -> dict[str, dict[str, float]]:
        with sides.llama_server() as side:
            bench.many(side, [bench.mix(n) for n in range(2)], 10)
            return bench.cases(side, number)

    for number in range(rounds):
        print(f"round {number + 1}", flush=True)
        if number % 2:
            other, own = theirs(number), ours(number)
        else:
            own, other = ours(number), theirs(number)
        for case, values in own.items():
            for unit, value in values.items():
                note(f"{case}, {unit}: serve", value)
                note(f"{case}, {unit}: llama-server", other[case][unit])
                note(f"{case}, {unit}: serve / llama-server", value / other[case][unit])
        one, each = (own[mixes]["tokens/s"] for mixes in ("one mix", "each another mix"))
        note("tokens/s: each another mix / one mix, serve", each / one)
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("pack", type=Path, nargs="?")
    model.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--answer", type=int, default=ANSWER, help="tokens")
    parser.add_argument("--history-clients", type=int, default=HISTORY_CLIENTS)
    parser.add_argument("--peers", type=Path, default=Path("build/bench/peers"))
    args = parser.parse_args()
    programs = peers.build(args.peers)
    pack = open_pack(args.pack or open_shape(args.peers.parent, programs.vocabulary, args.shape, ADAPTERS))
    bench = Bench(pack, args.clients, args.answer, args.history_clients)
    with tempfile.TemporaryDirectory() as folder:
        slots = max(bench.clients, bench.history_clients)
        sides = Sides(pack, programs.server, bench.names, slots, Path(folder))
        figures = measure(pack, bench, sides, args.rounds)
    print(f"\n| {usable_cores()} cores, {pack.name} | median | least | most |\n|---|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
