"""The part on the tiny backbone, with three made-up tasks: it works, and a run that was cut goes on to the same."""

import gzip
import json
from dataclasses import replace

import pytest

from dlp_local.core.paths import packs_folder
from tools import reproduce
from tools.adapter_runs import AdapterRuns
from tools.experiments import bbh
from tools.experiments.bbh_training import LARGE, RANK, TIMES
from tools.experiments.part import measure

COLORS = ("red", "blue", "green", "white")
CLOCK = {"seconds", "tokens_per_second"}


def color(number):
    right = number % 3
    options = "\n".join(f"({letter}) {COLORS[(number + at) % 4]}" for at, letter in enumerate("ABC"))
    return f"Pick number {right + 1} for player {number}.\nOptions:\n{options}", f"({'ABC'[right]})"


TASKS = {
    "colors": color,
    "negation": lambda number: (f"not {number % 2 == 0} for case {number} is", str(number % 2 == 1)),
    "sums": lambda number: (f"({number} + {number}) =", str(2 * number)),
}


@pytest.fixture
def small(setup):
    folder = setup.data / "bbh"
    folder.mkdir(parents=True)
    for split, numbers in (("train", range(12)), ("valid", range(100, 104))):
        rows = [(task, make(number)) for task, make in TASKS.items() for number in numbers]
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as file:
            for task, (prompt, answer) in rows:
                file.write(json.dumps({"prompt": prompt, "answer": answer, "subtask": task}) + "\n")
    return replace(setup, rows=2, seeds=1, bbh_epochs=1)


def without_the_clock(figures):
    return {
        seed: [{key: value for key, value in run.items() if key not in CLOCK} for run in runs]
        for seed, runs in figures.items()
    }


def test_a_training_that_was_cut_goes_on_and_gives_the_same(small, tmp_path, monkeypatch):
    two = replace(small, seeds=2)
    trained = AdapterRuns._trained
    begun = []

    def cut_at_the_third(self, rows, *more):
        begun.append(list(rows))
        if len(begun) == 3:
            raise KeyboardInterrupt
        return trained(self, rows, *more)

    monkeypatch.setattr(AdapterRuns, "_trained", cut_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        bbh.training(two)
    found = bbh.training(two)
    runs = len(found["0"]) + len(found["1"])
    assert len(begun) == runs + 1, "what was trained is not trained again"
    assert begun[2] == begun[3]
    assert bbh.training(two) == found
    monkeypatch.undo()
    whole = replace(two, build=tmp_path / "another")
    assert without_the_clock(bbh.training(whole)) == without_the_clock(found)
    files = [sorted(setup.build.rglob("*.safetensors")) for setup in (two, whole)]
    assert [[path.relative_to(two.build) for path in files[0]], [path.read_bytes() for path in files[0]]] == [
        [path.relative_to(whole.build) for path in files[1]],
        [path.read_bytes() for path in files[1]],
    ]
    assert len({path.read_bytes() for path in files[0]}) == 2 * (len(TASKS) + 1), "each seed gives other adapters"


def test_every_run_has_its_adapters_and_the_large_one_has_all_rows_and_four_times_the_rank(small):
    *of_tasks, large = bbh.training(small)["0"]
    assert sorted(name for run in of_tasks for name in run["adapters"]) == sorted(TASKS)
    assert large["adapters"] == [LARGE]
    assert large["rank"] == 4 * of_tasks[0]["rank"]
    assert large["rows"][LARGE] == sum(count for run in of_tasks for count in run["rows"].values())
    assert {run["epochs"] for run in (*of_tasks, large)} == {1}
    assert not list(small.build.rglob("begun"))


def test_the_whole_part_is_measured_kept_and_told(small):
    pytest.importorskip("sacrebleu", reason="needs the eval extra")
    folder = small.build / "figures"
    assert [step for step, _ in measure(bbh.PART, small, folder)] == ["training", "router", "policies", "composites"]
    found = {name: step["figures"] for name, step in json.loads((folder / "bbh.json").read_text("utf-8")).items()}
    of = found["policies"]["seeds"]["0"]
    assert list(of["policies"]) == list(bbh.POLICIES)
    assert (of["rows"], of["problems"]) == (2 * len(TASKS), 0)
    for entry in of["policies"].values():
        assert set(entry["exact"]["tasks"]) == set(TASKS)
        assert set(entry["likelihood"]["tasks"]) == {"colors", "negation"}
        assert entry["choice"]["score"] >= 0
        assert entry["exact"]["low"] <= entry["exact"]["score"] <= entry["exact"]["high"]
    assert {task: about["lettered"] for task, about in found["policies"]["tasks"].items()} == {
        "colors": True, "negation": False, "sums": False,
    }  # fmt: skip
    router = found["router"]["0"]
    assert router["rows"] == 4 * len(TASKS)
    assert router["accuracy"] > 0.8
    assert router["tasks_alone"]["accuracy"] > 0.8
    assert router["with_base"]["labels"] == router["tasks_alone"]["labels"] + 1 == len(TASKS) + 1
    for size, shares in found["composites"]["0"].items():
        assert shares["messages"] <= 2
        assert set(shares["answered"]) == {*bbh.WAYS, bbh.ALONE}
        assert all(shares["all"][way] <= share <= 1 for way, share in shares["answered"].items()), size
    text = bbh.PART.section(found)
    assert text.startswith("## ")
    assert all(f"| {name} |" in text for name in ("base", "top-1", "single (oracle)", "colors", "sums", "uniform"))
    assert "| the paper, 26 tasks | 98.45 |" in text
    assert f"{len(TASKS)} tasks, {2 * len(TASKS)} valid rows, 1 seed" in text
    assert "**The paper beside ours.**" in text.rpartition("\n\n")[2]
    assert not packs_folder().exists(), "nothing is left in the user's data"
    answers = (small.build / "answers.jsonl").read_bytes()
    assert bbh.policies(small) == found["policies"]
    assert bbh.several(small) == found["composites"]
    assert (small.build / "answers.jsonl").read_bytes() == answers, "what was answered is not asked again"


def test_a_part_of_the_figures_is_told_as_far_as_it_goes(small):
    text = bbh.PART.section(json.loads(json.dumps({"training": bbh.training(small)})))
    assert f"| the large LoRA | {TIMES * RANK} | 1 |" in text
    assert "### The router" not in text


def test_the_command_says_how_much_of_it(monkeypatch, tmp_path):
    (tmp_path / "intents").mkdir()
    (tmp_path / "intents" / "train.jsonl.gz").touch()
    asked = []
    monkeypatch.setattr(reproduce, "reproduce", lambda parts, setup, docs, restart: asked.append((parts, setup)))
    flags = "--seeds 2 --tasks-of-bbh 4 --rows-of-bbh 30 --epochs-of-bbh 5".split()
    assert reproduce.main(["bbh", "--data", str(tmp_path), *flags]) == 0
    ((parts, setup),) = asked
    assert [part.name for part in parts] == ["bbh"]
    assert (setup.seeds, setup.bbh_tasks, setup.bbh_rows, setup.bbh_epochs) == (2, 4, 30, 5)
