"""The losses of the ArcFace paper, as it writes them: values, and gradients that are never NaN.

Notation: x (n, d) embeddings, W (c, d) one row a class (the last layer's weights, the classes'
"centres"), y (n,) the class of each, theta_j the angle between x and W_j, s a scale. "ArcFace"
below is Deng et al., *ArcFace: Additive Angular Margin Loss for Deep Face Recognition*, CVPR 2019
(arXiv:1801.07698); its section 3 derives all of them from softmax.

An angle is arccos of a cosine, whose slope 1 / sin(theta) has no bound at theta = 0 and pi, so
autograd gives inf there and NaN after it. Here every function of an angle is its exact value with
its exact slope, that slope's 1 / sin(theta) held at 1 / SMALLEST_SINE: what it is multiplied by on
the way to x, d cos / d x, goes to 0 as sin(theta) does, so nothing else changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from facecli.common.enums import LossName
from facecli.common.errors import UsageError

SMALLEST_SINE = 1e-4  # float32 knows no cosine between 1 and that of 3.4e-4 radians
CENTER_WEIGHT = 0.003  # lambda of Wen et al., ECCV 2016, section 3.2
LARGEST_ANGLE = math.pi


@dataclass(frozen=True, slots=True)
class Margin:
    """s and the margins of ArcFace, equation 4: s (cos(m1 theta + m2) - m3).

    scale: s > 0. m1: factor of the angle, at least 1 (SphereFace). m2: added to the angle, radians,
    0 to pi (ArcFace). m3: taken off the cosine, at least 0 (CosFace). falling: keep the logit
    falling all the way to pi, as SphereFace does, instead of following the cosine up again.
    Raises UsageError for others.
    """

    scale: float = 64.0
    m1: float = 1.0
    m2: float = 0.0
    m3: float = 0.0
    falling: bool = False

    def __post_init__(self) -> None:
        values = (self.scale, self.m1, self.m2, self.m3)
        if not all(map(math.isfinite, values)):
            raise UsageError("scale and margins are finite numbers")
        if not (self.scale > 0 and self.m1 >= 1 and 0 <= self.m2 <= math.pi and self.m3 >= 0):
            raise UsageError(
                "the scale is above 0, --m1 at least 1, --m2 from 0 to pi (radians) and --m3 at "
                f"least 0, not {self.scale:g}, {self.m1:g}, {self.m2:g}, {self.m3:g}"
            )


# The papers' own. SphereFace's m = 4 does not converge without softmax beside it (its section 3.3);
# 1.35 is what ArcFace's table 2 compares with.
MARGINS = {
    LossName.ARCFACE: Margin(m2=0.5),
    LossName.COSFACE: Margin(m3=0.35),
    LossName.SPHEREFACE: Margin(m1=1.35, falling=True),
    LossName.COMBINED: Margin(m1=1.0, m2=0.3, m3=0.2),
    LossName.NORMSOFTMAX: Margin(),
    LossName.INTRA: Margin(),
    LossName.INTER: Margin(),
}
# Gentler than the paper's, which is for a network that begins with nothing: what was measured in
# benchmarks/README.md.
TUNING = Margin(scale=16.0, m2=0.3)
TRIPLET_MARGIN = 0.35  # radians: ArcFace, section 3.2

# What of a margin each loss knows.
_KNOWN = {
    LossName.ARCFACE: ("scale", "m2"),
    LossName.COSFACE: ("scale", "m3"),
    LossName.SPHEREFACE: ("scale", "m1"),
    LossName.COMBINED: ("scale", "m1", "m2", "m3"),
    LossName.NORMSOFTMAX: ("scale",),
    LossName.INTRA: ("scale",),
    LossName.INTER: ("scale",),
    LossName.TRIPLET: ("m2",),
}


def margin_of(loss: LossName, **given: float | None) -> Margin:
    """What to train further with: TUNING for ArcFace, for others the paper's, and what is given in
    its place. given: scale, m1, m2, m3.

    Raises UsageError for one that the loss does not know, and for values that cannot be.
    """
    others = {LossName.ARCFACE: TUNING, LossName.TRIPLET: Margin(m2=TRIPLET_MARGIN)}
    own = others.get(loss) or MARGINS.get(loss, Margin())
    values = {name: value for name, value in given.items() if value is not None}
    known = _KNOWN.get(loss, ())
    if strange := [name for name in values if name not in known]:
        takes = ", ".join(f"--{name}" for name in known) or "none of them"
        raise UsageError(f"--{strange[0]} does not go with --loss {loss}, which takes {takes}")
    made = {name: values.get(name, getattr(own, name)) for name in ("scale", "m1", "m2", "m3")}
    return Margin(**made, falling=own.falling)


def target_logit(cosine: Tensor, margin: Margin) -> Tensor:
    """The logit of the right class, s (cos(m1 theta + m2) - m3) with theta = arccos(cosine).

    cosine: any shape, in [-1, 1]. ArcFace, equation 4; with one margin alone equation 3 (m2),
    CosFace's equation 4 (m3; Wang et al., CVPR 2018). Exactly that formula, for all angles: past
    m1 theta + m2 = pi it rises again. With `margin.falling` it does not: there it is SphereFace's
    psi (Liu et al., CVPR 2017, section 3.2), (-1)^k cos(phi) - 2k with k = floor(phi / pi) of
    phi = m1 theta + m2, for any m1.
    Slope in the cosine: s m1 sin(phi) / sin(theta), of psi with the sign (-1)^k.
    """
    theta = _arccos(cosine)
    phi = margin.m1 * theta + margin.m2
    value, slope = torch.cos(phi), margin.m1 * torch.sin(phi) / _sine(theta)
    if margin.falling:
        k = torch.floor(phi / math.pi)
        sign = 1 - 2 * torch.remainder(k, 2)
        value, slope = sign * value - 2 * k, sign * slope
    return _joined(margin.scale * (value - margin.m3), margin.scale * slope, cosine)


def angle(cosine: Tensor) -> Tensor:
    """arccos, radians in [0, pi], with a finite slope everywhere. cosine: any shape, in [-1, 1]."""
    theta = _arccos(cosine)
    return _joined(theta, -1 / _sine(theta), cosine)


def cosines(x: Tensor, weights: Tensor) -> Tensor:
    """(n, c) cos(theta_j) of every embedding (n, d) with every class (c, d), in [-1, 1]."""
    product = functional.normalize(x) @ functional.normalize(weights).T
    return product + (product.clamp(-1, 1) - product).detach()  # rounding aside, no slope is lost


def margin_loss(x: Tensor, weights: Tensor, y: Tensor, margin: Margin) -> Tensor:
    """Cross entropy of s cos(theta_j), of the right class `target_logit`: ArcFace, equation 4.

    x: (n, d), weights: (c, d), neither need be normalised; y: (n,) int64 below c. The mean over n,
    at least 0. Without margins it is NormalizedSoftmax (ArcFace, equation 2).
    """
    cosine = cosines(x, weights)
    target = target_logit(cosine.gather(1, y[:, None]), margin)
    logits = (margin.scale * cosine).scatter(1, y[:, None], target)
    return functional.cross_entropy(logits, y)


def softmax_loss(x: Tensor, weights: Tensor, y: Tensor, bias: Tensor | None = None) -> Tensor:
    """Cross entropy of W x + b: ArcFace, equation 1. bias: (c,), None for 0."""
    return functional.cross_entropy(functional.linear(x, weights, bias), y)


def intra_loss(x: Tensor, weights: Tensor, y: Tensor) -> Tensor:
    """The mean angle to the right class over pi, in [0, 1]: what ArcFace, section 3.2, adds to
    NormalizedSoftmax as Intra-Loss.
    """
    return angle(cosines(x, weights).gather(1, y[:, None])).mean() / math.pi


def inter_loss(weights: Tensor) -> Tensor:
    """Less the mean angle between classes over pi, in [-1, 0]: ArcFace, section 3.2, Inter-Loss.

    weights: (c, d), c >= 2: -1 / (pi (c - 1)) of the sum over j != i, the mean over i.
    """
    c = len(weights)
    apart = angle(cosines(weights, weights))
    others = 1 - torch.eye(c, dtype=weights.dtype, device=weights.device)
    return -(apart * others).sum() / (math.pi * (c - 1) * c)


def center_loss(x: Tensor, centers: Tensor, y: Tensor) -> Tensor:
    """Half the mean squared distance to the class's centre: Wen et al., ECCV 2016, equation 2.

    x, centers: (n, d), (c, d), as they are; divided by n, where the paper sums.
    """
    return ((x - centers[y]) ** 2).sum(dim=1).mean() / 2


def triplet_loss(x: Tensor, y: Tensor, margin: float = TRIPLET_MARGIN) -> Tensor:
    """Hardest positive and negative of each anchor, in angles: ArcFace, section 3.2, Triplet-Loss.

    max(0, theta(anchor, positive) + margin - theta(anchor, negative)), the largest angle to one of
    the same class and the smallest to another (batch-hard: Hermans et al., arXiv:1703.07737), the
    mean over anchors that have both; 0 where none has. margin: radians.
    """
    apart = angle(cosines(x, x))
    same = y[:, None] == y[None, :]
    positive = same & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    anchors = positive.any(dim=1) & (~same).any(dim=1)
    if not bool(anchors.any()):
        return x.sum() * 0
    furthest = apart.masked_fill(~positive, -1).amax(dim=1)
    nearest = apart.masked_fill(same, LARGEST_ANGLE + 1).amin(dim=1)
    return (furthest + margin - nearest).clamp(min=0)[anchors].mean()


def triplet_squared_loss(x: Tensor, y: Tensor, margin: float = 0.2) -> Tensor:
    """FaceNet's (Schroff et al., CVPR 2015, equation 1): squared distances, all triplets' mean.

    max(0, |a - p|^2 - |a - n|^2 + margin), x as it is (FaceNet's is of unit length); 0 where there
    is no triplet. Memory grows with n^3.
    """
    squared = ((x[:, None] - x[None, :]) ** 2).sum(dim=2)
    same = y[:, None] == y[None, :]
    positive = same & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    every = (squared[:, :, None] - squared[:, None, :] + margin).clamp(min=0)
    triplets = positive[:, :, None] & ~same[:, None, :]
    return every[triplets].mean() if bool(triplets.any()) else x.sum() * 0


def boundary(loss: LossName, margin: Margin, angle2: Tensor) -> Tensor:
    """The decision boundary between two classes (ArcFace, figure 5): theta_1 for theta_2.

    angle2: (k,) radians in [0, pi / 2], to the other class. theta_1, (k,) radians: the largest
    angle to the own class whose target logit still reaches s cos(theta_2). NaN where no angle does.
    """
    grid = torch.linspace(0, LARGEST_ANGLE, 20_001, dtype=angle2.dtype)
    own = target_logit(torch.cos(grid), margin) if loss in MARGINS else margin.scale * grid.cos()
    reached = own[None, :] >= margin.scale * torch.cos(angle2)[:, None]
    first_miss = (~reached).int().argmax(dim=1)
    found = grid[(first_miss - 1).clamp(min=0)]
    return torch.where(reached[:, 0], found, torch.full_like(found, math.nan))


def _arccos(cosine: Tensor) -> Tensor:
    return torch.arccos(cosine.detach().clamp(-1, 1))


def _sine(theta: Tensor) -> Tensor:
    return torch.sin(theta).clamp(min=SMALLEST_SINE)


def _joined(value: Tensor, slope: Tensor, cosine: Tensor) -> Tensor:
    """This value, with this slope in the cosine."""
    return value + slope * (cosine - cosine.detach())
