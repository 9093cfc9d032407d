"""Which models there are, found and verified.

Their facts stand in TOML with the same keys: `models/manifest.toml` (shipped),
`models/known.toml` (known, not shipped), `home()/models/<name>/model.toml` (added). `add` and
`pull` put models there.
"""

from __future__ import annotations

import hashlib
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from facecli.common.errors import ModelError
from facecli.common.files import regular
from facecli.common.places import home
from facecli.recognition.model_zoo.specs import ChannelOrder, DetectorSpec, EmbedderSpec, KnownModel
from facecli.recognition.model_zoo.whole import require_whole

LARGEST_SIDE = 1 << 16  # of a crop in px, and of a template in numbers
DEFAULT_EMBEDDER = "mobilefacenet-arcface"


def _shipped() -> Path:
    """Where the shipped models lie: in the package where it is installed, else beside it."""
    package = Path(__file__).parents[2]
    installed = package / "models"
    there = (installed / "manifest.toml").is_file()
    return installed if there else package.parent / "models"


SHIPPED = _shipped()


def embedders() -> tuple[EmbedderSpec, ...]:
    """Every embedder on this machine: shipped, added, then those in ~/.insightface/models.

    No network is opened: `read_verified` does that when one is used. What comes again counts once,
    where it comes first: a copy of a model that is shipped by now; but not another of its name,
    which galleries may need. Raises ModelError where a description cannot be read.
    """
    return tuple(_every_embedder())


def chosen_name(name: str | None = None) -> str:
    """The name to look for: the argument, else FACECLI_MODEL, else the default."""
    return name or os.environ.get("FACECLI_MODEL") or DEFAULT_EMBEDDER


def find_embedder(name: str | None = None, embedder_id: str = "") -> EmbedderSpec:
    """The embedder called `chosen_name(name)`. Raises ModelError, listing the names there are.

    embedder_id: which of them, where one was added before facecli shipped another of its name. If
    none is it, the first of the name is given.
    """
    wanted, first = chosen_name(name), None
    # One at a time: a broken description of some other model does not stop this one.
    for spec in _every_embedder():
        if spec.name == wanted:
            if embedder_id in ("", spec.embedder_id):
                return spec
            first = first or spec
    if first is not None:
        return first
    there = ", ".join(spec.name for spec in embedders())
    raise ModelError(f"There is no embedder called {wanted!r}. There are: {there}.{_hint(wanted)}")


def shipped_embedders() -> tuple[EmbedderSpec, ...]:
    """Those that come with facecli. Raises ModelError where their description cannot be read."""
    return read_manifest(SHIPPED / "manifest.toml")


def superseded() -> tuple[EmbedderSpec, ...]:
    """Models that were added and are shipped by now: their files are used no more.

    Raises ModelError where a description cannot be read.
    """
    shipped = {spec.embedder_id for spec in shipped_embedders()}
    added = (spec for manifest in _added() for spec in read_manifest(manifest))
    return tuple(spec for spec in added if spec.embedder_id in shipped)


def find_detector() -> DetectorSpec:
    """The shipped face detector. Raises ModelError where its description cannot be read."""
    manifest = SHIPPED / "manifest.toml"
    try:
        ((name, facts),) = _tables(manifest, "detector").items()
        return DetectorSpec(
            name=name,
            path=SHIPPED / facts["file"],
            sha256=facts["sha256"],
            licence=facts["licence"],
            commercial_use=facts["commercial_use"],
            source=facts["source"],
            card=_beside(SHIPPED, facts.get("card")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(manifest, repr(error)) from error


def known_models() -> tuple[KnownModel, ...]:
    """The models of `known.toml`, which `add` recognises and `pull` fetches."""
    path = SHIPPED / "known.toml"
    return tuple(
        KnownModel(
            spec=_embedder(name, facts, path),
            aliases=tuple(facts.get("aliases", ())),
            url=facts["url"],
            url_sha256=facts["url_sha256"],
            url_bytes=facts["url_bytes"],
        )
        for name, facts in _tables(path, "embedder").items()
    )


def find_known(name: str) -> KnownModel:
    """The known model of this name or publisher's pack. Raises ModelError, listing them."""
    models = known_models()
    for known in models:
        if name in (known.spec.name, *known.aliases):
            return known
    names = ", ".join(known.spec.name for known in models)
    raise ModelError(f"facecli knows no model called {name!r} to fetch. It knows: {names}.")


def read_manifest(manifest: Path) -> tuple[EmbedderSpec, ...]:
    """The embedders that a TOML file describes; their files lie in its folder.

    Raises ModelError where the file cannot be read or lacks a fact.
    """
    tables = _tables(manifest, "embedder")
    return tuple(_embedder(name, facts, manifest) for name, facts in tables.items())


def read_verified(spec: EmbedderSpec | DetectorSpec) -> bytes:
    """The bytes of the network to run, read once and checked against their sha256.

    Of an embedder that was rewritten these are the rewritten file's. Make the session from these
    very bytes: the file cannot change in between.
    Raises ModelError where the file is missing, unreadable or not the one described, or where
    weights lie in another file.
    """
    if isinstance(spec, EmbedderSpec) and spec.rewritten is not None:
        return _checked(spec, spec.rewritten, spec.rewritten_sha256)
    return _checked(spec, spec.path, spec.sha256)


def verify_files(spec: EmbedderSpec | DetectorSpec) -> None:
    """Check all of a model's networks, the publisher's as well where a rewritten one is run.

    Raises ModelError as `read_verified` does.
    """
    read_verified(spec)
    _checked(spec, spec.path, spec.sha256)


def _checked(spec: EmbedderSpec | DetectorSpec, path: Path, sha256: str | None) -> bytes:
    try:
        content = regular(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}. {_remedy(spec)}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path} is damaged or not the model {spec.name}: its sha256 is {found}, "
            f"not {sha256}. {_remedy(spec)}"
        )
    try:
        require_whole(content)  # an older facecli took such networks
    except ModelError as error:
        raise ModelError(f"{path} cannot be used: {error}") from error
    return content


def _every_embedder() -> Iterator[EmbedderSpec]:
    """As `embedders`, but each description is read only when it is come to."""
    names, seen = set[str](), set[str]()
    for manifest in (SHIPPED / "manifest.toml", *_added()):
        for spec in read_manifest(manifest):
            if spec.embedder_id not in seen:
                names.add(spec.name)
                seen.add(spec.embedder_id)
                yield spec
    yield from (spec for spec in _from_insightface() if spec.name not in names)


def _added() -> list[Path]:
    """The descriptions of models that a user added."""
    return sorted(home().glob("models/*/model.toml"))


def _from_insightface() -> Iterator[EmbedderSpec]:
    """Known files, by name, in <pack>/ or <pack>/<pack>/ (antelopev2 unpacks so).

    Of two models whose files have one name (AuraFace's is called as InsightFace's own), the
    content tells which it is, and so which licence it has.
    """
    folder = Path(os.path.expanduser("~/.insightface/models"))  # noqa: PTH111 (never raises)
    if not folder.is_dir():
        return
    models = known_models()
    for known in models:
        file = known.spec.path.name
        paths = [*sorted(folder.glob(f"*/{file}")), *sorted(folder.glob(f"*/*/{file}"))]
        namesakes = [m.spec.sha256 for m in models if m.spec.path.name == file]
        if len(namesakes) > 1:
            found = [(path, _sha256(path)) for path in paths]
            paths = [path for path, sha256 in found if sha256 == known.spec.sha256]
            if known.spec.sha256 == namesakes[0]:  # what is none of them is a damaged first one
                paths += [path for path, sha256 in found if sha256 not in namesakes]
        for path in paths[:1]:
            yield replace(known.spec, path=path)


def _sha256(path: Path) -> str:
    """Of a file's content; empty where it cannot be read."""
    try:
        with regular(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _embedder(name: str, facts: Mapping[str, Any], manifest: Path) -> EmbedderSpec:
    folder = manifest.parent
    try:
        _require_kinds(facts)
        return EmbedderSpec(
            **{fact: facts[fact] for some in _KINDS.values() for fact in some if fact != "file"},
            name=name,
            path=folder / facts["file"],
            channel_order=ChannelOrder(facts["channel_order"]),
            mean=float(facts["mean"]),
            std=float(facts["std"]),
            card=_beside(folder, facts.get("card")),
            table=_beside(folder, facts.get("table")),
            centre=_beside(folder, facts.get("centre")),
            odd=_beside(folder, facts.get("odd")),
            children=_beside(folder, facts.get("children")),
            rewritten=folder / facts["rewritten"] if "rewritten" in facts else None,
            rewritten_sha256=facts.get("rewritten_sha256"),
            published_sha256=facts.get("published_sha256"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(manifest, f"{name}: {error!r}") from error


_KINDS: Mapping[type, tuple[str, ...]] = {
    str: ("file", "sha256", "licence", "source"),
    bool: ("flip", "commercial_use"),
    int: ("input_size", "dimension", "preprocessing"),
}


def _require_kinds(facts: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError where a fact is none of its kind or of no use."""
    for kind, names in _KINDS.items():
        for name in names:
            if type(facts[name]) is not kind:
                raise ValueError(f"{name} is {facts[name]!r}")
    if not (0 < facts["input_size"] <= LARGEST_SIDE and 0 < facts["dimension"] <= LARGEST_SIDE):
        raise ValueError("input_size or dimension is out of range")
    if not (math.isfinite(float(facts["mean"])) and 0 < float(facts["std"]) < math.inf):
        raise ValueError("mean or std is not a number to scale by")


def _beside(folder: Path, file: str | None) -> Path | None:
    """`file` beside the description or among the shipped ones (tables of known models)."""
    places = (folder / file, SHIPPED / file) if file else ()
    return next((path for path in places if path.is_file()), None)


def _tables(path: Path, kind: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        with regular(path).open("rb") as file:
            return dict(tomllib.load(file).get(kind, {}))
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from error


def _broken(path: Path, why: str) -> ModelError:
    cure = "Install facecli again." if path.parent == SHIPPED else f"Remove {path.parent}."
    return ModelError(f"The model description {path} cannot be used ({why}). {cure}")


def _remedy(spec: EmbedderSpec | DetectorSpec) -> str:
    if spec.path.parent == SHIPPED:
        return "Install facecli again."
    return f"Remove {spec.path.parent} and add the model again.{_hint(spec.name)}"


def _hint(name: str) -> str:
    """A hint for models that can be fetched, empty for others."""
    try:
        known = find_known(name).spec.name
    except ModelError:
        return ""
    return f" `facecli models pull {known}` fetches {known}."
