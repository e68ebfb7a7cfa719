"""The command: the page is that of the figures, it is written without measuring, and mistakes are named."""

import pytest

from tools import reproduce
from tools.experiments.part import Part


def test_the_page_in_the_docs_is_that_of_its_figures():
    written = (reproduce.DOCS / "experiments.md").read_text("utf-8")
    assert written == reproduce.page(reproduce.DOCS / "experiments"), "python -m tools.reproduce --page writes it anew"


def test_the_page_has_the_parts_that_were_measured_in_their_order(setup, tmp_path, monkeypatch):
    def part(name):
        return Part(name, (), {"step": lambda _: {"of": name}}, lambda found: f"## {found['step']['of']}")

    one, two = part("one"), part("two")
    monkeypatch.setattr(reproduce, "PARTS", {"one": one, "two": two})
    page = tmp_path / "experiments.md"
    reproduce.reproduce([two], setup, tmp_path)
    assert page.read_text("utf-8") == f"{reproduce.INTRODUCTION}\n\n## two\n"
    reproduce.reproduce([one], setup, tmp_path)
    whole = f"{reproduce.INTRODUCTION}\n\n## one\n\n## two\n"
    assert page.read_text("utf-8") == whole
    page.unlink()
    assert reproduce.main(["--page", "--docs", str(tmp_path)]) == 0
    assert page.read_text("utf-8") == whole


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["routr"], "there is no part 'routr'"),
        ([], "--data: is missing"),
        (["--data", "nowhere"], "nowhere holds no data sets"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(arguments, told, capsys):
    assert reproduce.main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_stopped_run_says_how_it_goes_on(monkeypatch, tmp_path, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "intents").mkdir()
    (tmp_path / "intents" / "train.jsonl.gz").touch()
    monkeypatch.setattr(reproduce, "reproduce", stopped)
    assert reproduce.main(["--data", str(tmp_path), "router"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
