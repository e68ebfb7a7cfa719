"""What counts as a right answer: hand-worked cases, and the packages' own numbers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.json_text import is_same_json
from dlp_local.engine.constraints.gbnf import check_grammar
from dlp_local.evaluation.metrics import METRICS
from dlp_local.evaluation.metrics.choices import choice_grammar, chosen, most_likely
from dlp_local.evaluation.metrics.overlap import bleu_signature
from dlp_local.evaluation.metrics.queries import same_lone_row, same_rows
from dlp_local.evaluation.metrics.words import command_words, slot_counts
from dlp_local.evaluation.row import EvalRow


def row_of(metric, *answers, text="x", choices=()):
    return EvalRow(text, answers, metric, choices=choices)


def value(metric, answer, *answers, **more):
    """The score of one answer by itself."""
    return METRICS[metric].value(METRICS[metric].measure(answer, row_of(metric, *answers, **more)))


def total(metric, pairs):
    """The score of many answers, each with its references."""
    measures = [METRICS[metric].measure(answer, row_of(metric, *answers)) for answer, answers in pairs]
    return float(METRICS[metric].total(np.sum(measures, axis=0)))


@pytest.mark.parametrize(
    ("metric", "answer", "answers", "right"),
    [
        ("exact", " ls -l\n", ["ls -l"], 1),
        ("exact", "ls  -l", ["ls -l"], 0),
        ("exact", "b", ["a", "b"], 1),
        ("object", '{"b": [1, 2], "a": 1}', ['{"a": 1, "b": [1, 2]}'], 1),
        ("object", '{"b": [2, 1], "a": 1}', ['{"a": 1, "b": [1, 2]}'], 0),
        ("object", '{"a": 1', ['{"a": 1}'], 0),
        ("object", '{"a": true}', ['{"a": 1}'], 0),
        ("object", '{"a": [0]}', ['{"a": [false]}'], 0),
        ("object", '{"a": {"b": 1.0}}', ['{"a": {"b": 1}}'], 1),
        ("object", "[1, 2]", ["[1, 2]"], 1),
        ("object", "[1]", ["[1, 2]"], 0),
        ("object", '{"a": 2}', ['{"a": 1}', '{"a": 2}'], 1),
        ("command", "$ grep  -r 'a b' .", ['grep -r "a b" .'], 1),
        ("command", "```sh\ngrep a b\n```", ["grep a b"], 1),
        ("command", "ls|wc -l", ["ls | wc -l"], 1),
        ("command", "ls -l -a", ["ls -la"], 0),
        ("command", "echo 'it", ["echo 'it"], 1),
        ("command", "echo # a", ["echo # b"], 0),
    ],
)
def test_an_answer_is_right_where_it_says_the_same(metric, answer, answers, right):
    assert value(metric, answer, *answers) == right


def test_slots_are_counted_over_all_rows():
    wanted = '{"food": "thai", "when": {"day": "friday", "hour": "7"}, "guests": ["ana", "bo"]}'
    given_ = '{"food": "thai", "when": {"day": "monday"}, "guests": ["bo", "cy"]}'
    assert slot_counts(given_, wanted) == (2, 4, 5)
    assert value("slot-f1", given_, wanted) == pytest.approx(2 * 2 / 9)
    assert slot_counts("{}", "{}") == (0, 0, 0)
    assert value("slot-f1", "{}", "{}") == 1
    assert value("slot-f1", "no object", "{}") == 0
    assert value("slot-f1", '{"a": 1.0, "b": true}', '{"a": 1, "b": 1}') == 0.5
    assert value("slot-f1", "[1, 2]", "[2, 3]") == 0.5
    assert value("slot-f1", "[" * 960 + "]" * 960, wanted) == 0
    assert value("slot-f1", given_, "{}", wanted) == pytest.approx(4 / 9)
    assert total("slot-f1", [(given_, [wanted]), ('{"a": 1}', ['{"a": 1}'])]) == pytest.approx(2 * 3 / (5 + 6))


@pytest.mark.parametrize(
    ("answer", "choices", "named"),
    [
        ("(B)", ["(A)", "(B)"], "(B)"),
        ("The answer is (B), not (A).", ["(A)", "(B)"], "(B)"),
        ("**Yes**", ["yes", "no"], "yes"),
        ("nothing of it", ["yes", "no"], None),
        ("knowing", ["no", "yes"], None),
        ("card_arrival", ["card", "card_arrival"], "card_arrival"),
        ("lost card reported", ["lost", "lost card"], "lost card"),
        ("It is US.", ["us", "US"], "US"),
        ("", ["a", "b"], None),
        ("答案是日本。", ["中国", "日本"], "日本"),
        ("正しいのは東京都です", ["東京", "東京都"], "東京都"),
        ("คำตอบคือใช่ครับ", ["ไม่", "ใช่"], "ใช่"),
        ("это неверно", ["верно", "неверно"], "неверно"),
        ("답은 서울", ["부산", "서울"], "서울"),
    ],
)
def test_the_choice_that_an_answer_names(answer, choices, named):
    assert chosen(answer, choices) == named
    right = value("choice", answer, choices[1], choices=tuple(choices))
    assert right == (named == choices[1])


@given(st.text(min_size=1).filter(lambda text: text.isprintable() or "\n" in text))
def test_a_choice_is_a_grammar_of_its_own(text):
    if not any(0xD800 <= ord(sign) < 0xE000 for sign in text):
        assert AnswerFormat(grammar=check_grammar(choice_grammar(text)))


def test_the_most_likely_choice_is_that_of_the_greatest_sum():
    assert most_likely({"b": -1.0, "a": -2.0, "c": -1.5}) == "b"
    assert most_likely({"b": -1.0, "a": -1.0}) == "a"
    assert value("likelihood", "b", "b", choices=("a", "b")) == 1
    assert value("likelihood", "a", "b", choices=("a", "b")) == 0


QUESTION = "Which lane has Brazil with a time under 21.15?\ncolumns: lane, nationality, rank, time"
RIGHT = "SELECT SUM(lane) FROM t WHERE nationality = 'Brazil' AND time < 21.15"


@pytest.mark.parametrize(
    ("query", "in_many", "in_one"),
    [
        (RIGHT, True, True),
        ("SELECT sum(lane) FROM t WHERE time < 21.15 AND nationality = 'Brazil'", True, True),
        (RIGHT.replace("SUM", "AVG"), False, True),
        (RIGHT.replace("SUM(lane)", "lane"), False, True),
        (RIGHT.replace("SUM", "COUNT"), False, False),
        (RIGHT.replace("lane", "rank"), False, False),
        (RIGHT.replace("Brazil", "Chile"), False, False),
        (RIGHT.replace(" AND time < 21.15", ""), False, False),
        (RIGHT.replace("nationality = 'Brazil' AND ", ""), False, False),
        (RIGHT.replace("<", ">"), False, False),
        ("SELECT", False, False),
        ("SELECT missing FROM t", False, False),
        ("DELETE FROM t", False, False),
        ("ATTACH DATABASE 'made.db' AS other", False, False),
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n", False, False),
        ("SELECT zeroblob(1000000000)", False, False),
        ("SELECT randomblob(16000) FROM t, t AS u, t AS v", False, False),
        (
            "WITH "
            + ", ".join(
                ["a0 AS (SELECT 1)", *(f"a{n} AS (SELECT 1 FROM a{n - 1}, a{n - 1} AS b)" for n in range(1, 40))]
            )
            + " SELECT * FROM a39",
            False,
            False,
        ),
        ("WITH own AS (SELECT * FROM t) " + RIGHT.replace("FROM t", "FROM own"), True, True),
    ],
)
def test_queries_are_compared_by_the_rows_that_they_give(query, in_many, in_one, tmp_path, monkeypatch):
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert (same_rows(query, RIGHT, QUESTION), same_lone_row(query, RIGHT, QUESTION)) == (in_many, in_one)
    assert not list(folder.iterdir())


def test_no_query_fills_the_memory():
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
    tracemalloc.start()
    try:
        assert not same_rows(f"{numbers} zeroblob(16000) FROM n", RIGHT, QUESTION)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_where_no_columns_are_named_the_right_query_has_them():
    right = "SELECT name FROM people WHERE age > 30 AND city = 'from Rome'"
    assert value("sql", "select name from people where city = 'from Rome' and age > 30", right) == 1
    assert value("sql", "select name from people where age > 30", right) == 0
    assert value("sql", "select name from people where age > 31 and city = 'from Rome'", right, right) == 0


@pytest.mark.parametrize(
    ("right", "wrong", "same"),
    [
        ("SELECT a FROM t WHERE b IN ('x', 'y')", "SELECT a FROM t WHERE b IN ('z')",
         "select a from t where b='y' or b='x'"),
        ("SELECT a FROM t WHERE b NOT IN ('x')", "SELECT a FROM t WHERE b NOT IN ('z')",
         "SELECT a FROM t WHERE b <> 'x'"),
        ("SELECT a FROM t WHERE b BETWEEN 3 AND 5", "SELECT a FROM t WHERE b BETWEEN 4 AND 5",
         "SELECT a FROM t WHERE b >= 3 AND b <= 5"),
        ("SELECT a FROM t WHERE b == 'x'", "SELECT a FROM t WHERE b == 'z'", "SELECT a FROM t WHERE b = 'x'"),
        ("SELECT a FROM t WHERE b like '%x%'", "SELECT a FROM t WHERE b like '%z%'",
         "SELECT A FROM T WHERE B LIKE '%X%'"),
        ('SELECT a FROM t WHERE b = "x"', 'SELECT a FROM t WHERE b = "z"', "SELECT a FROM t WHERE b = 'x'"),
        ("SELECT a FROM t WHERE b = '+7'", "SELECT a FROM t WHERE b = '+8'", "SELECT a FROM t WHERE '+7' = b"),
        ("SELECT a FROM t WHERE B = 'x'", "SELECT a FROM t WHERE b = 'z'", "SELECT a FROM t WHERE b = 'x'"),
        ("SELECT a FROM t WHERE [the b] = 'x'", "SELECT a FROM t WHERE [the b] = 'z'",
         "SELECT a FROM t WHERE \"the b\" = 'x'"),
        ("SELECT t.a FROM t WHERE t.b = 'x'", "SELECT t.a FROM t WHERE t.b = 'z'", "SELECT a FROM t WHERE b = 'x'"),
        ('SELECT "the a" FROM "my table" WHERE b = 3', 'SELECT "the a" FROM "my table" WHERE b = 4',
         "SELECT [the a] FROM [my table] WHERE b = 3"),
        ("SELECT COUNT(*) FROM t WHERE b = 'x' AND c = 1 AND d = 2 AND e = 3 AND f = 4 AND g = 5",
         "SELECT COUNT(*) FROM t WHERE b = 'x' AND c = 1 AND d = 2 AND e = 3 AND f = 4 AND g = 6",
         "SELECT COUNT(*) FROM t WHERE g = 5 AND f = 4 AND e = 3 AND d = 2 AND c = 1 AND b = 'x'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("message", ["x", "x\ncolumns: a, b", "x\ncolumns: A, the b, B, b"])
def test_conditions_are_tried_however_they_are_spelt(right, wrong, same, message):
    for same_by in (same_rows, same_lone_row):
        assert (same_by(right + " ", right, message), same_by(same, right, message)) == (True, True)
        assert not same_by(wrong, right, message)
        assert not same_by("SELECT a FROM t WHERE 1 = 2", right, message)
    assert not METRICS["sql"].misfit([right])


@pytest.mark.parametrize(
    ("right", "told"),
    [
        ("SELECT a FROM t JOIN u ON t.b = u.b", "no such table: u"),
        ("SELECT a FROM t WHERE", "incomplete input"),
        ("DROP TABLE t", "not authorized"),
        ("SELECT a FROM t WHERE 'x' = 'y'", "what it gives of an empty one"),
        ("SELECT 1", "what it gives of an empty one"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
    ],
)
def test_a_right_query_that_says_nothing_of_a_table_of_its_own_is_right_in_its_own_words_alone(right, told):
    for name in ("sql", "sql-one-row"):
        assert told in METRICS[name].misfit(["SELECT a FROM t", right])
        assert (value(name, right, right), value(name, right + " -- x", right)) == (1, 0)


@given(st.text(), st.text())
def test_any_text_is_a_query_that_can_be_judged(answer, right):
    for same in (same_rows, same_lone_row):
        assert same(answer, right, right) in ((True,) if answer.strip() == right.strip() else (True, False))


SENTENCES = [
    ("the cat sat on a mat", ["the cat sat on the mat today", "a cat sat on a mat"]),
    ("hello general kenobi there", ["hello there general kenobi, you are a bold one"]),
    ("The Mill is a pub in the city centre.", ["The Mill is a pub located in the city centre."]),
    ("", ["something"]),
]


def test_bleu_is_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs the eval extra")
    given_ = [answer for answer, _ in SENTENCES]
    streams = [[answers[i] if i < len(answers) else None for _, answers in SENTENCES] for i in range(2)]
    assert total("bleu", SENTENCES) == pytest.approx(sacrebleu.corpus_bleu(given_, streams).score / 100, abs=1e-12)
    for answer, answers in SENTENCES:
        assert value("bleu", answer, *answers) == pytest.approx(sacrebleu.sentence_bleu(answer, answers).score / 100)
    short = [("a b", ["a b"]), ("c", ["c d"])]
    assert total("bleu", short) == sacrebleu.corpus_bleu(["a b", "c"], [["a b", "c d"]]).score / 100
    assert value("bleu", "a b", "a b") == pytest.approx(1)
    one = sacrebleu.metrics.BLEU()
    one.corpus_score(given_, streams[:1])
    assert bleu_signature([1, 1]) == str(one.get_signature())
    several = sacrebleu.metrics.BLEU()
    several.corpus_score(given_, streams)
    assert bleu_signature([2, 1]) == str(several.get_signature())
    same = sacrebleu.metrics.BLEU()
    same.corpus_score(given_, [given_, given_])
    assert bleu_signature([2, 2, 2, 2]) == str(same.get_signature())


def test_bleu_of_many_sums_is_that_of_each():
    pytest.importorskip("sacrebleu", reason="needs the eval extra")
    measures = np.array([METRICS["bleu"].measure(answer, row_of("bleu", *answers)) for answer, answers in SENTENCES])
    counts = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 0, 3, 1]])
    each = [float(METRICS["bleu"].total(one @ measures)) for one in counts]
    assert METRICS["bleu"].total(counts @ measures).tolist() == each


@pytest.mark.parametrize(("metric", "kind"), [("rouge1", "rouge1"), ("rougeL", "rougeL")])
def test_rouge_is_rouge_scores(metric, kind):
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="needs the eval extra").RougeScorer([kind])
    for answer, answers in SENTENCES:
        best = max(scorer.score(one, answer)[kind].fmeasure for one in answers)
        assert value(metric, answer, *answers) == pytest.approx(best)
    assert value("rouge1", "a b c d", "a b x y") == 0.5
    assert value("rougeL", "b a", "a b") == 0.5


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "{}", '{"a": 1}']), st.just(['{"a": 1}'])), min_size=1))
def test_a_metric_of_means_is_the_mean_of_its_rows(pairs):
    for metric in ("exact", "object"):
        assert total(metric, pairs) == pytest.approx(np.mean([value(metric, *[a, *w]) for a, w in pairs]))


def test_a_number_alone_is_no_object_and_no_words_are_no_command():
    assert not is_same_json("1", "1")
    assert command_words("") == []
