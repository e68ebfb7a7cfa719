"""Rows as tokens: what the backbone itself would be given, and where the adapter is on."""

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.values import Message
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.training.adapter.encoding import LONGEST, open_row_encoder
from dlp_local.training.adapter.rows import TrainingRow

ROW = TrainingRow((Message("user", "count the cats"),), "SELECT 1")
TALK = (Message("user", "hello"), Message("assistant", "Hello!"))
PICKY = (
    "{% if messages[0]['content'] == 'no' %}{{ raise_exception('this is not for me') }}{% endif %}"
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def backbone(bundled):
    return bundled / "backbone.gguf"


@pytest.fixture(scope="module")
def vocabulary(backbone):
    with open_vocabulary(backbone) as opened:
        yield opened


@pytest.fixture(scope="module")
def encoder(backbone):
    with open_row_encoder(backbone, "", "turn", "") as opened:
        yield opened


def text_of(vocabulary, tokens):
    return "".join(vocabulary.piece(token).decode() or vocabulary.name(token) for token in tokens)


def test_a_row_is_what_the_template_writes_and_its_answer_ends_as_the_model_ends(encoder, vocabulary):
    example = encoder.encode(ROW)
    asked, answer = example.tokens[: example.answer_at], example.tokens[example.answer_at :]
    assert "count the cats" in text_of(vocabulary, asked)
    assert text_of(vocabulary, answer[:-1]).strip() == "SELECT 1"
    assert vocabulary.is_end(answer[-1])
    assert encoder.answer_length("SELECT 1") == len(answer)


def test_what_stands_before_the_last_turn_is_its_prefix_and_the_turn_begins_with_the_invocation(encoder, vocabulary):
    after_a_turn = encoder.encode(TrainingRow((*TALK, *ROW.messages), ROW.answer))
    assert after_a_turn.tokens == encoder.encode(ROW).tokens
    assert "Hello!" in text_of(vocabulary, after_a_turn.prefix)
    assert encoder.invocation
    assert after_a_turn.tokens[: len(encoder.invocation)] == encoder.invocation


def test_with_the_scope_of_the_context_the_adapter_is_on_from_the_first_token(backbone, encoder):
    talk = TrainingRow((*TALK, *ROW.messages), ROW.answer)
    split = encoder.encode(talk)
    with open_row_encoder(backbone, "", "context", "") as everywhere:
        whole = everywhere.encode(talk)
        assert everywhere.invocation == ()
    assert whole.prefix == ()
    assert whole.tokens == split.prefix + split.tokens
    assert whole.tokens[whole.answer_at :] == split.tokens[split.answer_at :]


def test_the_system_prompt_is_that_of_the_row_or_else_the_one_that_is_given(backbone, vocabulary):
    own = TrainingRow((Message("system", "Be brief."), *ROW.messages), ROW.answer)
    with open_row_encoder(backbone, "", "context", "Be kind.") as encoder:
        given, of_row = (text_of(vocabulary, encoder.encode(row).tokens) for row in (ROW, own))
    assert "Be kind." in given
    assert "Be brief." in of_row
    assert "Be kind." not in of_row


def test_some_rows_follow_another_ones_turn_the_same_each_time(encoder):
    rows = [TrainingRow((Message("user", f"question {number}"),), "yes") for number in range(100)]
    encoded, kept = encoder.encode_all(rows, seed=0)
    alone = [encoder.encode(row) for row in rows]
    later = sum(len(one.prefix) > len(other.prefix) for one, other in zip(encoded, alone, strict=True))
    assert 5 <= later <= 30
    assert [one.tokens for one in encoded] == [one.tokens for one in alone]
    assert (encoded, kept) == encoder.encode_all(rows, seed=0)
    assert encoded != encoder.encode_all(rows, seed=1)[0]
    assert encoder.encode_held_out(rows)[0] == alone


@pytest.mark.parametrize("held_out", [False, True])
def test_rows_of_too_many_tokens_are_left_out(encoder, held_out):
    long = TrainingRow((Message("user", "cats and dogs " * LONGEST),), "yes")
    encode = encoder.encode_held_out if held_out else lambda rows: encoder.encode_all(rows, 0)
    assert encode([ROW, long])[1] == [ROW]
    with pytest.raises(InputError, match=rf"every row has more than {LONGEST} tokens.* Shorten them"):
        encode([long])


def test_no_row_is_longer_than_the_context_that_it_will_run_in(backbone):
    with open_row_encoder(backbone, "", "turn", "", context=64) as encoder:
        some = TrainingRow((Message("user", "cats and dogs " * 40),), "yes")
        assert encoder.encode_all([ROW, some], 0)[1] == [ROW]


def test_a_conversation_that_the_template_does_not_take_is_named(backbone):
    with open_row_encoder(backbone, PICKY, "turn", "") as encoder:
        with pytest.raises(InputError, match=r"the row 'no': .*this is not for me"):
            encoder.encode_all([ROW, TrainingRow((Message("user", "no"),), "yes")], 0)
        assert encoder.encode(ROW).answer_at
