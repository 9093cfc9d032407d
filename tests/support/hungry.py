"""A network that wants more memory than there is, where no GPU is at hand to be filled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Hungry(nn.Module):
    """module, until it is trained: then what CUDA raises."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, values: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        found: Tensor = self.module(values)
        return found
