"""Replies that take part in an engine's steps, as a test asks for them."""

from collections import deque

from dlp_local.core.answer_format import ANY_TEXT
from dlp_local.core.events import TextDelta
from dlp_local.core.job import Cancellation
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from tests.support.engines import GREEDY, ask
from tests.support.near_ties import ROUNDING, lead, shared_start

ENDLESS = Sampling(temperature=5, top_k=0, top_p=1, min_p=0, seed=1, max_tokens=400)


class Asked:
    """A reply that takes part in an engine's steps, and what has come of it."""

    def __init__(self, engine, text, mix=None, history=(), sampling=GREEDY):
        self.cancellation, self.events = Cancellation(), deque()
        self.question = text, mix or Mix(), history, sampling
        messages = [*history, Message("user", text)]
        self.running = engine.start_reply(
            messages, mix or Mix(), sampling, None, ANY_TEXT, self.cancellation, self.events.append
        )

    @property
    def text(self):
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def done(self):
        return self.events[-1]


def finish(engine):
    while engine.busy:
        engine.step()


def assert_alike(reply, alone):
    """That a reply is what its question gets by itself, up to where two tokens were as good as even."""
    text, mix, history, sampling = reply.question
    answer, _ = ask(alone, text, mix, history, sampling)
    if reply.text != answer:
        start = shared_start(reply.text, answer)
        assert lead(alone, history, text, mix, start, sampling) < ROUNDING, (reply.text, answer)
