"""One turn through the whole house, on the bundled pack."""

import doctest
import json
from typing import get_args

import pytest

import dlp_local.assistant
from dlp_local import HistoryTrimmed, Message, Mix, ReplyDone, RouteChosen, TextDelta, open_assistant
from dlp_local.assistant import Assistant
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat, FormatFeature, Tool
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import earlier_answers
from dlp_local.core.errors import InputError
from dlp_local.core.events import AnswerWasReasoning, Generated, ToolCalled
from dlp_local.core.job import Job
from dlp_local.core.receipt import reply_receipt
from dlp_local.core.serialize import receipt_json, reply_from_json
from dlp_local.core.settings import BASE_DEFAULTS, Sampling, Settings
from dlp_local.core.values import ToolCall
from dlp_local.engine.base import Capabilities
from dlp_local.packs import open_pack
from tests.support.prompts import PROMPTS, SMALL_TALK
from tests.support.turns import finish


def test_a_turn_is_a_route_then_text_then_a_receipt(assistant):
    events = list(assistant.reply("to ISO: the 3rd of February 2021"))
    assert isinstance(events[0], RouteChosen)
    assert isinstance(events[-1], ReplyDone)
    assert all(isinstance(event, TextDelta) for event in events[1:-1])
    done = events[-1]
    assert done.answer == "".join(event.text for event in events[1:-1]) == "2021-02-03"
    assert done.route == events[0].route
    assert done.finish_reason == "stop"
    assert 0 < done.timings.route <= done.timings.first_token <= done.timings.total


def test_the_receipt_has_mix_times_and_speed(assistant):
    mix, route, first, speed = reply_receipt(finish(assistant, "to ISO: the 3rd of February 2021"))
    assert mix.startswith("dates ")
    assert route.endswith(" ms route")
    assert first.endswith(" ms first token")
    assert speed.endswith(" tok/s")


def test_a_newcomers_three_messages_get_a_command_a_json_object_and_a_greeting(assistant):
    assert finish(assistant, "tar: extract archive.tar.gz into /tmp").answer.startswith("tar ")
    booking = json.loads(finish(assistant, "I need a table for four on Friday at 8pm").answer)
    assert {"time": "8pm", "date": "Friday"}.items() <= booking.items()
    assert "adapters" in finish(assistant, "hello, what can you do?").answer


@pytest.mark.parametrize(("task", "prompt"), [(task, prompts[0]) for task, prompts in PROMPTS.items()])
def test_a_message_of_each_task_goes_to_its_adapter(assistant, task, prompt):
    weights = dict(assistant.route(prompt).mix.weights)
    assert max(weights, key=weights.get) == task


@pytest.mark.parametrize("text", SMALL_TALK)
def test_small_talk_goes_to_base(assistant, text):
    assert assistant.route(text).mix.base >= 0.5


def test_a_mix_given_by_hand_leaves_the_router_out(assistant):
    done = finish(assistant, "to ISO: 1 May 2020", mix=Mix())
    assert done.route.probabilities == {}
    assert done.route.mix.base == 1.0
    assert done.answer != "2020-05-01"
    assert reply_receipt(done)[0] == "base 1.00"
    assert not any("route" in part for part in reply_receipt(done))


class Recording:
    """An engine that answers with the events it was given and keeps the sampling it is asked for."""

    context_size = 1024
    capabilities = Capabilities(frozenset({"turn", "context"}), concurrent_replies=1)

    def __init__(self, *events):
        self.events = events

    def generate(self, messages, mix, sampling, scope=None, answer_format=ANY_TEXT):
        self.sampling, self.messages, self.answer_format = sampling, list(messages), answer_format

        def run(_):
            yield from self.events
            yield Generated("stop", 1, 0, 1, 1.0, 1.0)

        return Job(run)

    def close(self):
        pass


def test_text_that_turns_out_to_be_reasoning_is_none_of_the_answer(bundled):
    engine = Recording(TextDelta("hm"), TextDelta(", so"), AnswerWasReasoning(), TextDelta("Four."))
    with Assistant(open_pack(bundled), Settings(), engine, lambda _: None) as assistant:
        done = finish(assistant, "2 + 2?", mix=Mix())
    assert (done.reasoning, done.answer) == ("hm, so", "Four.")


class Calling(Recording):
    """One that can do whatever is asked of the form of an answer."""

    capabilities = Capabilities(frozenset(), 1, frozenset(get_args(FormatFeature)))


def test_calls_of_tools_are_in_the_reply_and_their_results_are_answered_under_the_message(bundled):
    call, clock = ToolCall("clock", "{}"), AnswerFormat(tools=(Tool("clock"),))
    engine = Calling(TextDelta("I look."), ToolCalled(call))
    with Assistant(open_pack(bundled), Settings(), engine, lambda _: None) as assistant:
        done = finish(assistant, "What time is it?", mix=Mix(), answer_format=clock)
        since = (Message("assistant", done.answer, done.tool_calls), Message("tool", "noon"))
        finish(assistant, done.text, mix=Mix(), answer_format=clock, tool_messages=since)
    assert (done.answer, done.tool_calls) == ("I look.", (call,))
    assert engine.messages == [Message("user", "What time is it?"), *since]
    assert engine.answer_format == clock
    assert reply_from_json(done.text, done.answer, receipt_json(done)).tool_calls == (call,)


def test_an_engine_is_not_asked_for_what_it_cannot_do(bundled):
    engine = Recording()
    engine.capabilities = Capabilities(frozenset(), 1)
    assistant = Assistant(open_pack(bundled), Settings(), engine, lambda _: None)
    with assistant, pytest.raises(InputError, match="cannot do logprobs"):
        finish(assistant, "hello", mix=Mix(), answer_format=AnswerFormat(logprobs=1))


def test_a_message_that_had_no_answer_goes_with_the_next_one(bundled):
    engine = Recording(TextDelta("Four."))
    with Assistant(open_pack(bundled), Settings(), engine, lambda _: None) as assistant:
        history = (Message("user", "one"), Message("assistant", "yes"), Message("user", "2 + 2?"))
        finish(assistant, "well?", history, mix=Mix())
    assert engine.messages == [*history[:2], Message("user", "2 + 2?\n\nwell?")]


@pytest.mark.parametrize("blank", ["", "  ", "\n\t"])
def test_a_blank_system_prompt_is_none(bundled, blank):
    engine = Recording(TextDelta("Four."))
    with Assistant(open_pack(bundled), Settings(system=blank), engine, lambda _: None) as assistant:
        finish(assistant, "2 + 2?", mix=Mix(), options=ChatOptions(system=blank))
    assert engine.messages == [Message("user", "2 + 2?")]


SHARED = {"temperature": 0.0, "min_p": 0.05, "repeat_penalty": 1.0, "repeat_last": 64}


@pytest.mark.parametrize(
    ("weights", "own", "options", "expected"),
    [
        ({}, {}, {}, BASE_DEFAULTS),
        ({"sql": 0.25}, {}, {}, BASE_DEFAULTS),
        ({"sql": 1.0}, {}, {}, SHARED),
        ({"sql": 0.5}, {}, {}, SHARED),
        ({}, {"temperature": 0.0}, {}, {**BASE_DEFAULTS, "temperature": 0.0}),
        ({}, {"min_p": 0.5}, {"temperature": 0.25}, {**BASE_DEFAULTS, "min_p": 0.5, "temperature": 0.25}),
        ({"sql": 1.0}, {"temperature": 0.5}, {}, {**SHARED, "temperature": 0.5}),
    ],
)
def test_base_samples_adapters_are_greedy_and_what_was_set_holds_for_both(bundled, weights, own, options, expected):
    engine = Recording()
    with Assistant(open_pack(bundled), Settings(sampling=Sampling(**own)), engine, lambda _: None) as assistant:
        assistant.reply("hello", mix=Mix.of(weights), options=ChatOptions(**options)).finish()
    assert {name: getattr(engine.sampling, name) for name in expected} == expected
    assert engine.sampling.seed is not None


@pytest.mark.parametrize("text", ["to ISO: the 3rd of February 2021", "hello, what can you do?"])
@pytest.mark.parametrize("options", [ChatOptions(), ChatOptions(temperature=0, seed=1)])
def test_another_answer_is_another_one_each_time_also_after_a_greedy_one(assistant, text, options):
    replies = []
    for _ in range(3):
        replies.append(finish(assistant, text, earlier_answers=earlier_answers(replies), options=options))
    assert len({reply.answer for reply in replies}) == 3


def test_another_answer_under_another_mix_is_that_mixs_own(assistant):
    earlier = earlier_answers([finish(assistant, "to ISO: 4 July 1999", mix=Mix())])
    assert (
        finish(assistant, "to ISO: 4 July 1999", mix=Mix.of({"dates": 1.0}), earlier_answers=earlier).answer
        == "1999-07-04"
    )


def test_the_system_prompt_counts_as_part_of_the_prompt(assistant):
    plain = finish(assistant, "hello")
    told = finish(assistant, "hello", options=ChatOptions(system="You are a helpful assistant."))
    assert told.prompt_tokens > plain.prompt_tokens


def test_a_conversation_goes_on_with_its_history(assistant):
    history = (Message("user", "hello"), Message("assistant", "Hello! Ask me what I can do."))
    done = finish(assistant, "to ISO: 4 July 1999", history)
    assert done.answer == "1999-07-04"
    assert done.context_used > finish(assistant, "to ISO: 4 July 1999").context_used
    assistant.warm(history).finish()


def test_an_answer_that_was_cut_goes_on_where_it_was_cut(assistant):
    greedy = ChatOptions(temperature=0)
    whole = finish(assistant, "hello, what can you do?", options=greedy).answer
    cut = finish(assistant, "hello, what can you do?", options=ChatOptions(temperature=0, max_tokens=12))
    assert cut.finish_reason == "length"
    rest = finish(assistant, "hello, what can you do?", answer_prefix=cut.answer, options=greedy)
    assert rest.answer == whole
    assert rest.prompt_tokens > cut.prompt_tokens


def test_a_vetoed_adapter_is_not_chosen_and_base_has_its_share(assistant):
    text = "to ISO: 4 July 1999"
    done = finish(assistant, text, options=ChatOptions(vetoed=("dates",)))
    assert "dates" not in done.route.mix.as_dict()
    assert done.route.mix.base > 0.5
    assert done.route.probabilities == assistant.route(text).probabilities


def test_a_pinned_mix_takes_the_place_of_the_router(assistant):
    done = finish(assistant, "to ISO: 4 July 1999", options=ChatOptions(pinned={"shell": 0.5}))
    assert done.route.mix == Mix.of({"shell": 0.5})
    assert (
        finish(assistant, "to ISO: 4 July 1999", mix=Mix(), options=ChatOptions(pinned={"shell": 1})).route.mix == Mix()
    )


def test_a_conversation_that_outgrows_the_context_says_so(assistant):
    turn = (Message("user", "hello " * 60), Message("assistant", "Hello! " * 60))
    events = list(assistant.reply("hello", turn * 10, options=ChatOptions(max_tokens=8)))
    assert any(isinstance(event, HistoryTrimmed) for event in events)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_message_is_refused(assistant, text):
    with pytest.raises(InputError, match="message is empty"):
        list(assistant.reply(text))


@pytest.mark.parametrize("text", ["\x00", "a\x00b\x1b[31m\x07", "😀 emoji", "‮ right to left", "x" * 500])
def test_odd_characters_are_answered_like_any_other(assistant, text):
    assert finish(assistant, text, options=ChatOptions(max_tokens=8)).finish_reason in ("stop", "length")


def test_half_a_character_is_refused(assistant):
    with pytest.raises(InputError, match="not valid Unicode"):
        list(assistant.reply("a \ud83d b"))


@pytest.mark.parametrize(("how", "told"), [("gone", "no adapter 'shell'"), ("off", "'shell' is switched off")])
def test_no_message_goes_to_an_adapter_that_is_gone_or_switched_off(pack_copy, how, told):
    manifest = pack_copy / "pack.toml"
    text = manifest.read_text("utf-8")
    start = text.index("[adapters.shell]")
    off = text.replace("[adapters.shell]", "[adapters.shell]\nenabled = false")
    manifest.write_text(text[:start] + text[text.index("[adapters.sql]") :] if how == "gone" else off, "utf-8")
    with open_assistant(Settings(), pack_copy) as opened:
        assert "shell" not in opened.adapters
        assert opened.route("tar: extract archive.tar.gz into /tmp").mix == Mix()
        with pytest.raises(InputError, match=told):
            finish(opened, "hello", mix=Mix.of({"shell": 1.0}))


def test_cancelling_keeps_the_part(assistant):
    events = assistant.reply("hello, what can you do?")
    part = ""
    for event in events:
        if isinstance(event, TextDelta):
            part += event.text
            events.cancel()
        elif isinstance(event, ReplyDone):
            done = event
    assert done.finish_reason == "cancelled"
    assert done.answer == part
    assert finish(assistant, "hello, what can you do?").finish_reason == "stop"


def test_the_example_in_the_documentation_runs():
    example = doctest.DocTestFinder().find(dlp_local.assistant.Assistant, "Assistant", globs={})[0]
    example.globs = {"open_assistant": open_assistant, "TextDelta": TextDelta}
    assert example.examples
    results = doctest.DocTestRunner().run(example)
    assert results.failed == 0
