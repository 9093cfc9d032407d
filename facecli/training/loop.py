"""The epochs: train, look at the people who choose, keep the best, and lose no epoch.

All chance comes from the seed and the epoch's number, and all state is in the checkpoint: a run
that was interrupted and goes on is, on a CPU, the uninterrupted one bit for bit.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from facecli.common import atomic
from facecli.common.enums import LossName, Part
from facecli.common.errors import InputError, OutputError, UsageError
from facecli.common.files import regular
from facecli.common.types import Float32
from facecli.recognition.embedder import centre_of
from facecli.training import losses
from facecli.training.inputs import Inputs, Mask, Rows
from facecli.training.learner import Learner, beginning
from facecli.training.losses import Margin
from facecli.training.measure import FPIR, PanelTemplates, mean_angle, measure
from facecli.training.people import Panel, Split

FORMAT = 2  # of a checkpoint
PATIENCE = 5  # epochs without a better one, then it stops
AT_ONCE = 256  # faces embedded at once
RATES = {Part.HEAD: 1e-2, Part.LAST: 6e-3, Part.ALL: 1e-3}  # learning rates that serve
SMALLEST_SIZE = 1e-3  # of numbers that are all but zero
STEEPEST = 5.0  # the norm that a step's gradient is cut down to


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. Raises UsageError for what cannot be.

    lr: of the first epoch, as a share of the median amount of the numbers of each tensor; it
    falls to 0 as half a cosine. batch: faces a step. margin: see
    `losses.margin_of`; the triplet's is its m2.
    """

    part: Part = Part.LAST
    loss: LossName = LossName.ARCFACE
    margin: Margin = losses.TUNING
    epochs: int = 20
    lr: float = RATES[Part.LAST]
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.lr < math.inf):
            raise UsageError(f"--lr is a number above 0, not {self.lr}")
        if self.epochs < 1 or self.batch < 2:
            raise UsageError("--epochs is at least 1, and --batch at least 2")


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch came to; number 0 is the base, before any training.

    loss, target_angle (to the own class's centre, degrees), lr: NaN for epoch 0. Of the people who
    choose: dir, rank_one: at FPIR 1 %; mean_dir: what the best epoch is chosen by, see `Measured`,
    the first of equals; known, unknown: mean scores, of probes with their own person and of
    strangers with the nearest one.
    """

    number: int
    loss: float
    target_angle: float
    lr: float
    dir: float
    rank_one: float
    mean_dir: float
    known: float
    unknown: float


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What came out: the module with the best epoch's numbers, and all epochs.

    stopped: why before the last epoch, a line; empty where it ran to the end.
    """

    module: Any
    best: Epoch
    epochs: tuple[Epoch, ...]
    stopped: str


class Run:
    """One training: where it stands, and how it goes on.

    module: the trained part, from `network.divide`; changed in place. inputs: of all photos. key:
    what must be the same for a checkpoint to be this run's. checkpoint: its file. fabric: what it
    runs on; of several processes each has a share of every batch, and the first one measures,
    writes and tells.
    """

    def __init__(
        self,
        module: Any,
        inputs: Inputs,
        split: Split,
        found: Mask,
        recipe: Recipe,
        key: str,
        checkpoint: Path,
        fabric: Fabric,
        shifted: bool = False,
    ) -> None:
        self.inputs, self.split, self.recipe, self.key = inputs, split, recipe, key
        self.checkpoint, self.fabric, self.shifted = checkpoint, fabric, shifted
        self.found, self.centre = found, centre_of(inputs.spec)
        self.module = module.to(fabric.device)
        rows, y = np.array(split.train, np.intp), np.array(split.classes, np.intp)
        heads = beginning(self._outputs(rows, 0), y, recipe.loss)
        learner = Learner(self.module, heads, recipe.loss, recipe.margin).to(fabric.device)
        self.heads = learner.heads
        # A step moves every number of a tensor by about as much, so it is measured by their size:
        # in one network that may differ by a factor of a thousand from layer to layer.
        learnt = [one for one in learner.parameters() if one.requires_grad]
        groups = [{"params": [one], "size": _size(one)} for one in learnt]
        self.learner, self.optimizer = fabric.setup(learner, torch.optim.Adam(groups, lr=recipe.lr))
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_state: dict[str, Tensor] = {}

    def train(self, progress: Callable[[Epoch], object] | None = None) -> Trained:
        """From where it stands to the end. progress: called after each epoch.

        Raises OutputError where the checkpoint cannot be written; the one before is then still
        there.
        """
        stopped = ""
        with _deterministic():
            if not self.epochs:
                self._keep(Epoch(0, *[math.nan] * 8), progress)
            while (number := len(self.epochs)) <= self.recipe.epochs:
                best = cast(Epoch, self.best)
                if number - 1 - best.number >= PATIENCE:  # also where it goes on from there
                    stopped = f"{PATIENCE} epochs without a better one"
                    break
                fresh = self._epoch(number)
                if fresh is None:
                    stopped = (
                        f"the loss of epoch {number} was no number: the best epoch before is kept; "
                        f"try a lower --lr than {self.recipe.lr:g}"
                    )
                    break
                self._keep(fresh, progress)
        return self.result(stopped)

    def result(self, stopped: str = "") -> Trained:
        """Where it stands: the module is then the best epoch's."""
        self.module.load_state_dict(self.best_state)
        return Trained(self.module.cpu(), cast(Epoch, self.best), tuple(self.epochs), stopped)

    def resume(self) -> int:
        """Go on from the checkpoint; how many epochs it holds.

        Raises InputError where it is not there, damaged, or another run's.
        """
        state = _read(self.checkpoint)
        if state.get("key") != self.key:
            raise InputError(
                f"{self.checkpoint} is of another run: the model, photos or options differ. "
                "Give the same ones, or begin anew with another --out"
            )
        try:
            self.module.load_state_dict(state["module"])
            for name, tensor in self.heads.items():
                with torch.no_grad():
                    tensor.copy_(state["heads"][name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.epochs = [Epoch(int(row[0]), *map(float, row[1:])) for row in state["epochs"]]
            self.best = self.epochs[int(state["best"])]
            self.best_state = state["best_module"]
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise _damaged(self.checkpoint) from error
        return len(self.epochs) - 1

    def _epoch(self, number: int) -> Epoch | None:
        """Every photo once, in an order and a view by chance; None where the loss is no number."""
        recipe, split = self.recipe, self.split
        rng = np.random.default_rng([recipe.seed, number])
        rows, y = np.array(split.train, np.intp), np.array(split.classes, np.intp)
        views = np.zeros(len(rows), np.intp)
        if self.shifted:  # each photo as it is, and in one of the ways the other camera gives it
            view = drawn(self.found[rows], rng)
            there = view > 0
            rows, y = np.append(rows, rows[there]), np.append(y, y[there])
            views = np.append(views, view[there])
        order = _order(y, rng, grouped=recipe.loss is LossName.TRIPLET)
        rows, y, views = rows[order], y[order], views[order]
        mirrored = rng.random(len(rows)) < 0.5
        lr = recipe.lr * (1 + math.cos(math.pi * (number - 1) / recipe.epochs)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["size"]
        total, turned, steps = 0.0, 0.0, 0
        ranks = self.fabric.world_size
        for start in range(0, len(rows), recipe.batch):
            step = np.arange(start, min(start + recipe.batch, len(rows)))
            if len(step) < 2 * ranks:
                break
            part = np.split(step[: len(step) // ranks * ranks], ranks)[self.fabric.global_rank]
            values = self.inputs.take(rows[part], views[part], mirrored[part])
            target = torch.from_numpy(y[part]).to(self.fabric.device)
            loss, x = self.learner(torch.from_numpy(values).to(self.fabric.device), target)
            everywhere = float(self._mean(loss.detach()))
            if not math.isfinite(everywhere):
                return None
            self.optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss)
            self.fabric.clip_gradients(
                self.learner, self.optimizer, max_norm=STEEPEST, error_if_nonfinite=False
            )
            self.optimizer.step()
            steps += 1
            total += everywhere
            turned += self._angle(x.detach(), target)
        angle = float(self._mean(torch.tensor(turned / steps, device=self.fabric.device)))
        return Epoch(number, total / steps, angle, lr, *[math.nan] * 5)

    def _mean(self, value: Tensor) -> Tensor:
        """Over all processes."""
        return cast(Tensor, self.fabric.all_reduce(value, reduce_op="mean"))

    def _embedded(self, values: Float32) -> Tensor:
        """(n, d) of the trained part, float32; on CUDA in mixed precision."""
        x = torch.from_numpy(values).to(self.fabric.device)
        with self.fabric.autocast():
            made = self.module(x)
        return cast(Tensor, made.float())

    def _outputs(self, rows: Rows, view: int) -> Float32:
        """(n, d) summed over the two mirror images where the embedder does so, not normalised."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start : start + AT_ONCE]
                views, plain = np.full(len(some), view), np.zeros(len(some), bool)
                made = self._embedded(self.inputs.take(some, views, plain))
                if self.inputs.spec.flip:
                    made = made + self._embedded(self.inputs.take(some, views, ~plain))
                parts.append(made.cpu().numpy())
        return np.concatenate(parts)

    def _measured(self, epoch: Epoch) -> Epoch:
        panel = self.split.select
        found = measure(self._templates(panel))
        return replace(
            epoch,
            dir=found.dir_at(FPIR),
            rank_one=found.dir_at(1),
            mean_dir=found.mean_dir,
            known=float(np.nanmean(found.known)),
            unknown=float(np.nanmean(found.unknown)),
        )

    def _templates(self, panel: Panel) -> PanelTemplates:
        """As `OnnxEmbedder` makes them, but not refused where a network in ruins gives NaN."""

        def unit(rows: Sequence[int], view: int) -> Float32:
            there = np.array(rows, np.intp)
            made = self._outputs(there, view)
            made /= np.linalg.norm(made, axis=1, keepdims=True)
            if self.centre is not None:
                made -= self.centre
                made /= np.linalg.norm(made, axis=1, keepdims=True)
            return np.where(self.found[there, :1], made, 0) if view else made

        searched = int(self.shifted)  # the first of the degraded views
        return PanelTemplates(
            unit(panel.gallery, 0), unit(panel.probes, searched),
            np.array(panel.owners, np.intp), unit(panel.strangers, searched),
        )  # fmt: skip

    def _angle(self, x: Tensor, y: Tensor) -> float:
        """The mean angle to the own class's centre, degrees."""
        with torch.no_grad():
            cosine = (functional.normalize(x) * functional.normalize(self.heads["centres"])[y]).sum(
                1
            )
        return mean_angle(cosine.double().cpu().numpy())

    def _keep(self, trained: Epoch, progress: Callable[[Epoch], object] | None) -> None:
        first = self.fabric.is_global_zero
        epoch: Epoch = self.fabric.broadcast(self._measured(trained) if first else trained)
        self.epochs.append(epoch)
        if self.best is None or epoch.mean_dir > self.best.mean_dir:
            self.best = epoch
            state = self.module.state_dict()
            self.best_state = {name: tensor.clone() for name, tensor in state.items()}
        problem = self.fabric.broadcast(self._write() if first else None)
        if problem is not None:  # to all, or the others would wait for the first one
            raise OutputError(problem)
        if progress is not None and first:
            progress(epoch)

    def _write(self) -> str | None:
        """What is wrong where it cannot be written."""
        out = io.BytesIO()
        torch.save(
            {
                "format": FORMAT,
                "key": self.key,
                "module": self.module.state_dict(),
                "heads": {name: tensor.detach() for name, tensor in self.heads.items()},
                "optimizer": self.optimizer.state_dict(),
                "epochs": [list(astuple(epoch)) for epoch in self.epochs],
                "best": cast(Epoch, self.best).number,
                "best_module": self.best_state,
            },
            out,
        )
        try:
            atomic.write(self.checkpoint, out.getbuffer(), replace=True)
        except OSError as error:
            return f"{self.checkpoint} cannot be written: {error.strerror}"
        return None


def require_checkpoint(path: Path) -> None:
    """Raise InputError where there is no checkpoint, or a damaged one."""
    _read(path)


def _read(path: Path) -> Mapping[str, Any]:
    """Tensors, numbers, strings and containers of them: nothing that a checkpoint holds is run."""
    try:
        state = torch.load(regular(path), map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: there is no run to resume") from error
    except Exception as error:  # torch's, zip's and the unpickler's, which share no base
        raise _damaged(path) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise _damaged(path)
    return state


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is damaged, or no checkpoint of this facecli: begin anew with another --out"
    )


def _size(tensor: Tensor) -> float:
    """The median of its numbers' amounts: a few large ones would drag the many small along."""
    return max(SMALLEST_SIZE, float(tensor.detach().abs().median()))


def _order(y: Rows, rng: np.random.Generator, grouped: bool) -> Rows:
    """By chance; grouped: the photos of a person one after the other, people by chance."""
    chance = rng.random(len(y))
    if not grouped:
        return np.argsort(chance, kind="stable")
    people = rng.random(int(y.max()) + 1)
    return np.lexsort((chance, people[y]))


def drawn(found: Mask, rng: np.random.Generator) -> Rows:
    """(n,) a degraded view of each, by chance; 0 where none shows a face. found: (n, k) whether."""
    chance = np.where(found, rng.random(found.shape), -1)
    return np.where(found.any(axis=1), chance.argmax(axis=1) + 1, 0)


@contextmanager
def _deterministic() -> Iterator[None]:
    """Only algorithms that give the same bits twice, as long as it takes."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def recipe_row(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON."""
    return {**asdict(recipe), "part": str(recipe.part), "loss": str(recipe.loss)}
