"""`facecli evaluate`: who plays which part, rates with failures counted, text, JSON and page."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.galleries import Command, blank, collins, environment, hopper, variant, write_variants

from facecli.common.decision import accepts
from facecli.common.errors import CalibrationError, UsageError
from facecli.common.types import Float32, Photo
from facecli.evaluation import run
from facecli.evaluation.mistakes import MistakeKind
from facecli.evaluation.plan import read_plan
from facecli.evaluation.run import Evaluation
from facecli.metrics import reference_table, verification
from facecli.recognition.pipeline import Extractor
from facecli.report.evaluation import evaluation_row, evaluation_text
from facecli.report.evaluation_page import page
from facecli.report.evaluation_plots import drawings, write_plots
from facecli.storage.records import mean_template

REFERENCES, PROBES, STRANGERS = 2, 4, 5
TARGET = 0.001
PLOTS = 4  # among one person no DET or CMC, and too few strangers for a line of FNIR
NAME = "Grace <b>& Hopper"  # as a subject's name may be; HTML must not read it


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gallery/ and mated/ of one person, strangers/ of another; one bad photo in each."""
    root = tmp_path_factory.mktemp("laid-out")
    write_variants(root / "gallery" / NAME, hopper(), REFERENCES)
    write_variants(root / "mated" / NAME, hopper(), PROBES, first=REFERENCES)
    (root / "strangers").mkdir()
    for i in range(STRANGERS):
        (root / "strangers" / f"IMG_{i:04}.jpg").write_bytes(variant(collins(), i))
    blank(root / "gallery" / NAME / "blank.png")
    (root / "mated" / NAME / "blank.png").write_bytes(
        (root / "gallery" / NAME / "blank.png").read_bytes() + b"another file"
    )
    (root / "strangers" / "IMG_0099.jpg").write_bytes(b"no photo")
    return root


@pytest.fixture(scope="module")
def result(folders: Path, extractor: Extractor) -> Evaluation:
    return run.evaluate(extractor, read_plan(folders), TARGET)


def vector(extractor: Extractor, path: Path) -> Float32:
    photo = extractor.photo(path)
    assert isinstance(photo, Photo)
    return photo.faces[0].template.vector


# the rates -----------------------------------------------------------------------------------


def test_failures_stay_in_every_denominator(result: Evaluation, folders: Path) -> None:
    assert {Path(f.path).name for f in result.failures} == {"blank.png", "IMG_0099.jpg"}
    assert (result.photos, len(result.failures)) == (REFERENCES + PROBES + STRANGERS + 3, 3)
    (whole,) = result.identification
    assert whole.rates is not None
    assert (whole.rates.fpir.trials, whole.rates.fpir.errors) == (STRANGERS + 1, 0)
    assert (whole.rates.fnir.trials, whole.rates.fnir.errors) == (PROBES + 1, 1)  # the blank one
    assert whole.rates.rank_one.errors == PROBES
    known = REFERENCES + PROBES + 2  # strangers without a name are in no comparison
    assert result.verification.mated.trials == known * (known - 1) // 2
    assert np.isneginf(result.verification.mated.values).sum() == 2 * (known - 2) + 1
    assert result.verification.nonmated.trials == 0


def test_searches_are_decided_by_mean_templates(
    result: Evaluation, folders: Path, extractor: Extractor
) -> None:
    whole = result.identification[-1]
    faces = sorted((folders / "gallery" / NAME).glob("*.jpg"))
    template = mean_template([vector(extractor, path) for path in faces])
    assert whole.gallery.templates[0] == pytest.approx(template, abs=1e-6)
    probe = folders / "mated" / NAME / "003.jpg"
    place = [photo.path for photo in result.plan.mated].index(probe)
    assert whole.mated.scores[place] == pytest.approx(vector(extractor, probe) @ template, abs=1e-5)


def test_the_operating_point_is_the_gallery_s_default(
    result: Evaluation, extractor: Extractor
) -> None:
    assert extractor.spec.table is not None
    table = reference_table.from_file(extractor.spec.table, extractor.spec.embedder_id)
    point = result.identification[-1].point
    assert point is not None
    assert point.threshold == pytest.approx(table.threshold(TARGET, 1))
    assert (point.n, point.expected_fpir) == (1, table.least_fpir), "no less than people can show"


def test_references_that_enrolment_refuses_are_not_enrolled(
    tmp_path: Path, extractor: Extractor
) -> None:
    write_variants(tmp_path / "gallery" / "Grace", hopper(), 1)
    with Image.open(hopper()) as picture:
        tiny = picture.convert("RGB").resize((40, 47))  # found, but hardly a face
    (tmp_path / "gallery" / "Tiny").mkdir()
    tiny.save(tmp_path / "gallery" / "Tiny" / "1.png")
    write_variants(tmp_path / "mated" / "Grace", hopper(), 1, first=1)
    write_variants(tmp_path / "mated" / "Tiny", hopper(), 1, first=2)
    found = run.evaluate(extractor, read_plan(tmp_path))
    assert found.failures == ()
    assert found.identification[-1].gallery.names == ("Grace",)
    assert found.not_enrolled == 1
    assert any("too low a quality" in line and line.endswith(": 1") for line in found.remarks)
    assert found.identification[-1].searches.all_ranks.tolist() == [1, 0]


def test_a_reference_s_own_file_is_no_probe(tmp_path: Path, extractor: Extractor) -> None:
    write_variants(tmp_path / "gallery" / "Grace", hopper(), 1)
    write_variants(tmp_path / "mated" / "Grace", hopper(), 2)
    found = run.evaluate(extractor, read_plan(tmp_path))
    assert found.identification[-1].searches.mated.trials == 1
    assert "copies of a reference's file prove nothing: 1 left out" in found.remarks[0]
    assert found.identification[-1].rates is not None
    assert found.identification[-1].rates.fpir.trials == 0
    assert "not known" in " ".join(evaluation_row(found)["summary"])


def test_photos_without_any_face_are_one_clear_error(tmp_path: Path, extractor: Extractor) -> None:
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        for i in range(2):
            blank(tmp_path / name / f"{i}.png")
    plan = read_plan(tmp_path)
    with pytest.raises(CalibrationError, match="none of 4 photos shows a face"):
        run.evaluate(extractor, plan)
    with pytest.raises(UsageError, match="between 0 and 1"):
        run.evaluate(extractor, plan, 1.0)


# pairs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pairs of two people in two folds, one with a photo that shows nobody."""
    root = tmp_path_factory.mktemp("pairs")
    write_variants(root / "Grace", hopper(), 5)
    write_variants(root / "Eileen", collins(), 5)
    blank(root / "Grace" / "blank.png")
    grace, eileen = (sorted((root / name).glob("*.jpg")) for name in ("Grace", "Eileen"))
    rows: list[tuple[Path, Path, int, int]] = []
    for own in (grace, eileen):
        rows += [(a, b, 1, 1 + i % 2) for i, (a, b) in enumerate(pairwise(own))]
    rows += [(a, b, 0, 1 + (i + j) % 2) for i, a in enumerate(grace) for j, b in enumerate(eileen)]
    rows.append((grace[0], root / "Grace" / "blank.png", 1, 1))
    with (root / "pairs.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file1", "file2", "same", "fold"])
        writer.writerows(rows)
    return root / "pairs.csv"


@pytest.fixture(scope="module")
def compared(pairs: Path, extractor: Extractor) -> Evaluation:
    return run.evaluate(extractor, read_plan(pairs))


def test_pairs_give_1_to_1_with_the_failure_counted(compared: Evaluation) -> None:
    v = compared.verification
    assert compared.identification == ()
    assert (v.mated.trials, v.nonmated.trials) == (9, 25)
    assert np.isneginf(v.mated.values).sum() == 1
    for rates in v.table:
        values = v.mated.values.astype(np.float64)
        assert rates.fnmr.errors == int(np.sum(~accepts(values, rates.threshold)))
        assert rates.fmr.errors == int(np.sum(v.nonmated.values >= rates.threshold))
    assert [at.fmr for at in v.tar if at.rates] == []  # 25 pairs of two people show too little
    assert v.accuracy is not None
    assert v.accuracy == verification.tenfold_accuracy(
        v.comparisons.scores, v.comparisons.mated, v.comparisons.folds
    )
    text = evaluation_text(compared)
    assert "not estimable" in text and "LFW's protocol" in text
    assert "1:N" not in text


def test_without_folds_there_is_no_fold_accuracy(
    pairs: Path, tmp_path: Path, extractor: Extractor
) -> None:
    rows = list(csv.reader(pairs.open(newline="")))[:8]
    table = tmp_path / "pairs.csv"
    with table.open("w", newline="") as out:
        csv.writer(out).writerows(row[:3] for row in rows)
    found = run.evaluate(extractor, read_plan(table))
    assert found.verification.accuracy is None
    assert found.verification.curve is None  # mated pairs only
    assert "only mated pairs" in " ".join(found.plan.problems)
    assert drawings(found)  # what can be drawn is


def test_labels_the_wrong_way_round_are_said_before_any_figure(
    compared: Evaluation, pairs: Path, tmp_path: Path, extractor: Extractor
) -> None:
    assert compared.labels == "" and "wrong way round" not in evaluation_text(compared)
    first, *rows = csv.reader(pairs.open(newline=""))
    table = tmp_path / "pairs.csv"
    with table.open("w", newline="") as out:
        csv.writer(out).writerows([first, *([*r[:2], 1 - int(r[2]), r[3]] for r in rows)])
    found = run.evaluate(extractor, read_plan(table))
    assert found.verification.equal is not None and found.verification.equal.rate > 0.8
    told = "No figure below can be used: the labels are the wrong way round: pairs labelled as one"
    assert evaluation_text(found).splitlines()[2].startswith(f"- {told} person score ")
    assert evaluation_row(found)["summary"][0].startswith(told)
    assert page(found).index(told) < page(found).index("equal error rate is")


# what leaves the program ---------------------------------------------------------------------


def test_the_json_has_counts_intervals_and_methods(result: Evaluation) -> None:
    row = json.loads(json.dumps(evaluation_row(result)))
    (whole,) = row["identification"]
    rates = whole["at_operating_point"]
    assert {"fpir", "fnir", "dir", "misidentification", "rank_one"} <= rates.keys()
    for name in ("fpir", "fnir", "dir"):
        rate: dict[str, Any] = rates[name]
        assert 0 <= rate["low"] <= rate["rate"] <= rate["high"] <= 1
        assert rate["method"] and rate["trials"] >= rate["errors"]
    assert rates["dir"]["errors"] == PROBES
    assert whole["expected_fpir"] == pytest.approx(3 / 2307, rel=1e-3)
    assert [at["rates"] for at in whole["at_fpir"]] == [None] * 5  # 6 strangers: not estimable
    assert {m["kind"] for m in row["mistakes"]} == {"mated", "stranger"}
    assert len(row["failures_to_acquire"]) == 3


def test_the_text_says_what_few_strangers_can_show(result: Evaluation) -> None:
    text = evaluation_text(result)
    assert "6 strangers can show 50 % at best (rule of 3): 3,000 are needed" in text
    assert "0/6" in text and "4/5" in text
    assert "not estimable" in text


def test_the_worst_cases_are_the_extreme_scores(result: Evaluation) -> None:
    whole = result.identification[-1]
    shown = [m for m in result.mistakes if m.kind is MistakeKind.STRANGER]
    best = np.sort(whole.strangers.scores[np.isfinite(whole.strangers.scores)])[::-1]
    assert [m.score for m in shown] == pytest.approx(best[:12].tolist())
    assert all(m.accepted is False for m in shown)
    assert {m.second.subject for m in shown} == {NAME}
    (mated,) = [m for m in result.mistakes if m.kind is MistakeKind.MATED]  # one a person
    values: NDArray[np.floating] = result.verification.mated.values
    assert mated.score == pytest.approx(values[np.isfinite(values)].min())


class Seen(HTMLParser):
    """The tags of a page, what they point at, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_is_self_contained_and_escaped(result: Evaluation) -> None:
    text = page(result)
    seen = Seen(text)
    assert not {"script", "link", "iframe", "b"} & seen.tags.keys()
    assert seen.links and all(link.startswith("data:image/") for link in seen.links)
    assert not re.search(r"url\(|@import", text)
    assert NAME in seen.words
    assert "jpeg" in text  # the thumbnails
    plots = [link for link in seen.links if link.startswith("data:image/png")]
    assert len(plots) == PLOTS
    for line in evaluation_row(result)["summary"]:
        assert line in seen.words.replace("\xa0", " ")


def test_the_page_opens_with_three_figures_and_names_what_is_not_drawn(result: Evaluation) -> None:
    text = page(result)
    head, _, rest = text.partition("<h2>")
    values = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", head)
    assert [value.replace("\xa0", " ") for value, _ in values] == ["0 %", "80.0 %", "0 %"]
    assert "strangers were given a name" in values[0][1]
    shown = Seen(rest).words.replace("\xa0", " ")
    assert "Detection error tradeoff" in shown and "Too few to draw" in shown
    assert "non-mated: 0" in shown


def test_names_are_broken_where_a_word_ends(result: Evaluation) -> None:
    """After a stroke, as in file names; nowhere else: no rule of the page breaks within words."""
    text = page(result)
    assert "_<wbr>" in text or "/<wbr>" in text
    assert "anywhere" not in text and "break-all" not in text


def test_faces_can_be_left_out(result: Evaluation) -> None:
    seen = Seen(page(result, thumbnails=False))
    assert all(link.startswith("data:image/png") for link in seen.links)
    assert "not shown" in seen.words


def test_every_plot_is_written_twice(result: Evaluation, tmp_path: Path) -> None:
    written = {path.name for path in write_plots(drawings(result), tmp_path / "new" / "plots")}
    shown = {"searches", "threshold-n", "scores", "angles"}
    assert written == {name + suffix for name in shown for suffix in (".png", ".svg")}


def test_the_command_does_it_all(folders: Path, tmp_path: Path, result: Evaluation) -> None:
    facecli = Command(tmp_path)
    out, folder = tmp_path / "out.html", tmp_path / "plots"
    done = facecli(
        "evaluate",
        folders,
        "--target-fpir",
        str(TARGET),
        "--json",
        "--report",
        out,
        "--plots",
        folder,
        "--no-thumbnails",
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    mine = json.loads(json.dumps(evaluation_row(result)))
    assert row["identification"] == mine["identification"]
    assert "How well it works" in out.read_text(encoding="utf-8")
    assert len(list(folder.iterdir())) == 2 * PLOTS
    assert not (tmp_path / "gallery.facecli").exists()
    text = facecli("evaluate", folders, "--quiet")
    assert "1:N at the default operating point, N = 1" in text.stdout
    assert text.stderr == ""


def test_mistakes_in_the_command_end_with_their_exit_codes(tmp_path: Path) -> None:
    facecli = Command(tmp_path)
    assert facecli("evaluate", tmp_path / "nowhere").returncode == 3
    (tmp_path / "empty").mkdir()
    assert facecli("evaluate", tmp_path / "empty").returncode == 3


def without(missing: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command where a package is missing."""
    start = (
        f"import sys; sys.modules[{missing!r}] = None; "
        f"sys.argv = {['facecli', *words]!r}; from facecli.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", start], env=environment(cwd), cwd=cwd,
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "option"),
    [("jinja2", "--report"), ("matplotlib", "--report"), ("matplotlib", "--plots")],
)
def test_a_missing_extra_is_named_before_the_work(
    missing: str, option: str, tmp_path: Path
) -> None:
    done = without(missing, "evaluate", "no/such/folder", option, "x", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "pip install 'facecli[report]'" in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == "" and list(tmp_path.iterdir()) == []


def test_plots_need_no_pages_and_text_needs_neither(folders: Path, tmp_path: Path) -> None:
    done = without("jinja2", "evaluate", str(folders), "--plots", "plots", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "plots").iterdir())) == 2 * PLOTS
    text = without("matplotlib", "evaluate", str(folders), cwd=tmp_path)
    assert text.returncode == 0, text.stderr


@pytest.mark.lfw
def test_on_lfw_the_default_threshold_keeps_its_promise(
    lfw: Path, tmp_path: Path, extractor: Extractor
) -> None:
    """Few photos, so only what cannot be chance: nearly all found, hardly any stranger named."""
    singles, several = 0, 0
    for folder in sorted((lfw / "photos").iterdir()):
        count = len(list(folder.iterdir()))
        if (count == 1 and singles < 60) or (2 <= count <= 3 and several < 30):
            (tmp_path / folder.name).symlink_to(folder)
            singles, several = singles + (count == 1), several + (count > 1)
    found = run.evaluate(extractor, read_plan(tmp_path))
    small, whole = found.identification
    assert (small.n, whole.n) == (10, 30)
    assert whole.rates is not None
    assert whole.rates.fpir.trials == 60
    assert whole.rates.fpir.errors <= 4  # 1 % expects 0.6; 5 come once in a thousand
    assert whole.rates.dir.rate > 0.85
    assert found.verification.equal is not None
    assert found.verification.equal.rate < 0.03
