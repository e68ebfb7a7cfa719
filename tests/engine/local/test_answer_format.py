"""The form of answers, by llama.cpp on the bundled pack: grammars, schemas, scores, biases and penalties."""

import json
import math

import pytest

from dlp_local.core.answer_format import AnswerFormat, Tool
from dlp_local.core.errors import InputError
from dlp_local.core.events import Generated, ReasoningDelta, TextDelta, TokenScores, ToolCalled
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix, ToolCall
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.engine.local.sampler import is_plain_greedy
from tests.support.engines import open_engine
from tests.support.schemas import SCHEMAS
from tests.support.scripted_models import write_scripted_model
from tests.support.tool_templates import MISTRAL

ASK = Message("user", "hello, what can you do?")
DATE = Message("user", "to ISO: the 3rd of February 2021")
PERSON = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "kind": {"enum": ["cat", "dog"]},
        },
        "required": ["name", "age", "kind"],
    }
)


@pytest.fixture(scope="module")
def engine(bundled):
    engine = open_engine(bundled)
    yield engine
    engine.close()


def answered(engine, messages, answer_format, mix=Mix(), **sampling):  # noqa: B008 (frozen)
    options = Sampling(**{"temperature": 0, "max_tokens": 80, **sampling})
    *events, done = engine.generate(messages, mix, options, answer_format=answer_format)
    assert isinstance(done, Generated)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), done, events


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_an_answer_by_a_schema_is_an_instance_of_it(engine, temperature):
    for seed in range(4):
        answer, done, _ = answered(engine, [ASK], AnswerFormat(json_schema=PERSON), temperature=temperature, seed=seed)
        person = json.loads(answer)
        assert done.finish_reason == "stop"
        assert list(person) == ["name", "age", "kind"]
        assert len(person["name"]) <= 12
        assert 0 <= person["age"] <= 130
        assert person["kind"] in ("cat", "dog")


def test_an_answer_by_a_grammar_follows_it_to_its_end(engine):
    answer, done, _ = answered(engine, [ASK], AnswerFormat(grammar='root ::= "yes" | "no" [!]{1,3} "?"'))
    assert answer == "yes" or answer.rstrip("?").strip("!") == "no"
    assert done.finish_reason == "stop"


def test_a_grammar_that_is_cut_off_says_so(engine):
    answer, done, _ = answered(engine, [ASK], AnswerFormat(json_schema=PERSON), max_tokens=3)
    assert done.finish_reason == "length"
    assert answer.lstrip().startswith("{")


def test_a_begun_answer_goes_on_in_its_form(engine):
    begun = Message("assistant", '{"name": "Ada", "a')
    rest, done, _ = answered(engine, [ASK, begun], AnswerFormat(json_schema=PERSON))
    assert json.loads(begun.content + rest)["name"] == "Ada"
    assert done.finish_reason == "stop"
    with pytest.raises(InputError, match="beginning of the answer"):
        answered(engine, [ASK, Message("assistant", "I am")], AnswerFormat(json_schema=PERSON))


def test_the_form_changes_nothing_about_an_answer_that_has_it_anyway(engine):
    plain, _, _ = answered(engine, [DATE], AnswerFormat(), Mix.of({"dates": 1}))
    date = AnswerFormat(grammar="root ::= [0-9]{4} [-] [0-9]{2} [-] [0-9]{2}")
    assert answered(engine, [DATE], date, Mix.of({"dates": 1}))[0] == plain == "2021-02-03"


@pytest.mark.parametrize("grammar", ["root ::= [a", 'x ::= "a"', "root ::= other", 'root ::= root "a"'])
def test_what_is_no_grammar_is_refused_and_the_next_answer_works(engine, grammar):
    with pytest.raises(InputError, match="grammar"):
        answered(engine, [ASK], AnswerFormat(grammar=grammar))
    assert answered(engine, [DATE], AnswerFormat(), Mix.of({"dates": 1}))[0] == "2021-02-03"


@pytest.mark.parametrize("name", SCHEMAS)
def test_llama_cpp_takes_the_grammar_of_every_schema(engine, name):
    form = AnswerFormat(json_schema=json.dumps(SCHEMAS[name]))
    assert answered(engine, [ASK], form, max_tokens=2)[1].answer_tokens


def test_scores_are_those_of_the_answers_tokens(engine):
    answer, done, events = answered(engine, [DATE], AnswerFormat(logprobs=3), Mix.of({"dates": 1}))
    scores = [event for event in events if isinstance(event, TokenScores)]
    assert b"".join(score.chosen.token for score in scores).decode() == answer == "2021-02-03"
    assert len(scores) == done.answer_tokens
    for score in scores:
        assert score.best[0] == score.chosen  # greedy takes the most probable one
        assert [other.logprob for other in score.best] == sorted((o.logprob for o in score.best), reverse=True)
        assert sum(math.exp(other.logprob) for other in score.best) <= 1 + 1e-9
    assert isinstance(events[events.index(scores[0]) + 1], TextDelta)  # and come with the text


def test_scores_without_alternatives_and_after_a_stop_text_are_of_what_is_shown(engine):
    answer, _, events = answered(engine, [DATE], AnswerFormat(logprobs=0), Mix.of({"dates": 1}), stop=("-02",))
    scores = [event for event in events if isinstance(event, TokenScores)]
    assert answer == "2021"
    assert b"".join(score.chosen.token for score in scores).decode() == answer
    assert not any(score.best for score in scores)


def test_a_bias_bans_a_token_and_an_unknown_one_is_refused(engine):
    _, _, events = answered(engine, [DATE], AnswerFormat(logprobs=2), Mix.of({"dates": 1}))
    first = next(event for event in events if isinstance(event, TokenScores)).chosen.token.decode()
    (token,) = engine._backbone.vocabulary.tokenize(first, special=False)
    banned, _, _ = answered(engine, [DATE], AnswerFormat(logit_bias=((token, -100.0),)), Mix.of({"dates": 1}))
    assert first not in banned
    with pytest.raises(InputError, match="token 999999"):
        answered(engine, [DATE], AnswerFormat(logit_bias=((999_999, 1.0),)))


def test_penalties_change_what_is_said_again(engine):
    letters = AnswerFormat(grammar="root ::= [a-z]{40}")
    plain = answered(engine, [ASK], letters)[0]
    for penalty in ("frequency_penalty", "presence_penalty"):
        other = answered(engine, [ASK], letters, **{penalty: 2.0})[0]
        assert len(set(other)) > len(set(plain))


@pytest.mark.parametrize("option", ["repeat_penalty", "frequency_penalty", "presence_penalty"])
def test_a_penalty_is_no_plain_greedy_decoding(option):
    assert is_plain_greedy(Sampling(temperature=0))
    assert not is_plain_greedy(Sampling(temperature=0, **{option: 1.5}))


WEATHER = Tool("weather", "", '{"type": "object", "properties": {"days": {"type": "integer", "maximum": 9}}}')
CLOCK = Tool("clock", "Tells the time.")


def called(events):
    return [event.call for event in events if isinstance(event, ToolCalled)]


@pytest.mark.parametrize("choice", ["required", "weather"])
def test_a_choice_of_tools_lets_nothing_but_calls_through(engine, choice):
    tools = AnswerFormat(tools=(WEATHER, CLOCK), tool_choice=choice)
    answer, done, events = answered(engine, [ASK], tools, max_tokens=200)
    assert answer == ""
    assert done.finish_reason == "stop"
    assert called(events)
    for call in called(events):
        assert call.name == choice or choice == "required"
        assert isinstance(json.loads(call.arguments), dict)


def test_a_call_that_is_cut_off_is_told_by_the_finish_reason_and_is_no_text(engine):
    tools = AnswerFormat(tools=(WEATHER, CLOCK), tool_choice="required")
    answer, done, events = answered(engine, [ASK], tools, max_tokens=6)
    assert (answer, done.finish_reason, called(events)) == ("", "length", [])


def test_tools_that_are_free_to_choose_leave_the_answer_to_the_schema(engine):
    either = AnswerFormat(tools=(WEATHER,), json_schema=PERSON)
    answer, done, events = answered(engine, [ASK], either, max_tokens=200)
    assert done.finish_reason == "stop"
    assert bool(answer) != bool(called(events))
    assert called(events) or json.loads(answer)["kind"] in ("cat", "dog")


def test_the_result_of_a_call_is_answered(engine):
    call = Message("assistant", "", (ToolCall("clock", "{}", "call_1"),))
    result = Message("tool", "noon", tool_call_id="call_1")
    _, done, _ = answered(engine, [ASK, call, result], AnswerFormat(tools=(CLOCK,)), max_tokens=5)
    assert done.prompt_tokens > answered(engine, [ASK], AnswerFormat(), max_tokens=1)[1].prompt_tokens


def test_a_model_whose_mark_of_calls_prints_nothing_is_understood(tmp_path):
    said = ("[/INST]", "[TOOL_CALLS]", ' [{"name": "clock",', ' "arguments": {}}', "]")
    marks = ("[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]")
    path = write_scripted_model(
        tmp_path / "m.gguf", said, control=marks, user_defined=(), template=MISTRAL, context=2048
    )
    engine = LocalEngine(path, (), Options())
    try:
        _, done, events = answered(engine, [ASK], AnswerFormat(tools=(CLOCK,)))
        assert called(events) == [ToolCall("clock", "{}")]
        assert done.finish_reason == "stop"
        answer, _, events = answered(engine, [ASK], AnswerFormat())
        assert (answer, called(events)) == ('[{"name": "clock", "arguments": {}}]', [])
        _, _, events = answered(engine, [ASK], AnswerFormat(tools=(CLOCK,), tool_choice="required"))
        assert called(events) == [ToolCall("clock", "{}")]
    finally:
        engine.close()


def test_reasoning_comes_before_what_the_grammar_speaks_of(tmp_path):
    said = ("[assistant]", "<think>", "one or two", "</think>", "\n\n", "two")
    path = write_scripted_model(tmp_path / "m.gguf", said, control=("<think>", "</think>"))
    engine = LocalEngine(path, (), Options())
    try:
        answer, _, events = answered(engine, [ASK], AnswerFormat(grammar='root ::= "two" | "three"'))
        assert answer == "two"
        assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)).strip() == "one or two"
    finally:
        engine.close()
