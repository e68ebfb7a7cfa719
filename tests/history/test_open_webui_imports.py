"""Conversations that Open WebUI exported."""

import json

import pytest

from dlp_local.history.imports import conversations_from_json
from tests.support.exports import TRIP, talk, webui


def test_parts_reasoning_and_messages_that_only_say_whom_they_follow_are_read():
    exported = webui()
    first, second, *_ = exported["chat"]["history"]["messages"].values()
    first["content"] = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    first["childrenIds"] = None
    second["content"] = '<details type="reasoning" done="true">\n<summary>Thought</summary>\n> hm\n</details>\nHello!'
    (conversation,) = conversations_from_json(json.dumps(exported))
    assert talk(conversation) == [("Hi\n\n[image url: not in the export]", "Hello!")]
    assert len(conversation.turns) == 3


@pytest.mark.parametrize(
    "told",
    [
        {"params": {"system": "Be a pirate."}, "system": "Be kind."},
        {"params": {}, "system": "Be a pirate."},
        {"params": None, "system": "Be a pirate.\n"},
    ],
)
def test_the_system_prompt_of_a_chat_is_the_conversations(told):
    exported = webui()
    exported["chat"] |= told
    (conversation,) = conversations_from_json(json.dumps(exported))
    assert conversation.info.options.system == "Be a pirate."
    assert talk(conversation) == [("Hi", "Hello!")]


def test_system_prompts_among_messages_are_the_conversations():
    said = [("system", "Be a pirate."), ("developer", "Be kind."), ("user", "Hi"), ("assistant", "Arr!")]
    exported = {"messages": [{"role": role, "content": content} for role, content in said]}
    (conversation,) = conversations_from_json(json.dumps(exported))
    assert conversation.info.options.system == "Be a pirate.\n\nBe kind."
    assert talk(conversation) == [("Hi", "Arr!")]


def test_files_of_a_message_are_named():
    exported = webui()
    first, second, *_ = exported["chat"]["history"]["messages"].values()
    first["files"] = [{"type": "file", "name": "a.pdf"}, {"type": "file", "file": {"filename": "b.csv"}}]
    second["files"] = [{"type": "image", "url": "data:image/png;base64,"}]
    (conversation,) = conversations_from_json(json.dumps(exported))
    assert talk(conversation) == [
        ("Hi\n\n[a.pdf: not in the export]\n\n[b.csv: not in the export]", "Hello!\n\n[image: not in the export]")
    ]


TOOL = (
    '<details type="tool_calls" done="true" name="look" result="&quot;5 &gt; 3&quot;">\n'
    "<summary>Done</summary>\n</details>\n"
)


CODE = (
    '<details type="code_interpreter" done="true" output="1">\n<summary>Analyzed</summary>\n```py\n1\n```\n</details>\n'
)


NESTED = '<details type="reasoning" done="true">\n> as <details>\n> x</details>\n> so\n</details>\n'


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (f"Let me look.\n{TOOL}It is so.", "Let me look.\nIt is so."),
        (TOOL + CODE + TOOL + "Two.", "Two."),
        (NESTED + "Yes.", "Yes."),
        ('<details type="tool_calls"><summary>Done</summary></details>\nYes.', "Yes."),
        ('Yes.\n<details type="reasoning">\n> broken off', "Yes."),
        (
            "<details>\n<summary>More</summary>\nof it\n</details>",
            "<details>\n<summary>More</summary>\nof it\n</details>",
        ),
        ('Write `<details type="x">` so.', 'Write `<details type="x">` so.'),
    ],
)
def test_what_open_webui_writes_into_an_answer_for_its_tools_is_left_out(content, answer):
    exported = webui()
    exported["chat"]["history"]["messages"]["2"]["content"] = content
    (conversation,) = conversations_from_json(json.dumps(exported))
    assert talk(conversation) == [("Hi", answer)]


@pytest.mark.parametrize(
    ("message", "answer", "error"),
    [
        ({"content": "", "error": {"content": "no such model"}}, "", "no such model"),
        ({"content": "Well", "error": {"content": {"error": {"message": "cut"}}}}, "Well", "cut"),
        ({"content": "Uh-oh! 500", "error": True}, "", "Uh-oh! 500"),
        ({"content": "", "error": "refused"}, "", "refused"),
        ({"content": "", "error": {}}, "", "This answer ended by an error."),
        ({"content": "Fine", "error": None}, "Fine", ""),
        ({"content": "Fine", "error": False}, "Fine", ""),
    ],
)
def test_an_answer_that_ended_by_an_error_is_one(message, answer, error):
    exported = webui()
    exported["chat"]["history"]["messages"]["2"] |= message
    (conversation,) = conversations_from_json(json.dumps(exported))
    (turn,) = conversation.path()
    assert (turn.text, turn.answer, turn.error) == ("Hi", answer, error)
    assert turn.state == ("failed" if error else "done")


LINE = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "Bye", "timestamp": 1700000000},
]


@pytest.mark.parametrize(
    "exported",
    [
        [{"title": "Old", "chat": {"messages": LINE}}],
        {"chat": {"title": "Old", "messages": LINE, "history": {}}},
        {"title": "Old", "messages": LINE, "history": {"messages": {}, "currentId": None}},
        {"title": "Old", "messages": LINE},
    ],
)
def test_a_chat_that_is_a_list_of_messages_is_one_line_of_turns(exported):
    (conversation,) = conversations_from_json(json.dumps(exported))
    assert talk(conversation) == [("Hi", "Hello!"), ("Bye", "")]
    assert conversation.info.title == "Old"


def test_what_is_null_among_conversations_is_passed_over():
    assert len(conversations_from_json(json.dumps([None, TRIP, None, TRIP]))) == 2


@pytest.mark.parametrize("exported", [[webui()], webui(), [webui(record=False)], webui(record=False)])
def test_a_chat_of_open_webui_is_read_with_its_branches(exported):
    (conversation,) = conversations_from_json(json.dumps(exported))
    assert talk(conversation) == [("Hi", "Hello!")]
    assert [(turn.parent, turn.text, turn.answer) for turn in conversation.turns] == [
        (None, "Hi", "Hello!"),
        (None, "Hi", "Good day!"),
        (2, "Bye", ""),
    ]
    assert conversation.info.title == "Greeting"
    assert conversation.info.created_at.startswith("2023-11-14T22:13:20")
