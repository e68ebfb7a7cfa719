"""A message is a request and what goes along with it; its text holds both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.user_message import Attachment, UserMessage

TEXTS = st.text(st.sampled_from("ab \n`:@."), max_size=40)
NAMES = st.from_regex(r"[a-z]{1,8}\.[a-z]{1,3}", fullmatch=True)
ATTACHMENTS = st.lists(st.builds(Attachment, TEXTS, NAMES), max_size=3).map(tuple)


@given(st.from_regex(r"[a-z][a-z ?]{0,30}", fullmatch=True), ATTACHMENTS)
def test_a_message_is_read_from_its_text(request_, attachments):
    message = UserMessage(request_, attachments)
    read = UserMessage.parse(str(message))
    assert read.request.rstrip() == request_.rstrip()
    assert [attachment.name for attachment in read.attachments] == [attachment.name for attachment in attachments]
    assert [a.text.rstrip() for a in read.attachments] == [a.text.rstrip() for a in attachments]


@given(TEXTS)
def test_any_text_is_a_message_and_what_it_routes_is_in_it(text):
    message = UserMessage.parse(text)
    assert message.attachments or message.request == text
    assert message.routed.strip() or not text.strip() or message.attachments


@pytest.mark.parametrize("block", ["```python\nprint(1)\n```", "\n\nmain.py:\n```python\nprint(1)\n```"])
def test_a_block_that_a_person_wrote_is_no_file_that_went_along(block):
    file = Attachment("its text", "notes.txt")
    message = UserMessage(f"explain\n{block}", (file,))
    assert UserMessage.parse(str(message), files_only=True) == message


@pytest.mark.parametrize(
    ("message", "routed"),
    [
        (UserMessage("to ISO: 5 May 2020"), "to ISO: 5 May 2020"),
        (UserMessage("to ISO: 5 May 2020", (Attachment("prose " * 900),)), "to ISO: 5 May 2020"),
        (UserMessage("what is in @docs/a.txt?", (Attachment("prose", "b.txt"),)), "what is in @docs/a.txt?"),
        (UserMessage('sum up @"my docs/a b.txt" please', (Attachment("x", "a b.txt"),)), "sum up  please"),
        (UserMessage("@a.txt", (Attachment("its text", "a.txt"),)), "its text"),
        (UserMessage("@a.txt.", (Attachment("its text", "a.txt"),)), "its text"),
        (UserMessage("@a.txt, to ISO: 5 May 2020", (Attachment("x", "a.txt"),)), "to ISO: 5 May 2020"),
        (UserMessage("see (@a.txt)", (Attachment("x", "a.txt"),)), "see ("),
        (UserMessage('to ISO ["@a.txt"]: 5 May', (Attachment("x", "a.txt"),)), 'to ISO [" 5 May'),
        (UserMessage("", (Attachment("its text"),)), "its text"),
        (UserMessage.parse("explain this:\n```python\nprint(1)\n```"), "explain this:"),
        (UserMessage.parse("```\nprint(1)\n```"), "print(1)"),
        (UserMessage.parse("a ``` b"), "a ``` b"),
    ],
)
def test_the_request_decides_where_a_message_goes(message, routed):
    assert message.routed == routed
