"""What methods learn, side by side: several adapters at once, several parts of one, and with a teacher."""

import math
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dlp_local.core.errors import InputError  # noqa: E402
from dlp_local.training.adapter.backbone import Backbone  # noqa: E402
from dlp_local.training.adapter.batches import Example, batch  # noqa: E402
from dlp_local.training.adapter.export import read_adapter, write_adapter  # noqa: E402
from dlp_local.training.adapter.fit import FILE, Fit, divergence  # noqa: E402
from dlp_local.training.adapter.methods.ca import Teacher  # noqa: E402
from dlp_local.training.adapter.methods.method import Method  # noqa: E402
from dlp_local.training.adapter.optimizers import CLIP, clip  # noqa: E402
from tests.support.adapter_training import (  # noqa: E402
    drawn_method,
    examples,
    factors_of,
    new_method,
    next_logits,
    product,
    run_to_end,
    some_choices,
    trained,
)
from tests.support.quantized import quantize  # noqa: E402


def flatness(method: Method) -> float:
    """The mean entropy of the shares of singular values: 0 with one, 1 with as many alike as the rank has room for."""
    entropies = []
    for name in method.weights:
        values = torch.linalg.svdvals(product(method, name).detach())[: method.choices.rank]
        shares = values / values.sum()
        entropies.append(float(-(shares * shares.clamp(min=1e-12).log()).sum() / math.log(len(shares))))
    return sum(entropies) / len(entropies)


def test_singular_values_of_multilora_are_flatter_than_loras(backbone, tmp_path):
    flat = {}
    for name in ("lora", "multilora"):
        choices = some_choices(
            method=name, rank=8, alpha=16.0, links=4, epochs=14, rate=1.5e-2, decay=0.0, batch_tokens=100
        )
        method, fitted = trained(backbone, choices, tmp_path / name, [examples(24)])
        assert min(fitted.held_out_losses) < 0.5 * fitted.held_out_losses[0]
        flat[name] = flatness(method)
    assert flat["multilora"] > flat["lora"] + 0.03


def reached(folder):
    """A and B after the last step, which are kept to go on from."""
    return torch.load(folder / FILE)["method"]["groups"]


@pytest.mark.parametrize(("optimizer", "close"), [("adamw", 1e-5), ("rite", 1e-3)])
def test_adapters_trained_at_once_are_those_that_are_trained_alone(backbone, tmp_path, optimizer, close):
    rows, epochs = [examples(24, 1), examples(12, 2)], [2, 4]  # eight batches an epoch, and four
    _, whole = trained(backbone, some_choices(method="flora", optimizer=optimizer, epochs=2), tmp_path, rows)
    together = reached(tmp_path)
    for task in range(2):
        folder, choices = tmp_path / str(task), some_choices(optimizer=optimizer, epochs=epochs[task])
        _, alone = trained(backbone, choices, folder, [rows[task]])
        assert (alone.steps, alone.ended) == (whole.steps, "whole")
        for side, tensors in reached(folder).items():
            for name, tensor in tensors.items():
                assert torch.allclose(together[side][name][task], tensor, atol=close), (side, name)


def test_a_task_with_wild_gradients_does_not_slow_the_others(backbone):
    tensors = [torch.zeros(2, 3, 4, requires_grad=True), torch.zeros(2, 4, requires_grad=True)]
    for tensor in tensors:
        tensor.grad = torch.full_like(tensor, 0.1)
        tensor.grad[0] *= 1000
    clip(tensors, each=True)
    norms = [math.sqrt(sum(float(tensor.grad[task].pow(2).sum()) for tensor in tensors)) for task in range(2)]
    assert norms == pytest.approx([CLIP, 0.4], rel=1e-4)
    clip(tensors, each=False)
    assert float(torch.stack([tensor.grad.norm() for tensor in tensors]).norm()) == pytest.approx(CLIP, rel=1e-4)


@pytest.fixture(scope="module")
def coarse(tiny_path, tmp_path_factory):
    """The same model in 4 bits."""
    return Backbone(quantize(tiny_path, tmp_path_factory.mktemp("coarse") / "q4_0.gguf", "Q4_0"))


def from_teacher(teacher, student, rows, method=None):
    """The mean Kullback-Leibler divergence of a student's tokens from its teacher's."""
    one = batch([rows])
    with torch.no_grad():
        wanted = teacher.logits(one)
        given, _, _ = student.learned_logits(one, factors_of(method) if method else None)
    return float(divergence(wanted, given).mean())


def test_divergence_is_none_of_itself_and_torchs_of_others():
    wanted, given = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(divergence(wanted, wanted), torch.zeros(5), atol=1e-6)
    p, q = wanted.softmax(-1), given.softmax(-1)
    assert torch.allclose(divergence(wanted, given), (p * (p / q).log()).sum(-1), atol=1e-5)


def answered_by(teacher, rows, method):
    """Rows with the answers that a model would give itself under an adapter."""
    answered = []
    for row in rows:
        tokens = row.tokens[: row.answer_at]
        for _ in range(4):
            tokens += (int(next_logits(teacher, tokens, method).argmax()),)
        answered.append(Example((), tokens, row.answer_at))
    return answered


def test_an_adapter_of_a_compressed_backbone_comes_nearer_to_its_teacher(backbone, coarse, tiny_path, tmp_path):
    adapter = drawn_method(backbone, some_choices())
    write_adapter(adapter, 0, tiny_path, tmp_path / "start.gguf", precision="f32")
    start = read_adapter(tmp_path / "start.gguf", coarse.path)
    teacher = Teacher(backbone, read_adapter(tmp_path / "start.gguf", tiny_path).get)
    rows, given = answered_by(backbone, examples(24), adapter), {"epochs": 6, "rate": 3e-3}
    kl = {}
    for name, choices in {
        "lora": some_choices(**given),
        "ca": some_choices(method="ca", teacher=tiny_path, start=tmp_path / "start.gguf", **given),
    }.items():
        method = new_method(coarse, choices)
        method.start_from(start)
        kl["before"] = from_teacher(teacher, coarse, rows, method)
        given_teacher = teacher if name == "ca" else None
        run_to_end(Fit(coarse, method, [rows], [rows], choices, tmp_path / name, given_teacher))
        kl[name] = from_teacher(teacher, coarse, rows, method)
    assert kl["before"] > 1e-3
    assert kl["ca"] < 0.9 * kl["before"]
    assert kl["ca"] < kl["lora"]


def test_a_teacher_with_other_tokens_is_refused(backbone, bundled, tmp_path):
    choices = some_choices(method="ca", teacher=bundled / "backbone.gguf", start=Path("a.gguf"))
    with pytest.raises(InputError, match=r"--teacher: .*backbone\.gguf has \d+ tokens, .*llama\.gguf 96\."):
        Fit(
            backbone, new_method(backbone, choices), [examples(4)], [examples(4)], choices, tmp_path,
            teacher=Teacher(Backbone(choices.teacher), lambda name: None),
        )  # fmt: skip
