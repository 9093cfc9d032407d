"""A run on one processor or on several: Lightning Fabric starts the processes and joins them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from facecli.common.enums import Device
from facecli.common.errors import DeviceError, FacecliError, UsageError
from facecli.training.inputs import Inputs, Mask
from facecli.training.loop import Epoch, Recipe, Run, Trained
from facecli.training.people import Split


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What each process makes a `Run` of: its arguments. resume: go on from the checkpoint."""

    module: Any
    inputs: Inputs
    split: Split
    found: Mask
    recipe: Recipe
    key: str
    checkpoint: Path
    shifted: bool
    resume: bool

    def run(self, fabric: Fabric) -> Run:
        """Raises InputError as `Run.resume` does."""
        # A copy: torch hands a module to several processes in memory that all of them write to.
        run = Run(
            deepcopy(self.module), self.inputs, self.split, self.found, self.recipe, self.key,
            self.checkpoint, fabric, self.shifted,
        )  # fmt: skip
        if self.resume:
            run.resume()
        return run


def carried_out(
    job: Job,
    device: Device,
    count: int = 1,
    progress: Callable[[Epoch], object] | None = None,
) -> Trained:
    """Train to the end. count: processes, on CUDA a GPU each. progress: called after each epoch.

    Several processes learn what one learns, but for the order in which shares are summed.
    Raises UsageError for more processes than a batch has pairs, InputError and OutputError as
    `Run` does, DeviceError where a process was killed or a GPU's memory does not suffice.
    """
    require_shares(min(job.recipe.batch, len(job.split.train)), count)
    fabric = one(device, count)
    if count == 1:
        try:
            return job.run(fabric).train(progress)
        except torch.OutOfMemoryError as error:
            raise _too_large(job.recipe.batch) from error
    lines = get_context("spawn").Queue()
    try:
        with _told(lines, progress):
            # As one with what it works on: of arguments Fabric takes no frozen dataclass.
            stopped = fabric.launch(partial(_share, job, lines))
    except ProcessRaisedException as error:  # its text is all that came over
        if torch.OutOfMemoryError.__name__ not in str(error):
            raise
        raise _too_large(job.recipe.batch) from error
    except ProcessExitedException as error:
        raise DeviceError(
            f"one of the {count} processes was killed, perhaps for want of memory: the epochs "
            "before are kept; go on with --resume, and fewer --devices"
        ) from error
    if isinstance(stopped, FacecliError):
        raise stopped
    return replace(job, resume=True).run(one(Device.CPU)).result(stopped)


def _too_large(batch: int) -> DeviceError:
    return DeviceError(
        f"the GPU's memory does not suffice: the epochs before are kept. Begin anew with a smaller "
        f"--batch than {batch} or a smaller --part, or go on with --resume and --device cpu"
    )


def require_shares(photos: int, count: int) -> None:
    """Raise UsageError where a batch of that many has not two for each process."""
    if photos < 2 * count:
        raise UsageError(
            f"--devices {count} takes a --batch and a training set of {2 * count} photos at least, "
            f"two for each; there are {photos}"
        )


def one(device: Device, count: int = 1) -> Fabric:
    """On CUDA in mixed precision."""
    return Fabric(
        accelerator=device.value,
        devices=count,
        strategy="ddp_spawn" if count > 1 else "auto",
        precision="bf16-mixed" if device is Device.CUDA else "32-true",
    )


def _share(job: Job, lines: Any, fabric: Fabric) -> str | FacecliError:
    """One process: why it stopped, or what is wrong, which as an exception would be lost."""
    try:
        return job.run(fabric).train(lines.put).stopped
    except FacecliError as error:
        return error


@contextmanager
def _told(lines: Any, progress: Callable[[Epoch], object] | None) -> Iterator[None]:
    """Pass on the epochs that another process puts in."""

    def pass_on() -> None:
        while (epoch := lines.get()) is not None:
            if progress is not None:
                progress(epoch)

    thread = Thread(target=pass_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        lines.put(None)
        thread.join()
