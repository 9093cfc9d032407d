"""The packages that do the work: do they load, and does one wheel alone own their files?"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions

from facecli.cli.doctor.diagnosis import BROKEN, Check, Part, Verdict, first_line
from facecli.common.version import __version__


def runtime() -> Iterator[Check]:
    yield Check(Part.RUNTIME, "facecli", Verdict.OK, __version__)
    system = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Check(Part.RUNTIME, "python", Verdict.OK, system)
    owners = packages_distributions()
    # The wheel that facecli asks for; another one of the same module may stand in for it.
    for module, wheel in (
        ("numpy", "numpy"),
        ("cv2", "opencv-python-headless"),
        ("onnxruntime", "onnxruntime"),
        ("faiss", "faiss-cpu"),
    ):
        yield _module(module, wheel, sorted(set(owners.get(module, ()))))
    yield _processors()


def _module(module: str, wheel: str, owners: list[str]) -> Check:
    """A compiled package: does it load, and does only one wheel own its files?"""
    if len(owners) > 1:
        # Of onnxruntime's builds the plain one comes with facecli, another one was chosen.
        kept = wheel if module == "cv2" else next(name for name in owners if name != wheel)
        return Check(
            Part.RUNTIME, module, Verdict.FAULT,
            f"{' and '.join(owners)} are installed together and overwrite each other's files",
            f"pip uninstall -y {' '.join(owners)} && pip install {kept}",
        )  # fmt: skip
    owner = owners[0] if owners else wheel
    try:
        version = import_module(module).__version__
    except BROKEN as error:
        fix = f"pip install --force-reinstall --no-deps {owner}"
        return Check(
            Part.RUNTIME, module, Verdict.FAULT, f"does not load: {first_line(error)}", fix
        )
    return Check(Part.RUNTIME, module, Verdict.OK, f"{version}, from {owner}")


def _processors() -> Check:
    try:
        from facecli.common.parallel import processors
    except BROKEN as error:
        return Check(Part.RUNTIME, "processors", Verdict.NOTE, f"not counted: {first_line(error)}")
    usable, there = processors(), os.cpu_count() or 1
    rest = "" if usable == there else ": the process's affinity or its container allows no more"
    detail = f"{usable} threads by default, of {there} processors{rest}"
    return Check(Part.RUNTIME, "processors", Verdict.OK, detail)


def extras() -> Iterator[Check]:
    for extra, modules, what in (
        ("heif", ("pillow_heif",), "HEIC photos"),
        ("raw", ("rawpy",), "photos inside cameras' raw files"),
        ("report", ("jinja2", "matplotlib"), "HTML reports and plots"),
        ("demo", ("matplotlib", "skimage"), "photos for the demo"),
        ("tags", ("exiftool",), "names written back into sidecars"),
        ("encrypted", ("sqlcipher3", "keyring"), "encrypted galleries"),
        ("dask", ("distributed", "cryptography"), "enrolment on several machines"),
        ("milvus", ("pymilvus",), "galleries in Milvus"),
        ("models", ("onnx",), "networks that you add, rewritten to run faster"),
        ("convert", ("tflite", "ai_edge_litert"), "conversion of TFLite models"),
    ):
        try:
            for module in modules:
                import_module(module)
        except BROKEN as error:
            detail, fix = f"no {what}: {first_line(error)}", f"pip install 'facecli[{extra}]'"
            yield Check(Part.EXTRAS, extra, Verdict.NOTE, detail, fix)
        else:
            yield Check(Part.EXTRAS, extra, Verdict.OK, what)
