"""`router train`: a router that is not worse is put in place, whole; any other leaves the pack as it was."""

import json

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.values import BASE
from dlp_local.packs.adapters import add_adapter
from dlp_local.packs.create import start_pack
from dlp_local.packs.example_rows import read_labelled_rows
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.router import place_router
from dlp_local.routing import Encoder, Router
from dlp_local.training.router.background import background_messages
from dlp_local.training.router.data import held_out_texts
from dlp_local.training.router.train import train_file, train_pack
from tests.support.pack_state import pack_state
from tests.support.plain_router import write_plain_router
from tests.support.prompts import PROMPTS
from tests.support.router_rows import open_pack_router, rows_of, silent, top, write_rows


def test_a_trained_router_is_in_place_and_routes(mine, rows):
    before = read_manifest(mine).router
    stages = []
    report = train_pack(mine, [rows], force=True, progress=lambda stage, _: stages.append(stage))
    assert report.in_place
    assert report.labels == tuple(sorted((*PROMPTS, BASE)))
    assert report.held_out > 10
    assert list(dict.fromkeys(stages)) in (["reading", "training"], ["training"])  # embedded before: nothing to read
    assert report.after.accuracy > 0.85
    assert report.before.rows == report.after.rows
    manifest = read_manifest(mine)
    assert manifest.router != before
    assert manifest.router_before.sha256 == before.sha256
    router = open_pack_router(mine)
    assert top(router, "gzip: compress a file") == "shell"
    assert top(router, "a table for six on Sunday at 7pm") == "extract"
    assert top(router, "hello, who are you?") == BASE
    assert json.dumps(report.as_dict())


def test_training_again_rehearses_what_the_rows_no_longer_say(mine, rows, tmp_path):
    train_pack(mine, [rows], force=True, progress=silent)
    few = write_rows(tmp_path / "few.jsonl", rows_of(["dates"]))
    report = train_pack(mine, [few], force=True, progress=silent)
    assert report.rehearsed > 40
    assert set(report.labels) == {*PROMPTS, BASE}
    assert top(open_pack_router(mine), "gzip: compress a file") == "shell"


def test_a_worse_router_is_not_put_in_place(mine, tmp_path):
    labels = (*PROMPTS, BASE)
    true = rows_of()
    held = held_out_texts(dict(true))
    wrong = [(t, a if t in held else labels[(labels.index(a) + 1) % 7]) for t, a in true]
    before = pack_state(mine)
    report = train_pack(mine, [write_rows(tmp_path / "wrong.jsonl", wrong)], force=False, progress=silent)
    assert not report.in_place
    assert report.after.accuracy < report.before.accuracy
    assert pack_state(mine) == before
    forced = train_pack(mine, [tmp_path / "wrong.jsonl"], force=True, progress=silent)
    assert forced.in_place
    assert read_manifest(mine).router.forced
    assert forced.after.accuracy < forced.before.accuracy


@pytest.mark.parametrize("made_elsewhere", [False, True])
def test_a_router_is_not_replaced_by_one_that_was_shown_less(mine, tmp_path, made_elsewhere):
    if made_elsewhere:
        elsewhere = write_plain_router(tmp_path / "elsewhere.onnx", sorted((*PROMPTS, BASE)))
        place_router(mine, elsewhere, read_manifest(mine), "made elsewhere")
    before = pack_state(mine)
    with pytest.raises(InputError, match=r"trained on banking, describe, .*--force"):
        train_pack(mine, [write_rows(tmp_path / "two.jsonl", rows_of(["dates", "sql"]))], force=False, progress=silent)
    assert pack_state(mine) == before


def test_ten_rows_of_two_labels_are_enough_though_some_are_held_out(bundled, tmp_path):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    for name in ("sql", "dates", "shell"):
        add_adapter(folder, bundled / f"{name}.gguf", name)
    ten = [row for name in ("sql", "dates") for row in rows_of([name])[:10]]
    few = rows_of(["shell"])[:9]
    report = train_pack(folder, [write_rows(tmp_path / "ten.jsonl", ten + few)], force=True, progress=silent)
    assert report.labels == (BASE, "dates", "sql")
    assert report.left_to_prototypes == ("shell",)
    assert report.held_out > 0


def test_too_few_rows_are_told(bundled):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    with pytest.raises(InputError, match="training needs 10 rows of an adapter"):
        train_pack(folder, [], force=False, progress=silent)


def test_the_bundled_pack_is_never_trained(bundled, rows):
    before = pack_state(bundled)
    with pytest.raises(InputError, match="the bundled pack is never changed"):
        train_pack(bundled, [rows], force=True, progress=silent)
    assert pack_state(bundled) == before


def test_rows_of_an_adapter_that_there_is_not_are_refused(mine, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [("hello", "poems")])
    with pytest.raises(InputError, match=r"rows\.jsonl: has rows of 'poems', .*There are: banking, base"):
        train_pack(mine, [file], force=False, progress=silent)


def test_a_router_for_any_labels_without_a_pack(bundled, tmp_path, rows):
    renamed = [(text, f"label of {adapter}") for text, adapter in read_labelled_rows(rows)]
    file = write_rows(tmp_path / "renamed.jsonl", renamed)
    report = train_file(bundled, [file], tmp_path / "out", progress=silent)
    assert report.after.accuracy > 0.85
    router = Router(tmp_path / "out" / "router.onnx", 1)
    assert set(router.labels) == {BASE, *(f"label of {name}" for name in (*PROMPTS, BASE))}
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match=r"blocked.*: cannot be written"):
        train_file(bundled, [file], blocked, progress=silent)


def test_few_rows_of_files_are_all_trained_on_once_a_router_is_judged(bundled, tmp_path):
    odd = [
        f"{word} the gallimaufry" for word in ("twist", "polish", "measure", "bury", "salt", "fold", "name", "weigh")
    ]
    rows = dict(rows_of(["sql"])[:20]) | dict.fromkeys(odd, "rites")
    alarms = (f"please set alarm clock {number} in the kitchen" for number in range(100))
    held = next(text for text in alarms if text in held_out_texts(rows | {text: "rites"}))
    file = write_rows(tmp_path / "rows.jsonl", [*(rows | {held: "rites"}).items()])
    report = train_file(bundled, [file], tmp_path / "out", progress=silent)
    assert report.after.base_share > 0
    router = Router(tmp_path / "out" / "router.onnx", 1)
    embedding = Encoder(bundled / "encoder.onnx", bundled / "encoder_tokenizer.json", 1).encode([held])
    assert router.labels[router.probabilities(embedding).argmax()] == "rites"


EVERYDAY = (
    "time for bed, good night",
    "compose a short poem for my daughter's graduation",
    "what's a quick dinner I can make with chicken and rice?",
    "who was Marie Curie?",
    "how tall is the Eiffel Tower?",
    "my knee hurts after running, any advice?",
    "plan a weekend in Prague for me",
    "what's the best way to apologize to a friend?",
    "can you recommend a science fiction novel?",
    "I feel overwhelmed at work",
    "that's great, thank you!",
    "are you a real person?",
)
"""Nobody's, and no background message."""


@pytest.mark.parametrize(
    "base_rows", [(), tuple(f"{hello} {name}" for hello in ("hello", "hi", "hey") for name in "abcd")]
)
def test_a_router_trained_on_ten_rows_of_two_adapters_still_sends_everyday_messages_to_base(
    bundled, tmp_path, base_rows
):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    for name in ("sql", "dates"):
        add_adapter(folder, bundled / f"{name}.gguf", name)
    rows = [row for name in ("sql", "dates") for row in rows_of([name])[:10]] + [(text, BASE) for text in base_rows]
    report = train_pack(folder, [write_rows(tmp_path / "ten.jsonl", rows)], force=True, progress=silent)
    assert not set(EVERYDAY) & set(background_messages())
    router = open_pack_router(folder)
    assert sum(top(router, text) != BASE for text in EVERYDAY) <= 1
    assert top(router, "good night") == BASE
    assert report.after.background_share < 0.05
    assert report.after.base_share == 0
    assert top(router, "to ISO: the 4th of May 1999") == "dates"


def test_one_adapter_is_trained_against_what_is_nobodys(bundled, tmp_path):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    add_adapter(folder, bundled / "dates.gguf", "dates")
    report = train_pack(folder, [write_rows(tmp_path / "ten.jsonl", rows_of(["dates"]))], force=True, progress=silent)
    assert report.labels == (BASE, "dates")


def test_background_messages_that_are_an_adapters_own_are_not_held_against_it(bundled, tmp_path):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    add_adapter(folder, bundled / "sql.gguf", "jokes")
    jokes = [f"tell me a {kind} joke" for kind in ("good", "bad", "short", "long", "dirty", "silly", "funny", "new")]
    rows = [(text, "jokes") for text in (*jokes, "make me laugh", "another joke please", "do you know a joke?")]
    train_pack(folder, [write_rows(tmp_path / "jokes.jsonl", rows)], force=True, progress=silent)
    assert top(open_pack_router(folder), "tell me a joke") == "jokes"
