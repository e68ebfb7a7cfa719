"""A part's figures are kept step by step, measured again only where they would be others, and a cut loses one step."""

import json
from dataclasses import replace

import pytest

from dlp_local.core.errors import InputError
from tools.experiments.part import Part, figures, measure


class Steps:
    """Two steps that count how often they are measured; `second` fails while it is `broken`."""

    def __init__(self):
        self.measured, self.broken = [], False
        self.part = Part("two", ("rows",), {"first": self.first, "second": self.second}, lambda found: "")

    def first(self, setup):
        self.measured.append("first")
        return {"rows": setup.rows}

    def second(self, setup):
        if self.broken:
            raise KeyboardInterrupt
        self.measured.append("second")
        return {"rows": setup.rows}


def run(steps, setup, folder, **more):
    return list(measure(steps.part, setup, folder, **more))


def test_what_is_there_is_not_measured_again_unless_it_is_asked_for(setup, tmp_path):
    steps = Steps()
    assert run(steps, setup, tmp_path) == [("first", False), ("second", False)]
    assert run(steps, setup, tmp_path) == [("first", True), ("second", True)]
    assert steps.measured == ["first", "second"]
    assert run(steps, setup, tmp_path, restart=True) == [("first", False), ("second", False)]
    assert steps.measured == ["first", "second"] * 2


def test_a_run_that_was_stopped_goes_on_after_its_last_step(setup, tmp_path):
    steps = Steps()
    steps.broken = True
    with pytest.raises(KeyboardInterrupt):
        run(steps, setup, tmp_path)
    assert figures(steps.part, tmp_path) == {"first": {"rows": 1}}
    steps.broken = False
    assert run(steps, setup, tmp_path) == [("first", True), ("second", False)]
    assert steps.measured == ["first", "second"]


def test_other_rows_are_measured_anew_and_what_does_not_matter_is_not(setup, tmp_path):
    steps = Steps()
    run(steps, setup, tmp_path)
    assert run(steps, replace(setup, threads=7), tmp_path) == [("first", True), ("second", True)]
    assert run(steps, replace(setup, rows=2), tmp_path) == [("first", False), ("second", False)]
    assert figures(steps.part, tmp_path) == {"first": {"rows": 2}, "second": {"rows": 2}}


def test_another_pack_is_measured_anew(setup, tmp_path, pack_copy):
    steps = Steps()
    run(steps, setup, tmp_path / "out")
    manifest = pack_copy / "pack.toml"
    manifest.write_text(manifest.read_text("utf-8") + "\n# trained again\n", "utf-8")
    assert run(steps, replace(setup, pack=pack_copy), tmp_path / "out") == [("first", False), ("second", False)]


def test_a_step_that_there_is_no_more_is_removed(setup, tmp_path):
    steps = Steps()
    run(steps, setup, tmp_path)
    fewer = replace(steps.part, steps={"first": steps.first, "third": steps.first})
    list(measure(fewer, setup, tmp_path))
    assert list(json.loads((tmp_path / "two.json").read_text("utf-8"))) == ["first", "third"]


@pytest.mark.parametrize("text", ["{", "[]", '{"first": 1}', '{"first": {"figures": {}}}'])
def test_a_damaged_file_is_named_and_what_to_do(text, tmp_path):
    (tmp_path / "two.json").write_text(text)
    with pytest.raises(InputError, match=r"two\.json: is damaged\. Remove it"):
        figures(Steps().part, tmp_path)
