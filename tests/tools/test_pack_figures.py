"""The figures of a pack are those of `dlp-local eval`'s turns: each message is answered once, in each way."""

import pytest

from dlp_local import open_assistant
from dlp_local.core.errors import InputError
from dlp_local.core.settings import Settings
from dlp_local.core.values import Mix
from dlp_local.evaluation.answers import Answers
from dlp_local.packs import bundled_pack
from dlp_local.packs.manifest import read_manifest
from tests.support.fakes import Answer, FakeAssistant
from tools import pack_figures
from tools.data import Row
from tools.pack_figures import answered, measure, sample

BOTH = "to ISO: 3 July 1999\ntar: list the contents of notes.tar"
DAYS = [f"to ISO: {day} July 1999" for day in range(1, 10)]


class Recipe:
    """Rows of one kind, one of them with a wrong answer."""

    kinds = {"dates": "dates"}  # noqa: RUF012
    everyday = (BOTH, "hello")

    def valid_rows(self, _data, _kind):
        return [Row(message, f"1999-07-{day:02}" if day > 1 else "no") for day, message in enumerate(DAYS, start=1)]


@pytest.fixture(scope="module")
def for_comparison():
    with open_assistant(Settings().for_comparison(), bundled_pack()) as opened:
        yield opened


def fake(*script):
    assistant = FakeAssistant(*script)
    assistant.settings = Settings()
    return assistant


def kept(assistant, file):
    return Answers(assistant, read_manifest(bundled_pack()), file, {})


def test_each_way_has_its_own_answers_in_order_and_none_is_computed_twice(tmp_path, for_comparison):
    file = tmp_path / "figures.answers.jsonl"
    answers = kept(for_comparison, file)
    expected = [f"1999-07-{day:02}" for day in range(1, 10)]
    assert answered(for_comparison, answers, DAYS, "dates", "alone") == expected
    assert answered(for_comparison, answers, [BOTH], "dates", "routed")[0].startswith("1999-07-03\n\n")
    assert answered(for_comparison, answers, DAYS[:2], "dates", "base") != expected[:2]
    assert file.read_text("utf-8").count('"key"') == len(DAYS) + 3
    again = fake()
    assert answered(again, kept(again, file), DAYS, "dates", "alone") == expected
    assert not again.calls


def test_the_figures_grow_by_kind_and_tell_the_mix_of_everyday_requests(tmp_path, monkeypatch):
    assert set(pack_figures.WAYS) == {"alone", "routed", "base"}
    *_, figures = measure(Recipe(), tmp_path, bundled_pack(), tmp_path / "answers.jsonl", base_rows=2)
    dates = figures["tasks"]["dates"]
    assert (dates["rows"], dates["base_rows"]) == (9, 2)
    assert dates["alone"] == dates["routed"] == {"exactly right, %": 88.9}
    assert dates["base"] == {"exactly right, %": 0.0}
    both, hello = figures["everyday"]
    assert both["mix"] == "dates 1.00, shell 1.00"
    assert both["routed"].startswith("1999-07-03\n\n")
    assert hello["mix"] == str(Mix())
    assert hello["routed"] == hello["base"]


def test_a_row_that_cannot_be_answered_ends_the_measuring_with_its_message(tmp_path):
    assistant = fake(Answer(error=InputError("it is too long.")))
    with pytest.raises(InputError, match=r"it is too long"):
        answered(assistant, kept(assistant, tmp_path / "answers.jsonl"), ["list files"], "shell", "alone")


def test_a_longer_run_measures_the_rows_of_a_shorter_one_and_more():
    rows = [Row(f"message {number % 700}", f"answer {number}") for number in range(1000)]
    few, many = sample(rows, 20), sample(rows, 300)
    assert list(many)[:20] == list(few)
    assert sorted(map(len, sample(rows, 1000).values())) == [1] * 400 + [2] * 300
