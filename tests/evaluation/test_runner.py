"""An evaluation on the bundled pack: eight rows a task, under every policy, and what is shared, kept and left out."""

import pytest

from dlp_local import open_assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.settings import Settings
from dlp_local.core.values import Mix
from dlp_local.evaluation.answers import Answers
from dlp_local.evaluation.policies import parse_policies
from dlp_local.evaluation.report import Setting, build_report
from dlp_local.evaluation.rows import read_rows
from dlp_local.evaluation.runner import Measured, Plan, Progress, evaluate
from dlp_local.evaluation.shots import Shots
from dlp_local.evaluation.tables import notes
from dlp_local.packs.locations import bundled_pack
from dlp_local.packs.manifest import read_manifest
from tests.evaluation.example_rows import example_rows, numbered
from tests.support.fakes import Answer, FakeAssistant

MAX_TOKENS = 24
EVERY = "base,oracle,single:sql,top1,top-p,top-p:0.6,top-p:0.9:softmax,uniform,all,merged,parts"


@pytest.fixture(scope="module")
def for_many(bundled):
    with open_assistant(Settings().for_many(), bundled) as opened:
        yield opened


@pytest.fixture
def manifest(bundled):
    return read_manifest(bundled)


def plan_of(assistant, rows, policies, **more):
    own, problems = read_rows(numbered(rows), assistant.adapters)
    assert not problems
    options = ChatOptions(temperature=more.pop("temperature", 0.0), repeat_penalty=1.0, max_tokens=MAX_TOKENS)
    routing = getattr(assistant, "settings", Settings()).routing
    return Plan(own, parse_policies(policies, assistant.adapters, routing), options, **more)


def measure(assistant, manifest, plan, file=None):
    answers = Answers(assistant, manifest, file, {})
    *_, measured = evaluate(assistant, plan, answers)
    assert isinstance(measured, Measured)
    return measured


def report_of(assistant, manifest, plan, file=None):
    return build_report(measure(assistant, manifest, plan, file), plan, Setting("bundled", 16))


class Counted:
    """An assistant that counts what it is asked."""

    def __init__(self, assistant):
        self._assistant, self.asked = assistant, 0

    def __getattr__(self, name):
        return getattr(self._assistant, name)

    def reply(self, *args, **more):
        self.asked += 1
        return self._assistant.reply(*args, **more)


def test_eight_rows_a_task_under_every_policy_and_again_from_what_was_kept(for_many, manifest, tmp_path):
    counted = Counted(for_many)
    plan = plan_of(counted, example_rows(), EVERY)
    report = report_of(counted, manifest, plan, tmp_path / "answers.jsonl")
    assert report["rows"] == 48
    policies = report["policies"]
    assert {task: entry["rows"] for task, entry in policies["oracle"]["tasks"].items()} == dict.fromkeys(
        ("banking", "dates", "describe", "extract", "shell", "sql"), 8
    )
    assert policies["oracle"]["tasks"]["dates"]["score"] == 1.0
    assert policies["base"]["tasks"]["dates"]["score"] == 0.0
    assert policies["single:sql"]["tasks"]["sql"] == policies["oracle"]["tasks"]["sql"] | {
        "against_top1": policies["single:sql"]["tasks"]["sql"]["against_top1"]
    }
    assert policies["all"] == policies["merged"]
    for entry in policies.values():
        assert 0 <= entry["low"] <= entry["score"] <= entry["high"] <= 1
        assert entry["score"] == pytest.approx(sum(task["score"] for task in entry["tasks"].values()) / 6, abs=1e-5)
    assert policies["oracle"]["share_of_oracle"] == 1
    assert policies["base"]["against_top1"]["p"] < 0.01
    assert report["routing"]["accuracy"] > 0.9
    assert sum(one["rows"] for one in report["routing"]["bins"]) == 48
    assert counted.asked < 48 * 5  # base, the own adapter, sql, all, and few mixes beside these: others share them

    again = Counted(for_many)
    assert report_of(again, manifest, plan, tmp_path / "answers.jsonl") == report
    assert not again.asked


def test_the_same_rows_and_seed_give_the_same_scores_in_whatever_order_they_stand(for_many, manifest):
    rows = example_rows("dates", "sql")
    plan, turned = (plan_of(for_many, order, "base,top1,top-p") for order in (rows, rows[::-1]))
    first, second = (report_of(for_many, manifest, one) for one in (plan, turned))
    assert first["policies"] == second["policies"]
    assert first["routing"] == second["routing"]
    assert report_of(for_many, manifest, plan)["policies"] == first["policies"]


def test_a_run_that_was_cut_gives_the_same_table_afterwards(for_many, manifest, tmp_path):
    plan = plan_of(for_many, example_rows("dates", "sql"), "base,oracle,top1")
    whole = report_of(for_many, manifest, plan, tmp_path / "whole.jsonl")
    job = evaluate(for_many, plan, Answers(for_many, manifest, tmp_path / "cut.jsonl", {}))
    for event in job:
        if isinstance(event, Progress) and event.stage == "answering" and event.done >= 5:
            job.cancel()
    assert event == Measured(interrupted=True)
    kept = (tmp_path / "cut.jsonl").read_text("utf-8").splitlines()
    assert 5 <= len(kept) < len((tmp_path / "whole.jsonl").read_text("utf-8").splitlines())
    with (tmp_path / "cut.jsonl").open("a") as file:
        file.write('{"key": "of a line that was being written whe')
    again = report_of(for_many, manifest, plan, tmp_path / "cut.jsonl")
    assert again["policies"] == whole["policies"]
    lines = (tmp_path / "cut.jsonl").read_text("utf-8").splitlines()
    assert lines[: len(kept)] == kept
    assert len(lines) == len((tmp_path / "whole.jsonl").read_text("utf-8").splitlines())


def test_policies_that_mix_alike_share_an_answer():
    fake = FakeAssistant()
    plan = plan_of(
        fake, [{"text": "x", "answer": "y", "adapter": "sql"}], "top-p,parts,top-p:0.9,base,single:sql,oracle"
    )
    measured = measure(fake, read_manifest(bundled_pack()), plan)
    assert len(measured.outcomes) == 6
    assert sorted(str(call.mix) for call in fake.calls) == sorted(
        ["base 1.00", "sql 1.00", str(plan.policies[0].mixes(plan.rows[0], fake.route("x").probabilities)[0])]
    )


def test_base_has_the_share_of_adapters_that_are_switched_off():
    fake = FakeAssistant()
    fake.adapters = ("shell",)
    (outcome,) = measure(
        fake, read_manifest(bundled_pack()), plan_of(fake, [{"text": "x", "answer": "y"}], "top1")
    ).outcomes
    assert fake.route("x").probabilities["sql"] > 0.5
    assert fake.calls[0].mix == Mix()
    assert outcome.adapters == 0


def test_a_message_of_several_tasks_is_answered_in_parts_by_the_policy_of_that_name(for_many, manifest):
    text = "to ISO: 3 July 1999\ntar: list the contents of notes.tar"
    assert for_many.route(text).parts
    plan = plan_of(for_many, [{"text": text, "answer": "1999-07-03\n\ntar tf notes.tar"}], "top-p,parts")
    whole, parts = measure(for_many, manifest, plan).outcomes
    assert parts.answer.startswith("1999-07-03\n\n")
    assert parts.adapters == 2
    assert whole.answer != parts.answer


def test_a_row_is_answered_after_its_history_under_its_own_system_prompt():
    fake = FakeAssistant()
    history = [("system", "Be brief."), ("user", "the 3rd"), ("assistant", "2021-02-03")]
    row = {"text": "and the 4th?", "answer": "x", "adapter": "dates",
           "history": [{"role": role, "content": content} for role, content in history]}  # fmt: skip
    shots = Shots(read_rows(numbered([{"text": "s", "answer": "t", "adapter": "dates"}]), fake.adapters)[0])
    measure(fake, read_manifest(bundled_pack()), plan_of(fake, [row], "oracle,few-shot:1", shots=shots))
    oracle, few_shot = sorted(fake.calls, key=lambda call: len(call.history))
    assert [message.content for message in oracle.history] == ["the 3rd", "2021-02-03"]
    assert [message.content for message in few_shot.history] == ["s", "t", "the 3rd", "2021-02-03"]
    assert (oracle.mix, few_shot.mix) == (Mix.of({"dates": 1.0}), Mix())
    assert oracle.options.system == few_shot.options.system == "Be brief."


def test_a_row_that_cannot_be_answered_is_told_and_left_out_of_every_policy():
    fake = FakeAssistant(Answer(error=InputError("it is too long.")))
    rows = [{"text": f"row {number}", "answer": "a fine answer"} for number in range(5)]
    plan = plan_of(fake, rows, "base,top-p")
    measured = measure(fake, read_manifest(bundled_pack()), plan)
    (problem,) = measured.problems
    assert problem.reason == "policy base: it is too long."
    assert {outcome.row.line for outcome in measured.outcomes} == {1, 2, 3, 4, 5} - {problem.line}
    report = build_report(measured, plan, Setting("bundled", 1))
    assert report["problems"] == [{"line": problem.line, "error": problem.reason}]
    assert report["policies"]["top-p"] == report["policies"]["base"]
    assert report["policies"]["base"]["score"] == 1


def test_turns_before_a_message_that_did_not_fit_are_told_by_policy():
    fake = FakeAssistant(Answer(trimmed=4))
    shots = Shots(read_rows(numbered([{"text": "s", "answer": "t", "adapter": "sql"}]), fake.adapters)[0])
    rows = [{"text": "x", "answer": "a fine answer", "adapter": "sql"}]
    plan = plan_of(fake, rows, "few-shot:1,base", shots=shots)
    report = report_of(fake, read_manifest(bundled_pack()), plan)
    assert sum(report["trimmed"].values()) == 1
    (policy,) = report["trimmed"]
    assert f"{policy}: in 1 answer the oldest turns before the message did not fit" in " ".join(notes(report))
    assert report_of(FakeAssistant(), read_manifest(bundled_pack()), plan)["trimmed"] == {}


def test_rows_that_are_there_twice_count_once_and_another_answer_to_the_same_is_right_too():
    fake = FakeAssistant()
    same = {"text": "x", "answer": "a fine answer", "adapter": "sql"}
    rows = [same, same, same, same | {"answer": "another one"}, {"text": "z", "answer": "wrong", "adapter": "sql"}]
    plan = plan_of(fake, rows, "base,top1", shots=Shots(plan_of(fake, rows, "base").rows))
    measured = measure(fake, read_manifest(bundled_pack()), plan)
    report = build_report(measured, plan, Setting("bundled", 1))
    assert (report["rows"], report["repeated"], report["joined"]) == (2, 2, 1)
    top = report["policies"]["top1"]
    assert (top["score"], top["rows"], top["tasks"]["sql"]["rows"]) == (0.5, 2, 2)
    assert [(one["answers"], one["score"]) for one in report["by_adapters"]["top1"].values()] == [(2, 0.5)]
    assert report["routing"]["rows"] == 2
    assert {outcome.row.answers for outcome in measured.outcomes} == {("a fine answer", "another one"), ("wrong",)}
    told = " ".join(notes(report))
    assert "2 rows written twice, counted once." in told
    assert "1 row with the question of another row, counted as that one: the answers of both are right." in told
    with pytest.raises(InputError, match="the shots have 1 other"):
        plan.shots.before(plan.each[0], 2, seed=0)


def test_a_row_of_another_script_has_no_score_by_a_metric_that_sees_nothing_of_it():
    pytest.importorskip("rouge_score", reason="needs the eval extra")
    pytest.importorskip("sacrebleu", reason="needs the eval extra")
    fake = FakeAssistant()
    rows = [{"text": text, "answer": text, "metric": "bleu"} for text in ("a fine answer it is", "это хороший ответ")]
    outcomes = measure(fake, read_manifest(bundled_pack()), plan_of(fake, rows, "base")).outcomes
    assert {outcome.row.text: set(outcome.measures) for outcome in outcomes} == {
        "a fine answer it is": {"bleu", "rouge1", "rougeL"}, "это хороший ответ": {"bleu"},
    }  # fmt: skip


def test_where_no_row_can_be_answered_that_is_told():
    fake = FakeAssistant(*(Answer(error=EngineError("the engine ended.")) for _ in range(2)))
    plan = plan_of(fake, [{"text": "x", "answer": "y"}], "base,top-p")
    with pytest.raises(InputError, match=r"no row could be measured\. Line 1: policy base: the engine ended"):
        measure(fake, read_manifest(bundled_pack()), plan)


def test_policies_that_the_rows_cannot_have_are_refused_before_anything_is_asked():
    fake = FakeAssistant()
    rows = [{"text": "x", "answer": "y", "adapter": "sql"}, {"text": "z", "answer": "y"}, {"text": "v", "answer": "y"}]
    with pytest.raises(
        InputError, match="policy 'oracle' needs rows that say whose they are, and lines 2 and 3 do not"
    ):
        evaluate(fake, plan_of(fake, rows, "oracle"), Answers(fake, read_manifest(bundled_pack()), None, {}))
    with pytest.raises(InputError, match="Give them with --shots"):
        evaluate(fake, plan_of(fake, rows, "few-shot:2"), Answers(fake, read_manifest(bundled_pack()), None, {}))
    shots = Shots(plan_of(fake, rows, "base").rows)
    with pytest.raises(InputError, match="1 row of 'sql' must stand before one, and the shots have 0 others"):
        evaluate(
            fake, plan_of(fake, rows, "few-shot:1", shots=shots), Answers(fake, read_manifest(bundled_pack()), None, {})
        )
    assert not fake.calls


def test_rows_with_choices_are_scored_by_generation_and_by_likelihood(for_many, manifest):
    choices = ["1999-07-03", "1999-03-07", "3 July"]
    row = {"text": "to ISO: 3 July 1999", "answer": choices[0], "choices": choices, "adapter": "dates"}
    (plain,) = measure(for_many, manifest, plan_of(for_many, [row], "oracle")).outcomes
    (both,) = measure(for_many, manifest, plan_of(for_many, [row], "oracle", likelihood=True)).outcomes
    (always,) = measure(for_many, manifest, plan_of(for_many, [row | {"metric": "likelihood"}], "oracle")).outcomes
    assert set(plain.measures) == {"choice", "exact"}
    assert {name: measures[0] for name, measures in both.measures.items()} == {"choice": 1, "likelihood": 1, "exact": 1}
    assert always.value == 1
    neither = row | {"answer": choices[1], "choices": choices[1:], "metric": "likelihood"}
    (scored,) = measure(for_many, manifest, plan_of(for_many, [neither], "oracle")).outcomes
    assert plain.answer not in choices[1:]
    assert scored.answer in choices[1:]
    wrong = row | {"answer": choices[2]}
    (missed,) = measure(for_many, manifest, plan_of(for_many, [wrong], "oracle", likelihood=True)).outcomes
    assert [missed.measures[name][0] for name in ("choice", "likelihood")] == [0, 0]


def test_seeds_vary_what_is_drawn_and_what_is_sampled():
    fake = FakeAssistant()
    rows = [{"text": f"row {number}", "answer": "y", "adapter": "sql"} for number in range(20)]
    shots = Shots(
        read_rows(numbered([{"text": f"s {n}", "answer": "t", "adapter": "sql"} for n in range(9)]), ["sql"])[0]
    )
    plan = plan_of(fake, rows, "base,few-shot:2", limit=4, seeds=3, shots=shots)
    measured = measure(fake, read_manifest(bundled_pack()), plan)
    assert len(measured.outcomes) == 2 * 3 * 4
    of_seeds = [{o.row.text for o in measured.outcomes if o.seed == seed} for seed in range(3)]
    assert len(set(map(frozenset, of_seeds))) == 3
    assert len({call.history for call in fake.calls}) == 1 + 3
    assert {call.options.seed for call in fake.calls} == {0}
    report = build_report(measured, plan, Setting("bundled", 1))
    assert len(report["policies"]["base"]["seeds"]) == 3

    warm = FakeAssistant()
    measure(warm, read_manifest(bundled_pack()), plan_of(warm, rows[:1], "base", seeds=3, temperature=0.7))
    assert {call.options.seed for call in warm.calls} == {0, 1, 2}


def test_an_oracle_over_all_adapters_has_the_best_answer_and_the_time_of_all():
    pieces = [["wrong"], ["right"], *([["worse"]] * 4)]
    fake = FakeAssistant(*(Answer(pieces=one) for one in pieces))
    plan = plan_of(fake, [{"text": "x", "answer": "right"}], "per-query-oracle")
    (outcome,) = measure(fake, read_manifest(bundled_pack()), plan).outcomes
    assert (outcome.answer, outcome.value) == ("right", 1)
    assert outcome.first_token == pytest.approx(6 * 0.18)
    assert [str(call.mix) for call in fake.calls] == [f"{name} 1.00" for name in sorted(fake.adapters)]
