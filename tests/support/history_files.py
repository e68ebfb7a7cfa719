"""Files of a history with something in them, and what can be asked of one."""

import contextlib
import sqlite3

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.values import Correction, Lesson, Message, Mix, Route
from dlp_local.history import History


def reply(text, answer):
    route = Route(text, {"sql": 0.7, "base": 0.3}, Mix.of({"sql": 0.75}), 1.5, 0.25)
    return ReplyDone(text, answer, route, "stop", 12, 3, 15, 1024, Timings(1.75, 20.5, 60.25))


def filled(file):
    """A history with one answered turn."""
    with contextlib.closing(History(file)) as history:
        number = history.start(title="kept")
        turn = history.add_turn(number, None, "hello")
        history.finish(turn.id, "hi", reply("hello", "hi"))
        history.set_persona("terse", ChatOptions(system="Be brief."))
    return number


def change(file, statement, *values):
    with sqlite3.connect(file) as connection:
        connection.execute(statement, values)
    connection.close()


CALLS = {
    "conversations": lambda history: history.conversations(),
    "conversation": lambda history: history.conversation(1),
    "last": lambda history: history.last(),
    "start": lambda history: history.start(),
    "add_turn": lambda history: history.add_turn(1, None, "text"),
    "write_answer": lambda history: history.write_answer(1, "text"),
    "finish": lambda history: history.finish(1, "text", None),
    "step": lambda history: history.step(1, 1),
    "search": lambda history: history.search("text"),
    "delete": lambda history: history.delete(1),
    "purge": lambda history: history.purge(),
    "draft": lambda history: history.draft(None),
    "set_draft": lambda history: history.set_draft(None, "text"),
    "correct": lambda history: history.correct(Correction("text", Mix(), "sql")),
    "corrections": lambda history: history.corrections(),
    "add_lessons": lambda history: history.add_lessons([Lesson("sql", "p", (Message("user", "text"),), "a", "b")]),
    "lessons": lambda history: history.lessons(),
    "personas": lambda history: history.personas(),
    "set_persona": lambda history: history.set_persona("name", None),
}
