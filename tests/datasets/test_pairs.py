"""Pair files and folders as users have them, in real files."""

from __future__ import annotations

import csv
import time
import unicodedata
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecli.common.errors import InputError
from facecli.datasets.pairs import MOST_PAIRS, Pair, read_pairs


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def write(root: Path, text: str, name: str = "pairs.csv") -> Path:
    (root / name).write_bytes(text.encode())
    return root / name


def short(pair: Pair) -> tuple[str, str, bool]:
    return pair.first.name, pair.second.name, pair.mated


@pytest.mark.parametrize(
    "text",
    [
        "file1,file2,same\na.jpg,b.jpg,1\na.jpg,c.jpg,0\n",
        "\ufeffpath1;path2;is_same\r\na.jpg;b.jpg;1.0\r\na.jpg;c.jpg;0.0\r\n",
        "img1\timg2\tlabel\na.jpg\tb.jpg\t1\na.jpg\tc.jpg\t-1 \n",
        "Image_1,Image_2,Genuine\na.jpg,b.jpg,genuine\na.jpg,c.jpg,impostor\n",
        "left,right,issame\na.jpg,b.jpg,True\na.jpg,c.jpg,False\n",
        "left_image,right_image,match\na.jpg,b.jpg,y\na.jpg,c.jpg,n\n",
        "a,b,target\na.jpg,b.jpg,same\na.jpg,c.jpg,different\n",
        ",file_x,file_y,Decision\n0,a.jpg,b.jpg,Yes\n1,a.jpg,c.jpg,No\n",
        "note|mated|file2|file1\n|mated|b.jpg|a.jpg\n|non-mated|c.jpg|a.jpg\n",
        "a.jpg,b.jpg,1\na.jpg,c.jpg,0\n",
        "a.jpg, b.jpg, same\na.jpg, c.jpg, not same\n",
        "enroll,probe,decision\na.jpg,b.jpg,accept\na.jpg,c.jpg,reject\n",
        "img1,img2,type\na.jpg,b.jpg,genuine\na.jpg,c.jpg,impostor\n",
        "sep=;\npath1;subject1;path2;subject2\na.jpg;Ada;b.jpg;Ada\na.jpg;Ada;c.jpg;Bo\n",
        "probe,probe_id,reference,reference_id\na.jpg,7,b.jpg,7\na.jpg,7,c.jpg,8\n",
    ],
)
def test_tables(tmp_path: Path, text: str) -> None:
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    found = read_pairs(write(tmp_path, text))
    assert [short(pair) for pair in found.pairs] == [
        ("a.jpg", "b.jpg", True),
        ("a.jpg", "c.jpg", False),
    ]
    assert found.problems == ()
    assert found.pairs[0].first is found.pairs[1].first


def test_the_table_s_own_names_are_told_and_held_against_its_labels(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    text = "file1,name1,file2,name2,same\na.jpg,Ada,b.jpg,Ada,1\na.jpg,Ada,c.jpg,Bo,1\n"
    found = read_pairs(write(tmp_path, text))
    assert [pair.subjects for pair in found.pairs] == [("Ada", "Ada"), ("Ada", "Bo")]
    assert [pair.mated for pair in found.pairs] == [True, True]
    assert found.columns == ("file1", "file2", "same", "name1", "name2")
    assert "1 labels contradict the table's own names, first in line 3" in found.problems
    bare = read_pairs(write(tmp_path, text.replace(",same", "").replace(",1\n", "\n")))
    assert [pair.mated for pair in bare.pairs] == [True, False]


def test_what_would_be_taken_is_said(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(InputError, match=r"genuine or impostor.*file1,subject1,file2,subject2"):
        read_pairs(write(tmp_path, "one,other,verdict\na.jpg,b.jpg,1\n"))


def test_a_fold_column(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    found = read_pairs(write(tmp_path, "file1,file2,same,fold\na.jpg,b.jpg,1,3\na.jpg,c.jpg,0,\n"))
    assert [pair.fold for pair in found.pairs] == [3, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo,bar,same\na.jpg,b.jpg,1\n", "foo, bar, same; expected the columns file1,file2,same"),
        ("file1,file2\na.jpg,b.jpg\n", "expected the columns"),
        ("photo_1,photo_2,different\na.jpg,b.jpg,1\n", "expected the columns file1,file2,same"),
        ("", "expected the columns"),
        ("file1,file2,same\n", "no pairs"),
        ("file1,file2,same\nx.jpg,y.jpg,1\n", "looked for in .*\n.*x.jpg"),
        ("file1,file2,same\na.jpg,b.jpg,maybe\n", "'maybe'"),
    ],
)
def test_a_table_without_pairs_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(InputError, match=message) as caught:
        read_pairs(write(tmp_path, text))
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv"):
        read_pairs(tmp_path / "gone.csv")


def test_slips_are_told_by_line(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    table = (
        "file1,file2,same\n"
        "a.jpg,b.jpg,1\n"
        "a.jpg,gone.jpg,1\n"  # 3: not there
        "./b.jpg,a.jpg,1\n"  # 4: line 2 again
        "a.jpg,link.jpg,1\n"  # 5: with itself
        "a.jpg,c.jpg,0\n"
        "a.jpg,c.jpg,perhaps\n"  # 7: no label
        "c.jpg,d.jpg,1\n"
        "d.jpg,c.jpg,0\n"  # 9: against line 8
        "a.jpg\n"  # 10: short
    )
    found = read_pairs(write(tmp_path, table))
    assert [short(p) for p in found.pairs] == [("a.jpg", "b.jpg", True), ("a.jpg", "c.jpg", False)]
    assert [problem.split(":")[0] for problem in found.problems] == [
        "line 3",
        "line 4",
        "line 5",
        "line 7",
        "lines 8 and 9",
        "line 10",
    ]


@pytest.mark.parametrize(("label", "kind"), [("1", "only mated"), ("0", "only non-mated")])
def test_one_kind_of_pairs_is_said(tmp_path: Path, label: str, kind: str) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    found = read_pairs(write(tmp_path, f"file1,file2,same\na.jpg,b.jpg,{label}\n"))
    assert len(found.pairs) == 1
    assert found.pairs[0].subjects is None
    assert [problem.split(" pairs")[0] for problem in found.problems] == [kind]


def test_folders_name_the_subjects(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "José")
    make(tmp_path, "p/José/1.jpg", f"q/{nfd}/2.jpg", "p/Bo/1.jpg")
    rows = f"file1,file2,same\np/José/1.jpg,q/{nfd}/2.jpg,1\np/Bo/1.jpg,p/José/1.jpg,0\n"
    found = read_pairs(write(tmp_path, rows))
    assert [pair.subjects for pair in found.pairs] == [("José", nfd), ("Bo", "José")]


@pytest.mark.parametrize("homes", [("x", "x", "x"), ("gallery", "probes", "probes")])
def test_folders_that_are_no_subjects_name_none(tmp_path: Path, homes: tuple[str, ...]) -> None:
    one, two, three = (f"{home}/{n}.jpg" for n, home in enumerate(homes))
    make(tmp_path, one, two, three)
    found = read_pairs(write(tmp_path, f"file1,file2,same\n{one},{two},1\n{two},{three},0\n"))
    assert [pair.subjects for pair in found.pairs] == [None, None]


def test_a_rare_label_fault_is_told_and_borne(tmp_path: Path) -> None:
    names = [f"s{n}/1.jpg" for n in range(20)]
    make(tmp_path, *names)
    rows = [f"{a},{b},{int(n == 7)}" for n, (a, b) in enumerate(combinations(names, 2))]
    found = read_pairs(write(tmp_path, "\n".join(["file1,file2,same", *rows])))
    assert len(found.pairs) == 190
    assert all(pair.subjects is not None for pair in found.pairs)
    assert found.problems == ("1 of 190 labels contradict the folders' names, first in line 9",)


@pytest.mark.parametrize(("wrong", "told"), [(2, True), (9, True), (10, False)])
def test_many_contradictions_are_told_unless_folders_plainly_are_not_people(
    tmp_path: Path, wrong: int, told: bool
) -> None:
    names = [f"s{n}/1.jpg" for n in range(20)]
    make(tmp_path, *names)
    pairs = list(combinations(names, 2))[:18]  # 1 in 18 is too many for a slip
    rows = [f"{a},{b},{int(n < wrong)}" for n, (a, b) in enumerate(pairs)]
    found = read_pairs(write(tmp_path, "\n".join(["file1,file2,same", *rows])))
    assert all(pair.subjects is None for pair in found.pairs)
    line = f"{wrong} of 18 labels contradict the folders' names, first in line 2: the folders are "
    assert (found.problems == (line + "not taken for people",)) is told
    assert (found.problems == ()) is not told


LFW = "Ada\t1\t2\nÉva_Nagy\t1\t3\nAda\t1\tBo\t1\nBo\t1\tÉva_Nagy\t3\n"
LFW_PHOTOS = ("Ada/Ada_0001", "Ada/Ada_0002", "Bo/Bo_0001", "Éva_Nagy/Éva_Nagy_0001")


@pytest.mark.parametrize("home", ["", "photos/", "lfw_funneled/", "lfw-deepfunneled/lfw-deep/"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(
    ("head", "folds"),
    [
        ("2\t1\n", [1, 1, 2, 2]),
        ("1 2\n", [1, 1, 1, 1]),
        ("2\r\n", [1, 1, 1, 1]),
        ("", [None] * 4),
    ],
)
def test_lfw(tmp_path: Path, home: str, suffix: str, head: str, folds: list[int | None]) -> None:
    make(tmp_path, *(f"{home}{name}{suffix}" for name in (*LFW_PHOTOS, "Éva_Nagy/Éva_Nagy_0003")))
    found = read_pairs(write(tmp_path, head + LFW, "pairs.txt"))
    assert [(*short(pair), pair.fold, pair.subjects) for pair in found.pairs] == [
        (f"Ada_0001{suffix}", f"Ada_0002{suffix}", True, folds[0], ("Ada", "Ada")),
        (
            *(f"Éva_Nagy_0001{suffix}", f"Éva_Nagy_0003{suffix}", True, folds[1]),
            ("Éva_Nagy", "Éva_Nagy"),
        ),
        (f"Ada_0001{suffix}", f"Bo_0001{suffix}", False, folds[2], ("Ada", "Bo")),
        (f"Bo_0001{suffix}", f"Éva_Nagy_0003{suffix}", False, folds[3], ("Bo", "Éva_Nagy")),
    ]
    assert found.problems == ()


def test_lfw_slips_keep_the_folds_in_place(tmp_path: Path) -> None:
    make(tmp_path, *(f"{name}.jpg" for name in LFW_PHOTOS))
    found = read_pairs(write(tmp_path, "3 1\n" + LFW + "Ada one two\nBo\t1\tAda\t2\n", "pairs.txt"))
    assert [(pair.mated, pair.fold) for pair in found.pairs] == [(True, 1), (False, 2), (False, 3)]
    assert [problem.split(" ")[:2] for problem in found.problems] == [
        ["line", "3:"],
        ["line", "5:"],
        ["line", "6:"],
    ]


def test_lfw_says_how_many_pairs_lack(tmp_path: Path) -> None:
    make(tmp_path, *(f"{name}.jpg" for name in LFW_PHOTOS))
    found = read_pairs(write(tmp_path, "10\t300\nAda\t1\t2\nAda\t1\tBo\t1\n", "pairs.txt"))
    assert found.problems == ("its first line promises 6,000 pairs, it holds 2",)


def test_a_folder_gives_all_its_pairs(tmp_path: Path) -> None:
    make(tmp_path, "Ada/1.jpg", "Ada/deep/2.jpg", "Bo/1.jpg", "Ada_3.jpg", "IMG_1.jpg")
    found = read_pairs(tmp_path)
    mated = [pair for pair in found.pairs if pair.mated]
    others = [pair for pair in found.pairs if not pair.mated]
    assert [pair.subjects for pair in mated] == [("Ada", "Ada")] * 3
    assert [pair.subjects for pair in others] == [("Ada", "Bo")] * 3
    assert len({frozenset((pair.first, pair.second)) for pair in found.pairs}) == 6
    assert len(found.problems) == 1
    assert "IMG_1.jpg" in found.problems[0]


@pytest.mark.slow
def test_a_large_folder_gives_a_sample(tmp_path: Path) -> None:
    ada, others = 460, 230
    make(tmp_path, *(f"Ada/{n}.jpg" for n in range(ada)), *(f"s{n}/1.jpg" for n in range(others)))
    found = read_pairs(tmp_path)
    mated = [pair for pair in found.pairs if pair.mated]
    strangers = [pair for pair in found.pairs if not pair.mated]
    assert len(mated) == len(strangers) == MOST_PAIRS
    assert len({(pair.first, pair.second) for pair in found.pairs}) == 2 * MOST_PAIRS
    assert all((p.first.parent == p.second.parent) == p.mated for p in found.pairs)
    all_strangers = ada * others + others * (others - 1) // 2
    assert found.problems == (
        f"100,000 of {ada * (ada - 1) // 2:,} mated pairs, drawn with seed 0",
        f"100,000 of {all_strangers:,} non-mated pairs, drawn with seed 0",
    )
    with_ada = sum("Ada" in (pair.subjects or ()) for pair in strangers) / MOST_PAIRS
    assert with_ada == pytest.approx(ada * others / all_strangers, abs=0.005)
    assert read_pairs(tmp_path) == found


def test_a_folder_of_one_photo_has_no_pairs(tmp_path: Path) -> None:
    make(tmp_path, "Ada/1.jpg")
    with pytest.raises(InputError, match="no pairs"):
        read_pairs(tmp_path)


FILE_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0\\"), max_size=20
).map(lambda text: f"x{text}.jpg")


@given(
    names=st.lists(FILE_NAMES, min_size=2, max_size=5, unique=True),
    labels=st.lists(st.booleans(), min_size=10, max_size=10),
    words=st.sampled_from([("1", "0"), ("yes", "No"), ("TRUE", "false"), ("mated", "non-mated")]),
    titles=st.sampled_from(["file1 file2 same", "image_a image_b match", "pathx pathy Decision"]),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_table_written_in_any_dialect_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    labels: list[bool],
    words: tuple[str, str],
    titles: str,
    delimiter: str,
    ending: tuple[str, int],
    encoding: str,
) -> None:
    root = tmp_path_factory.mktemp("dialect")
    make(root, *names)
    trials = [(a, b, mated) for (a, b), mated in zip(combinations(names, 2), labels, strict=False)]
    with (root / "pairs.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=ending[0], quoting=ending[1])
        writer.writerow(titles.split())
        writer.writerows((a, b, words[not mated]) for a, b, mated in trials)
    assert [short(pair) for pair in read_pairs(root / "pairs.csv").pairs] == trials


def test_many_rows_take_seconds(tmp_path: Path) -> None:
    names = [f"s{n}/1.jpg" for n in range(450)]
    make(tmp_path, *names)
    rows = [f"{a},{b},0" for a, b in combinations(names, 2)]
    table = write(tmp_path, "\n".join(["file1,file2,same", *rows]))
    start = time.process_time()
    assert len(read_pairs(table).pairs) == len(rows) == 101_025
    assert time.process_time() - start < 5


def test_lfw_dev(lfw: Path) -> None:
    found = read_pairs(lfw / "pairs.csv")
    assert sum(pair.mated for pair in found.pairs) == 3000
    assert all(pair.subjects is not None for pair in found.pairs)
