"""Metrics of rows with choices: which one an answer names, and which one the model finds most likely."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dlp_local.evaluation.metrics.metric import mean_metric
from dlp_local.evaluation.row import EvalRow

_WITHOUT_SPACES = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""A letter of a script that has no spaces between words: Thai, Lao, Burmese, Khmer, Chinese and Japanese."""


def chosen(answer: str, choices: Sequence[str]) -> str | None:
    """The choice that an answer names: it is the whole answer, or else stands in it, the first one that does.

    Where two begin at the same place it is the longer one. Case does not count unless two choices differ by it alone.
    None where no choice is named.
    """
    folds = len({choice.casefold() for choice in choices}) == len(choices)
    text = answer.casefold() if folds else answer
    names = {(choice.casefold() if folds else choice).strip(): choice for choice in choices}
    if (whole := text.strip().strip(".\"'`*")) in names:
        return names[whole]
    found = ((match.start(), -len(name), choice) for name, choice in names.items() if (match := _word(name, text)))
    return min(found, default=(0, 0, None))[2]


def _word(name: str, text: str) -> re.Match[str] | None:
    """Where a name stands in a text as words of its own, as far as its script has spaces between words."""
    before, after = (r"(?<!\w)" if _has_end(name[0]) else ""), (r"(?!\w)" if _has_end(name[-1]) else "")
    return re.search(f"{before}{re.escape(name)}{after}", text)


def _has_end(sign: str) -> bool:
    return sign.isalnum() and not _WITHOUT_SPACES.match(sign)


def choice_grammar(choice: str) -> str:
    """A grammar in GBNF whose only answer is a choice."""
    escaped = "".join(
        f"\\x{ord(sign):02X}" if ord(sign) < 0x20 else f"\\{sign}" if sign in '"\\' else sign for sign in choice
    )
    return f'root ::= "{escaped}"'


def most_likely(log_likelihoods: Mapping[str, float]) -> str:
    """The choice with the greatest log likelihood; of equals the first by name."""
    return max(sorted(log_likelihoods), key=log_likelihoods.__getitem__)


def _names_right(answer: str, row: EvalRow) -> float:
    return float(chosen(answer, row.choices) in row.answers)


CHOICE = mean_metric(
    "choice", "the answer names the right choice", _names_right, also=("likelihood", "exact"), of_choices=True
)
LIKELIHOOD = mean_metric(
    "likelihood",
    "the right choice is the most likely one",
    lambda answer, row: float(answer in row.answers),
    also=("choice",),
    of_choices=True,
)
"""Its answer is the choice that is the most likely one; `answers.Question.choice` says how likely each is."""
