"""LoRA-RITE: what an update does to a product does not depend on how the product is divided between its factors."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from dlp_local.core.errors import InputError  # noqa: E402
from dlp_local.training.adapter.choices import Choices  # noqa: E402
from dlp_local.training.adapter.methods.method import Pair  # noqa: E402
from dlp_local.training.adapter.optimizers import BETAS, CLIP  # noqa: E402
from dlp_local.training.adapter.rite import Rite  # noqa: E402
from tests.support.adapter_training import examples, some_choices, trained  # noqa: E402

OUTPUTS, INPUTS, RANK = 12, 9, 3


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def descend(a, b, steps, rate=0.05, decay=0.01):
    """The products after each step towards a target, from these factors, in float64."""
    pair = Pair(a.clone().requires_grad_(True), b.clone().requires_grad_(True))
    optimizer, target = Rite([pair], BETAS, decay, CLIP), drawn(9, OUTPUTS, INPUTS)
    products = []
    for _ in range(steps):
        (pair.b @ pair.a - target).pow(2).sum().backward()
        optimizer.step(rate)
        products.append((pair.b @ pair.a).detach())
    return products


@given(scale=st.floats(-4, 4).map(lambda power: 10**power))
@settings(max_examples=20)
def test_scaling_a_by_s_and_b_by_its_inverse_changes_nothing(scale):
    a, b = drawn(1, RANK, INPUTS), drawn(2, OUTPUTS, RANK)
    plain, scaled = descend(a, b, steps=6), descend(a * scale, b / scale, steps=6)
    assert not torch.allclose(plain[0], b @ a, atol=1e-3)
    for one, other in zip(plain, scaled, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@given(seed=st.integers(10, 1000))
@settings(max_examples=20)
def test_nor_does_any_other_way_to_divide_the_product(seed):
    a, b, mixed = drawn(1, RANK, INPUTS), drawn(2, OUTPUTS, RANK), drawn(seed, RANK, RANK) + 3 * torch.eye(RANK)
    plain, divided = descend(a, b, steps=6), descend(torch.linalg.inv(mixed) @ a, b @ mixed, steps=6)
    for one, other in zip(plain, divided, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_adam_is_not_so():
    """What the test above would not see is no test of it."""

    def adam(scale):
        pair = Pair(drawn(1, RANK, INPUTS) * scale, drawn(2, OUTPUTS, RANK) / scale)
        tensors = [tensor.requires_grad_(True) for tensor in pair]
        optimizer = torch.optim.AdamW(tensors, lr=0.05)
        (pair.b @ pair.a - drawn(9, OUTPUTS, INPUTS)).pow(2).sum().backward()
        optimizer.step()
        return (pair.b @ pair.a).detach()

    assert not torch.allclose(adam(1.0), adam(10.0), atol=1e-1)


def test_it_finds_the_target_from_a_b_of_zeros():
    near = descend(drawn(1, OUTPUTS, INPUTS), torch.zeros(OUTPUTS, OUTPUTS, dtype=torch.float64), 400, 0.02, 0.0)
    target = drawn(9, OUTPUTS, INPUTS)
    assert (near[-1] - target).norm() < 0.1 * target.norm()


def test_a_rank_above_a_side_of_the_weight_is_no_trouble():
    a, b = drawn(1, INPUTS + 2, INPUTS), torch.zeros(OUTPUTS, INPUTS + 2, dtype=torch.float64)
    near, target = descend(a, b, 200, 0.02, 0.0), drawn(9, OUTPUTS, INPUTS)
    assert (near[-1] - target).norm() < (near[0] - target).norm()


def test_tasks_do_not_reach_each_other():
    """Two products in one pair make the steps that each makes alone."""
    a, b = drawn(1, 2, RANK, INPUTS), drawn(2, 2, OUTPUTS, RANK)
    targets = torch.stack([drawn(9, OUTPUTS, INPUTS), 50 * drawn(8, OUTPUTS, INPUTS)])

    def products(of):
        pair = Pair(a[of].clone().requires_grad_(True), b[of].clone().requires_grad_(True))
        optimizer = Rite([pair], BETAS, 0.0, CLIP)
        for _ in range(4):
            (pair.b @ pair.a - targets[of]).pow(2).sum().backward()
            optimizer.step(0.05)
        return (pair.b @ pair.a).detach()

    both = products(slice(None))
    for task in range(2):
        assert torch.allclose(both[task], products(task), atol=1e-9)


def test_it_goes_on_from_its_state_as_if_it_had_not_stopped():
    whole = descend(drawn(1, RANK, INPUTS), drawn(2, OUTPUTS, RANK), 6)
    pair = Pair(drawn(1, RANK, INPUTS).requires_grad_(True), drawn(2, OUTPUTS, RANK).requires_grad_(True))
    optimizer, target = Rite([pair], BETAS, 0.01, CLIP), drawn(9, OUTPUTS, INPUTS)
    for _ in range(6):
        (pair.b @ pair.a - target).pow(2).sum().backward()
        optimizer.step(0.05)
        state, optimizer = optimizer.state(), Rite([pair], BETAS, 0.01, CLIP)
        optimizer.restore(state)
    assert torch.equal((pair.b @ pair.a).detach(), whole[-1])


@pytest.mark.parametrize("method", ["lora", "cola", "xgb"])
def test_adapters_learn_with_it(backbone, tmp_path, method):
    _, fitted = trained(backbone, some_choices(method=method, optimizer="rite"), tmp_path, [examples(12)])
    assert min(fitted.held_out_losses) < 0.9 * fitted.held_out_losses[0]


@pytest.mark.parametrize("method", ["multilora", "share", "mtl"])
def test_methods_whose_products_are_no_pairs_refuse_it(method):
    with pytest.raises(InputError, match=f"method {method} has none. Use adamw"):
        Choices(method=method, optimizer="rite")
