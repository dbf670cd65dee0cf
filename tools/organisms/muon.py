"""Muon in float32: momentum made orthogonal, for the matrices of the layers.

On this task it needs about half of AdamW's steps. `torch.optim.Muon` computes in bfloat16, which
most CPUs only emulate; here matrices of one shape are orthogonalised together in float32.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # the quintic Newton-Schulz iteration of Muon's author


def orthogonal(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Nearest orthogonal matrices, about. (matrix, row, column) float32, rows <= columns."""
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon(torch.optim.Optimizer):
    """Matrix steps of the root mean square that AdamW's have (0.2 of the rate per entry)."""

    def __init__(
        self, matrices: list[nn.Parameter], *, lr: float, momentum: float = 0.95, decay: float
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One update of all matrices."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                rows, columns = parameter.shape
                by_shape[min(rows, columns), max(rows, columns)].append(parameter)
            for (rows, columns), parameters in by_shape.items():
                moved = torch.stack([self._momentum(p, group["momentum"]) for p in parameters])
                steps = orthogonal(moved) * (0.2 * max(rows, columns) ** 0.5)
                for parameter, step in zip(parameters, steps, strict=True):
                    parameter.mul_(1 - group["lr"] * group["decay"])
                    tall = parameter.shape[0] > parameter.shape[1]
                    parameter.add_(step.mT if tall else step, alpha=-group["lr"])

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Nesterov momentum of the gradient, lying (rows <= columns)."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        update = parameter.grad.lerp(state["momentum"], momentum)
        return update.mT if update.shape[0] > update.shape[1] else update
