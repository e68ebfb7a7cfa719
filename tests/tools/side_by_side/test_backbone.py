"""The forward pass of the frozen backbone under adapters, against transformers and PEFT."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from tests.support.tiny_models import random_model, write_backbone  # noqa: E402
from tools.side_by_side.backbone import Backbone, after_prefix  # noqa: E402
from tools.side_by_side.data import attention_bias  # noqa: E402

PREFIX, ROWS = [5, 9, 11], torch.tensor([[1, 40, 41, 7, 8], [1, 40, 41, 60, 2]])


def logits_after_prefix(backbone, lows=None, slots=1, rows=ROWS):
    length = rows.shape[1]
    bias = attention_bias(torch.zeros(len(rows), length, dtype=torch.int64), len(PREFIX), 0, torch.float32)
    positions = (len(PREFIX) + torch.arange(length)).expand(len(rows), -1)
    with torch.no_grad():
        return backbone.logits(
            backbone.hidden(rows, positions, after_prefix(backbone.prefix(PREFIX), bias), lows, None, slots)
        )


def whole_rows(rows=ROWS):
    return torch.cat((torch.tensor([PREFIX]).expand(len(rows), -1), rows), 1)


def test_the_backbone_computes_what_transformers_does(backbone, tiny_llama):
    with torch.no_grad():
        wanted = tiny_llama(whole_rows()).logits[:, len(PREFIX) :]
    torch.testing.assert_close(logits_after_prefix(backbone), wanted, atol=1e-4, rtol=1e-4)


def test_an_adapter_computes_what_peft_does_for_one_that_is_on_from_its_invocation(
    backbone, bank, tiny_llama, tmp_path
):
    from peft import PeftModel

    bank.save("two", tmp_path / "two", invocation=(1, 40, 41), tensors=None)
    model = PeftModel.from_pretrained(copy.deepcopy(tiny_llama), tmp_path / "two").eval()
    with torch.no_grad():
        wanted = model(whole_rows()).logits[:, len(PREFIX) :]
    given = logits_after_prefix(backbone, bank.slots(torch.tensor([1]), torch.float32))
    torch.testing.assert_close(given, wanted, atol=2e-2, rtol=2e-2)  # the folder is float16
    assert (given - logits_after_prefix(backbone)).abs().max() > 0.5


def test_rows_of_each_slot_are_computed_under_their_own_adapter(backbone, bank):
    together = logits_after_prefix(backbone, bank.slots(torch.tensor([0, 1]), torch.float32), slots=2)
    for slot in (0, 1):
        alone = logits_after_prefix(
            backbone, bank.slots(torch.tensor([slot]), torch.float32), rows=ROWS[slot : slot + 1]
        )
        torch.testing.assert_close(together[slot : slot + 1], alone, atol=1e-4, rtol=1e-4)


def test_a_backbone_that_is_no_plain_llama_is_refused(tmp_path):
    path = tmp_path / "qwen2.gguf"
    write_backbone("qwen2", random_model("qwen2"), path)
    with pytest.raises(ValueError, match="llama architecture; this one is qwen2"):
        Backbone(path)
