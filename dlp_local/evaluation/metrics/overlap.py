"""Metrics of how much of a reference an answer has: BLEU (sacrebleu) and ROUGE (rouge-score)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np

from dlp_local.evaluation.metrics.metric import Floats, Measures, Metric, mean_metric
from dlp_local.evaluation.row import EvalRow

ORDERS = 4
"""BLEU counts 1-grams to 4-grams."""


@cache
def _bleu() -> Any:
    from sacrebleu.metrics import bleu

    return bleu.BLEU(effective_order=True)


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rougeL"])


def _counts(answer: str, row: EvalRow) -> Measures:
    """What BLEU sums up over rows: the lengths of answer and nearest reference, n-grams that match, and n-grams."""
    score = _bleu().sentence_score(answer, list(row.answers))
    return (float(score.sys_len), float(score.ref_len), *map(float, score.counts), *map(float, score.totals))


def _of_counts(counts: Floats, effective_order: bool) -> float:
    numbers = [round(number) for number in counts.tolist()]
    return float(
        _bleu()
        .compute_bleu(
            numbers[2 : 2 + ORDERS],
            numbers[2 + ORDERS :],
            numbers[0],
            numbers[1],
            smooth_method="exp",
            effective_order=effective_order,
        )
        .score
        / 100
    )


def corpus_bleu(counts: Floats) -> Floats:
    """Corpus BLEU of summed counts, shape (…, 10) → (…), as `sacrebleu.corpus_bleu` has it."""
    return np.apply_along_axis(lambda one: _of_counts(one, False), -1, counts)


def sentence_bleu(measures: Measures) -> float:
    """BLEU of one answer, as `sacrebleu.sentence_bleu` has it."""
    return _of_counts(np.array(measures), True)


def bleu_signature(references: Collection[int]) -> str:
    """What sacrebleu calls the way that BLEU is computed here, for rows of so many references each."""
    import sacrebleu

    count = "var" if len(set(references)) > 1 else str(*set(references))
    return f"nrefs:{count}|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"


def _no_rouge_words(answers: Sequence[str]) -> str:
    from rouge_score.tokenize import tokenize

    if all(tokenize(answer, None) for answer in answers):
        return ""
    return (
        "knows words of the letters a to z and digits alone, and an answer has none of them: every score would be 0. "
        'Name "exact", or "bleu" where spaces stand between words.'
    )


def _rouge_score(kind: str, answer: str, row: EvalRow) -> float:
    """The greatest F₁ with any of the references."""
    return float(_rouge().score_multi(list(row.answers), answer)[kind].fmeasure)


BLEU = Metric(
    "bleu",
    "corpus BLEU",
    _counts,
    corpus_bleu,
    sentence_bleu,
    "sacrebleu",
    also=("rouge1", "rougeL"),
)


def _rouge_metric(kind: str, title: str, *also: str) -> Metric:
    def score(answer: str, row: EvalRow) -> float:
        return _rouge_score(kind, answer, row)

    return mean_metric(kind, title, score, "rouge_score", also, misfit=_no_rouge_words)


ROUGE_1 = _rouge_metric("rouge1", "ROUGE-1, F₁", "rougeL", "bleu")
ROUGE_L = _rouge_metric("rougeL", "ROUGE-L, F₁", "rouge1", "bleu")
