"""`facecli models`: which embedders there are, whether they are whole, and how to get others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from facecli.cli.groups import LazyGroup, make_group
from facecli.cli.options import bar, note, print_report, terminal
from facecli.cli.paths import Input

if TYPE_CHECKING:
    from facecli.recognition.model_zoo.specs import DetectorSpec, EmbedderSpec, KnownModel


class ModelCommands(LazyGroup):
    """Those below."""

    homes: ClassVar[Mapping[str, str]] = {
        "list": "facecli.cli.models:list_models",
        "info": "facecli.cli.models:info",
        "verify": "facecli.cli.models:verify",
        "add": "facecli.cli.models:add",
        "pull": "facecli.cli.models:pull",
    }
    meant: ClassVar[Mapping[str, str]] = {
        "ls": "models list", "show": "models info", "check": "models verify",
        "download": "models pull", "fetch": "models pull", "get": "models pull",
        "use": "--model NAME", "set": "--model NAME", "default": "--model NAME",
        "install": "models add", "import": "models add",
    }  # fmt: skip


app = make_group(ModelCommands, "List, inspect, check, add and fetch embedders.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="You have read the licence and it covers your use.")
]


def list_models(as_json: AsJson = False) -> None:
    """The embedders on this machine, and known ones that can be fetched."""
    from facecli.recognition.model_zoo.registry import chosen_name, embedders, known_models
    from facecli.report.columns import table
    from facecli.report.formats import SCHEMA

    here, chosen = embedders(), chosen_name()
    names = [spec.name for spec in here]
    used = names.index(chosen) if chosen in names else -1
    known = [model for model in known_models() if model.spec.name not in names]
    listed = [{**_facts(spec), "in_use": at == used} for at, spec in enumerate(here)]
    row = {"schema": SCHEMA, "embedders": listed, "known": [_offer(model) for model in known]}
    cells = [_cells(spec, "in use" if at == used else "") for at, spec in enumerate(here)]
    cells += [_cells(model.spec, f"facecli models pull {model.spec.name}") for model in known]
    print_report(row, table(cells, ["name", "dimension", "licence", ""], terminal()), as_json)


def info(
    name: Annotated[str | None, typer.Argument(help="Default: the embedder in use.")] = None,
    as_json: AsJson = False,
) -> None:
    """Everything that is recorded about an embedder."""
    from facecli.recognition.model_zoo.registry import find_embedder
    from facecli.report.columns import titled_lines
    from facecli.report.formats import SCHEMA

    facts = _facts(find_embedder(name))
    text = titled_lines([(title, _shown(value)) for title, value in facts.items()])
    print_report({"schema": SCHEMA, **facts}, text, as_json)


def verify(
    name: Annotated[str | None, typer.Argument(help="Default: all, with the detector.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare model files with their sha256. Ends with code 5 where one is damaged."""
    from facecli.common.errors import ModelError
    from facecli.recognition.model_zoo.registry import embedders, find_detector, find_embedder
    from facecli.report.columns import titled_lines
    from facecli.report.formats import SCHEMA

    every: tuple[EmbedderSpec | DetectorSpec, ...] = (find_detector(), *embedders())
    specs = (find_embedder(name),) if name else every
    faults = {spec.name: _fault(spec) for spec in specs}
    rows = [{"name": name, "ok": not fault, "fault": fault} for name, fault in faults.items()]
    text = titled_lines([(name, "damaged" if fault else "ok") for name, fault in faults.items()])
    print_report({"schema": SCHEMA, "models": rows}, text, as_json)
    if any(faults.values()):
        raise ModelError("\n".join(fault for fault in faults.values() if fault))


def add(
    file: Annotated[
        Path, typer.Argument(help="An ONNX network: 112x112 crop in, vector out."), Input.PHOTOS
    ],
    name: Annotated[str | None, typer.Option(help="Default: the known or the file's name.")] = None,
    channel_order: Annotated[
        Literal["RGB", "BGR"] | None, typer.Option(case_sensitive=False, help="What it expects.")
    ] = None,
    mean: Annotated[float | None, typer.Option(help="Subtracted from 0..255 values.")] = None,
    std: Annotated[float | None, typer.Option(help="Then divided by.")] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Average with the mirrored crop.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="To record for an unknown file.")] = None,
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
) -> None:
    """Add an embedder from a file. For a known file, nothing more need be said."""
    from facecli.recognition.model_zoo.add import Preprocessing, add_model
    from facecli.recognition.model_zoo.specs import ChannelOrder

    order = ChannelOrder(channel_order) if channel_order else None
    given = Preprocessing(order, mean, std, flip)
    _report(add_model(file, name, given, licence, accept_licence), as_json)


def pull(
    name: Annotated[str, typer.Argument(help="A known model or its pack: see `models list`.")],
    accept_licence: AcceptLicence = False,
    url: Annotated[str | None, typer.Option(help="A mirror of the publisher's file.")] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Of another file at --url, which you vouch for.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a known embedder from its publisher. An interrupted download resumes."""
    from facecli.recognition.model_zoo.pull import pull_model
    from facecli.recognition.model_zoo.registry import find_known, shipped_embedders

    shipped = name in {spec.name for spec in shipped_embedders()}
    accepted = accept_licence or shipped or _consents(find_known(name).spec)
    with _progress(quiet) as progress:
        spec = pull_model(name, accepted, url, sha256, progress)
    _report(spec, as_json)


def _consents(spec: EmbedderSpec) -> bool:
    """Ask on a terminal; elsewhere the answer is no, and `pull_model` says what to give."""
    import sys

    if spec.commercial_use or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    typer.echo(f"The licence of {spec.name} is: {spec.licence}.", err=True)
    return typer.confirm("Does it cover your use?", err=True)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on stderr where that is a terminal."""
    import sys

    if quiet or not sys.stderr.isatty():
        yield None
        return
    # The delay keeps an empty bar away where there is nothing to fetch.
    with bar(quiet, unit="B", unit_scale=True, unit_divisor=1024, delay=0.1) as shown:

        def show(done: int, total: int | None) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield show


def _report(spec: EmbedderSpec, as_json: bool) -> None:
    from facecli.recognition.model_zoo.add import may_be_faster
    from facecli.recognition.model_zoo.registry import SHIPPED
    from facecli.report.formats import SCHEMA

    if may_be_faster(spec):
        note(
            "this network runs up to three times as fast once rewritten, with the same templates: "
            "pip install 'facecli[models]', and add it again"
        )

    where = "comes with facecli" if spec.path.parent == SHIPPED else "is here"
    text = (
        f"{spec.name} {where}: {spec.dimension}-d, licence {spec.licence}.\n"
        f"Use it with --model {spec.name} or FACECLI_MODEL={spec.name}."
    )
    print_report({"schema": SCHEMA, **_facts(spec)}, text, as_json)


def _fault(spec: EmbedderSpec | DetectorSpec) -> str:
    """What is wrong with a model's file, empty where nothing is."""
    from facecli.common.errors import ModelError
    from facecli.recognition.model_zoo import registry

    try:
        registry.verify_files(spec)
    except ModelError as error:
        return str(error)
    return ""


def _facts(spec: EmbedderSpec) -> dict[str, Any]:
    from dataclasses import asdict

    facts = {"embedder_id": spec.embedder_id, **asdict(spec)}
    return {key: str(value) if isinstance(value, Path) else value for key, value in facts.items()}


def _offer(known: KnownModel) -> dict[str, Any]:
    """A known model that is not here: what one needs to decide on fetching it."""
    spec = known.spec
    return {
        "name": spec.name,
        "aliases": list(known.aliases),
        "dimension": spec.dimension,
        "licence": spec.licence,
        "commercial_use": spec.commercial_use,
        "source": spec.source,
        "url": known.url,
        "url_bytes": known.url_bytes,
    }


def _cells(spec: EmbedderSpec, note: str) -> list[str]:
    return [spec.name, str(spec.dimension), spec.licence, note]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
