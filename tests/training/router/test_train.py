"""`router train`: a router that is not worse is put in place, whole; any other leaves the pack as it was."""

import contextlib
import errno
import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.paths import history_file
from dlp_local.core.settings import Settings
from dlp_local.core.values import BASE, AdapterChange, Correction, Mix
from dlp_local.history import History
from dlp_local.opening import open_assistant, open_router
from dlp_local.packs import open_pack, transaction
from dlp_local.packs.adapters import add_adapter, set_adapter
from dlp_local.packs.create import copy_pack, start_pack
from dlp_local.packs.examples import read_labelled_rows
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.router import place_router, rollback_router
from dlp_local.routing import MessageRouter, Router
from dlp_local.training.router import train
from dlp_local.training.router.train import evaluate, held_out_texts, train_file, train_pack
from tests.support.plain_router import write_plain_router
from tests.support.prompts import PROMPTS, SMALL_TALK

ONNX = "needs the `router` extra"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
FRENCH = (
    "translate good morning to french",
    "how do you say thank you in french",
    "what is the french word for bread",
    "say 'see you tomorrow' in french",
    "put this into french: I am late",
)


def silent(*_):
    """No progress."""


def worded(prompt):
    return (prompt, f"please, {prompt}", f"{prompt} - thanks", f"hi! {prompt}")


def rows_of(labels=(*PROMPTS, BASE)):
    sources = {**PROMPTS, BASE: SMALL_TALK}
    return [(text, label) for label in labels for prompt in sources[label] for text in worded(prompt)]


def write_rows(path, rows):
    path.write_text("".join(json.dumps({"text": t, "adapter": a}) + "\n" for t, a in rows), "utf-8")
    return path


@pytest.fixture
def mine(bundled) -> Path:
    """A pack of the user's own, made from the bundled one."""
    return copy_pack("mine", bundled)


@pytest.fixture
def rows(tmp_path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", rows_of())


@pytest.fixture
def another_router(bundled, tmp_path) -> Path:
    """The bundled router as another file: with an empty name of its producer at the end."""
    path = tmp_path / "another.onnx"
    path.write_bytes((bundled / "router.onnx").read_bytes() + b"\x12\x00")
    return path


def state(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != transaction.LOCK
    }


def top(router, text):
    probabilities = router.route(text, Settings().routing).probabilities
    return max(probabilities, key=probabilities.__getitem__)


def opened(folder):
    return open_router(open_pack(folder), Settings())


# ---- training ----


def test_a_trained_router_is_in_place_and_routes(mine, rows):
    pytest.importorskip("onnx", reason=ONNX)
    before = read_manifest(mine).router
    stages = []
    report = train_pack(mine, [rows], force=True, progress=lambda stage, _: stages.append(stage))
    assert report.in_place
    assert report.labels == tuple(sorted((*PROMPTS, BASE)))
    assert report.held_out > 10
    assert list(dict.fromkeys(stages)) == ["reading", "training"]
    assert report.after.accuracy > 0.85
    assert report.before.rows == report.after.rows
    manifest = read_manifest(mine)
    assert manifest.router != before
    assert manifest.router_before.sha256 == before.sha256
    router = opened(mine)
    assert top(router, "gzip: compress a file") == "shell"
    assert top(router, "a table for six on Sunday at 7pm") == "extract"
    assert top(router, "hello, who are you?") == BASE
    assert json.dumps(report.as_dict())


def test_training_again_remembers_what_the_rows_no_longer_say(mine, rows, tmp_path):
    pytest.importorskip("onnx", reason=ONNX)
    train_pack(mine, [rows], force=True, progress=silent)
    few = write_rows(tmp_path / "few.jsonl", rows_of(["dates"]))
    report = train_pack(mine, [few], force=True, progress=silent)
    assert report.remembered > 40
    assert set(report.labels) == {*PROMPTS, BASE}
    assert top(opened(mine), "gzip: compress a file") == "shell"


def test_a_worse_router_is_not_put_in_place(mine, tmp_path):
    pytest.importorskip("onnx", reason=ONNX)
    labels = (*PROMPTS, BASE)
    true = rows_of()
    held = held_out_texts(dict(true))
    wrong = [(t, a if t in held else labels[(labels.index(a) + 1) % 7]) for t, a in true]
    before = state(mine)
    report = train_pack(mine, [write_rows(tmp_path / "wrong.jsonl", wrong)], force=False, progress=silent)
    assert not report.in_place
    assert report.after.accuracy < report.before.accuracy
    assert state(mine) == before
    forced = train_pack(mine, [tmp_path / "wrong.jsonl"], force=True, progress=silent)
    assert forced.in_place
    assert forced.after.accuracy < forced.before.accuracy


@pytest.mark.parametrize("made_elsewhere", [False, True])
def test_a_router_is_not_replaced_by_one_that_was_shown_less(mine, tmp_path, made_elsewhere):
    pytest.importorskip("onnx", reason=ONNX)
    if made_elsewhere:
        elsewhere = write_plain_router(tmp_path / "elsewhere.onnx", sorted((*PROMPTS, BASE)))
        place_router(mine, elsewhere, read_manifest(mine), "made elsewhere")
    before = state(mine)
    with pytest.raises(InputError, match=r"trained on banking, base, .*--force"):
        train_pack(mine, [write_rows(tmp_path / "two.jsonl", rows_of(["dates", "sql"]))], force=False, progress=silent)
    assert state(mine) == before


def test_ten_rows_of_two_labels_are_enough_though_some_are_held_out(bundled, tmp_path):
    pytest.importorskip("onnx", reason=ONNX)
    folder = start_pack("fresh", bundled / "backbone.gguf")
    for name in ("sql", "dates", "shell"):
        add_adapter(folder, bundled / f"{name}.gguf", name)
    ten = [row for name in ("sql", "dates") for row in rows_of([name])[:10]]
    few = rows_of(["shell"])[:9]
    report = train_pack(folder, [write_rows(tmp_path / "ten.jsonl", ten + few)], force=True, progress=silent)
    assert report.labels == ("dates", "sql")
    assert report.left_to_prototypes == ("shell",)
    assert report.held_out > 0


def test_too_few_rows_are_told(bundled):
    pytest.importorskip("onnx", reason=ONNX)
    folder = start_pack("fresh", bundled / "backbone.gguf")
    with pytest.raises(InputError, match="training needs 10 rows each of two adapters"):
        train_pack(folder, [], force=False, progress=silent)


def test_the_bundled_pack_is_never_trained(bundled, rows):
    pytest.importorskip("onnx", reason=ONNX)
    before = state(bundled)
    with pytest.raises(InputError, match="the bundled pack is never changed"):
        train_pack(bundled, [rows], force=True, progress=silent)
    assert state(bundled) == before


def test_rows_of_an_adapter_that_there_is_not_are_refused(mine, tmp_path):
    pytest.importorskip("onnx", reason=ONNX)
    file = write_rows(tmp_path / "rows.jsonl", [("hello", "poems")])
    with pytest.raises(InputError, match=r"rows\.jsonl: has rows of 'poems', .*There are: banking, base"):
        train_pack(mine, [file], force=False, progress=silent)


def test_corrections_go_before_everything_else_that_is_said_of_a_text(mine, tmp_path):
    text = PROMPTS["sql"][0]
    with contextlib.closing(History(history_file())) as history:
        history.correct(Correction(text, Mix(), "shell"))
        history.correct(Correction("what a day", Mix(), "an adapter of another pack"))
    file = write_rows(tmp_path / "rows.jsonl", rows_of())
    found = train.pack_rows(open_pack(mine), [file])
    assert found[text] == "shell"
    assert "what a day" not in found


def test_the_held_out_part_stays_the_same_and_leaves_every_label_something():
    rows = {f"text {n}": str(n % 3) for n in range(600)} | {"alone": "rare"}
    held = held_out_texts(rows)
    assert len(held) == pytest.approx(120, abs=40)
    assert held_out_texts(dict(reversed(rows.items()))) == held
    assert "alone" not in held
    more = rows | {f"more {n}": "0" for n in range(6000)}
    assert {text for text in held_out_texts(more) if text in rows} <= held


def test_a_router_for_any_labels_without_a_pack(bundled, tmp_path, rows):
    pytest.importorskip("onnx", reason=ONNX)
    renamed = [(text, f"label of {adapter}") for text, adapter in read_labelled_rows(rows)]
    file = write_rows(tmp_path / "renamed.jsonl", renamed)
    report = train_file(bundled, [file], tmp_path / "out", progress=silent)
    assert report.after.accuracy > 0.85
    router = Router(tmp_path / "out" / "router.onnx", 1)
    assert set(router.labels) == {f"label of {name}" for name in (*PROMPTS, BASE)}
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match=r"blocked.*: cannot be written"):
        train_file(bundled, [file], blocked, progress=silent)


# ---- what goes wrong ----


def test_a_router_that_cannot_be_written_anywhere_leaves_the_pack_as_it_was(mine, rows, monkeypatch):
    pytest.importorskip("onnx", reason=ONNX)
    before = state(mine)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(train.TrainedRouter, "write", full)
    with pytest.raises(InputError, match=r"router\.onnx: cannot be written \(No space left on device\)"):
        train_pack(mine, [rows], force=True, progress=silent)
    assert state(mine) == before


def test_a_rollback_goes_back_and_forth(mine, rows):
    pytest.importorskip("onnx", reason=ONNX)
    with pytest.raises(InputError, match="no router before"):
        rollback_router(mine)
    first = read_manifest(mine).router.sha256
    train_pack(mine, [rows], force=True, progress=silent)
    second = read_manifest(mine).router.sha256
    assert rollback_router(mine)
    assert read_manifest(mine).router.sha256 == first
    assert top(opened(mine), "gzip: compress a file") == "shell"
    assert rollback_router(mine)
    assert read_manifest(mine).router.sha256 == second
    open_pack(mine)


def test_a_pack_without_a_router_goes_back_to_examples_alone(bundled, mine, tmp_path):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    (tmp_path / "french.txt").write_text("\n".join(FRENCH))
    add_adapter(folder, bundled / "sql.gguf", "french", AdapterChange(examples=tmp_path / "french.txt"))
    place_router(folder, bundled / "router.onnx", read_manifest(folder), "a test")
    assert opened(folder).labels[:7] == tuple(sorted((*PROMPTS, BASE)))
    assert not rollback_router(folder)
    assert opened(folder).labels == ("french", BASE)
    assert rollback_router(folder)
    assert len(opened(folder).labels) == 8


def test_a_damaged_router_before_does_not_keep_the_pack_from_opening(mine, rows):
    pytest.importorskip("onnx", reason=ONNX)
    train_pack(mine, [rows], force=True, progress=silent)
    (mine / read_manifest(mine).router_before.file).unlink()
    open_pack(mine)


def test_the_router_of_another_training_in_between_is_not_overwritten(mine, another_router, bundled):
    seen = read_manifest(mine)
    place_router(mine, another_router, seen, "first")
    before = state(mine)
    with pytest.raises(InputError, match="has another router since this one was begun"):
        place_router(mine, bundled / "router.onnx", seen, "second")
    assert state(mine) == before


def _train(folder, rows, data, results):
    os.environ["DLP_LOCAL_DATA"] = data
    try:
        results.put(train_pack(folder, [rows], force=True, progress=silent).in_place)
    except (InputError, PackError) as error:
        results.put(str(error))


def test_the_very_same_router_once_more_leaves_the_one_before(mine, another_router):
    first = read_manifest(mine).router
    for _ in range(2):
        place_router(mine, another_router, read_manifest(mine), "a test")
        assert read_manifest(mine).router_before.sha256 == first.sha256
    assert rollback_router(mine)
    assert read_manifest(mine).router.sha256 == first.sha256


def test_a_damaged_router_before_is_not_brought_back(mine, another_router):
    place_router(mine, another_router, read_manifest(mine), "a test")
    (mine / "router.onnx").unlink()
    before = state(mine)
    with pytest.raises(PackError, match=r"router\.onnx: cannot be read .* the router stays as it is"):
        rollback_router(mine)
    assert state(mine) == before


def test_two_trainings_at_once_leave_one_whole_router(mine, rows):
    pytest.importorskip("onnx", reason=ONNX)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (mine, rows, os.environ["DLP_LOCAL_DATA"], results)
    workers = [context.Process(target=_train, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    told = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(30)
    assert True in told
    assert all(answer is True or "has another router" in answer for answer in told)
    assert top(opened(mine), "gzip: compress a file") == "shell"


@POSIX
@pytest.mark.parametrize("at", ["training", "bring", "write_manifest"])
def test_a_kill_in_the_middle_leaves_the_pack_as_it_was(mine, rows, at):
    pytest.importorskip("onnx", reason=ONNX)
    before = read_manifest(mine)
    code = f"""
        import os, signal
        from pathlib import Path
        from dlp_local.training.router import train as retraining
        from dlp_local.packs import router
        from dlp_local.packs import transaction as change
        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)
        if {at!r} == "bring":
            real = router.bring
            def bring(*args):
                real(*args)
                die()
            router.bring = bring
        if {at!r} == "write_manifest":
            transaction.write_manifest = die
        def progress(stage, done):
            if {at!r} == "training" and stage == "training" and done > 0.5:
                die()
        train.train_pack(Path({str(mine)!r}), [Path({str(rows)!r})], force=True, progress=progress)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert read_manifest(mine) == before
    assert top(opened(mine), "gzip: compress a file") == "shell"
    report = train_pack(mine, [rows], force=True, progress=silent)
    assert report.in_place
    brought = [path for path in (mine / transaction.FILES).iterdir() if path.name.startswith("router-")]
    assert [path.name for path in brought] == [Path(read_manifest(mine).router.file).name]


# ---- adapters known by their examples, corrections ----


def test_a_new_adapter_is_routed_by_its_examples_at_once_and_the_others_go_where_they_went(mine, bundled, tmp_path):
    (tmp_path / "french.txt").write_text("\n".join(FRENCH))
    before = opened(mine)
    add_adapter(mine, bundled / "sql.gguf", "french", AdapterChange(examples=tmp_path / "french.txt"))
    router = opened(mine)
    assert set(router.labels) == {*PROMPTS, BASE, "french"}
    for text in ("how would I say good night in french", "translate 'where is the station' to french"):
        assert top(router, text) == "french"
    for label, prompts in PROMPTS.items():
        for prompt in prompts:
            assert top(router, prompt) == top(before, prompt), (label, prompt)
    for text in SMALL_TALK:
        assert top(router, text) == BASE
    set_adapter(mine, "french", AdapterChange(enabled=False))
    assert "french" not in opened(mine).labels


def test_one_example_works(mine, bundled, tmp_path):
    (tmp_path / "french.txt").write_text(FRENCH[0])
    add_adapter(mine, bundled / "sql.gguf", "french", AdapterChange(examples=tmp_path / "french.txt"))
    assert top(opened(mine), "translate good evening to french") == "french"
    assert top(opened(mine), "tell me a joke") == BASE


def test_a_pack_with_neither_router_nor_examples_sends_all_to_base(bundled):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    add_adapter(folder, bundled / "sql.gguf", "sql")
    router = opened(folder)
    assert router.labels == (BASE,)
    assert router.route("anything", Settings().routing).probabilities == {BASE: 1.0}


def test_the_bundled_routes_are_those_of_its_router_alone(bundled):
    router, alone = opened(bundled), Router(bundled / "router.onnx", 1)
    for prompts in PROMPTS.values():
        vectors = router.embeddings(prompts)
        np.testing.assert_allclose(router.probabilities(vectors), alone.probabilities(vectors), atol=1e-7)


def test_a_correction_counts_at_once_for_what_is_almost_the_same_and_at_the_next_start(assistant, bundled):
    text, other = "list everything in the cellar of table wines", "to ISO: the 3rd of February 2021"
    router = opened(bundled)
    before = top(router, text)
    right = "sql" if before != "sql" else "shell"
    router.correct(text, right)
    assert top(router, text) == right
    assert top(router, f"{text} please") == right
    assert top(router, other) == "dates"
    with contextlib.closing(History(history_file())) as history:
        history.correct(Correction(text, Mix(), right))
    assert top(opened(bundled), text) == right


def test_corrections_of_several_threads_at_once_lose_none(bundled):
    router = opened(bundled)
    texts = [f"{word} {number}" for word in ("marmalade", "zeppelin", "glacier", "tuba") for number in range(3)]
    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(lambda text: router.correct(text, "shell"), texts))
    assert [top(router, text) for text in texts] == ["shell"] * len(texts)


def test_the_embeddings_of_many_adapters_are_asked_for_at_once(bundled, tmp_path, monkeypatch):
    opened, connect = [], sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: opened.append(args) or connect(*args, **kwargs))
    adapters = {f"task{n}": [f"please do task number {n}", f"number {n}, please"] for n in range(50)} | {"none": []}
    for times in (2, 3):
        router = MessageRouter(
            bundled / "encoder.onnx",
            bundled / "encoder_tokenizer.json",
            bundled / "router.onnx",
            1,
            adapters,
            cache=tmp_path / "kept.sqlite",
        )
        assert set(adapters) - set(router.labels) == {"none"}
        assert top(router, "please do task number 7") == "task7"
        assert len(opened) == times


def test_the_assistant_corrects(bundled):
    with open_assistant(Settings(), bundled) as opened_assistant:
        opened_assistant.correct("what is on the menu of files", "shell")
        route = opened_assistant.route("what is on the menu of files")
    assert route.mix.as_dict()["shell"] > 0.9


def test_a_correction_to_an_adapter_without_examples_is_its_first_example(mine, bundled):
    add_adapter(mine, bundled / "sql.gguf", "french")
    router = opened(mine)
    assert "french" not in router.labels
    router.correct("translate good morning to french", "french")
    assert top(router, "translate good night to french") == "french"


def test_why_shows_what_is_near_what_was_carried_and_what_was_cut(bundled):
    router, options = opened(bundled), Settings().routing
    previous = router.route("Which bands are from Spain?\ncolumns: band, country, year", options).probabilities
    router.correct("my own words", "sql")
    why = router.explain("my card has not arrived", options, previous)
    assert why.nearest[0].adapter == "banking"
    assert why.nearest[0].cosine > 0.8
    assert [n.cosine for n in why.nearest] == sorted((n.cosine for n in why.nearest), reverse=True)
    assert why.alone == router.route("my card has not arrived", options).probabilities
    assert why.carried == router.route("my card has not arrived", options, previous).probabilities
    assert why.kept.keys() | why.cut.keys() == set(router.labels)
    assert not why.kept.keys() & why.cut.keys()
    assert router.explain("my own words", options).nearest[0].is_corrected


def test_evaluation_counts_what_went_where(bundled, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [*rows_of(["dates", "sql"]), ("tell me a joke", "sql")])
    pack = open_pack(bundled)
    found = evaluate(pack, open_router(pack, Settings()), file)
    assert found.rows == len(read_labelled_rows(file))
    assert found.accuracy > 0.9
    assert ("sql", BASE, 1) in found.confusion or found.confusion[0][0] == "sql"
    assert found.base_recall is None
    assert 0 < found.base_share < 0.1


def test_evaluation_sends_what_is_switched_off_to_base_as_a_route_does(mine, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", rows_of(["dates"]))
    assert evaluate(open_pack(mine), opened(mine), file).accuracy > 0.9
    set_adapter(mine, "dates", AdapterChange(enabled=False))
    found = evaluate(open_pack(mine), opened(mine), file)
    assert found.accuracy == 0
    assert found.base_share > 0.9


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no examples"),
        (b'{"text": "a"}', r"line 1: has no adapter. Write \{\"text\": \"…\", \"adapter\": \"…\"\}"),
        (b'\n{"adapter": "sql"}', "line 2: has no text"),
        (b'{"text": "a", "adapter": 3}', "line 1: has no adapter"),
        (b'{"text": "  ", "adapter": "sql"}', "line 1: has no text"),
        (b"[1]", "line 1: has no text"),
        (b"not json", "line 1: is not JSON"),
        (b"\xff", "line 1: is not UTF-8"),
    ],
)
def test_rows_that_cannot_be_used_are_named_with_their_line(tmp_path, content, reason):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_labelled_rows(file)
    with pytest.raises(InputError, match=r"none\.jsonl: cannot be read"):
        read_labelled_rows(tmp_path / "none.jsonl")
