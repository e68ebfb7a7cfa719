"""How a message inherits the route of the turn before it."""

from __future__ import annotations

from collections.abc import Mapping

STAY = 0.6
"""κ: the probability, before a message is read, that it belongs to the task of the turn before it."""


def carry_over(probabilities: Mapping[str, float], previous: Mapping[str, float]) -> dict[str, float]:
    """What a message's own probabilities qᵢ become after a turn with probabilities rᵢ: pᵢ ∝ qᵢ · ((1-κ)/n + κ·rᵢ).

    This is one step of a hidden Markov model whose task stays with probability κ = `STAY` and else is drawn anew from
    the n labels: a sure message decides alone, an unsure one follows the turn before. A `previous` that says nothing
    about these labels changes nothing.

    Measured by `tools.router_follow_ups` (top-1, turns of the valid rows, follow-ups in wordings not trained on):

        follow-up that names a thing of its task (47 wordings)   63.8 % alone   87.2 % carried
        follow-up that could follow anything (12 wordings)       11.1 % alone   74.2 % carried
        `extract` row that answers a question, after `extract`   98.0 % alone  100.0 % carried
        message of another task, or of a task after `base`       99.6 % alone   99.2 % carried
        `base` message after a task                              95.7 % alone   94.2 % carried

    κ was chosen with an earlier router: 0.5 loses 4 points of each kind of follow-up and gives back 0.7 of `base`; 0.8
    is the other way, +4 and +16 for -1.5. Linear mixing by the entropy of q, at the same loss of `base`, keeps 11
    points fewer follow-ups of a task and 17 more of those of anything. The wordings helped to choose κ, so new ones
    will do a little worse.
    """
    before = {name: max(previous.get(name, 0.0), 0.0) for name in probabilities}
    total = sum(before.values())
    if not total:
        return dict(probabilities)
    drawn_anew = (1 - STAY) / len(before)
    joint = {name: p * (drawn_anew + STAY * before[name] / total) for name, p in probabilities.items()}
    scale = sum(joint.values())
    return {name: p / scale for name, p in joint.items()} if scale else dict(probabilities)
