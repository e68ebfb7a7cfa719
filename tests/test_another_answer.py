"""Another answer: its text is none of the earlier ones, and nothing of a draw that is given up is shown."""

from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlp_local.another_answer import MOST_DRAWS, draw
from dlp_local.core.events import AnswerWasReasoning, Generated, ReasoningDelta, TextDelta
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.settings import SEEDS, Sampling

GREEDY = Sampling(seed=7)


class Scripted:
    """Gives scripted answers, each as its events, the last one over and over; keeps the options of each."""

    def __init__(self, *answers):
        self.answers, self.options = list(answers), []

    def __call__(self, sampling):
        self.options.append(sampling)
        return Job(partial(self._run, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))

    def _run(self, pieces, cancellation):
        for piece in pieces:
            if cancellation.requested:
                break
            yield TextDelta(piece) if isinstance(piece, str) else piece
        yield Generated("cancelled" if cancellation.requested else "stop", 3, len(pieces), 9, 10.0, 20.0)


def run(engine, earlier, sampling=GREEDY):
    *events, done = draw(engine, sampling, earlier, Cancellation())
    assert isinstance(done, Generated)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), done


def test_a_first_answer_is_drawn_once_as_it_is_set():
    engine = Scripted(["one ", "two"])
    assert run(engine, set())[0] == "one two"
    assert engine.options == [GREEDY]


def test_what_was_there_before_is_drawn_again_warmer_and_with_another_seed():
    engine = Scripted(["one ", "two"], ["one ", "two"], ["one ", "three"])
    answer, done = run(engine, {"one two"})
    assert answer == "one three"
    temperatures = [options.temperature for options in engine.options]
    assert 0 < temperatures[0] < temperatures[1] < temperatures[2]
    assert len({GREEDY.seed, *(options.seed for options in engine.options)}) == 4
    assert done.total_ms > 20


@given(st.integers(0, SEEDS - 1), st.integers(1, 20))
@example(SEEDS - 1, 1)
def test_every_draw_has_a_seed_that_may_be_set_so_that_its_answer_can_be_had_again(seed, earlier):
    engine = Scripted(["0"])
    run(engine, {str(number) for number in range(earlier)}, Sampling(seed=seed))
    seeds = [Sampling(seed=options.seed).seed for options in engine.options]
    assert len({seed, *seeds}) == len(seeds) + 1 == MOST_DRAWS + 1


def test_a_temperature_of_ones_own_is_where_it_begins():
    engine = Scripted(["one"])
    run(engine, {"two"}, Sampling(temperature=0.3, min_p=0.2, seed=1))
    assert [(options.temperature, options.min_p) for options in engine.options] == [(0.3, 0.2)]


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=5), st.sets(st.text("ab", max_size=4), min_size=1))
def test_an_answer_is_whole_and_none_of_the_earlier_ones_where_any_draw_is(answers, earlier):
    engine = Scripted(*([*answer] for answer in answers))
    answer, _ = run(engine, earlier)
    assert answer == next((text for text in answers if text not in earlier), answers[-1])


def test_draws_end_where_every_one_gives_the_same():
    engine = Scripted(["one"])
    assert run(engine, {"one"})[0] == "one"
    assert len(engine.options) == MOST_DRAWS


def test_reasoning_is_shown_as_it_comes_and_then_the_answer_stands():
    events = draw(Scripted([ReasoningDelta("so"), "one"], ["two"]), GREEDY, {"one"}, Cancellation())
    assert next(events) == ReasoningDelta("so")
    assert next(events) == TextDelta("one")


def test_text_that_turns_out_to_be_reasoning_stands_as_such_and_so_does_the_answer():
    events = list(draw(Scripted(["one", AnswerWasReasoning(), "two"], ["x"]), GREEDY, {"one", "two"}, Cancellation()))
    assert events[:3] == [TextDelta("one"), AnswerWasReasoning(), TextDelta("two")]


@pytest.mark.parametrize("read", [0, 1])
def test_a_cancelled_answer_stands_as_it_is(read):
    engine, cancellation = Scripted(["one ", "two"]), Cancellation()
    events = draw(engine, GREEDY, {"two", "one two"} if read == 0 else {"two"}, cancellation)
    for _ in range(read):
        next(events)
    cancellation.request()
    *_, done = events
    assert done.finish_reason == "cancelled"
    assert len(engine.options) == 1
