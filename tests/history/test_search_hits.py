"""The words of a search are marked in a text where the search index finds them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.history import History
from dlp_local.history.search_hits import finder, hits


def marked(text, words):
    return [text[start:end] for start, end in hits(text, words)]


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("The needle, needles and Needle", "needle", ["needle", "needles", "Needle"]),
        ("The needle, needles and Needle", "needle the", ["The", "needle", "Needle"]),
        ("a co-op and a coop", "co-op", ["co-op"]),
        ("Cafe\u0301 über all", "café UBER", ["Cafe\u0301", "über"]),
        ("请问明天北京的天气怎么样", "天气", ["天气"]),
        ("iPhone手机", "iph 手", ["手"]),
        ("iPhone手机", "手 iph", ["iPhone", "手"]),
        ("in C++ or C#, c or café", "c++", ["C++"]),
        ("in C++ or C#, c or café", "C#", ["C#"]),
        ("the ＡＢＣ of ﾊﾝｶｸ ｶﾞｷﾞ", "abc ハンカク", ["ＡＢＣ", "ﾊﾝｶｸ"]),
        ("the ＡＢＣ of ﾊﾝｶｸ ｶﾞｷﾞ", "ギ", ["ｷﾞ"]),
        ("die Straße, ﬁne", "strasse", ["Straße"]),
        ("die Straße, ﬁne", "fine", ["ﬁne"]),
        ("die STRASSE", "straße", ["STRASSE"]),
        ("so 😀 。", "😀", ["😀"]),
        ("\u1102\u1161\u11af씨", "날", ["\u1102\u1161\u11af"]),
        ("がき", "か", []),
        ("nothing of it", "needle", []),
        ("", "needle", []),
        ("text", "  ", []),
        ("text", "--", []),
    ],
)
def test_a_word_is_marked_wherever_it_stands_and_the_last_one_also_as_a_beginning(text, words, expected):
    assert marked(text, words) == expected


characters = st.text(st.sampled_from("abÄß1ç-手机 sＡ+½…ｶﾞガ#😀\u0301"), max_size=8)


@given(text=characters, words=characters)
def test_what_is_found_by_all_words_is_what_each_of_them_marks(text, words):
    *before, last = words.split() or [""]
    each = [hits(text, f"{word} \x02") for word in before] + [hits(text, last)]
    assert bool(finder(words)(text)) == all(each)


@settings(deadline=None)
@given(text=characters, word=characters.map(lambda written: written.replace(" ", "")))
def test_a_word_is_marked_just_where_the_index_finds_it(text, word):
    history = History(None)
    turn = history.add_turn(history.start(), None, text)
    history.finish(turn.id, "", None)
    assert bool(history.search(word)) == bool(hits(text, word))
    history.close()
