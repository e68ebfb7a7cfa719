"""New adapters beside a trained router: what they get, what the others lose, and what a route takes."""

from dataclasses import replace

import numpy as np
import pytest

from dlp_local.core.values import BASE
from dlp_local.training.router.fit import Shape
from tests.tools.experiments.conftest import ROWS, write_data
from tests.tools.experiments.test_parts import section
from tools.experiments import beside_trained

INTENTS = [f"intent {number}" for number in range(6)]
DIMS = 16


def embed(texts):
    """The direction of an intent, and a little of each text's own."""
    x = []
    for text in texts:
        name, _, number = text.rpartition(" ")
        own = np.random.default_rng(int(number)).normal(0, 0.15, DIMS)
        x.append(np.eye(DIMS)[INTENTS.index(name) if name in INTENTS else 7] + own)
    return (np.array(x) / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def texts(first, last):
    rows = [(f"{intent} {number}", intent) for intent in INTENTS for number in range(first, last)]
    return rows + [(f"other {number}", BASE) for number in range(first, last)]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(beside_trained, "NEW", 2)
    monkeypatch.setattr(beside_trained, "DRAWS", 2)
    monkeypatch.setattr(beside_trained, "LARGE", Shape(members=1, hidden=16, anchors=4))
    monkeypatch.setattr(beside_trained, "split_rows", lambda rows, embed: split_rows(rows, embed, background=False))


split_rows = beside_trained.split_rows


def test_new_intents_get_their_messages_and_the_others_keep_theirs(setup, small):
    found = beside_trained.draw(setup, embed, dict(texts(0, 30)), texts(100, 110), 0)
    assert list(found) == list(beside_trained.EXAMPLES)
    assert found[20]["new"] > 0.9
    assert found[20]["new"] >= found[1]["new"]
    assert abs(found[20]["others_lost"]) < 0.1
    assert found[20]["base"] > 0.8
    assert len({of["base_before"] for of in found.values()}) == 1
    another = beside_trained.draw(setup, embed, dict(texts(0, 30)), texts(100, 110), 1)
    assert another != found


def test_every_draw_counts(setup, small, monkeypatch):
    monkeypatch.setattr(beside_trained, "labelled_rows", lambda data, name, split: texts(*SPLITS[split]))
    monkeypatch.setattr(beside_trained, "embeddings", lambda setup: type("Embeddings", (), {"of": staticmethod(embed)}))
    found = beside_trained.intents(replace(setup, per_class=20))
    assert (found["draws"], found["new"], found["trained"]) == (2, 2, 4)
    assert set(found["examples"]) == {"1", "5", "20"}
    for of in found["examples"].values():
        assert of["new"]["least"] <= of["new"]["mean"] <= of["new"]["greatest"]
    text = section(beside_trained.PART, intents=found)
    assert f"| 20 | {100 * found['examples']['20']['new']['mean']:.1f} (" in text


SPLITS = {"train": (0, 20), "valid": (100, 105)}


def test_mean_least_and_greatest_are_of_the_same_figure():
    found = beside_trained.summary([{"new": 0.5, "base": 1.0}, {"new": 0.7, "base": 0.0}])
    assert found == {
        "new": {"mean": 0.6, "least": 0.5, "greatest": 0.7},
        "base": {"mean": 0.5, "least": 0.0, "greatest": 1.0},
    }


def test_routes_are_timed_with_so_many_adapters_beside_the_packs_own(setup, monkeypatch):
    monkeypatch.setattr(beside_trained, "COUNTS", (3,))
    rows = [{"prompt": f"{row.message} {n}", "answer": row.answer} for row in ROWS["banking"] for n in (1, 2)]
    write_data(setup.data, "banking", rows)
    found = beside_trained.times(setup)
    assert {count: of["labels"] for count, of in found.items()} == {"0": 7, "3": 10}
    assert all(0 < of["median"] <= of["of_95"] for of in found.values())
    assert "| 3 | 10 | " in section(beside_trained.PART, times=found)
