"""The messages that the SmolLM2 pack's router learns from: pieces, composites, and requests that only sound alike."""

import random
import re

from dlp_local.core.values import BASE
from tools import long_texts, near_requests, router_parts
from tools.booking_rows import is_booking, is_talk
from tools.data import Row

MESSAGES = {
    "banking": ["My card is lost. Can I get a new one?", "Is there a fee"],
    "cron": ["every day at noon", "on Mondays and Fridays, then at nine"],
    "sql": ["How many are there and when?\ncolumns: name, year"],
}


def test_a_message_is_cut_at_lines_sentences_and_joints():
    assert router_parts.pieces("How many?\nplay some jazz") == ["How many?", "play some jazz"]
    assert router_parts.pieces("How many?\ncolumns: a, b") == []
    assert router_parts.pieces("find the logs and then delete them") == ["find the logs", "delete them"]
    assert router_parts.pieces("every day at noon") == []


def test_of_three_pieces_the_runs_of_two_are_there_as_well():
    runs = router_parts.pieces("It is late. It is lost. Help.")
    assert runs == ["It is late.", "It is lost.", "Help.", "It is lost. Help.", "It is late. It is lost."]


def test_a_piece_has_the_label_of_its_task():
    rows = router_parts.piece_rows(MESSAGES, {"sql": 5, "banking": 1}, random.Random(0))
    assert {("How many are there", "sql"), ("when?\ncolumns: name, year", "sql")} < set(rows)
    assert [label for _, label in rows].count("banking") == 1


def labels_of(rows):
    return {text: sorted(label for other, label in rows if other == text) for text, _ in rows}


def test_a_composite_is_there_under_each_of_its_labels_and_small_talk_adds_none():
    labels = labels_of(router_parts.composite_rows(MESSAGES, 4, ["thanks"], random.Random(0)))
    assert {tuple(group) for text, group in labels.items() if "hanks" in text} <= {("banking",), ("cron",), ("sql",)}
    assert ("banking", "cron") in {tuple(group) for group in labels.values()}


def test_a_request_to_base_beside_a_task_is_there_under_both():
    labels = labels_of(router_parts.request_rows(MESSAGES, 4, ["write a poem"], random.Random(0)))
    assert all("rite a poem" in text for text in labels)
    assert {tuple(group) for group in labels.values()} == {("banking", BASE), (BASE, "cron"), (BASE, "sql")}


def test_near_requests_are_seeded_different_and_none_of_those_held_out():
    made = near_requests.make_requests(500, random.Random(3))
    assert made == near_requests.make_requests(500, random.Random(3))
    assert len(set(made)) == 500
    assert not {text.casefold().rstrip("?.!") for text in made} & {
        text.casefold().rstrip("?.!") for text in near_requests.HELD_OUT
    }


def test_a_row_with_a_slot_or_a_word_of_a_booking_is_about_one_and_talk_is_talk_alone():
    assert is_booking(Row("Benjamin", '{"first_name": "Benjamin"}'))
    assert is_booking(Row("Can I change the time?", "{}"))
    assert not is_booking(Row("Goodbye then!", "{}"))
    assert all(map(is_talk, ("Goodbye then!", "Thanks. Bye now!", "No, that's wrong.", "Yes please")))
    assert not any(map(is_talk, ("", "5 please", "What's the postcode?", "I want to inquire about Coya.")))


def test_long_texts_are_seeded_of_the_lengths_that_are_asked_for_and_ask_nothing():
    made = long_texts.make_texts(200, random.Random(3))
    assert made == long_texts.make_texts(200, random.Random(3))
    assert made != long_texts.make_texts(200, random.Random(4))
    texts, pieces = made[:200], made[200:]
    assert all(long_texts.SHORTEST * 0.8 < len(text) < long_texts.LONGEST * 1.5 for text in texts)
    assert all(any(piece in text for text in texts) for piece in pieces)
    slot = re.compile(r"\{(person|place|thing|when|amount|quality|animal|field|word|Word|n)\}")
    assert not [text for text in made if slot.search(text)]
    assert all(len(piece) >= long_texts.SHORTEST_PIECE for piece in pieces)
