"""Search: words and their beginnings, and any substring where a script puts no spaces between words."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import HistoryError
from dlp_local.history import History
from dlp_local.history.database import DamagedHistoryError

SENTENCES = {
    "Chinese": "请问明天北京的天气怎么样",
    "a rare ideograph": "𠮷野家在哪里",
    "Japanese": "東京タワーへ行きたいです",
    "Korean": "오늘 날씨가 좋네요",
    "Thai": "บ้านของฉันอยู่ที่กรุงเทพ",
    "Lao": "ສະບາຍດີເຈົ້າ",
    "Khmer": "សួស្តីភ្នំពេញ",
    "Burmese": "ချစ်တယ်ကမ္ဘာ",
    "Tibetan": "བཀྲ་ཤིས་བདེ་ལེགས",
}
TSHEG = "་"
"""What stands between the syllables of Tibetan; it is no letter."""

ideographs = st.text(st.sampled_from("请问明天北京的气怎么样𠮷東へ行き날씨가บ้าน"), min_size=1, max_size=30)


@pytest.fixture
def history():
    opened = History(None)
    yield opened
    opened.close()


def store(history, *texts, answer="yes"):
    number = history.start()
    for text in texts:
        turn = history.add_turn(number, None, text)
        history.finish(turn.id, answer, None)
    return number


def marked(hit):
    return {hit.excerpt[start:end] for start, end in hit.spans}


@pytest.mark.parametrize("script", SENTENCES)
@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_every_part_of_a_text_without_spaces_is_found_and_marked(history, script, length):
    text = SENTENCES[script]
    store(history, "something else", text)
    for start in range(len(text) - length + 1):
        part = text[start : start + length].strip(TSHEG)
        if part and " " not in part:
            (hit,) = history.search(part)
            assert part in marked(hit)
            assert "\x1f" not in hit.excerpt


@settings(deadline=None)
@given(before=ideographs, text=ideographs, after=ideographs)
def test_any_substring_is_found(before, text, after):
    history = History(None)
    store(history, before + text + after)
    assert len(history.search(text)) == 1
    history.close()


def test_characters_that_do_not_stand_together_are_not_found_as_one(history):
    store(history, "请问明天北京的天气怎么样")
    assert history.search("天怎") == []
    assert len(history.search("明天 怎么")) == 1


def test_other_scripts_are_found_by_words_and_the_beginning_of_the_last_one(history):
    store(history, "Please start the iPhone手机 now", "हिन्दी में लिखो", "Cafe\u0301 über")
    assert len(history.search("start iph")) == 1
    assert history.search("art") == []
    assert history.search("sta iphone") == []
    assert len(history.search("手机")) == 1
    assert len(history.search("iphone手")) == 1
    assert len(history.search("हिन्दी")) == 1
    assert len(history.search("cafe UBER")) == 1


def test_a_text_is_found_in_each_form_that_it_may_be_written_in(history):
    store(history, "ＡＢＣ", "ﾊﾝｶｸ ガ", "Straße", "ΟΔΟΣ", answer="")
    for words in ("abc", "ａｂｃ", "ハンカク", "ﾊﾝｶｸ", "ｶﾞ", "strasse", "STRASSE", "straße", "οδος", "ὁδός"[1:]):
        assert len(history.search(words)) == 1 or words == "δός", words
    (hit,) = history.search("ハンカク")
    assert marked(hit) == {"ハンカク"}


def test_signs_are_looked_for_as_they_are_written(history):
    store(history, "C++ or C#?", "a café", "done 😀。", 'say "so"', answer="")
    assert [hit.turn for hit in history.search("c++")] == [1]
    assert [hit.turn for hit in history.search("C#")] == [1]
    for sign, turn in (("++", 1), ("?", 1), ("😀", 3), ("。", 3), ('"so"', 4)):
        assert [hit.turn for hit in history.search(sign)] == [turn], sign
    assert history.search("c--") == []


def test_a_conversation_is_found_by_its_title_and_once_where_a_turn_of_it_is(history):
    tax, other = store(history, "how much?", "and more?"), store(history, "more of it")
    history.rename(tax, "Über taxes 2024")
    (hit,) = history.search("uber tax")
    assert (hit.conversation, hit.turn, hit.excerpt, marked(hit)) == (tax, 2, "Über taxes 2024", {"Über", "taxes"})
    assert history.search("axes") == history.search("taxes 2023") == []
    assert [hit.conversation for hit in history.search("more")] == [other, tax]
    history.delete(tax)
    assert history.search("taxes") == []


def test_an_answer_is_found_once_it_is_finished(history):
    turn = history.add_turn(history.start(), None, "a question")
    history.write_answer(turn.id, "half of the marmalade")
    assert history.search("marmalade") == []
    history.finish(turn.id, "all of the marmalade", None)
    assert len(history.search("marmalade")) == 1
    history.finish(turn.id, "no jam at all", None)
    assert history.search("marmalade") == []
    assert len(history.search("jam")) == 1


def test_the_newest_hits_come_first(history):
    store(history, *(f"message {number}" for number in range(60)))
    assert [hit.turn for hit in history.search("message", limit=3)] == [60, 59, 58]


def test_signs_that_mark_hits_may_be_in_a_text(history):
    store(history, "one \x02two\x03 three\x1ffour")
    (hit,) = history.search("two")
    assert marked(hit) == {"two"}


GARBAGE = [
    "UPDATE turns_fts_data SET block = randomblob(length(block))",
    "UPDATE turns_fts_data SET block = x'00'",
    "UPDATE turns_fts_data SET block = randomblob(50) WHERE id > 10",
    # a number of levels that SQLite would need more memory for than there is
    "UPDATE turns_fts_data SET block = x'00000000433d2e44fed8b6b87e44cd' WHERE id = 10",
    "DELETE FROM turns_fts_data",
    "DELETE FROM turns_fts_config",
    "UPDATE turns_fts_config SET v = 99",
    "DELETE FROM turns_fts_docsize",
]


@pytest.mark.parametrize("damage", GARBAGE)
@pytest.mark.parametrize("action", ["search", "add", "purge"])
def test_a_damaged_index_is_built_anew(tmp_path, damage, action):
    file = tmp_path / "history.db"
    history = History(file)
    number = store(history, *(f"hello number {n}" for n in range(30)))
    other = store(history, "hello from another conversation")
    history.close()
    with sqlite3.connect(file) as database:
        database.execute(damage)
    database.close()
    history = History(file)
    if action == "search":
        assert len(history.search("hello")) == 31
    elif action == "add":
        store(history, "hello again")
        assert len(history.search("hello")) == 32
    else:
        history.purge(number)
        assert [hit.conversation for hit in history.search("hello")] == [other]
    history.close()


def test_nothing_of_a_purged_conversation_is_left_in_the_file_in_any_script(tmp_path):
    file = tmp_path / "history.db"
    history = History(file)
    kept = store(history, "keep this one", "天气很好")
    gone = store(history, "a secret word: xylophone", "秘密的木琴演奏", answer="glockenspiel")
    history.set_draft(gone, "vibraphone")
    history.delete(gone)
    history.purge()
    assert [hit.conversation for hit in history.search("天气")] == [kept]
    history.close()
    content = file.read_bytes()
    for secret in ("xylophone", "glockenspiel", "vibraphone", "秘密的", "琴"):
        assert secret.encode() not in content


storable = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None)
@given(storable, st.sampled_from(["", "\x1f", "\x1c", "\x02", "\0", "\x85"]))
def test_a_search_without_hits_is_no_error_whatever_was_said(text, separator):
    history = History(None)
    store(history, f"{text}one{separator}two three{text}")
    assert history.search("nothinglikeit") == []
    history.close()


@pytest.mark.parametrize("text", ["one\x1ftwo three", "one\x1dtwo three", "a\x02b\x1fc", "one\0two"])
def test_a_text_is_found_by_itself_whatever_separates_its_words(history, text):
    store(history, text)
    assert len(history.search(text)) == 1
    assert history.search("nothinglikeit") == []


def test_a_damaged_index_is_never_a_reason_to_move_the_conversations_away(tmp_path, monkeypatch):
    file = tmp_path / "history.db"
    history = History(file)
    store(history, "hello")
    monkeypatch.setattr(History, "_rebuild_index", lambda _: None)
    history._rows("DELETE FROM turns_fts_data")
    with pytest.raises(HistoryError, match=r"index is damaged.*conversations are whole") as told:
        history.search("hello")
    assert "Move" not in str(told.value)
    assert not isinstance(told.value, DamagedHistoryError)
    assert [info.title for info in history.conversations()] == ["hello"]
    history.close()
