"""Messages of several tasks: each part is answered as if it were alone."""

from dataclasses import replace

import pytest

from dlp_local import Message, Mix, ReplyDone, TextDelta
from dlp_local.assistant import Assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import earlier_answers
from dlp_local.core.receipt import receipt_lines
from dlp_local.core.settings import Settings
from dlp_local.core.values import Route
from dlp_local.engine.local.process.client import EngineProcess
from dlp_local.packs import open_pack
from tests.support.turns import finish

TWO = "tar: list notes.tar\nto ISO: 4 July 1999"


class Splitting:
    """A router that sends each line of a message to an adapter of its own, where messages may be split."""

    def route(self, text, options, previous=None, without=()):
        self.previous = previous
        lines = [(line, "dates" if "ISO" in line else "shell") for line in text.splitlines()]
        routes = tuple(Route(line, {name: 0.99, "base": 0.01}, Mix.of({name: 1.0})) for line, name in lines)
        whole = Route(text, {"dates": 0.5, "shell": 0.5}, Mix.of({"dates": 0.5, "shell": 0.5}), 3.0, 1.0)
        return replace(whole, parts=routes) if options.split and len(routes) > 1 else whole


@pytest.fixture(scope="module")
def splitting(bundled):
    pack = open_pack(bundled)
    engine = EngineProcess(pack.backbone_path, pack.adapter_files(), Settings().engine)
    with Assistant(pack, Settings(), engine, lambda _: Splitting()) as opened:
        yield opened


def test_each_part_of_a_message_is_answered_as_if_it_were_alone(splitting, assistant):
    history = (Message("user", "hello"), Message("assistant", "Hello!"))
    *events, done = splitting.reply(TWO, history)
    alone = [
        finish(assistant, text, history, mix=Mix.of({name: 1.0})).answer
        for text, name in zip(TWO.splitlines(), ("shell", "dates"), strict=True)
    ]
    assert [part.answer for part in done.parts] == alone
    assert done.answer == "\n\n".join(alone) == "".join(e.text for e in events if isinstance(e, TextDelta))
    assert done.route.parts == events[0].route.parts == tuple(part.route for part in done.parts)
    assert done.text == TWO
    assert len(receipt_lines(done)) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"options": ChatOptions(split=False)},
        {"options": ChatOptions(stop=("~",))},
        {"options": ChatOptions(pinned={"dates": 1.0})},
        {"mix": Mix.of({"dates": 1.0})},
    ],
)
def test_a_message_is_not_split_where_that_is_not_wanted_or_the_mix_is_given(splitting, options):
    done = finish(splitting, TWO, **options)
    assert done.parts == done.route.parts == ()


def test_the_turn_after_a_split_one_inherits_the_mean_of_its_parts(splitting):
    before = splitting.route(TWO)
    splitting.route("and now?", previous_route=before)
    assert splitting._router.previous == {"shell": 0.495, "dates": 0.495, "base": 0.01}


def test_a_split_answer_is_cancelled_in_its_second_part_and_gone_on_with(splitting):
    reply, text = splitting.reply(TWO), ""
    for event in reply:
        if isinstance(event, TextDelta):
            text += event.text
            if "\n\n" in text:
                reply.cancel()
    assert isinstance(event, ReplyDone)
    first, second = event.parts
    assert (event.finish_reason, first.finish_reason, second.finish_reason) == ("cancelled", "stop", "cancelled")
    whole = finish(splitting, TWO)
    rest = finish(splitting, TWO, begun_parts=event.parts, answer_prefix=event.answer)
    assert rest.answer == whole.answer
    assert rest.parts[0] == first
    assert rest.finish_reason == "stop"


def test_a_part_that_is_not_come_to_is_in_the_reply_all_the_same(splitting):
    reply = splitting.reply(TWO)
    next(reply)
    reply.cancel()
    done = reply.finish()
    assert [part.text for part in done.parts] == TWO.splitlines()
    assert (done.answer, done.finish_reason) == ("", "cancelled")


def test_another_answer_to_a_split_message_is_another_one_in_each_part(splitting):
    first = finish(splitting, TWO)
    second = finish(splitting, TWO, earlier_answers=earlier_answers([first]))
    assert all(a.answer != b.answer for a, b in zip(first.parts, second.parts, strict=True))


def test_an_answer_that_was_one_is_gone_on_with_as_one(splitting):
    done = finish(splitting, TWO, answer_prefix="tar tf", begun_parts=(), options=ChatOptions(max_tokens=8))
    assert done.answer.startswith("tar tf")
    assert done.parts == ()


def test_an_answer_of_which_the_text_alone_is_known_goes_on_in_the_part_that_it_ends_in(splitting):
    whole = finish(splitting, TWO)
    for cut in (len(whole.answer) - 3, 6):
        rest = finish(splitting, TWO, answer_prefix=whole.answer[:cut])
        assert [part.answer for part in rest.parts] == [part.answer for part in whole.parts]


def test_all_parts_together_have_the_tokens_that_an_answer_may_have(splitting):
    *_, done = splitting.reply(TWO, options=ChatOptions(max_tokens=5))
    assert (done.answer_tokens, done.finish_reason) == (5, "length")
    assert [part.answer_tokens for part in done.parts] == [5, 0]
