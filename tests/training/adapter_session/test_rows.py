"""Rows that a person teaches by: what is read, what is refused and where, and what is held out."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.core.values import Message
from dlp_local.training.adapter.rows import (
    FEWEST,
    TrainingRow,
    kept_rows,
    read_training_rows,
    split_rows,
    write_rows,
)


def row(prompt, answer="yes"):
    return TrainingRow((Message("user", prompt),), answer)


def rows(count):
    return [row(f"question {number}") for number in range(count)]


def written(tmp_path, content, name="rows.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def jsonl(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def read(tmp_path, content, name="rows.jsonl"):
    return read_training_rows(written(tmp_path, content, name)).rows


PAIR = '{"prompt": "größer?", "answer": "ja"}\n'
READ = (row("größer?", "ja"),)


@pytest.mark.parametrize(
    "content",
    [
        PAIR.encode(),
        b"\xef\xbb\xbf" + PAIR.encode(),
        PAIR.encode("utf-16"),
        PAIR.encode("utf-16-le"),
        PAIR.replace("\n", "\r\n").encode() + b"\r\n  \r\n",
        PAIR.replace("prompt", "text").encode(),
        b'{"messages": [{"role": "user", "content": "gr\\u00f6\\u00dfer?"}, {"role": "assistant", "content": " ja "}]}',
    ],
)
def test_jsonl_is_read_in_every_encoding_and_by_every_name_of_the_message(tmp_path, content):
    assert read(tmp_path, content) == READ


@pytest.mark.parametrize(
    "content",
    [
        "prompt,answer\ngrößer?,ja\n",
        "\ufeffPrompt; Answer\ngrößer?;ja\n",
        "id\tanswer\ttext\n1\tja\tgrößer?\n",
        'answer,prompt,"a, b"\nja,größer?,x,y,z\n',
    ],
)
def test_csv_is_read_by_the_names_of_its_columns_whatever_divides_them(tmp_path, content):
    assert read(tmp_path, content, "rows.CSV") == READ


def test_a_cell_of_several_lines_is_one_row(tmp_path):
    found = read(tmp_path, 'prompt,answer\n"a\nb","c\n\nd"\n', "rows.csv")
    assert found == (row("a\nb", "c\n\nd"),)


def test_a_folder_of_pairs_is_read_in_the_order_of_its_names(tmp_path):
    for name, text in (("b", "second"), ("a", "first")):
        (tmp_path / f"{name}.prompt.txt").write_text(f"{text}?\n")
        (tmp_path / f"{name}.answer.txt").write_text(f"{text}!\n")
    (tmp_path / "README.md").write_text("mine")
    assert read_training_rows(tmp_path).rows == (row("first?", "first!"), row("second?", "second!"))


def test_a_conversation_keeps_its_system_prompt_and_earlier_turns(tmp_path):
    talk = [("system", "Be short."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    messages = [{"role": role, "content": text} for role, text in talk]
    (found,) = read(tmp_path, jsonl({"messages": messages}))
    assert found == TrainingRow(tuple(Message(*one) for one in talk[:-1]), "d")
    assert found.prompt == "c"


def test_every_bad_row_is_told_by_its_line_and_reason(tmp_path):
    content = jsonl(
        {"prompt": "a", "answer": "b"},
        {"prompt": "a"},
        {"prompt": "", "answer": "b"},
        {"prompt": 7, "answer": "b"},
        ["a", "b"],
        {"messages": "a"},
        {"messages": []},
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": [{"role": "tool", "content": "a"}]},
        {"prompt": "\ud800", "answer": "b"},
    )
    with pytest.raises(InputError) as refused:
        read(tmp_path, content + "{'prompt'\n")
    assert str(refused.value).splitlines()[0].endswith("rows.jsonl: 10 rows cannot be learnt from:")
    reasons = dict(line.strip().split(": ", 1) for line in str(refused.value).splitlines()[1:])
    assert list(reasons) == [f"line {number}" for number in range(2, 12)]
    told = [
        "has no answer",
        "has no prompt",
        "has no prompt",
        "is no object",
        "messages is no list",
        "take turns",
        "take turns",
        "the role 'tool'",
        "half a character",
        "is not JSON",
    ]
    for reason, part in zip(reasons.values(), told, strict=True):
        assert part in reason


@pytest.mark.parametrize("roles", ["uauaa", "uua", "au", "usa", "uaus", "s"])
def test_roles_that_do_not_take_turns_are_refused(tmp_path, roles):
    names = {"u": "user", "a": "assistant", "s": "system"}
    messages = [{"role": names[role], "content": "x"} for role in roles]
    with pytest.raises(InputError, match="line 1: user and assistant do not take turns"):
        read(tmp_path, jsonl({"messages": messages}))


def test_of_many_bad_rows_the_first_are_told_and_how_many_more_there_are(tmp_path):
    with pytest.raises(InputError, match=r"30 rows cannot[^$]*line 10: [^$]*\n  and 20 more$"):
        read(tmp_path, "no\n" * 30)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.jsonl", "", "holds no rows. Write {"),
        ("rows.jsonl", " \n\n", "holds no rows. Write {"),
        ("rows.json", '[\n{"prompt": "a", "answer": "b"}]', r"is one list. Write one object a line, as `jq -c \.\[\]`"),
        ("rows.jsonl", b"\x93\x94\n", "is not UTF-8"),
        ("rows.csv", "", "has no columns prompt and answer"),
        ("rows.csv", "question,reply\na,b\n", "has no columns prompt and answer"),
        ("rows.csv", "prompt,answer\n", "holds no rows"),
        ("rows.csv", f"prompt,answer\na,{'b' * 200_000}\n", "line 2: is no CSV"),
        ("rows.csv", f"prompt,answer{'b' * 200_000}\n", "line 1: is no CSV"),
        ("rows.csv", "prompt,answer\na\n", "line 2: has no answer"),
    ],
)
def test_a_file_without_rows_is_refused_with_what_to_do(tmp_path, name, content, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, content, name)


def test_a_folder_without_its_pairs_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"holds no rows\. Put NAME\.prompt\.txt and NAME\.answer\.txt into it"):
        read_training_rows(tmp_path)
    (tmp_path / "a.prompt.txt").write_text("a")
    with pytest.raises(InputError, match=r"a\.answer\.txt: is not there, and the other file of the pair is"):
        read_training_rows(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: cannot be read \(No such file"):
        read_training_rows(tmp_path / "nowhere")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["prompt", "text", "answer", "messages", "role", "content"]), inner, max_size=4
        )
    ),
)
LINES = JSON.map(json.dumps) | st.text(max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.lists(LINES, max_size=5).map("\n".join).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(),
    st.sampled_from(["rows.jsonl", "rows.csv"]),
)
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path, content, name):
    try:
        found = read(tmp_path, b"prompt,answer\n" + content if name.endswith("csv") else content, name)
    except InputError:
        return
    assert all(one.answer and one.prompt for one in found)
    again = tmp_path / "again.jsonl"
    write_rows(again, found)
    assert read_training_rows(again).rows == found


def test_a_row_that_is_there_twice_counts_once_and_other_answers_are_told(tmp_path):
    pairs = [("a", "1"), ("a", "1"), ("a", "2"), ("b", "1"), ("a", "1")]
    found = read_training_rows(written(tmp_path, jsonl(*({"prompt": p, "answer": a} for p, a in pairs))))
    assert (len(found.rows), found.duplicates, found.ambiguous) == (3, 2, 1)


@pytest.mark.parametrize(("count", "held_out"), [(10, 5), (20, 5), (50, 10), (400, 80), (2000, 100)])
def test_a_fifth_is_held_out_but_never_so_few_that_it_shows_nothing_nor_more_than_are_needed(count, held_out):
    split = split_rows(rows(count))
    assert (len(split.train), len(split.held_out)) == (count - held_out, held_out)
    assert not {*split.train} & {*split.held_out}
    assert split == split_rows(rows(count))


def test_what_is_held_out_does_not_hang_on_the_order_of_the_rows():
    assert {*split_rows(rows(40)).held_out} == {*split_rows(rows(40)[::-1]).held_out}


def test_all_answers_to_one_message_are_on_the_same_side():
    split = split_rows([row(f"question {number % 20}", str(number)) for number in range(60)])
    assert not {one.messages for one in split.train} & {one.messages for one in split.held_out}


@pytest.mark.parametrize("few", [rows(FEWEST - 1), [row("the same", str(number)) for number in range(50)]])
def test_too_few_different_messages_are_refused_with_how_many_there_are(few):
    count = len({one.messages for one in few})
    with pytest.raises(
        InputError, match=rf"needs 10 rows of different messages, .* (is|are) {count}\. Write some more"
    ):
        split_rows(few)


def test_rows_to_judge_by_are_taken_whole_and_left_out_of_those_to_train_on():
    split = split_rows([row("a"), row("b", "1"), row("b", "2"), row("c")], [row("b"), row("d")])
    assert split.train == (row("a"), row("c"))
    assert (split.held_out, split.leaked) == ((row("b"), row("d")), 2)


def test_rows_that_are_all_held_out_leave_nothing_to_train_on():
    with pytest.raises(InputError, match="every row to train on is held out, too"):
        split_rows([row("a")], [row("a"), row("b")])


def test_rows_are_kept_under_the_name_of_their_adapter(tmp_path):
    file = kept_rows(tmp_path, "sql")
    write_rows(file, rows(3))
    assert read_training_rows(file).rows == tuple(rows(3))
    assert [path.name for path in tmp_path.iterdir()] == ["sql.jsonl"]


def test_what_python_writes_for_a_missing_number_is_no_matter_in_a_field_that_is_not_read(tmp_path):
    given = jsonl(*({"prompt": f"question {n}", "answer": "yes", "score": float("nan")} for n in range(FEWEST)))
    assert read(tmp_path, given) == tuple(rows(FEWEST))
