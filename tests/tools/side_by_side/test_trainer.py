"""The training loop: what it learns, how long it runs, and going on from a checkpoint."""

import itertools

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from tools.side_by_side.adapters import AdapterBank  # noqa: E402
from tools.side_by_side.data import Example, batch  # noqa: E402
from tools.side_by_side.decode import answers  # noqa: E402
from tools.side_by_side.trainer import Budget, Plan, Trainer  # noqa: E402

END = 2
PROMPTS = {"one": [1, 40, 50], "two": [1, 40, 51]}
ANSWERS = {"one": [60, 61, END], "two": [70, END]}


def stream(name, skipped=0):
    example = Example((*PROMPTS[name], *ANSWERS[name]), 3)
    other = Example((*PROMPTS[name], 44, *ANSWERS[name]), 4)
    rows = ([[example, other]] if number % 2 else [[other], [example]][:1] for number in itertools.count(skipped))
    return (batch(each, 16) for each in rows)


def trainer(backbone, steps, plans=None, skipped=0):
    bank = AdapterBank(("one", "two"), backbone.shape, 4)
    plans = plans or {name: Plan(rate=0.02) for name in bank.names}
    prefixes = itertools.islice(itertools.cycle([[5, 9], [5, 9], [6]]), skipped, None)
    streams = {name: stream(name, skipped) for name in bank.names}
    return Trainer(backbone, bank, plans, streams, prefixes, Budget(steps=steps))


def test_adapters_trained_side_by_side_each_learn_their_own_answer(backbone):
    training = trainer(backbone, 60)
    while training.step():
        pass
    given = answers(backbone, training.bank, {name: [prompt] for name, prompt in PROMPTS.items()}, [5, 9], END, 6)
    assert given == {"one": [[60, 61]], "two": [[70]]}


def test_a_training_ends_with_its_steps_and_says_how_far_it_is(backbone):
    training = trainer(backbone, 4)
    assert [training.step() for _ in range(6)] == [True] * 4 + [False] * 2
    progress = training.progress()
    assert (progress.share, progress.steps) == (1.0, 4)
    assert progress.tokens > 0
    assert set(progress.losses) == {"one", "two"}
    assert training.progress().losses == {}


def test_a_training_without_time_left_does_nothing(backbone):
    training = trainer(backbone, 4)
    training.budget = Budget(seconds=0.0)
    assert not training.step()


def test_a_training_goes_on_from_its_checkpoint_as_if_it_had_not_been_left(backbone, tmp_path):
    whole = trainer(backbone, 6)
    while whole.step():
        pass
    left = trainer(backbone, 6)
    for _ in range(3):
        left.step()
    left.save(tmp_path / "checkpoint.pt")
    resumed = trainer(backbone, 6, skipped=3)
    resumed.restore(tmp_path / "checkpoint.pt")
    while resumed.step():
        pass
    assert resumed.progress().steps == 6
    for name, tensor in whole.bank.tensors.items():
        torch.testing.assert_close(resumed.bank.tensors[name], tensor, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(resumed.optimizer.mean[name], whole.optimizer.mean[name], atol=1e-5, rtol=1e-4)


def test_a_checkpoint_of_other_adapters_is_refused(backbone, tmp_path):
    trainer(backbone, 2).save(tmp_path / "checkpoint.pt")
    bank = AdapterBank(("three",), backbone.shape, 4)
    other = Trainer(backbone, bank, {"three": Plan()}, {"three": stream("one")}, iter([]), Budget(steps=1))
    with pytest.raises(ValueError, match="is the training of one, two"):
        other.restore(tmp_path / "checkpoint.pt")


def test_an_adapter_is_trained_in_its_own_share_of_the_time_alone(backbone):
    plans = {"one": Plan(rate=0.02, end=0.5), "two": Plan(rate=0.02, begin=0.5)}
    training = trainer(backbone, 4, plans)
    moved = []
    for _ in range(4):
        before = training.bank.tensors["down.b"].detach().clone()
        training.step()
        moved.append([bool((training.bank.tensors["down.b"] - before)[:, i].any()) for i in range(2)])
    assert moved == [[True, False], [True, False], [False, True], [False, True]]


def test_an_adapter_of_a_smaller_rank_keeps_it(backbone):
    training = trainer(backbone, 5)
    training.bank.start("one", 2, seed=0)
    while training.step():
        pass
    for name, tensor in training.bank.tensors.items():
        width = tensor.shape[2] if name.endswith(".a") else tensor.shape[3]
        beyond = [column for column in range(width) if column % 4 >= 2]
        ranked = tensor[:, 0] if name.endswith(".a") else tensor[:, 0].mT
        assert not ranked[:, beyond].any(), name


def test_gradients_of_one_adapter_do_not_reach_another(backbone):
    def trained(slots_of_two):
        training = trainer(backbone, 3, {"one": Plan(rate=0.02), "two": Plan(rate=0.02, slots=slots_of_two)})
        while training.step():
            pass
        return training.bank.tensors["qkv.b"][:, 0]

    torch.testing.assert_close(trained(1), trained(3), atol=1e-5, rtol=1e-4)


def test_the_rate_rises_falls_along_a_cosine_and_is_zero_outside_the_adapters_time():
    plan = Plan(rate=1.0, begin=0.2, end=0.6)
    shares = [i / 1000 for i in range(1000)]
    rates = {share: plan.rate_at(share) for share in shares}
    assert all((rate > 0) == (0.2 <= share < 0.6) for share, rate in rates.items())
    peak = max(shares, key=rates.__getitem__)
    assert rates[peak] == pytest.approx(1, abs=0.01)
    assert peak == pytest.approx(0.212, abs=0.003)
    falling = [rates[share] for share in shares if peak <= share < 0.6]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(0.02, abs=0.01)
