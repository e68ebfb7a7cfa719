"""Routers of few rows: what is drawn, what is counted, and that everyday messages are none that are trained on."""

import random

import pytest

from dlp_local.core.values import BASE
from dlp_local.training.router.background import background_messages
from tests.tools.experiments.conftest import NOBODYS, ROWS, write_data
from tests.tools.experiments.test_parts import section
from tools.experiments import base_safety
from tools.experiments.nobodys import EVERYDAY
from tools.experiments.router import embeddings


@pytest.fixture
def data(setup):
    """`intents` with the domains that are drawn from and greetings, `bbh` with twelve tasks."""
    write_data(setup.data, "intents", [
        *({"prompt": f"{domain} {number}", "answer": domain, "domain": domain}
          for domain in base_safety.DOMAINS for number in range(40)),
        *({"prompt": f"hello {number}", "answer": "greeting", "domain": "talk"} for number in range(40)),
    ])  # fmt: skip
    write_data(setup.data, "bbh", [
        {"prompt": f"{task} {number}", "answer": "", "subtask": f"task {task}"}
        for task in range(12) for number in range(5)
    ])  # fmt: skip
    return setup


def test_everyday_messages_are_sixty_and_no_background_messages():
    assert len(set(EVERYDAY)) == 60
    assert not {*EVERYDAY} & {*background_messages()}


def test_a_draw_has_a_few_tasks_and_valid_rows_of_the_same(setup):
    draw = base_safety.tasks(setup, random.Random(1))
    assert len(draw.train) in base_safety.LABELS
    assert set(draw.train) == set(draw.valid) <= set(ROWS)
    for task, messages in draw.train.items():
        assert {*messages} <= {row.message for row in ROWS[task]}
        assert {*draw.valid[task]} <= {row.message for row in ROWS[task]}
    assert base_safety.tasks(setup, random.Random(1)) == draw
    assert base_safety.tasks(setup, random.Random(2)) != draw


def test_greetings_are_rows_of_base_that_are_trained_on_alone(data):
    draw = base_safety.tasks_and_greetings(data, random.Random(1))
    assert draw.train[BASE] == [f"train hello {number}" for number in range(base_safety.GREETINGS)]
    assert BASE not in draw.valid


@pytest.mark.parametrize(
    ("draw_of", "counts", "rows", "valid"),
    [
        (base_safety.domains, base_safety.LABELS, base_safety.ROWS, 4),
        (base_safety.long_tasks, [base_safety.LONG_TASKS], [5], 5),
    ],
)
def test_rows_of_a_data_set_are_drawn_from_its_training_rows(data, draw_of, counts, rows, valid):
    draw = draw_of(data, random.Random(3))
    assert len(draw.train) in counts
    assert set(draw.train) == set(draw.valid)
    assert {len(messages) for messages in draw.train.values()} <= {*rows}
    assert {len(messages) for messages in draw.valid.values()} == {valid}
    assert all(text.startswith("train ") for messages in draw.train.values() for text in messages)
    assert all(text.startswith("valid ") for messages in draw.valid.values() for text in messages)


def test_a_router_is_trained_as_the_command_does_and_leaves_everyday_messages_to_base(setup):
    texts = {task: [row.message for row in ROWS[task]] for task in ("dates", "shell")}
    valid = {task: own[1::2] for task, own in texts.items()} | {"talk": NOBODYS, "dates again": texts["dates"][1::2]}
    draw = base_safety.Draw({task: own[::2] for task, own in texts.items()}, valid)
    found = base_safety.judged(setup, draw, embeddings(setup).of)
    assert found["everyday_to_an_adapter"] <= 6
    assert found["accuracy"] == pytest.approx(0.5, abs=0.1)
    assert found["valid_to_base"] == pytest.approx(0.25, abs=0.1)
    assert 0 <= found["told_to_base"] <= 1


def test_the_worst_of_the_draws_stands_beside_their_mean():
    draws = [
        {"everyday_to_an_adapter": 1.0, "valid_to_base": 0.1, "accuracy": 0.8},
        {"everyday_to_an_adapter": 4.0, "valid_to_base": 0.0, "accuracy": 0.9, "told_to_base": 0.25},
    ]
    found = base_safety.summary(draws)
    assert found["draws"] == 2
    assert found["accuracy"] == {"mean": 0.85, "worst": 0.8}
    assert found["everyday_to_an_adapter"] == {"mean": 2.5, "worst": 4.0}
    assert found["told_to_base"] == {"mean": 0.25, "worst": 0.25}
    text = section(base_safety.PART, tasks=found)
    assert "| 2 or 3 of the pack's tasks | 2 | 2.5 (4) | 85.0 (80.0) | 5.0 (10.0) | 25.0 (25.0) | - |" in text


def test_a_step_is_of_so_many_draws(setup, monkeypatch):
    seen = []

    def judged(setup, draw, embed):
        seen.append(draw)
        return {"accuracy": 1.0}

    monkeypatch.setattr(base_safety, "judged", judged)
    found = base_safety.measured(lambda setup, rng: rng.random(), 3)(setup)
    assert found["draws"] == len({*seen}) == 3
    assert list(base_safety.PART.steps) == list(base_safety.TITLES)
