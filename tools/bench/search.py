"""How long a search of the history takes: 50,000 messages and answers, of words and of Chinese, drawn by Zipf's law.

`python -m tools.bench.search` writes them to a temporary file, and prints the median and the slowest of some searches
for common and rare words, their beginnings, single characters, and sequences that occur nowhere.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dlp_local.core.chat_options import ChatOptions
from dlp_local.history import History
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn

WORDS = 20_000
CHARACTERS = 3_500
WORDS_IN_A_TURN, CHARACTERS_IN_A_TURN = 120, 200
TURNS_OF_A_CONVERSATION = 20
REPEATS = 7
Draw = Callable[[int], list[str]]

AT = "2026-01-01T00:00:00+00:00"


def main() -> None:
    """Builds the history, searches it and prints milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=50_000, help="half of them words, half of them Chinese")
    count = parser.parse_args().messages
    numbers = random.Random(7)
    words = _drawn(numbers, [_word(numbers) for _ in range(WORDS)])
    characters = _drawn(numbers, [chr(0x4E00 + index) for index in range(CHARACTERS)])
    with tempfile.TemporaryDirectory() as folder, closing(History(Path(folder) / "history.db")) as history:
        started = time.monotonic()
        _fill(history, count, words, characters)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        print(f"{count} messages and their answers stored in {time.monotonic() - started:.0f} s, {size:.0f} MB")
        for name, query in _queries(words, characters):
            _report(name, query, history)


def _word(numbers: random.Random) -> str:
    return "".join(numbers.choices("etaoinshrdlucmfwypvbgk", k=numbers.randint(2, 11)))


def _drawn(numbers: random.Random, entries: list[str]) -> Draw:
    """A function that draws so many entries, the first ones most often; 0 gives all of them in that order."""
    weights = [1 / rank for rank in range(1, len(entries) + 1)]
    return lambda count: numbers.choices(entries, weights, k=count) if count else entries


def _fill(history: History, count: int, words: Draw, characters: Draw) -> None:
    for first in range(0, count, TURNS_OF_A_CONVERSATION):
        turns = []
        for number in range(1, TURNS_OF_A_CONVERSATION + 1):
            if (first + number) % 2:
                text, answer = (" ".join(words(WORDS_IN_A_TURN)) for _ in range(2))
            else:
                text, answer = ("".join(characters(CHARACTERS_IN_A_TURN)) for _ in range(2))
            turns.append(StoredTurn(number, number - 1 or None, text, answer, "done", created_at=AT))
        info = ConversationInfo(0, "a conversation", False, len(turns), AT, AT, len(turns), ChatOptions())
        history.insert(Conversation(info, tuple(turns)))


def _queries(words: Draw, characters: Draw) -> list[tuple[str, str]]:
    ranked, signs = words(0), characters(0)
    return [
        ("a common word", ranked[3]),
        ("a rare word", ranked[-1]),
        ("two common words", f"{ranked[5]} {ranked[9]}"),
        ("two rare words", f"{ranked[-7]} {ranked[-9]}"),
        ("the beginning of a word", ranked[50][:2]),
        ("one letter", "e"),
        ("a common character", signs[2]),
        ("a rare character", signs[-1]),
        ("two common characters", signs[4] + signs[9]),
        ("two rare characters", signs[-3] + signs[-8]),
        ("three common characters", signs[1] + signs[2] + signs[3]),
        ("eight common characters, nowhere", "".join(signs[:8])),
        ("a word and two characters", f"{ranked[2]} {signs[3]}{signs[5]}"),
        ("nothing of the kind", "xqxqxq"),
    ]


def _report(name: str, query: str, history: History) -> None:
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        hits = history.search(query)
        taken.append((time.perf_counter() - started) * 1000)
    print(f"{name:34} {len(hits):3} hits  median {statistics.median(taken):6.1f} ms  slowest {max(taken):6.1f} ms")


if __name__ == "__main__":
    main()
