"""LoRA-RITE (arXiv 2410.20625): an update of B·A that does not depend on how the product is divided between the two.

For W = B·A with B (outputs, r) and A (r, inputs), section 3: B's gradient is divided by the magnitude of A (QR of Aᵀ =
U·R, "unmagnified" gradient G = ∇B·R⁻¹), preconditioned by an r × r second moment that is carried from the basis of the
last step to the present one by P = Uᵀ·U_before, and A's in the same way with B = U·R.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dlp_local.training.adapter.methods.method import Pair

Tensor = Any
EPSILON = 1e-8


@dataclass(slots=True)
class _Side:
    """What is kept of one factor: its second moment (r, r), its first one (n, r), the mass that left, and a basis.

    A factor that has fewer rows than r has that many columns in its basis, and so the moments of the other one.
    """

    second: Tensor
    first: Tensor
    escaped: Tensor
    basis: Tensor | None = None


class Rite:
    """LoRA-RITE over pairs; those of several tasks, which are the first dimension, do not reach each other."""

    def __init__(self, pairs: Sequence[Pair], betas: tuple[float, float], decay: float, clip: float) -> None:
        self._pairs, self._betas, self._decay, self._clip = list(pairs), betas, decay, clip
        self._sides = [(_side(pair.b, pair.a.mT), _side(pair.a.mT, pair.b)) for pair in pairs]
        self._steps = 0

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, rate: float) -> None:
        """One step."""
        self._steps += 1
        bases = [(_basis(pair.a.mT), _basis(pair.b)) for pair in self._pairs]
        grads = [
            (pair.b.grad @ of_a[1], pair.a.grad.mT @ of_b[1])
            for pair, (of_a, of_b) in zip(self._pairs, bases, strict=True)
        ]
        squares = torch.stack([grad.pow(2).sum((-2, -1)) for both in grads for grad in both])
        shrink = (self._clip / (squares.sum(0).sqrt() + EPSILON)).clamp(max=1)[..., None, None]
        for pair, sides, both, (of_a, of_b) in zip(self._pairs, self._sides, grads, bases, strict=True):
            b = self._update(sides[0], both[0] * shrink, of_a[0]) @ of_a[1].mT
            a = self._update(sides[1], both[1] * shrink, of_b[0]) @ of_b[1].mT
            for tensor, change in ((pair.b, b), (pair.a, a.mT)):
                tensor.mul_(1 - rate * self._decay).sub_(change * rate)
                tensor.grad = None

    def _update(self, side: _Side, grad: Tensor, basis: Tensor) -> Tensor:
        """The first moment of the preconditioned gradients (…, n, r) in the present basis."""
        first, second = self._betas
        if side.basis is not None:
            carry = basis.mT @ side.basis
            carried = carry @ side.second @ carry.mT
            lost = (torch.linalg.eigvalsh(side.second) - torch.linalg.eigvalsh(carried)).abs().amax(-1)
            side.second, side.first = carried, side.first @ carry.mT
            side.escaped = second * (side.escaped + lost)
        side.basis = basis
        side.second = second * side.second + (1 - second) * (grad.mT @ grad) / grad.shape[-2]
        mended = (side.second + _diagonal(side.escaped, side.second)) / (1 - second**self._steps)
        side.first = first * side.first + (1 - first) * grad @ _inverse_root(mended)
        return side.first / (1 - first**self._steps)

    def state(self) -> dict[str, Any]:
        """The moments of each factor."""
        sides = [[(side.second, side.first, side.escaped, side.basis) for side in both] for both in self._sides]
        return {"steps": self._steps, "sides": sides}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The moments as they were."""
        self._steps = state["steps"]
        self._sides = [(_Side(*first), _Side(*second)) for first, second in state["sides"]]


def _side(tall: Tensor, other: Tensor) -> _Side:
    """The beginning: no moments of a factor (…, n, r) in a basis of the other one's columns."""
    *before, count, rank = tall.shape
    size = min(rank, other.shape[-2])
    second, first, escaped = (
        torch.zeros(shape, device=tall.device, dtype=tall.dtype)
        for shape in ((*before, size, size), (*before, count, size), before)
    )
    return _Side(second, first, escaped)


def _basis(tall: Tensor) -> tuple[Tensor, Tensor]:
    """An orthonormal basis U (…, n, r) of a factor's columns, and the pseudo-inverse of R, where it is U·R."""
    basis, r = torch.linalg.qr(tall)
    return basis, torch.linalg.pinv(r)


def _diagonal(values: Tensor, like: Tensor) -> Tensor:
    return values[..., None, None] * torch.eye(like.shape[-1], device=like.device)


def _inverse_root(matrix: Tensor) -> Tensor:
    """M^(-1/2) of symmetric matrices, of which the parts that are zero stay so."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    largest = values.amax(-1, keepdim=True).clamp(min=0)
    inverse = torch.where(values > largest * 1e-7 + EPSILON**2, values.clamp(min=1e-30).rsqrt(), 0.0)
    return (vectors * inverse[..., None, :]) @ vectors.mT
