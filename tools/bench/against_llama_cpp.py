"""The engine against llama.cpp's own programs, in turns (A B A B)."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dlp_local.core.events import Generated, TextDelta
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import AdapterFile, Message, Mix
from dlp_local.engine.local.library import usable_cores
from dlp_local.engine.local.process.client import EngineProcess
from tools.bench import peers
from tools.bench.random_models import Models

CONTEXT = 8192
ANSWER = 64
LONGEST_ANSWER = 512
SHORT_PASSES = 3
"""So often a round decodes the short answer, which is more at the mercy of the moment."""

ADAPTERS = 4
TURNS = 8
MIXES = tuple(Mix.of({f"a{i}": 0.5, f"a{(i + 1) % ADAPTERS}": 0.25}) for i in range(ADAPTERS))


def words(count: int, seed: int) -> str:
    """A text of about `count` tokens."""
    return " ".join(("the", "a", "one", "two", "on", "in", "of")[(i * 7 + seed * 3 + i * i) % 7] for i in range(count))


class Ours:
    """The engine in its process."""

    def __init__(self, models: Models) -> None:
        files = [AdapterFile(f"a{i}", path) for i, path in enumerate(models.adapters[:ADAPTERS])]
        self.engine = EngineProcess(models.backbone, files, Options(context=CONTEXT))

    def turn(self, history: list[Message], text: str, mix: Mix, tokens: int) -> tuple[str, Generated, float]:
        """(answer, what the engine says of it, seconds to the first text as its caller sees it)."""
        started, first, answer = time.perf_counter(), 0.0, ""
        sampling = Sampling(max_tokens=tokens)
        for event in self.engine.generate([*history, Message("user", text)], mix, sampling):
            if isinstance(event, TextDelta):
                first = first or time.perf_counter() - started
                answer += event.text
        assert isinstance(event, Generated)
        return answer, event, first or event.first_token_ms / 1000

    def decode_speed(self, tokens: int) -> float:
        """Tokens a second of an answer after its first token."""
        _, done, _ = self.turn([], "hello", Mix(), tokens)
        return (done.answer_tokens - 1) / (done.total_ms - done.first_token_ms) * 1000

    def conversation(self, turns: int) -> list[float]:
        """Seconds to the first token of each of several turns under alternating mixes."""
        history: list[Message] = []
        firsts = []
        for number in range(turns):
            text = words(64, number)
            answer, _, first = self.turn(history, text, MIXES[number % ADAPTERS], ANSWER)
            firsts.append(first)
            history += [Message("user", text), Message("assistant", answer)]
            self.engine.warm(history, ANSWER).finish()
        return firsts

    def peak_memory(self) -> int:
        """Bytes that the engine's process held at most."""
        return peak_memory(self.engine.pid)


def peak_memory(pid: int) -> int:
    """The largest resident size of a process so far (Linux), or the present one."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        return int(psutil.Process(pid).memory_info().rss)


class Server:
    """llama-server, asked over HTTP."""

    def __init__(self, url: str, pid: int) -> None:
        self._url, self.pid = url, pid

    def complete(self, prompt: str, mix: Mix, tokens: int) -> tuple[str, float]:
        """(answer, seconds to the first token)."""
        weights = dict(mix.weights)
        lora = [{"id": i, "scale": weights.get(f"a{i}", 0.0)} for i in range(ADAPTERS)]
        body = {
            "prompt": prompt, "n_predict": tokens, "temperature": 0, "cache_prompt": True, "lora": lora, "stream": True,
        }  # fmt: skip
        request = urllib.request.Request(f"{self._url}/completion", json.dumps(body).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        started, first, answer = time.perf_counter(), 0.0, ""
        with urllib.request.urlopen(request, timeout=600) as lines:
            for line in lines:
                if line.startswith(b"data: "):
                    first = first or time.perf_counter() - started
                    answer += json.loads(line[6:])["content"]
        return answer, first

    def conversation(self, turns: int) -> list[float]:
        """Seconds to the first token of each of several turns under alternating mixes."""
        prompt, firsts = "", []
        for number in range(turns):
            prompt += f"<|im_start|>user\n{words(64, number)}<|im_end|>\n<|im_start|>assistant\n"
            answer, first = self.complete(prompt, MIXES[number % ADAPTERS], ANSWER)
            firsts.append(first)
            prompt += f"{answer}<|im_end|>\n"
        return firsts


@contextmanager
def serving(program: Path, models: Models) -> Iterator[Server]:
    """A running llama-server with the same backbone, context, threads and adapters."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    adapters = ",".join(map(str, models.adapters[:ADAPTERS]))
    log_file = models.backbone.with_name("llama-server.log")
    command = [
        str(program), "-m", str(models.backbone), "-c", str(CONTEXT), "-t", str(usable_cores()), "-np", "1",
        "--port", str(port), "--lora", adapters, "--lora-init-without-apply", "--no-webui",
    ]  # fmt: skip
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, f"llama-server ended; see {log_file}"
                time.sleep(0.2)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait()


def llama_bench_speed(program: Path, models: Models, tokens: int) -> float:
    """Tokens a second that llama-bench decodes."""
    command = [
        str(program), "-m", str(models.backbone), "-p", "0", "-n", str(tokens), "-t", str(usable_cores()),
        "-r", "1", "-o", "json",
    ]  # fmt: skip
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(ran.stdout)[0]["avg_ts"])


def long_history(tokens: int) -> list[Message]:
    """Turns of about 100 tokens each."""
    return [Message("user" if i % 2 == 0 else "assistant", words(50, i)) for i in range(2 * (tokens // 100))]


def measure(models: Models, programs: peers.Peers, rounds: int) -> dict[str, list[float]]:
    """Both sides' figures of every round, by name: tokens a second, milliseconds or bytes."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    history = long_history(4000)
    for number in range(rounds):
        ours = Ours(models)
        ours.decode_speed(ANSWER)
        for tokens in (*[ANSWER] * SHORT_PASSES, LONGEST_ANSWER):
            note(f"decode speed of {tokens}, ours", ours.decode_speed(tokens))
            note(f"decode speed of {tokens}, llama-bench", llama_bench_speed(programs.bench, models, tokens))
        for mix in MIXES:
            ours.turn([], words(64, 1), mix, 1)
        _, done, _ = ours.turn([], words(64, number), MIXES[0], 1)
        ours.engine.warm(history, ANSWER).finish()
        ours.turn(history, "hello", Mix(), 1)
        _, long, _ = ours.turn(history, words(64, number), MIXES[1], 1)
        note("first token, no history", done.first_token_ms)
        note("first token, 4,000 tokens of history", long.first_token_ms)
        ours.engine.warm([], ANSWER).finish()
        with serving(programs.server, models) as server:
            for side, conversation in (("ours", ours.conversation), ("llama-server", server.conversation)):
                for turn, seconds in enumerate(conversation(TURNS), 1):
                    note(f"first token of turn {turn}, {side}", seconds * 1000)
            note("peak memory, ours", ours.peak_memory())
            note("peak memory, llama-server", peak_memory(server.pid))
        ours.engine.close()
    return figures
