"""The backbone in torch computes what llama.cpp does, whatever shares a batch."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dlp_local.training.adapter.backbone import AdaptedLinear, Backbone  # noqa: E402
from dlp_local.training.adapter.batches import Example, batch  # noqa: E402
from dlp_local.training.adapter.gguf_config import FAMILIES  # noqa: E402
from dlp_local.training.adapter.methods.method import Factors  # noqa: E402
from tests.support.adapter_training import (  # noqa: E402
    TOKENS,
    drawn_method,
    examples,
    factors_of,
    next_logits,
    some_choices,
)
from tests.support.logits import difference, llama_logits  # noqa: E402
from tests.support.tiny_models import MODELS, random_model, write_backbone  # noqa: E402

CLOSE = 1e-3
"""Largest difference of two logits, relative to the largest logit."""

EXACT = 1e-5
LONG = tuple((7 * i * i + 3 * i + 5) % 90 + 3 for i in range(60))
"""Longer than the sliding windows of the tiny models, which are 32 tokens long."""

READ = sorted(name for name, tiny in MODELS.items() if tiny.arch in FAMILIES)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Opens the tiny model of an architecture, once."""
    known = {}

    def open_one(name):
        if name not in known:
            path = tmp_path_factory.mktemp(name) / "b.gguf"
            write_backbone(name, random_model(name), path)
            known[name] = Backbone(path)
        return known[name]

    return open_one


def logits(backbone, *rows, method=None):
    """The logits where the examples' answers are learned, one example after the other."""
    with torch.no_grad():
        given, targets, weights = backbone.learned_logits(batch(rows), factors_of(method) if method else None)
    assert len(given) == len(targets) == len(weights)
    return given.numpy()


def apart(backbone, *rows, method=None):
    """The same, each example in a pass of its own."""
    return [part for row in rows for example in row for part in logits(backbone, [example], method=method)]


def test_every_architecture_that_is_read_is_compared_here():
    assert {MODELS[name].arch for name in READ} == FAMILIES.keys()


@pytest.mark.usefixtures("exact_cache")
@pytest.mark.parametrize("name", READ)
def test_the_logits_are_llama_cpps(opened, name):
    backbone = opened(name)
    for tokens in (TOKENS, LONG):
        assert difference(next_logits(backbone, tokens), llama_logits(backbone.path, tokens)) <= CLOSE


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "cohere2"])
def test_the_longer_rows_are_longer_than_a_sliding_window(opened, monkeypatch, name):
    backbone = opened(name)
    given = next_logits(backbone, LONG)
    monkeypatch.setattr(backbone._model.config, "sliding_window", len(LONG))
    assert difference(next_logits(backbone, LONG), given) > CLOSE


@pytest.mark.parametrize("name", READ)
def test_rows_that_are_packed_and_padded_are_what_they_are_alone(opened, name):
    backbone = opened(name)
    rows = [examples(3, 1), examples(1, 2), [Example((), LONG, 50), *examples(1, 3)]]
    assert difference(logits(backbone, *rows), apart(backbone, *rows)) <= EXACT


@pytest.mark.parametrize("name", READ)
def test_rows_after_different_prefixes_in_one_batch_are_what_they_are_alone(opened, name):
    backbone = opened(name)
    rows = [[*examples(2, 1, LONG[:7]), *examples(1, 2)], examples(1, 3, LONG[:40]), examples(2, 4, LONG[:7])]
    assert difference(logits(backbone, *rows), apart(backbone, *rows)) <= EXACT


@pytest.mark.parametrize("name", READ)
def test_a_prefix_is_what_the_row_would_have_begun_with(opened, name):
    backbone, whole = opened(name), Example((), LONG, 52)
    for cut in (1, 20, 45):
        after = Example(LONG[:cut], LONG[cut:], 52 - cut)
        assert difference(logits(backbone, [after]), logits(backbone, [whole])) <= EXACT


class OnlyAfter(torch.nn.Module):  # type: ignore[misc, name-defined]
    """An adapted weight whose adapter is on from a token on, by the definition of Activated LoRA."""

    def __init__(self, plain, factors, begins):
        super().__init__()
        self.plain, self.factors, self.begins = plain, factors, begins

    def forward(self, x):
        a, b = self.factors
        changed = (x @ a.mT) @ b.mT
        changed[:, : self.begins] = 0
        return self.plain(x) + changed


@pytest.mark.parametrize("begins", [1, 30])
def test_an_adapter_is_off_in_the_prefix_and_on_after_it(backbone, tiny_llama, begins):
    method = drawn_method(backbone, some_choices())
    after = Example(LONG[:begins], LONG[begins:], len(LONG) - 8 - begins)
    given = logits(backbone, [after], method=method)
    reference = copy.deepcopy(tiny_llama)
    for name in backbone.weights:
        plain = reference.get_submodule(name)
        reference.set_submodule(name, OnlyAfter(plain, factors_of(method)(name), begins))
    with torch.no_grad():
        wanted = reference(input_ids=torch.tensor([LONG])).logits[0, -9:-1].numpy()
    assert difference(given, wanted) <= EXACT
    assert difference(given, logits(backbone, [after])) > 100 * EXACT


def test_prefixes_are_kept_and_stay_those_of_the_bare_backbone(backbone):
    method, row = drawn_method(backbone, some_choices()), examples(1, 1, LONG[:10])
    bare, adapted = logits(backbone, row), logits(backbone, row, method=method)
    assert (logits(backbone, row) == bare).all()
    assert (logits(backbone, row, method=method) == adapted).all()


def test_nothing_of_the_backbone_is_trained(backbone):
    method = drawn_method(backbone, some_choices())
    given, _, _ = backbone.learned_logits(batch([examples(2)]), factors_of(method))
    given.sum().backward()
    assert all(tensor.grad is not None for tensor in method.trained)
    assert not any(tensor.requires_grad for tensor in backbone._model.parameters())


def test_the_weights_are_every_matrix_of_the_layers(backbone):
    kinds = {name.split(".", 3)[3] for name in backbone.weights}
    attention, feed_forward = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
    assert kinds == {*(f"self_attn.{one}" for one in attention), *(f"mlp.{one}" for one in feed_forward)}
    assert backbone.weights["model.layers.0.mlp.down_proj"] == (32, 48)


@pytest.mark.parametrize("has_bias", [False, True])
def test_the_gradients_of_an_adapted_product_are_those_of_its_definition(has_bias):
    draw = torch.Generator().manual_seed(1)
    x, weight, a, b, outer = (
        torch.randn(shape, generator=draw) for shape in ((2, 5, 7), (4, 7), (3, 7), (4, 3), (2, 5, 4))
    )
    linear = torch.nn.Linear(7, 4, bias=has_bias).requires_grad_(False)
    linear.weight.copy_(weight)
    ours = AdaptedLinear(linear)
    given = [tensor.clone().requires_grad_() for tensor in (x, a, b)]
    wanted = [tensor.clone().requires_grad_() for tensor in (x, a, b)]
    ours.factors = Factors(*given[1:])
    mine = ours(given[0])
    theirs = linear(wanted[0]) + wanted[0] @ wanted[1].mT @ wanted[2].mT
    torch.testing.assert_close(mine, theirs)
    mine.backward(outer)
    theirs.backward(outer)
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert linear.weight.grad is None


@pytest.mark.parametrize("factors_are_of_rows", [False, True])
def test_in_bfloat16_logits_and_gradients_stay_near_and_weights_in_float32(backbone, factors_are_of_rows):
    several = {"method": "flora"} if factors_are_of_rows else {}
    method, rows = drawn_method(backbone, some_choices(**several)), batch([examples(3, 1, LONG[:4])])

    def learned():
        given, _, _ = backbone.learned_logits(rows, factors_of(method))
        given.square().mean().backward()
        gradients = torch.cat([tensor.grad.flatten() for tensor in method.trained])
        for tensor in method.trained:
            tensor.grad = None
        return given.detach(), gradients

    wanted = learned()
    with torch.autocast("cpu", torch.bfloat16):
        found = learned()
    assert found[0].dtype == found[1].dtype == torch.float32
    for one, other in zip(found, wanted, strict=True):
        assert 0 < float((one - other).norm() / other.norm()) < 0.1


def test_on_the_cpu_products_stay_as_they_are(backbone):
    with backbone.mixed_precision():
        assert not torch.is_autocast_enabled("cpu")


def test_what_a_sees_is_thinned_and_nothing_else(backbone):
    method, rows = drawn_method(backbone, some_choices()), batch([examples(3)])
    with torch.no_grad():
        bare, _, _ = backbone.learned_logits(rows)
        none, _, _ = backbone.learned_logits(rows, factors_of(method), torch.zeros_like)
        all_of_it, _, _ = backbone.learned_logits(rows, factors_of(method), lambda x: x)
        usual, _, _ = backbone.learned_logits(rows, factors_of(method))
    torch.testing.assert_close(none, bare)
    torch.testing.assert_close(all_of_it, usual)
    assert not torch.allclose(usual, bare)
