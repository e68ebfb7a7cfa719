"""What a long traffic leaves behind in `dlp-local serve`: memory, handles, threads and slots.

    python -m tools.bench.traffic --requests 100000 --clients 64 --crowd 1000

Starts the server on the bundled pack. First many clients connect at once, each with a request; then requests of all
kinds come for as long as is wanted: whole and streamed answers, responses that are stored, embeddings, wrong ones, and
clients that go away in the middle. Printed is the server's state after the crowd and after each tenth of the traffic.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

ANSWER = {"model": "auto", "max_tokens": 2}
QUESTIONS = ("to ISO: 4 July 1999", "tar: list the contents of notes.tar", "hello there", "why was I charged a fee?")
KINDS = ("whole", "stream", "gone", "response", "embedding", "wrong", "health")


def request(kind: str, rng: random.Random) -> bytes:
    """The bytes of a request of a kind."""
    text = f"{rng.choice(QUESTIONS)} {rng.randrange(1000)}"
    messages = [{"role": "user", "content": text}]
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "whole": ("/v1/chat/completions", ANSWER | {"messages": messages}),
        "stream": ("/v1/chat/completions", ANSWER | {"messages": messages, "stream": True}),
        "gone": ("/v1/chat/completions", {"model": "base", "messages": messages, "stream": True}),
        "response": ("/v1/responses", {"model": "auto", "max_output_tokens": 2, "input": text}),
        "embedding": ("/v1/embeddings", {"model": "encoder", "input": text}),
        "wrong": ("/v1/chat/completions", {"model": "nothing", "messages": messages}),
    }
    if kind == "health":
        return b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    path, body = bodies[kind]
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}User-Agent: {rng.randrange(8)}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


async def ask(port: int, kind: str, rng: random.Random) -> str:
    """Sends one request; its status, or what it failed with."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request(kind, rng))
            status = (await reader.readline())[9:12].decode()
            if kind == "gone":
                await reader.read(rng.randrange(1, 600))
                return f"{status} and gone"
            await reader.read()
            return status
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
    except OSError as error:
        return type(error).__name__


async def traffic(port: int, requests: int, clients: int, rng: random.Random) -> Counter[str]:
    """So many requests of so many clients at once."""
    left, outcomes = iter(range(requests)), Counter[str]()

    async def client() -> None:
        for _ in left:
            kind = rng.choice(KINDS)
            outcomes[f"{kind} {await ask(port, kind, rng)}"] += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return outcomes


async def slots(port: int) -> dict[str, float]:
    """How many answers run and wait, as the server says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return {
        name: float(value) for name, value in re.findall(r"^dlp_local_answers_(running|waiting) (\S+)$", text, re.M)
    }


def state(process: psutil.Process, port: int) -> str:
    """The server's and its engine's memory, handles and threads, when all slots are free again."""
    deadline = time.monotonic() + 60
    while any((taken := asyncio.run(slots(port))).values()) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    children = process.children(recursive=True)
    handles = process.num_handles() if psutil.WINDOWS else process.num_fds()
    memory = process.memory_info().rss / 1e6, sum(child.memory_info().rss for child in children) / 1e6
    return (
        f"{memory[0]:8.1f} MB server {memory[1]:8.1f} MB engine {handles:5} handles {process.num_threads():4} threads "
        f"{taken['running']:.0f} running {taken['waiting']:.0f} waiting"
    )


@contextmanager
def serving() -> Iterator[tuple[psutil.Process, int]]:
    """The server in a process of its own, and its port."""
    command = [sys.executable, "-m", "dlp_local", "serve", "--pack", "bundled", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found, "the server did not start"
            yield psutil.Process(process.pid), int(found[1])
        finally:
            process.terminate()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--crowd", type=int, default=1000, help="clients that connect at once")
    args = parser.parse_args()
    rng = random.Random(7)
    with serving() as (process, port):
        print(f"{'start':>10} {state(process, port)}", flush=True)
        outcomes = asyncio.run(traffic(port, args.crowd, args.crowd, rng))
        print(f"{'crowd':>10} {state(process, port)}", flush=True)
        started = time.monotonic()
        for tenth in range(1, 11):
            outcomes += asyncio.run(traffic(port, args.requests // 10, args.clients, rng))
            print(f"{tenth * args.requests // 10:10} {state(process, port)}", flush=True)
        print(f"{args.requests / (time.monotonic() - started):.0f} requests/s")
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:8} {outcome}")


if __name__ == "__main__":
    main()
