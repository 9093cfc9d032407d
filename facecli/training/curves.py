"""The losses as curves over the angle: what the ArcFace paper draws, computed by the losses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from facecli.common.enums import LossName
from facecli.common.types import Float64
from facecli.training import losses

POINTS = 721
# Those that differ as curves; intra and inter add a term to normsoftmax, center one to softmax.
DRAWN = (
    LossName.NORMSOFTMAX, LossName.SPHEREFACE, LossName.COSFACE, LossName.ARCFACE,
    LossName.COMBINED,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """One loss over the angle to the own class's centre.

    angle: (k,) degrees, 0 to 180. logit: of the target, at the scale. slope: how the target logit
    falls, per radian. other, boundary: (j,) degrees: on the decision boundary between two
    classes the own angle is `boundary` where the one to the other class is `other`; NaN where there
    is none.
    """

    loss: LossName
    label: str
    scale: float
    angle: Float64
    logit: Float64
    slope: Float64
    other: Float64
    boundary: Float64


def curves(scale: float = 64.0) -> tuple[Curves, ...]:
    """Of each of DRAWN, with its own margins. Raises UsageError unless scale > 0."""
    return tuple(_curve(name, scale) for name in DRAWN)


def _curve(name: LossName, scale: float) -> Curves:
    margin = replace(losses.MARGINS[name], scale=scale)
    theta = torch.linspace(0, losses.LARGEST_ANGLE, POINTS, dtype=torch.float64)
    cosine = torch.cos(theta).requires_grad_()
    logit = losses.target_logit(cosine, margin)
    (slope,) = torch.autograd.grad(logit.sum(), cosine)
    across = torch.sin(theta).clamp(min=losses.SMALLEST_SINE)  # d cos / d theta, turned round
    other = torch.linspace(0, losses.LARGEST_ANGLE / 2, 181, dtype=torch.float64)
    degrees = 180 / losses.LARGEST_ANGLE
    m = losses.MARGINS[name]
    values = {"m1": m.m1 if m.m1 != 1 else 0, "m2": m.m2, "m3": m.m3}
    said = ", ".join(f"{key} {value:g}" for key, value in values.items() if value)
    return Curves(
        name, f"{name} ({said})" if said else str(name), scale,
        (theta * degrees).numpy(), logit.detach().numpy(), (slope * across).numpy(),
        (other * degrees).numpy(), np.asarray(losses.boundary(name, margin, other) * degrees),
    )  # fmt: skip
