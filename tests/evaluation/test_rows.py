"""Rows to be measured by: each is read on its own, and a bad one is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import Message
from dlp_local.evaluation import metrics
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.rows import FIELDS, draw, each_once, named_lines, read_rows
from tests.evaluation.example_rows import numbered

ADAPTERS = ("dates", "sql")


def read(*rows):
    return read_rows(numbered(rows), ADAPTERS, ("cron",))


def test_a_row_has_what_it_says():
    said = [("system", "Be brief."), ("user", "the 3rd"), ("assistant", "2021-02-03")]
    turns = [{"role": role, "content": content} for role, content in said]
    more = {"adapter": "dates", "id": 7, "metric": "exact", "history": turns}
    (row,), problems = read({"prompt": "and the 4th?", "answers": ["2021-02-04", "4 Feb"]} | more)
    assert not problems
    history = tuple(Message(role, content) for role, content in said)
    assert row == EvalRow("and the 4th?", ("2021-02-04", "4 Feb"), "exact", "dates", history, (), 1)


@pytest.mark.parametrize(
    ("more", "metric"),
    [
        ({"answer": "a"}, "exact"),
        ({"answer": '{"a": 1}'}, "object"),
        ({"answer": {"a": 1}}, "object"),
        ({"answers": ['{"a": 1}', "none"]}, "exact"),
        ({"answer": "[1]"}, "exact"),
        ({"answer": [1], "metric": "object"}, "object"),
        ({"answer": "a", "choices": ["a", "b"]}, "choice"),
        ({"answer": "a", "choices": ["a", "b"], "metric": "likelihood"}, "likelihood"),
        ({"answer": "ls -l", "metric": "command"}, "command"),
        ({"answer": "a", "adapter": None, "choices": None}, "exact"),
    ],
)
def test_a_metric_is_the_one_that_fits_the_answers_unless_the_row_names_one(more, metric):
    (row,), _ = read({"text": "x"} | more)
    assert row.metric == metric


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "is not JSON"),
        ("[1]", "is no object"),
        ({"text": "x"}, "has no answer"),
        ({"text": "x", "answers": []}, "has no answer"),
        ({"text": "x", "answer": " "}, "answer: is missing, empty or no text"),
        ({"text": "x", "answer": 3}, "answer: is missing, empty or no text"),
        ({"answer": "y"}, "text: is missing"),
        ({"text": "\ud800", "answer": "y"}, "text: holds half a character"),
        ({"text": "x", "prompt": "x", "answer": "y"}, "has a text and a prompt"),
        ({"text": "x", "answer": "y", "answers": ["y"]}, "has an answer and answers"),
        ({"text": "x", "answr": "y"}, "answr: there is no field of that name. Did you mean 'answer'"),
        ({"text": "x", "answer": "y", "adapter": "date"}, "adapter: there is no adapter 'date'. Did you mean 'dates'?"),
        ({"text": "x", "answer": "y", "metric": "blue"}, "metric: there is no metric 'blue'. Did you mean 'bleu'?"),
        ({"text": "x", "answer": "y", "metric": "choice"}, "metric: choice is of rows with choices"),
        ({"text": "x", "answer": "y", "metric": "object"}, "metric: object is of JSON objects"),
        ({"text": "x", "answer": "y", "choices": ["a", "b"]}, "choices: the answer 'y' is none of them"),
        ({"text": "x", "answer": "a", "choices": ["a"]}, "choices: give two or more"),
        ({"text": "x", "answer": "a", "choices": "ab"}, "choices: is no list"),
        ({"text": "x", "answer": "a", "choices": []}, "choices: give two or more"),
        ({"text": "x", "answer": "a", "choices": ["a", ""]}, "choices: one: is missing, empty or no text. Give a list"),
        ({"text": "x", "answers": "y"}, 'answers: is no list. Write "answers": ["…", "…"], or one as "answer"'),
        ({"text": "x", "answer": ["a", "b"]}, 'answer: is a list; did you mean "answers", of which any is right?'),
        ({"text": "x", "answers": [["a"], ["b"]], "metric": "exact"}, "answer: is a list; A list that"),
        ({"text": "x", "answer": {"a": "\ud800"}}, "answer: holds half a character"),
        ({"text": "x", "answer": "y", "metric": ["exact"]}, "metric: is no text. Give a name. There are: exact, "),
        ({"text": "x", "answer": "y", "metric": {"a": 1}}, "metric: is no text"),
        (
            {"text": "x", "answer": "y", "adapter": ["sql"]},
            "adapter: is no text. Give a name. There are: dates, sql, base",
        ),
        (
            {"text": "x", "answer": "y", "adapter": "cron"},
            "adapter: 'cron' is switched off. Switch it on: dlp-local adapters enable cron.",
        ),
        ('{"text": "x", "answer": "y", "answer": "z"}', "answer: is there twice. Leave one out."),
        ('{"text": "x", "answer": {"a": 1, "a": 2}}', "a: is there twice. Leave one out."),
        ('{"text": "x", "answer": {"": 1, "": 2}}', "the empty name: is there twice. Leave one out."),
        ('{"text": "a', "is not JSON (from column 10 on)"),
        (f'{{"text": "x", "answer": {"[" * 400}{"]" * 400}, "metric": "{"x" * 99}"}}', "metric: there is no metric"),
        (f'{{"text": "x", "answer": {"[" * 99999}{"]" * 99999}}}', "is not JSON (it is nested too deeply)"),
        ({"text": "x", "answer": "y", "history": "hi"}, "history: is no list of messages"),
        ({"text": "x", "answer": "y", "history": [{"role": "robot"}]}, "history: message 1 has the role 'robot'"),
        (
            {"text": "x", "answer": "y", "history": [{"role": "user"}]},
            'history: message 1: content: is missing, empty or no text. Write [{"role": "user"',
        ),
    ],
)
def test_a_bad_row_is_told_by_its_line_and_the_others_are_read(row, told):
    rows, (problem,) = read({"text": "a", "answer": "b"}, row, {"text": "c", "answer": "d"})
    assert [good.text for good in rows] == ["a", "c"]
    assert problem.line == 2
    assert problem.reason.startswith(told)


KEYS = st.sampled_from(FIELDS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=4)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["sql", "exact", "object", "rouge1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "a"]), inner),
)


@given(st.dictionaries(KEYS | st.text(st.characters(), max_size=4), VALUES), st.booleans())
def test_whatever_stands_in_a_row_it_is_read_or_told(row, is_whole):
    fine = {"text": "x", "answer": "y"} if is_whole else {}
    rows, problems = read(json.dumps(fine | row))
    assert len(rows) + len(problems) == 1
    json.dumps(
        [[row.text, row.answers] for row in rows] + [problem.reason for problem in problems], ensure_ascii=False
    ).encode()


def turns(*roles):
    return {"text": "x", "answer": "y", "history": [{"role": role, "content": "z"} for role in roles]}


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (("user",), "history: its last message is the user's, and is not answered."),
        (("system", "user", "assistant", "user"), "history: its last message is the user's, and is not answered."),
        (("assistant",), "history: message 1 is the assistant's, where the user's is due."),
        (("system", "assistant"), "history: message 2 is the assistant's, where the user's is due."),
        (("user", "user", "assistant"), "history: message 2 is the user's, where the assistant's is due."),
        (("user", "assistant", "assistant"), "history: message 3 is the assistant's, where the user's is due."),
        ((), ""),
        (("system",), ""),
        (("user", "assistant") * 2, ""),
    ],
)
def test_the_messages_before_a_row_take_turns_and_end_with_an_answer(roles, told):
    rows, problems = read(turns(*roles))
    assert len(rows) == (not told)
    assert [problem.reason.startswith(told) for problem in problems] == [True] * bool(told)


@pytest.mark.parametrize("metric", ["rouge1", "rougeL"])
def test_a_row_that_rouge_sees_nothing_of_is_refused(metric):
    pytest.importorskip("rouge_score", reason="needs the eval extra")
    scripts = ["Привет, мир", "你好", "…"]
    rows, problems = read(*({"text": "x", "answers": ["hello", text], "metric": metric} for text in scripts))
    assert not rows
    assert {problem.reason.partition(",")[0] for problem in problems} == {
        f"metric: {metric} knows words of the letters a to z and digits alone"
    }
    fine, _ = read({"text": "x", "answer": "В 7 часов", "metric": metric})
    assert len(fine) == 1


def test_a_metric_whose_package_is_not_there_is_told_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    rows, (problem,) = read({"text": "a", "answer": "b", "metric": "bleu"}, {"text": "c", "answer": "d"})
    assert "metric: bleu needs the package sacrebleu" in problem.reason
    assert "pip install 'dlp-local[eval]'" in problem.reason
    assert len(rows) == 1
    assert metrics.reported_for("sql", likelihood=False) == ("sql", "sql-one-row", "exact")


rows_of_tasks = st.lists(
    st.builds(
        EvalRow, text=st.text("abc", min_size=1, max_size=4), answers=st.just(("x",)), metric=st.just("exact"),
        adapter=st.sampled_from(["dates", "sql", "base"]),
    ),
    unique_by=lambda row: row.identity,
)  # fmt: skip


@given(rows_of_tasks, st.integers(1, 40), st.integers(0, 3), st.randoms())
def test_a_draw_is_even_over_the_tasks_and_does_not_depend_on_the_order_of_the_file(rows, limit, seed, rng):
    drawn = draw(rows, limit, seed)
    assert draw(rng.sample(rows, len(rows)), limit, seed) == drawn
    assert set(drawn) <= set(rows)
    assert len(drawn) == min(limit, len(rows))
    counts = {task: sum(row.task == task for row in drawn) for task in {row.task for row in rows}}
    left = {task for task in counts if counts[task] < sum(row.task == task for row in rows)}
    assert all(counts[task] >= max(counts.values()) - 1 for task in left)
    assert set(draw(rows, max(limit - 1, 1), seed)) <= set(drawn)


def test_other_seeds_draw_other_rows():
    rows = [EvalRow(f"message {number}", ("x",), "exact") for number in range(100)]
    assert len({frozenset(draw(rows, 10, seed)) for seed in range(5)}) == 5


@given(st.lists(st.builds(
    EvalRow, text=st.sampled_from("ab"), answers=st.sampled_from([("x",), ("y", "x"), ("z",)]), metric=st.just("exact"),
    choices=st.sampled_from([(), ("x", "y", "z")]), line=st.integers(1, 9),
)), st.randoms())  # fmt: skip
def test_rows_that_ask_the_same_are_one_with_all_their_answers_in_whatever_order_they_stand(rows, rng):
    once = each_once(rows)
    assert {row.question: set(row.answers) for row in once} == {
        row.question: {answer for other in rows if other.question == row.question for answer in other.answers}
        for row in rows
    }
    assert len(once) == len({(row.text, row.choices) for row in rows})
    assert draw(once, None, 0) == draw(each_once(once * 2), None, 0)
    turned = each_once(rng.sample(rows, len(rows)))
    assert {row.identity for row in turned} == {row.identity for row in once}


def test_a_row_that_is_there_once_keeps_its_answers_in_their_order():
    row = EvalRow("a", ("y", "x"), "exact")
    assert each_once([row, row]) == (row,)


@pytest.mark.parametrize(
    ("lines", "text"),
    [([2], "line 2"), ([2, 3], "lines 2 and 3"), ([2, 3, 4], "lines 2, 3 and 4"),
     (range(1, 6), "lines 1, 2, 3, 4 and 5"), (range(1, 7), "lines 1, 2, 3, 4, 5 and 1 more")],
)  # fmt: skip
def test_lines_are_named_and_of_many_the_first_ones(lines, text):
    assert named_lines(lines) == text


def test_where_a_row_stands_is_no_part_of_its_identity():
    first, second = read_rows(numbered([json.loads('{"text": "a", "answer": "b"}')] * 2), ADAPTERS)[0]
    assert first.identity == second.identity
    assert first.line != second.line
