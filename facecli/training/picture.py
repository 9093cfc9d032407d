"""A few people in two dimensions under each loss: what it does to angles, to be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facecli.common.enums import LossName
from facecli.common.errors import InputError
from facecli.common.names import name_key
from facecli.common.types import Float32, Float64, Photo
from facecli.datasets.labels import LabelledPhoto
from facecli.recognition.pipeline import Extractor
from facecli.training import losses
from facecli.training.losses import Margin

HIDDEN = 64
STEPS, RATE = 200, 0.03
# Steps of normsoftmax that all losses of angles begin with: in two dimensions nobody can get past
# anybody else, and a margin holds people where chance has put them.
WARM = 150
SCALE = 16.0  # in two dimensions angles between eight classes are 45 degrees: 64 would be a wall
FEWEST = 3  # photos of a person
MOST = 40
DRAWN = (
    LossName.SOFTMAX, LossName.CENTER, LossName.NORMSOFTMAX, LossName.INTRA, LossName.INTER,
    LossName.SPHEREFACE, LossName.COSFACE, LossName.ARCFACE, LossName.COMBINED, LossName.TRIPLET,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One loss. points: (n, 2) what the photos have become. classes: (n,) from 0. centres: (c, 2)
    the classes', None for a loss without them. angular: whether only directions count to the loss.
    within, between: mean angles of a photo to its own person's mean direction, and of people's to
    their nearest neighbour's, degrees.
    """

    loss: LossName
    points: Float64
    classes: np.ndarray
    names: tuple[str, ...]
    centres: Float64 | None
    angular: bool
    within: float
    between: float


def chosen(photos: Sequence[LabelledPhoto], count: int) -> tuple[LabelledPhoto, ...]:
    """The photos of the people with the most of them, at most MOST of each.

    Raises InputError where there are not two with FEWEST.
    """
    people: dict[str, list[LabelledPhoto]] = {}
    for photo in photos:
        people.setdefault(name_key(photo.subject), []).append(photo)
    fit = {name: own[:MOST] for name, own in people.items() if len(own) >= FEWEST}
    most = sorted(fit, key=lambda name: (-len(fit[name]), name))[:count]
    if len(most) < 2:
        raise InputError(
            f"a picture takes two people or more with {FEWEST} photos each; there are {len(most)}"
        )
    return tuple(photo for name in sorted(most) for photo in fit[name])


def picture(
    extractor: Extractor,
    photos: Sequence[LabelledPhoto],
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[Panel, ...]:
    """Learn two numbers from the frozen templates, once with each loss.

    progress: called once a photo. Raises InputError where fewer than two people have a face.
    """
    vectors, names = list[Float32](), list[str]()
    for photo, found in zip(
        photos, extractor.photos([p.path for p in photos], workers), strict=True
    ):
        if isinstance(found, Photo) and found.faces:
            vectors.append(found.faces[0].template.vector)
            names.append(name_key(photo.subject))
        if progress is not None:
            progress()
    called, classes = np.unique(names, return_inverse=True)
    if len(called) < 2:
        raise InputError("fewer than two people have a photo with a face: there is nothing to draw")
    x, y = torch.from_numpy(np.stack(vectors)), torch.from_numpy(classes)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so little work is only slowed by company
    try:
        return tuple(_panel(loss, x, y, tuple(map(str, called)), seed) for loss in DRAWN)
    finally:
        torch.set_num_threads(threads)


def _panel(loss: LossName, x: Tensor, y: Tensor, names: tuple[str, ...], seed: int) -> Panel:
    chance = torch.Generator().manual_seed(seed)
    shapes = ((HIDDEN, x.shape[1]), (2, HIDDEN), (len(names), 2), (len(names), 2))
    first, second, centres, means = (
        (torch.randn(shape, generator=chance) / shape[1] ** 0.5).requires_grad_()
        for shape in shapes
    )
    bias = torch.zeros(HIDDEN, requires_grad=True)
    optimizer = torch.optim.Adam([first, second, centres, means, bias], lr=RATE)
    margin = losses.MARGINS.get(loss, Margin())
    eased = Margin(SCALE, margin.m1, margin.m2, margin.m3, margin.falling)
    angular = loss not in (LossName.SOFTMAX, LossName.CENTER)

    def flat() -> Tensor:
        return functional.linear(functional.leaky_relu(functional.linear(x, first, bias)), second)

    plain = [LossName.NORMSOFTMAX] * WARM if angular else []
    for name in [*plain, *[loss] * STEPS]:
        points = flat()
        optimizer.zero_grad(set_to_none=True)
        form = eased if name is loss else Margin(SCALE)
        _value(name, points, centres, means, y, form).backward()
        optimizer.step()
    points = flat().detach()
    shown = functional.normalize(points) if angular else points
    heads = None if loss is LossName.TRIPLET else centres.detach()
    if heads is not None and angular:
        heads = functional.normalize(heads)
    within, between = _angles(points, y, len(names))
    return Panel(
        loss, shown.double().numpy(), y.numpy(), names,
        None if heads is None else heads.double().numpy(), angular, within, between,
    )  # fmt: skip


def _value(
    loss: LossName, x: Tensor, centres: Tensor, means: Tensor, y: Tensor, margin: Margin
) -> Tensor:
    if loss is LossName.SOFTMAX:
        return losses.softmax_loss(x, centres, y)
    if loss is LossName.CENTER:  # as strong as in Wen et al., figure 3, for it to be seen
        return losses.softmax_loss(x, centres, y) + 0.1 * losses.center_loss(x, means, y)
    if loss is LossName.TRIPLET:
        return losses.triplet_loss(x, y)
    value = losses.margin_loss(x, centres, y, margin)
    if loss is LossName.INTRA:
        return value + losses.intra_loss(x, centres, y)
    return value + losses.inter_loss(centres) if loss is LossName.INTER else value


def _angles(points: Tensor, y: Tensor, count: int) -> tuple[float, float]:
    unit = functional.normalize(points)
    means = functional.normalize(torch.stack([unit[y == c].mean(dim=0) for c in range(count)]))
    own = torch.rad2deg(losses.angle((unit * means[y]).sum(dim=1)))
    apart = torch.rad2deg(losses.angle(losses.cosines(means, means)))
    apart = apart + 360 * torch.eye(count)
    return float(own.mean()), float(apart.amin(dim=1).mean())
