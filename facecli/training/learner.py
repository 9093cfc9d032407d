"""What is learnt: the trained part of a network, the classes' centres, and the loss of a batch."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from facecli.common.enums import LossName
from facecli.common.types import Float32
from facecli.training import losses
from facecli.training.inputs import Rows
from facecli.training.losses import Margin


class Learner(nn.Module):  # type: ignore[misc]
    """part: from `network.divide`; changed in place. heads: what the loss needs beside it.

    loss, margin: the triplet's margin is its m2.
    """

    def __init__(
        self, part: Any, heads: dict[str, Float32], loss: LossName, margin: Margin
    ) -> None:
        super().__init__()
        self.part, self.loss, self.margin = part, loss, margin
        learnt = loss is not LossName.TRIPLET  # which has no classes: its centres tell the angle
        self.heads = nn.ParameterDict(
            {n: nn.Parameter(torch.from_numpy(v), requires_grad=learnt) for n, v in heads.items()}
        )

    def forward(self, values: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a batch, and its (n, d) embeddings, both in 32 bits whatever the part ran in.

        values: what `Inputs.take` gives; y: (n,) classes.
        """
        x = self.part(values).float()
        with torch.autocast(x.device.type, enabled=False):
            return self._loss(x, y), x

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        centres, margin = self.heads["centres"], self.margin
        if self.loss is LossName.SOFTMAX:
            return losses.softmax_loss(x, centres, y, self.heads["bias"])
        if self.loss is LossName.CENTER:
            near = losses.center_loss(x, self.heads["means"], y)
            return losses.softmax_loss(x, centres, y, self.heads["bias"]) + (
                losses.CENTER_WEIGHT * near
            )
        if self.loss is LossName.TRIPLET:
            return losses.triplet_loss(x, y, margin.m2)
        loss = losses.margin_loss(x, centres, y, margin)
        if self.loss is LossName.INTRA:
            return loss + losses.intra_loss(x, centres, y)
        return loss + losses.inter_loss(centres) if self.loss is LossName.INTER else loss


def beginning(outputs: Float32, y: Rows, loss: LossName) -> dict[str, Float32]:
    """The heads to begin with: the classes' centres are the means of their people's templates.

    A beginning by chance would first have to be learnt, and pull the embedder along. outputs: (n,
    d), not normalised; y: (n,) classes from 0, each there.
    """
    means = np.stack([outputs[y == c].mean(axis=0) for c in range(int(y.max()) + 1)])
    found = {"centres": means / np.linalg.norm(means, axis=1, keepdims=True)}
    if loss in (LossName.SOFTMAX, LossName.CENTER):
        found["bias"] = np.zeros(len(means), np.float32)
    if loss is LossName.CENTER:
        found["means"] = means
    return cast(dict[str, Float32], found)
