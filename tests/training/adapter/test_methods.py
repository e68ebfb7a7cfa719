"""What each method promises of itself."""

import json
import math

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from safetensors.torch import load_file  # noqa: E402

from dlp_local.core.errors import InputError  # noqa: E402
from dlp_local.training.adapter.export import read_adapter, write_adapter, write_peft_folder  # noqa: E402
from dlp_local.training.adapter.fit import Fit  # noqa: E402
from dlp_local.training.adapter.methods.xgb import layer_of  # noqa: E402
from dlp_local.training.adapter.optimizers import B_OVER_A, make_optimizer  # noqa: E402
from tests.support.adapter_training import (  # noqa: E402
    TOKENS,
    drawn_method,
    examples,
    new_method,
    next_logits,
    product,
    run_for,
    same,
    some_choices,
    trained,
)
from tests.support.logits import difference  # noqa: E402

Q = "model.layers.1.self_attn.q_proj"


def learn_something(method, choices, steps=2):
    """Steps along the gradients of a random loss."""
    optimizer = make_optimizer(method, choices)
    for step in range(steps):
        draw = torch.Generator().manual_seed(step)
        loss = sum(
            (product(method, name) * torch.randn(*shape, generator=draw)).sum()
            for name, shape in method.weights.items()
        )
        loss.backward()
        optimizer.step(choices.rate)


@pytest.mark.parametrize("name", ["lora", "rslora"])
def test_lora_is_pefts_own(tiny_llama, backbone, tmp_path, name):
    import copy

    import peft

    method = drawn_method(backbone, some_choices(method=name))
    write_peft_folder(method, 0, tmp_path)
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(tiny_llama), tmp_path)
    with torch.no_grad():
        wanted = theirs(input_ids=torch.tensor([TOKENS])).logits[0, -1].numpy()
    assert difference(next_logits(backbone, TOKENS, method), wanted) < 1e-5


def test_lora_begins_as_pefts_does(backbone):
    method = new_method(backbone, some_choices())
    bound = 1 / math.sqrt(backbone.weights[Q].inputs)
    assert all(not b.any() for b in method.b.values())
    assert 0.9 * bound < method.a[Q].abs().max() <= bound


@pytest.mark.parametrize(("name", "scale"), [("lora", 8 / 4), ("lora+", 8 / 4), ("rslora", 8 / math.sqrt(4))])
def test_what_a_product_is_scaled_by(backbone, name, scale):
    method = drawn_method(backbone, some_choices(method=name, rank=4, alpha=8.0))
    assert torch.allclose(product(method, Q), scale * (method.b[Q] @ method.a[Q]).detach())


@pytest.mark.parametrize(("name", "ratio"), [("lora", 1.0), ("lora+", B_OVER_A)])
def test_how_much_faster_b_learns_than_a(backbone, name, ratio):
    choices = some_choices(method=name, decay=0.0, rate=1e-3)
    method = drawn_method(backbone, choices)
    a, b = method.a[Q].detach().clone(), method.b[Q].detach().clone()
    learn_something(method, choices, steps=1)  # Adam's first step is the rate, wherever there is a gradient
    assert torch.allclose((method.a[Q] - a).abs().median(), torch.tensor(1e-3), rtol=1e-2)
    assert torch.allclose((method.b[Q] - b).abs().median(), torch.tensor(ratio * 1e-3), rtol=1e-2)


def test_a_chain_is_the_sum_of_its_links_and_those_that_are_done_stay(backbone):
    choices = some_choices(method="cola", links=3)
    method, sums = new_method(backbone, choices), []
    total = torch.zeros(*backbone.weights[Q])
    for link in range(3):
        method.enter(link)
        assert torch.allclose(product(method, Q), total)
        done = {name: values for name, values in method.state()["groups"].items() if name[-1] < str(link)}
        learn_something(method, choices)
        assert all(same(method.state()["groups"][name], values) for name, values in done.items())
        sums.append(method.scale * (method.b[link][Q] @ method.a[link][Q]).detach())
        total = total + sums[-1]
    assert all(part.abs().max() > 1e-4 for part in sums)
    assert torch.allclose(product(method, Q), sum(sums))
    assert all(method.a[link][Q].grad is None for link in range(3))


def test_links_that_are_done_get_no_gradient(backbone):
    method = drawn_method(backbone, some_choices(method="cola", links=3))
    method.enter(2)
    product(method, Q).sum().backward()
    assert [link[Q].grad is None for link in method.b] == [True, True, False]


@pytest.mark.parametrize(("links", "steps"), [(3, 12), (3, 10), (4, 2), (1, 5)])
def test_links_share_the_steps_evenly(backbone, links, steps):
    starts = new_method(backbone, some_choices(method="cola", links=links)).stage_starts(steps)
    lengths = [after - first for first, after in zip(starts, [*starts[1:], steps], strict=True)]
    assert starts[0] == 0
    assert len(starts) == min(links, steps)
    assert max(lengths) - min(lengths) <= 1


def test_each_booster_changes_only_its_layers(backbone):
    choices = some_choices(method="xgb", booster_layers=0.5)
    method, before = new_method(backbone, choices), {}
    chosen = []
    for number in range(6):
        method.enter(number)
        learn_something(method, choices)
        now = {name: product(method, name) for name in method.weights}
        changed = {layer_of(name) for name in now if not torch.equal(now[name], before.get(name, 0 * now[name]))}
        assert changed == {layer_of(name) for name in method.boosters[number]}
        assert len(changed) == 1
        chosen += changed
        before = now
    assert set(chosen) == {"0", "1"}


def test_a_weight_that_no_booster_changed_is_not_in_the_file(backbone, tiny_path, tmp_path):
    method = drawn_method(backbone, some_choices(method="xgb", booster_layers=0.5))
    write_adapter(method, 0, tiny_path, tmp_path / "a.gguf")
    written = read_adapter(tmp_path / "a.gguf", tiny_path)
    assert written.keys() == method.boosters[0].keys()
    assert len(written) == len(method.weights) / 2


def test_weights_of_different_ranks_are_written_as_they_are(backbone, tiny_path, tmp_path):
    choices = some_choices(method="xgb", booster_layers=0.5)
    method = new_method(backbone, choices)
    method.enter(2)
    ranks = {name: len(method.exported(name, 0).a) for name in method.weights}
    assert len(set(ranks.values())) > 1
    write_peft_folder(method, 0, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert {name: len(tensors[f"base_model.model.{name}.lora_A.weight"]) for name in ranks} == ranks
    assert config["rank_pattern"] == config["alpha_pattern"]


def test_one_a_is_in_every_layer_of_a_shared_lora(backbone, tmp_path):
    method, _ = trained(backbone, some_choices(method="share"), tmp_path / "fit")
    write_peft_folder(method, 0, tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    for name in tensors:
        if "layers.0" not in name:
            continue
        is_shared = torch.equal(tensors[name], tensors[name.replace("layers.0", "layers.1")])
        assert is_shared == (".lora_A." in name)


def test_tasks_of_mtl_share_a_and_the_bs_and_weigh_them_each_in_its_own_way(backbone):
    method = drawn_method(backbone, some_choices(method="mtl", links=3), ("one", "two"))
    for task in (0, 1):
        shares = torch.softmax(method.w[Q][task] / 0.1, 0)
        b = sum(share * one for share, one in zip(shares, method.b[Q], strict=True))
        wanted = method.scale * b @ method.between[Q][task] @ method.a[Q]
        a, b = method.exported(Q, task)
        assert torch.allclose(b @ a, wanted, rtol=1e-3, atol=1e-5)


def test_tasks_of_mtl_begin_alike(backbone):
    method = new_method(backbone, some_choices(method="mtl"), ("one", "two"))
    assert difference(next_logits(backbone, TOKENS, method, 0), next_logits(backbone, TOKENS)) == 0
    assert torch.equal(method.exported(Q, 0).a, method.exported(Q, 1).a)


def test_a_training_begins_with_another_adapter(backbone, tiny_path, tmp_path):
    known = drawn_method(backbone, some_choices(rank=2, alpha=4.0))
    write_adapter(known, 0, tiny_path, tmp_path / "known.gguf", precision="f32")
    method = new_method(backbone, some_choices(rank=4))
    drawn = method.a[Q][2:].detach().clone()
    method.start_from(read_adapter(tmp_path / "known.gguf", tiny_path))
    assert torch.allclose(product(method, Q), product(known, Q), atol=1e-5)
    assert torch.equal(method.a[Q][2:], drawn)


def test_a_larger_adapter_is_not_cut_to_begin_with(backbone, tiny_path, tmp_path):
    write_adapter(drawn_method(backbone, some_choices(rank=6)), 0, tiny_path, tmp_path / "known.gguf")
    with pytest.raises(InputError, match=r"its rank is 6, more than 4\. Add --rank 6"):
        new_method(backbone, some_choices(rank=4)).start_from(read_adapter(tmp_path / "known.gguf", tiny_path))


def test_the_first_loss_of_a_training_that_begins_with_an_adapter_is_that_adapters(backbone, tiny_path, tmp_path):
    known, fitted = trained(backbone, some_choices(), tmp_path / "known")
    write_adapter(known, 0, tiny_path, tmp_path / "known.gguf", precision="f32")
    choices = some_choices(start=tmp_path / "known.gguf")
    method = new_method(backbone, choices)
    method.start_from(read_adapter(choices.start, tiny_path))
    goes_on = run_for(Fit(backbone, method, [examples(12)], [examples(12)], choices, tmp_path / "on"), 0)
    assert goes_on.held_out_losses == pytest.approx((fitted.held_out_losses[0], min(fitted.held_out_losses)), rel=1e-4)
