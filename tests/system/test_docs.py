"""The pages tell the truth: their commands run, print what is shown, and none is left out."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from support.commands import all_commands
from support.pages import Step, agrees, blocks, pages, run, scratch, steps
from support.places import ROOT

from facecli.common import enums, errors
from facecli.metrics import reference_table
from facecli.recognition.model_zoo import registry

# pages with many commands
LONG = ("commands.md", "encryption.md", "enrolling.md", "grouping.md", "video.md")
EVERY_PAGE = [
    *pages(),
    ROOT / "SECURITY.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "models").glob("*.md")),
]
OUTPUT = ROOT / "docs" / "output.md"
RUN_BY_CI = "`.ci/run` runs it"


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.slow) if p.name in LONG else p for p in pages()],
    ids=lambda page: page.name,
)
def test_every_command_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    folder = scratch(tmp_path, page.name)
    missing = {step.needs for step in steps(page) if step.needs}
    for step in steps(page):
        if step.needs:
            continue
        code, printed = run(step, folder)
        where = f"{page.name}:{step.line}: {step.shown}"
        assert code == 0, f"{where}\nended with code {code}:\n{printed}"
        assert agrees(step.output, printed), f"{where}\nprints now:\n{printed}"
    if missing:
        pytest.skip(f"NOT CHECKED: what {page.name} shows of {', '.join(sorted(missing))}, missing")


def test_the_pages_run_where_only_the_demo_s_extra_is(tmp_path: Path) -> None:
    """The environment that the README's first command makes, less what it does not install."""
    folder = scratch(tmp_path)
    for module, there in (("jinja2", False), ("sqlcipher3", False), ("matplotlib", True)):
        tried = Step(ROOT, 0, "", (sys.executable, "-c", f"import {module}"), "")
        assert (run(tried, folder)[0] == 0) is there
    for command in ("facecli enroll photos -q", "facecli gallery audit",
                    "facecli gallery audit --json", "facecli gallery audit --fix"):  # fmt: skip
        code, printed = run(Step(ROOT, 0, "", ("bash", "-c", command), ""), folder)
        assert code == 0, printed
    page = Step(ROOT, 0, "", ("bash", "-c", "facecli gallery audit --report x.html"), "")
    code, printed = run(page, folder)
    assert code == 2 and "pip install 'facecli[report]'" in printed
    assert printed.count("\n") == 1 and not (folder / "x.html").exists()
    code, printed = run(Step(ROOT, 0, "", ("bash", "-c", "facecli doctor"), ""), folder)
    assert code == 0 and "pip install 'facecli[report]'" in printed


def test_the_comparison_is_loose_where_it_should_be_and_no_looser() -> None:
    assert agrees("a  0.927 ---- 8.1 %\n", "a 0.925 --- 8.11 %")
    assert agrees("chance 1.6e-07 %", "chance 1.7e-07 %")
    assert agrees("made at ...\nby me", "made at 2020-01-01\nand signed\nby me")
    assert not agrees("score 0.927", "score 0.937")
    assert not agrees("chance 1.6e-07 %", "chance 1.6e-06 %")
    assert not agrees("enrolled 1", "enrolled 2")
    assert not agrees("identified", "identified 0.9")
    assert not agrees("p1-33e5f9b7", "p1-33e5f9b8")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_command_hides_in_a_block_that_is_not_run(page: Path) -> None:
    for block in blocks(page):
        if block.kind in ("console", "python"):
            continue
        commands = re.findall(r"^\W*(?:facecli|pip|python\S*|pytest) .*", block.body, re.MULTILINE)
        assert block.excuse or not commands, f"{page.name}:{block.line}: {commands}"
        assert block.kind != "bash" or block.excuse == RUN_BY_CI, f"{page.name}:{block.line}"


def test_every_command_has_its_help_in_the_docs() -> None:
    shown = {step.shown for step in steps(ROOT / "docs" / "commands.md")}
    assert shown == {" ".join(["facecli", *words, "--help"]) for words, _ in all_commands()}


def test_every_exit_code_is_in_the_docs() -> None:
    text = OUTPUT.read_text(encoding="utf-8")
    kinds = [k for k in vars(errors).values() if isinstance(k, type)]
    for code in {0, *(k.exit_code for k in kinds if issubclass(k, errors.FacecliError))}:
        assert f"| {code} |" in text


def test_every_environment_variable_is_in_the_docs() -> None:
    text = OUTPUT.read_text(encoding="utf-8")
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "facecli").rglob("*.py"))
    read = set(re.findall(r'["\'](FACECLI_[A-Z]+)["\']', sources))
    assert len(read) >= 5
    assert set(re.findall(r"`(FACECLI_[A-Z]+)`", text)) == read


def test_every_field_of_identify_is_in_the_docs() -> None:
    text = OUTPUT.read_text(encoding="utf-8")
    (example,) = [step for step in steps(OUTPUT) if "--json" in step.shown]
    fields = re.findall(r'^ {4}"(\w+)":', example.output, re.MULTILINE)
    assert len(fields) > 10
    missing = [field for field in fields if f"`{field}`" not in text]
    assert not missing


def test_every_outcome_and_basis_is_explained() -> None:
    choosing = ROOT / "docs" / "choosing-a-threshold.md"
    text = OUTPUT.read_text(encoding="utf-8")
    assert [o for o in enums.Outcome if f"`{o}`" not in text] == []
    text = choosing.read_text(encoding="utf-8")
    assert [b for b in enums.Basis if f"\n| `{b}` | " not in text] == []


def test_every_module_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:python )?([\w.]+(?:/[\w.]*)+)", text))
    homes = (ROOT / "facecli", ROOT)
    there = {
        n for n in named for home in homes for end in ("", ".py") if (home / (n + end)).exists()
    }
    assert len(named) > 50
    assert named - there == set()


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    folders = "facecli|models|tests|benchmarks|docs|examples"
    named = set(re.findall(rf"`((?:{folders})/[\w./-]*\w)`", text)) - {"tests/cli/test_NAME.py"}
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_room_has_its_place_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"^ +cli .*^ +common .*?$", text, re.MULTILINE | re.DOTALL)
    rooms = {path.parent.name for path in (ROOT / "facecli").glob("*/__init__.py")}
    assert "storage" in rooms
    assert rooms - set(re.findall(r"\w+", picture)) == set()


def test_the_architecture_s_floors_are_those_that_are_checked() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    with (ROOT / "pyproject.toml").open("rb") as file:
        rooms, storage = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (picture,) = re.findall(r"^ +cli .*^ +common .*?$", text, re.MULTILINE | re.DOTALL)
    floors = [floor for floor in rooms["layers"] if "|" not in floor]
    assert re.findall(rf"^ +({'|'.join(floors)})\b", picture, re.MULTILINE) == floors
    (inside,) = re.findall(r"inside storage, the same:(.*?)\n\n", text, re.DOTALL)
    assert [" ".join(floor.split()) for floor in inside.split(">")] == storage["layers"]


def test_the_page_s_thresholds_are_the_table_s() -> None:
    text = (ROOT / "docs" / "choosing-a-threshold.md").read_text(encoding="utf-8")
    rows = re.search(r"^\| subjects enrolled \|(.*)\n.*\n\| threshold, cosine \|(.*)", text, re.M)
    assert rows
    sizes, shown = ([float(cell.replace(",", "")) for cell in re.findall(r"[\d.,]+", row)]
                    for row in rows.groups())  # fmt: skip
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    assert spec.table
    table = reference_table.from_file(spec.table, spec.embedder_id)
    assert len(sizes) == len(shown) == 5
    assert shown == [round(table.threshold(0.01, int(n)), 3) for n in sizes]


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
