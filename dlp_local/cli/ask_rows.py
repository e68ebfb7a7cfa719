"""`ask --jsonl`: rows that are answered each on its own, as many at once as the engine computes."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from dlp_local.cli import terminal
from dlp_local.cli.ask_row import RETURNED, Row, read_fields, row_of
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import Event, ReplyDone
from dlp_local.core.job import Job
from dlp_local.core.serialize import reply_json
from dlp_local.core.values import Mix

if TYPE_CHECKING:
    from dlp_local.assistant import Assistant
    from dlp_local.remote_assistant import RemoteAssistant

READ_AHEAD = 2
"""Rows that are read for each answer that is computed: those after a slow one wait for it, to be printed in order."""

LOOK_UP_SECONDS = 0.2
"""So often the thread that waits looks up: on Windows Ctrl+C does not end a wait."""


class RowAnswers:
    """Reads rows in this thread and prints their answers in another, in the order of the rows, each as it is there.

    A bad row gives a line with `error`, and the rest goes on.
    """

    def __init__(self, assistant: Assistant | RemoteAssistant, mix: Mix | None, options: ChatOptions) -> None:
        self._assistant, self._mix, self._options = assistant, mix, options
        self._threads = ThreadPoolExecutor(assistant.concurrent_replies, "row")
        self._room = threading.Semaphore(READ_AHEAD * assistant.concurrent_replies)
        self._answers: SimpleQueue[Future[dict[str, Any]] | None] = SimpleQueue()
        self._printer = threading.Thread(target=self._print, name="rows")
        self._jobs: set[Job[Event]] = set()
        self._given_up = False
        self._error: BaseException | None = None
        self._failed = 0

    def print_all(self, source: str) -> int:
        """Answers the rows of a file, or of stdin for `-`; returns how many failed.

        Raises `InputError` for what cannot be read, and what printing raises. Ctrl+C ends the running answers.
        """
        self._printer.start()
        try:
            for number, line in terminal.numbered_lines(source):
                while not self._room.acquire(timeout=LOOK_UP_SECONDS):
                    self._check_printer()
                self._check_printer()
                self._answers.put(self._threads.submit(self._answer, number, line))
            self._wait_for_printer()
            self._check_printer()
        except InputError:  # the rows before it are answered
            self._wait_for_printer()
            raise
        finally:
            self._give_up()
        return self._failed

    def _check_printer(self) -> None:
        if self._error:
            raise self._error

    def _wait_for_printer(self) -> None:
        self._answers.put(None)
        while self._printer.is_alive():
            self._printer.join(LOOK_UP_SECONDS)

    def _give_up(self) -> None:
        """Ends what runs; nothing does where all is printed."""
        self._given_up = True
        self._answers.put(None)
        for job in list(self._jobs):
            job.cancel()
        self._threads.shutdown(cancel_futures=True)
        self._printer.join()

    def _answer(self, number: int, line: bytes) -> dict[str, Any]:
        """What is printed of a row: its number, what of it comes back, and its reply, or else why there is none."""
        name, named = f"row {number}", {"row": number}
        try:
            fields = read_fields(line, name)
        except InputError as error:
            return named | {"error": str(error)}
        named |= {key: fields[key] for key in RETURNED if key in fields}
        try:
            result = named | reply_json(self._reply(row_of(fields, self._mix, self._options)))
        except (InputError, EngineError) as error:
            return named | {"error": f"{name}: {error}"}
        return result | ({"error": f"{name}: {result['error']}"} if "error" in result else {})

    def _reply(self, row: Row) -> ReplyDone:
        job = self._assistant.reply(row.text, mix=row.mix, options=row.options)
        self._jobs.add(job)
        try:
            if self._given_up:
                job.cancel()
            done = job.finish()
        finally:
            self._jobs.discard(job)
        assert isinstance(done, ReplyDone)
        return done

    def _print(self) -> None:
        try:
            while answer := self._answers.get():
                line = answer.result()
                if self._given_up:
                    return
                self._failed += "error" in line
                terminal.write_json(line)
                self._room.release()
        except BaseException as error:
            self._error = error
