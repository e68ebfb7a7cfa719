"""The parts on the bundled pack, a row a task: what each measures, and that its section is made of that."""

import json

import numpy as np
import pytest

from tests.tools.experiments.conftest import ROWS
from tools.experiments import composites, decode, new_adapters, policies, router
from tools.experiments.composites import JOINTS


def section(part, **found):
    text = part.section(json.loads(json.dumps(found)))  # as it is read from its file
    assert text.startswith("## ")
    assert "**The paper beside ours.**" in text.rpartition("\n\n")[2]
    return text


def test_the_router_is_compared_on_the_same_rows(setup):
    found = router.PART.steps["pack"](setup)
    names = {router.SHIPPED, router.OURS, router.EMBEDDING_ALONE, *router.OTHERS}
    assert set(found["classifiers"]) == names
    assert (found["training_rows"], found["valid_rows"], found["labels"]) == (6 * 4 + 2, 6 * 4 + 2, 7)
    assert all(0 <= figures["accuracy"] <= 1 for figures in found["classifiers"].values())
    assert found["classifiers"][router.SHIPPED]["accuracy"] > 0.9
    text = section(router.PART, pack=found)
    assert all(name in text for name in names)


def mixes_answered(setup):
    lines = map(json.loads, (setup.build / "answers.jsonl").read_text("utf-8").splitlines())
    return [line["mix"] for line in lines if "key" in line]


def test_every_policy_answers_the_same_rows_and_the_sweep_uses_what_was_answered(setup, monkeypatch):
    pytest.importorskip("sacrebleu", reason="needs the eval extra")
    found = policies.every_policy(setup)
    assert list(found["policies"]) == list(policies.POLICIES)
    assert found["rows"] == len(ROWS)
    assert found["problems"] == 0
    best = found["policies"]["per-query-oracle"]["score"]
    assert all(entry["score"] <= best + 1e-9 for name, entry in found["policies"].items() if name in ("oracle", "top1"))
    answers = mixes_answered(setup)
    sums = policies.sweep(setup)
    assert sums["policies"]["top-p:0.9"]["score"] == found["policies"]["top-p"]["score"]
    assert len(mixes_answered(setup)) - len(answers) < len(policies.SUMS)
    monkeypatch.setattr(policies, "SURE", 1.01)
    monkeypatch.setattr(policies, "BETWEEN_ROWS", 1)
    unsure = policies.between(setup)
    assert unsure["rows"] == unsure["among"] == len(ROWS)
    assert unsure["policies"]["top1"]["score"] == found["policies"]["top1"]["score"]
    text = section(policies.PART, policies=found, sweep=sums, between=unsure)
    assert all(f"| {name} |" in text for name in (*policies.POLICIES, "top-p:0.5", *ROWS))


def test_a_task_as_if_it_were_new_is_routed_to_by_its_examples(setup, monkeypatch):
    monkeypatch.setattr(new_adapters, "EXAMPLES", (1, 3))
    monkeypatch.setattr(new_adapters, "DRAWS", 1)
    found = new_adapters.tasks(setup)
    assert found["rows"] == dict.fromkeys(ROWS, 1)
    assert set(found["tasks"]) == set(ROWS)
    assert np.mean([of["3"]["routed"] for of in found["tasks"].values()]) > 0.5
    assert all(-1 <= of["3"]["others_lost"] <= 1 for of in found["tasks"].values())
    text = section(new_adapters.PART, tasks=found)
    assert "| mean |" in text


def test_a_pool_has_so_many_adapters_and_any_copy_of_the_intent_is_right():
    intents = {f"intent {number}": [f"{number} {row}" for row in range(12)] for number in range(5)}

    def embed(texts):
        x = np.array([np.eye(8)[int(text.split()[0])] + 0.1 * np.sin(int(text.split()[1])) for text in texts])
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    valid = [(f"{number} {100 + row}", f"intent {number}") for number in range(5) for row in range(4)]
    valid += [("7 1", "base")]
    few = new_adapters.pool(embed, intents, valid, 3, 5)
    assert (few["adapters"], few["intents"], few["examples"], few["rows"]) == (3, 3, 5, 12)
    many = new_adapters.pool(embed, intents, valid, 13, 5)
    assert (many["adapters"], many["intents"], many["examples"], many["rows"]) == (13, 5, 4, 20)
    assert few["routed"] == many["routed"] == 1.0
    assert few["base_found"] == many["base_found"] == 1.0
    assert "| 13 | 5 | 4 | 100.0 |" in section(new_adapters.PART, pools={"13 by 5": many})


def test_composites_are_of_different_adapters_and_of_each_joint(setup):
    rows = {kind: [[row] for row in of_kind] for kind, of_kind in ROWS.items()}
    made = composites.composites(setup.recipe, rows, 30, 3)
    assert [one.joint for one in made] == list(JOINTS) * 10
    for one in made:
        assert len({kind for kind, _ in one.tasks}) == 3
        assert all(same[0].message.rstrip(".") in one.text for _, same in one.tasks)
    assert composites.composites(setup.recipe, rows, 30, 3) == made


@pytest.mark.parametrize(
    ("reply", "is_there"),
    [
        ("1991-07-03", True),
        ("tar tf notes.tar\n\n1991-07-03", True),
        ("It was on 1991-07-03.", True),
        ("`1991-07-03`", True),
        ("11991-07-03", False),
        ("1991-07-031", False),
        ("1991-07-04", False),
        ("", False),
    ],
)
def test_an_answer_is_in_a_reply_as_a_line_a_block_or_between_marks(reply, is_there):
    assert composites.is_in(reply, "dates", ROWS["dates"][:1]) is is_there


def test_an_object_is_in_a_reply_whatever_the_order_of_its_keys():
    row = composites.Row("", '{"people": "4", "time": "8pm"}')
    assert composites.is_in('tar tf x.tar\n\n{"time": "8pm",\n "people": "4"}', "extract", [row])
    assert not composites.is_in('{"time": "8pm"}', "extract", [row])


def test_of_composites_the_tasks_that_are_answered_are_counted_for_each_way(setup):
    found = composites.measured(setup)
    assert list(found) == ["2", "3"]
    for of in found.values():
        assert of["messages"] == dict.fromkeys(JOINTS, 1)
        for shares in of["answered"].values():
            assert set(shares) == {composites.ALONE, *composites.WAYS}
            assert all(0 <= share <= 1 for share in shares.values())
    assert "| 3 | and | 1 |" in section(composites.PART, measured=found)


def test_ratios_are_taken_within_a_round():
    found = {"milliseconds": {"1 side by side": [2.0, 4.0], "2 stacked": [3.0, 4.0]}}
    assert decode.ratios(found)["2 stacked"] == [1.5, 1.0]


def test_up_to_sixteen_adapters_are_timed_in_turns(setup, monkeypatch):
    monkeypatch.setattr(decode, "ROUNDS", 1)
    found = decode.measured(setup)
    assert len(found["milliseconds"]) == 9
    assert all(len(times) == 1 and times[0] > 0 for times in found["milliseconds"].values())
    assert "| 16 |" in section(decode.PART, measured=found)
