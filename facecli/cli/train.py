"""`facecli train`: an embedder adapted to a camera or a population, and whether it is better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from facecli.cli.groups import LazyGroup, make_group
from facecli.cli.options import (
    DeviceOption,
    DryRunOption,
    ForceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    QuietOption,
    ReportOption,
    WorkersOption,
    at_most_one,
    given_key,
    goes_with,
    note,
    print_beside,
    print_report,
    resumable,
)
from facecli.cli.paths import Input, Output
from facecli.common.enums import Device, LossName, Part
from facecli.common.errors import ModelError
from facecli.common.outputs import STDOUT

if TYPE_CHECKING:
    from facecli.storage.interface import Storage
    from facecli.training.loop import Epoch
    from facecli.training.train import Step


class TrainCommands(LazyGroup):
    """Those below; `facecli train PEOPLE ...` is `facecli train run PEOPLE ...`."""

    homes: ClassVar[Mapping[str, str]] = {
        "run": "facecli.cli.train:run",
        "curves": "facecli.cli.train:curves",
        "picture": "facecli.cli.train:picture",
        "crops": "facecli.cli.train:crops",
    }

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Words that begin with no command of the group are `run`'s."""
        if args and args[0] not in {*self.homes, "-h", "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = make_group(
    TrainCommands,
    "Adapt an embedder to your camera or population: `train PEOPLE --name NAME` (`train run`).",
)

PeopleArgument = Annotated[
    list[Path],
    typer.Argument(metavar="PEOPLE...", help="A folder per person, or as `enroll` takes them."),
    Input.PHOTOS,
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="For what is drawn by chance.")]


def run(
    people: PeopleArgument,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call the result.")],
    base: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="What to train further.")
    ] = None,
    part: Annotated[Part, typer.Option("--part", help="How much of it is trained.")] = Part.LAST,
    loss: Annotated[LossName, typer.Option("--loss")] = LossName.ARCFACE,
    scale: Annotated[float | None, typer.Option("--scale", help="s of the loss.")] = None,
    m1: Annotated[float | None, typer.Option("--m1", help="Factor of the angle.")] = None,
    m2: Annotated[float | None, typer.Option("--m2", help="Added to the angle, radians.")] = None,
    m3: Annotated[float | None, typer.Option("--m3", help="Taken off the cosine.")] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = 20,
    lr: Annotated[float | None, typer.Option("--lr", help="Learning rate at first.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Faces a step.")] = 64,
    seed: SeedOption = 0,
    device: DeviceOption = Device.AUTO,
    devices: Annotated[
        int, typer.Option("--devices", min=1, help="GPUs to share the work, a process each.")
    ] = 1,
    validate_dir: Annotated[
        Path | None,
        typer.Option(
            "--validate-dir",
            metavar="DIR",
            help="People to choose by and report on; else some of PEOPLE.",
        ),
        Input.PHOTOS,
    ] = None,
    strangers: Annotated[
        Path | None,
        typer.Option("--strangers", metavar="DIR", help="People who are in neither."),
        Input.PHOTOS,
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="DIR",
            help="Degrade as these photos look: size, blur, noise and grey.",
        ),
        Input.PHOTOS,
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="For all it makes; by default NAME-training."),
        Output(folder=True),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="DIR", help="Go on in the --out of a run cut short."),
        Output(folder=True),
    ] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Make it a model to use, if it is better.")
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Register it in any case.")] = False,
    page: ReportOption = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    workers: WorkersOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model further on photos of people, and measure both on people it never saw.

    Strangers included. Says whether it is better; if it is not, keep the old one.
    """
    from facecli.training.extra import require_converter

    at_most_one({"--json": as_json, "--report -": page == STDOUT})
    at_most_one({"--out": out, "--resume": resume})
    goes_with("--anyway", anyway, {"--register": register})
    goes_with("--force", force, {"--report FILE": page})
    require_converter()
    if page is not None:  # here, so that a missing extra shows before the work is done
        from facecli.report import training_page
        from facecli.report.html import save
    from facecli.common.names import require_name
    from facecli.recognition.model_zoo import registry
    from facecli.report.training import preview_row, preview_text, training_row, training_text
    from facecli.training import losses
    from facecli.training.loop import RATES, Recipe
    from facecli.training.preview import preview
    from facecli.training.train import CHECKPOINT, Sources, train

    require_name(name)
    recipe = Recipe(
        part, loss, losses.margin_of(loss, scale=scale, m1=m1, m2=m2, m3=m3), epochs,
        RATES[part] if lr is None else lr, batch, seed,
    )  # fmt: skip
    sources = Sources(
        tuple(people), *(() if one is None else (one,) for one in (validate_dir, strangers, like))
    )
    spec = registry.find_embedder(base)
    if dry_run:
        seen = preview(sources, recipe, spec)
        print_report(preview_row(seen), preview_text(seen), as_json)
        return
    folder = resume or out or Path(f"{name}-training")

    def next_call() -> str:
        if (folder / CHECKPOINT).exists():
            return f"go on with the same words and --resume {folder}"
        return "no epoch was trained yet, run the same command again"

    with _enrolled(gallery, key_file) as storage, resumable(next_call):
        result = train(
            sources, name, recipe, folder, spec, device=device, devices=devices,
            resume=resume is not None, gallery=storage, register=register, anyway=anyway,
            workers=workers, stage=_stages(quiet), progress=_epochs(quiet),
        )  # fmt: skip
    for remark in result.remarks:
        note(remark, quiet)
    html = "" if page is None else training_page.page(result)
    beside = html if page == STDOUT else ""
    print_beside(beside, training_row(result), training_text(result), as_json)
    if page is not None and page != STDOUT:
        save(html, page, force=force)
        note(f"wrote {page}", quiet)
    if register and not result.registered:
        raise ModelError(
            f"{name} was not registered, the verdict is: {result.verdict}. Keep {spec.name}, or "
            f"register it all the same: --resume {folder} --register --anyway"
        )


def curves(
    plots: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="For the plots, PNG and SVG."),
        Output(folder=True),
    ] = Path("training-curves"),
    scale: Annotated[float, typer.Option("--scale", help="s of the losses.")] = 64.0,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw the losses: target logits, slopes and decision boundaries against the angle."""
    from facecli.training.extra import require_torch

    require_torch()
    from facecli.report.training_plots import draw_curves, judge, write
    from facecli.training.curves import curves as computed

    judge(plots, force)
    for path in write(draw_curves(computed(scale)), plots, force=force):
        typer.echo(path)


def picture(
    people: PeopleArgument,
    plots: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="For the picture, PNG and SVG."),
        Output(folder=True),
    ] = Path("training-picture"),
    count: Annotated[int, typer.Option("--people", min=2, max=12, help="How many.")] = 8,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw some people in two dimensions, a panel for each loss: what it does to angles."""
    from facecli.training.extra import require_torch

    require_torch()
    from facecli.cli.options import progress
    from facecli.datasets.labels import labelled
    from facecli.recognition.model_zoo import registry
    from facecli.recognition.pipeline import Extractor
    from facecli.report.training_plots import draw_picture, judge, write
    from facecli.training.picture import chosen
    from facecli.training.picture import picture as computed

    judge(plots, force)
    layout = labelled(people)
    photos = chosen(layout.photos, count)
    extractor = Extractor.load(registry.find_embedder(), Device.CPU)
    with progress(len(photos), quiet) as step:
        panels = computed(extractor, photos, seed, workers, step)
    for path in write([draw_picture(panels)], plots, force=force):
        typer.echo(path)


def crops(
    people: PeopleArgument,
    folder: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="For a folder a person."),
        Output(folder=True),
    ],
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write aligned crops of 112 x 112 px, for trainers of very many people.

    One PNG a photo, called by the photo's sha256, in a folder a person.
    """
    from facecli.cli.options import progress
    from facecli.datasets.labels import labelled
    from facecli.recognition.model_zoo import registry
    from facecli.recognition.pipeline import Extractor
    from facecli.report.formats import counted, failure_line
    from facecli.training import aligned

    layout = labelled(people)
    extractor = Extractor.load(registry.find_embedder(), Device.CPU)
    with progress(len(layout.photos), quiet) as step:
        written, failures = aligned.write(extractor, layout.photos, folder, workers, step)
    for problem in (*layout.problems, *failures):
        note(f"{problem.path}: {failure_line(problem)}", quiet)
    typer.echo(f"{counted(written, 'crop')} in {folder}")


@contextmanager
def _enrolled(gallery: Path | None, key_file: str | None) -> Iterator[Storage | None]:
    """The gallery whose people are looked for in the training set; None where there is none."""
    from facecli.common.places import default_gallery
    from facecli.storage import opening

    path, key = gallery or default_gallery(), given_key(key_file)
    if gallery is None and not opening.present(path, key):
        yield None
        return
    from contextlib import closing

    with closing(opening.open_storage(path, key)) as storage:
        yield storage


def _stages(quiet: bool) -> Callable[[str, int], Step]:
    """A progress bar on stderr for each stage, only on a terminal."""
    from tqdm import tqdm

    bars: list[Any] = []

    def begin(what: str, total: int) -> Step:
        for bar in bars:
            bar.close()
        bars[:] = [
            tqdm(total=total, desc=what, unit="photo", leave=False, disable=True if quiet else None)
        ]
        return bars[0].update  # type: ignore[no-any-return]

    return begin


def _epochs(quiet: bool) -> Callable[[Epoch], None]:
    """A line an epoch on stderr."""

    def show(epoch: Epoch) -> None:
        from facecli.report.training import epoch_line

        note(epoch_line(epoch), quiet)

    return show
