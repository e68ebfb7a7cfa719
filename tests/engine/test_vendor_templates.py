"""Chat templates as vendors publish them: prompts as transformers makes them, or whole where those lose a message."""

import re
from pathlib import Path

import pytest

from dlp_local.core.values import Message
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.engine.template import ChatTemplate
from tests.support.characters import Characters

FOLDER = Path(__file__).parent / "templates"
TEMPLATES = {path.stem: path.read_text("utf-8").removesuffix("\n") for path in sorted(FOLDER.glob("*.jinja"))}
BOS, EOS = "<s>", "</s>"
NAMES = re.compile(r"<[|｜]?[\w▁]+[|｜]?>|\[/?INST\]|\[\|\w+\|\]")

ASK = Message("user", "What is 3+4?")
TALK = (ASK, Message("assistant", "Seven."), Message("user", "And 4+5?"))
BRIEF, KIND = Message("system", "Be brief."), Message("system", "Be kind.")
CONVERSATIONS = {
    "a question": (ASK,),
    "a system prompt": (BRIEF, ASK),
    "two system prompts": (BRIEF, KIND, ASK),
    "an empty system prompt": (Message("system", ""), ASK),
    "consecutive questions": (ASK, Message("user", "And 4+5?")),
    "a talk": TALK,
    "a talk with a system prompt": (BRIEF, *TALK),
    "reasoning in an answer": (ASK, Message("assistant", "<think>\nhmm\n</think>\n\nSeven."), TALK[2]),
    "white space around": (Message("user", " \n What is 3+4?\n"), Message("assistant", " Seven. \n"), TALK[2]),
}


def vocabulary(template):
    return Characters(tuple({*NAMES.findall(template), BOS, EOS, "</think>", "<think>"}), ())


def builder(name):
    return PromptBuilder(vocabulary(TEMPLATES[name]), ChatTemplate(TEMPLATES[name], BOS, EOS))


def ours(name, messages):
    return "".join(vocabulary(TEMPLATES[name]).text(turn) for turn in builder(name).prompt(messages).turns)


def theirs(name, messages, **options):
    """The prompt by transformers; None where the template raises or leaves out a message."""
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    talk = [{"role": message.role, "content": message.content} for message in messages]
    try:
        rendered, _ = utils.render_jinja_template(
            [talk], chat_template=TEMPLATES[name], bos_token=BOS, eos_token=EOS, **options
        )
    except Exception:
        return None
    (text,) = rendered
    return text if all(visible(message.content) in text for message in messages) else None


def visible(content):
    return content.split("</think>")[-1].strip()


def test_the_vendors_are_many():
    assert len(TEMPLATES) >= 20


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_the_one_of_transformers_or_holds_what_that_loses(name, conversation):
    messages = CONVERSATIONS[conversation]
    text = ours(name, messages)
    if (reference := theirs(name, messages, add_generation_prompt=True)) is not None:
        assert text == reference
    for message in messages:
        assert text.count(visible(message.content)) == 1 or not message.content


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_begun_answer_goes_on_as_in_transformers(name):
    messages = (*TALK, Message("assistant", "Nine, for"))
    text = ours(name, messages)
    if (reference := theirs(name, messages, continue_final_message=True)) is not None:
        assert text == reference
    assert text.endswith("Nine, for")


@pytest.mark.parametrize(
    "begun", ["We write </think> or </thought> at", "<think> is a tag; </think> ends", "a</think>b"]
)
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_begun_answer_that_writes_of_tags_stays_whole_and_is_no_reasoning(name, begun):
    text = ours(name, (*TALK, Message("assistant", begun)))
    assert text.endswith(begun)
    before = text.removesuffix(begun)
    assert builder(name).tags.opened_by(before) is None


@pytest.mark.parametrize("role", ["system", "user"])
@pytest.mark.parametrize("content", ["What is </think> for?", "</thought>", "<think>why</think>\nx", "</thought> b"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_tag_of_reasoning_in_a_message_that_is_no_answer_is_text_like_any_other(name, role, content):
    messages = (BRIEF, *TALK[:2], ASK)
    messages = [Message(role, content) if message.role == role else message for message in messages]
    assert content in ours(name, messages)


@pytest.mark.parametrize("name", TEMPLATES)
def test_turns_stay_the_same_as_a_conversation_goes_on(name):
    longer = (BRIEF, *TALK, Message("assistant", "Nine."), Message("user", "And 5+6?"))
    turns, more = (builder(name).prompt(messages).turns for messages in (longer[:-2], longer))
    if name == "mistral-v3":  # it writes the system prompt into the newest turn
        pytest.skip("the whole prompt changes with each message")
    assert len(more) > len(turns)
    assert more[: len(turns) - 1] == turns[:-1]


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_the_template_writes_after_an_answer_ends_it(name):
    prompts = builder(name)
    assert prompts.end_tokens or any("User:" in text for text in prompts.end_texts)


def test_an_answer_that_spells_what_its_template_refuses_is_text():
    answer = "I think on <|channel|>analysis<|message|>."
    assert answer in ours("gpt-oss", (ASK, Message("assistant", answer), ASK))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_message_forges_no_turn(name):
    spelled = "".join(sorted(set(NAMES.findall(TEMPLATES[name]))))
    known = vocabulary(TEMPLATES[name])

    def control(text):
        turns = builder(name).prompt((Message("user", text), Message("assistant", text), ASK)).turns
        return [token for turn in turns for token in turn if known.kind(token) == "control"]

    assert control(f"x{spelled}y") == control("x y")
