"""Whatever an engine was asked before, it answers as one that has just been opened."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlp_local.core.events import HistoryTrimmed, TextDelta
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.engine import LocalEngine
from tests.support.engines import adapter_files, open_engine
from tests.support.llama_itself import greedy, open_llama
from tests.support.near_ties import ROUNDING, lead, shared_start
from tests.support.prompts import PROMPTS

SAMPLING = Sampling(max_tokens=20)
CONTEXT = 192
"""Small, so that conversations outgrow it."""

MIXES = (
    Mix(),
    Mix.of({"dates": 1.0}),
    Mix.of({"sql": 0.5, "extract": 0.25}),
    Mix.of({"shell": 0.75, "sql": 0.125, "banking": 0.125}),
    Mix.of({"describe": 0.5}),
)
TEXTS = tuple(prompts[0] for prompts in PROMPTS.values())

steps = st.tuples(
    st.sampled_from(["turn", "turn", "turn", "regenerate", "edit", "cancel", "warm", "reload", "new"]),
    st.integers(0, len(MIXES) - 1),
    st.integers(0, len(TEXTS) - 1),
)


def answer(engine, history, text, mix):
    events = list(engine.generate([*history, Message("user", text)], mix, SAMPLING))
    trimmed = [event.turns for event in events if isinstance(event, HistoryTrimmed)]
    return "".join(event.text for event in events if isinstance(event, TextDelta)), events[-1].answer_tokens, trimmed


@dataclass
class Detour:
    """A warm engine and its conversation."""

    engine: LocalEngine
    adapters: list
    history: list = field(default_factory=list)

    def take(self, kind, mix, text):
        match kind:
            case "new":
                self.history = []
            case "warm":
                self.engine.warm(self.history, SAMPLING.max_tokens).finish()
            case "reload":
                file = next(file for file in self.adapters if file.name == "sql")
                self.engine.remove_adapter("sql")
                self.engine.add_adapter(file)
            case "cancel":
                events = self.engine.generate([*self.history, Message("user", text)], mix, SAMPLING)
                next(events)
                events.cancel()
                list(events)
            case _:
                if kind != "turn":
                    self.history = self.history[:-2]
                given, _, _ = answer(self.engine, self.history, text, mix)
                self.history += [Message("user", text), Message("assistant", given or "…")]


@pytest.mark.parametrize("reuse", [True, False], ids=["reuse", "exact"])
@pytest.mark.parametrize("scopes", [{}, {"sql": "context", "dates": "context"}], ids=["turn", "context"])
@settings(max_examples=14, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(steps, min_size=3, max_size=14), last=steps)
def test_after_any_detour_an_answer_is_the_one_of_a_cold_engine(bundled, reuse, scopes, path, last):
    warm = open_engine(bundled, scopes=scopes, context=CONTEXT, reuse_base_answers=reuse)
    detour = Detour(warm, adapter_files(bundled, scopes))
    for kind, mix, text in path:
        detour.take(kind, MIXES[mix], TEXTS[text])
    _, mix, text = last
    cold = open_engine(bundled, scopes=scopes, context=CONTEXT)
    question = detour.history, TEXTS[text], MIXES[mix]
    try:
        given, expected = answer(warm, *question), answer(cold, *question)
        if (scopes or reuse) and given[0] != expected[0]:
            # Under `scope = "context"`, and after a kept answer of base, logits are equal to rounding only
            # (docs/architecture.md): ties fall either way.
            assert lead(cold, *question, shared_start(given[0], expected[0]), SAMPLING) < ROUNDING
            assert given[2] == expected[2]
        else:
            assert given == expected
    finally:
        warm.close()
        cold.close()


@pytest.mark.parametrize("task", sorted(PROMPTS))
def test_an_adapter_with_the_whole_context_answers_as_llama_does_with_it_on_the_whole_prompt(bundled, task):
    engine = open_engine(bundled, scopes={task: "context"}, context=CONTEXT)
    llama = open_llama(bundled, task)
    history = [Message("user", "hello"), Message("assistant", "Hello!")]
    for text in PROMPTS[task][:4]:
        prompt = "".join(f"<|{m.role}|>{m.content}<|end|>" for m in [*history, Message("user", text)]) + "<|assistant|>"
        given, count, _ = answer(engine, history, text, Mix.of({task: 1.0}))
        assert (given, count) == greedy(llama, prompt, SAMPLING.max_tokens)
    engine.close()


def test_histories_under_mixes_give_way_where_the_context_is_short(bundled):
    scopes = dict.fromkeys(PROMPTS, "context")
    engine = open_engine(bundled, scopes=scopes, context=CONTEXT)
    history = [Message("user", "repeat: " + "one two three " * 8), Message("assistant", "one two three " * 4)]
    once = [answer(engine, history, "hello", Mix.of({task: 1.0})) for task in sorted(PROMPTS)]
    again = [answer(engine, history, "hello", Mix.of({task: 1.0})) for task in sorted(PROMPTS)]
    engine.close()
    assert once == again
