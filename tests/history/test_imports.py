"""Exports of other programs: recognized by what is in them, read with their branches, and told where they are not."""

import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.history import History
from dlp_local.history.export import to_html, to_json, to_markdown
from dlp_local.history.imports import conversations_from_json, read_conversations
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn
from tests.support.exports import LIBRECHAT, TRIP, chatgpt, message, talk, webui


def test_a_conversation_of_chatgpt_is_read_with_its_branches():
    (conversation,) = conversations_from_json(json.dumps([TRIP]))
    seen = "Where to?\n\n[image: not in the export]"
    assert talk(conversation) == [(seen, "To the hills."), ("Which hills?", "The green ones.")]
    assert {(turn.parent, turn.text, turn.answer) for turn in conversation.turns} == {
        (None, seen, "To the sea."),
        (None, seen, "To the hills."),
        (2, "Which ones?", "All."),
        (2, "Which hills?", "The green ones."),
    }
    assert conversation.info.title == "Trip"
    assert conversation.info.changed_at == "2023-11-14T22:14:20+00:00"


def said_in_turn(*said):
    """A conversation of ChatGPT's whose messages follow one another."""
    mapping = {
        str(number): {
            "message": {"author": {"role": role}, "recipient": recipient, "content": content},
            "parent": str(number - 1) if number else None,
            "children": [str(number + 1)] if number + 1 < len(said) else [],
        }
        for number, (role, recipient, content) in enumerate(said)
    }
    return json.dumps([{"title": "t", "mapping": mapping, "current_node": str(len(said) - 1)}])


def test_what_is_no_plain_text_is_read_as_what_it_is():
    (conversation,) = conversations_from_json(
        said_in_turn(
            ("user", "all", {"content_type": "text", "parts": ["print one", None, ["really"]]}),
            ("assistant", "all", {"content_type": "code", "text": "print(1)"}),
            ("assistant", "canmore.create_textdoc", {"content_type": "code", "text": "{}"}),
            ("user", "all", {"content_type": "text", "parts": "thanks"}),
        )
    )
    assert talk(conversation) == [
        ("print one\n\nreally", "```\nprint(1)\n```\n\n[canvas: left out]"),
        ("thanks", ""),
    ]


def test_messages_that_only_say_whom_they_follow_are_read():
    without = json.loads(json.dumps(TRIP))
    for node in without["mapping"].values():
        del node["children"]
    (with_children,), (conversation,) = (conversations_from_json(json.dumps([trip])) for trip in (TRIP, without))
    assert talk(conversation) == talk(with_children)
    assert len(conversation.turns) == len(with_children.turns)


def test_a_text_that_is_in_no_parts_is_read():
    (conversation,) = conversations_from_json(
        said_in_turn(
            ("user", "all", {"content_type": "text", "text": "Hi"}),
            ("assistant", "all", {"content_type": "text", "text": "Hello!"}),
        )
    )
    assert talk(conversation) == [("Hi", "Hello!")]


def test_files_that_came_with_a_message_are_named_each_once():
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1"}
    names = [{"id": "file-1", "name": "sea.png"}, {"id": "file-2", "name": "two\npages.pdf"}, {"id": "file-3"}]
    asked = message("user", image, "What is it?", metadata={"attachments": names})
    (conversation,) = conversations_from_json(json.dumps([chatgpt("u", u=(None, asked))]))
    assert [turn.text for turn in conversation.turns] == [
        "[image: not in the export]\n\nWhat is it?\n\n[two pages.pdf: not in the export]\n\n[a file: not in the export]"
    ]


def test_a_system_prompt_is_the_conversations():
    told = message("system", "Be a pirate. \ud83d")
    later = message("system", "Never mind.")
    exported = chatgpt("z", s=(None, told), u=("s", message("user", "Hi")), z=("u", later))
    (conversation,) = conversations_from_json(json.dumps([exported]))
    assert talk(conversation) == [("Hi", "")]
    assert conversation.info.options.system == "Be a pirate. \ufffd"
    (conversation,) = conversations_from_json(json.dumps([TRIP]))
    assert conversation.info.options.system is None


def test_all_conversations_of_a_file_are_stored_and_those_without_a_word_are_left_out(tmp_path):
    file = tmp_path / "conversations.json"
    empty = chatgpt("root", root=(None, None))
    file.write_text(
        json.dumps([TRIP, empty, chatgpt("u", title=None, u=(None, message("user", "Hi \ud83d")))]), "utf-16"
    )
    first, second = read_conversations(file)
    assert second.info.title == "Hi \ufffd"
    history = History(None)
    for conversation in (first, second):
        stored = history.conversation(history.insert(conversation))
        assert talk(stored) == talk(conversation)
    history.close()


def test_a_tree_that_is_ten_thousand_messages_deep_is_read():
    nodes = {"n0": (None, message("user", "0"))}
    for number in range(1, 10_000):
        nodes[f"n{number}"] = (f"n{number - 1}", message("assistant" if number % 2 else "user", str(number)))
    mapping = {n: {"message": said, "parent": p, "children": []} for n, (p, said) in nodes.items()}
    for name, (parent, _) in nodes.items():
        if parent:
            mapping[parent]["children"].append(name)
    (conversation,) = conversations_from_json(json.dumps({"mapping": mapping, "current_node": "n9999"}))
    assert len(conversation.path()) == 5000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "is no export of conversations that is known"),
        ("[]", "is no export of conversations that is known"),
        ("[null]", "is no export of conversations that is known"),
        ('{"format": "markdown"}', "is no export of conversations that is known"),
        ('{"history": [["hi", "yo"]]}', r"that is known\. Read are .*Open WebUI's"),
        ('{"history": {"title": "x"}}', "is no export of conversations that is known"),
        ('{"chat": "hi"}', "is no export of conversations that is known"),
        ('[{"chat": {"title": "x"}}]', "is no export of conversations that is known"),
        (json.dumps(LIBRECHAT), "is no export of conversations that is known"),
        ("7", r"ChatGPT's conversations\.json and Open WebUI's"),
        ("no json", r"ChatGPT's conversations\.json and Open WebUI's"),
        ('[{"uuid": "x", "name": "a chat", "chat_messages": []}]', r"ChatGPT's conversations\.json and Open WebUI's"),
        ('[{"mapping": {}}]', "is an export of ChatGPT, but nothing was said in it"),
        ('[{"mapping": []}]', "is an export of ChatGPT, but conversation 1 cannot be read"),
        ('[{"mapping": {}}, 7]', "is an export of ChatGPT, but conversation 2 cannot be read"),
        ('{"chat": {"history": {"messages": 7}}}', "is an export of Open WebUI, but conversation 1 cannot be read"),
        ('{"chat": {"messages": []}}', "is an export of Open WebUI, but nothing was said in it"),
    ],
)
def test_what_cannot_be_read_is_told_in_plain_words(text, told):
    with pytest.raises(InputError, match=rf"talk\.json: .*{told}") as error:
        conversations_from_json(text, "talk.json")
    assert_plain(error.value)


def assert_plain(error):
    """What is told is none of Python's own words, and ends with what to do."""
    words = (
        "indices",
        "object",
        "attribute",
        "Expecting",
        "char ",
        "Error",
        "unpack",
        "NoneType",
        "isoformat",
        "codec",
    )
    assert not [word for word in words if word in str(error)], error
    assert str(error).endswith(".")


def test_an_answer_from_elsewhere_has_no_receipt_in_an_export_and_is_not_called_missing():
    (conversation,) = conversations_from_json(json.dumps(webui()))
    assert to_markdown(conversation) == "# Greeting\n\n> Hi\n\nHello!\n"
    assert "no answer" not in to_html(conversation)


def test_an_archive_is_told_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("conversations.json", "[]")
    with pytest.raises(InputError, match="is a ZIP archive"):
        read_conversations(tmp_path / "export.zip")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_an_export_is_read_or_told(data):
    exported = json.loads(json.dumps([data.draw(st.sampled_from([TRIP, webui()]))]))
    place = exported
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if data.draw(st.booleans()):
            place[key] = data.draw(json_values)
            break
        place = place[key]
    history = History(None)
    try:
        for conversation in conversations_from_json(json.dumps(exported)):
            assert history.conversation(history.insert(conversation)).path()
    except InputError:
        pass
    history.close()


def test_a_number_that_json_has_not_is_no_matter_in_what_is_not_read():
    (conversation,) = conversations_from_json(json.dumps([TRIP | {"score": float("nan")}]))
    assert conversation.info.title == "Trip"


AT, AHEAD = "2026-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"


def own(**changed):
    info = ConversationInfo(0, "Trip", False, 1, AT, AT, 1, ChatOptions())
    conversation = Conversation(info, (StoredTurn(1, None, "a", "b", "done"),))
    return json.dumps(json.loads(to_json(conversation)) | changed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"pinned": "false"}, "its pinned is not true or false"),
        ({"title": None}, "its title is not text"),
        *(
            ({"turns": [json.loads(own())["turns"][0] | {field: wrong}]}, f"its {field} is not text")
            for field in ("text", "answer", "error", "pack") for wrong in (None, ["a", "b"], 5)
        ),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_not_made_a_text_of(changed, told):
    with pytest.raises(InputError, match=told):
        conversations_from_json(own(**changed))


def test_times_with_another_offset_are_put_in_order_as_the_moments_they_are(tmp_path):
    earlier, later = "2026-01-01T10:00:00+14:00", "2025-12-31T22:00:00Z"
    (first,), (second,) = (conversations_from_json(own(changed_at=at)) for at in (earlier, later))
    assert first.info.changed_at < second.info.changed_at
    assert first.info.changed_at == "2025-12-31T20:00:00+00:00"


def test_a_conversation_from_a_clock_that_was_ahead_does_not_stay_the_last_one():
    history = History(None)
    (ahead,) = conversations_from_json(own(title="two\nlines", created_at=AHEAD, changed_at=AHEAD))
    number = history.insert(ahead)
    info = history.conversation(number).info
    assert (info.title, info.changed_at < AHEAD, info.created_at < AHEAD) == ("two lines", True, True)
    new = history.start()
    history.add_turn(new, None, "Hi")
    assert history.last() == new
