"""A photo may be a path, bytes, an array or a Pillow image; one or many; the answer is the same."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from support.galleries import collins, hopper

from facecli import ChannelOrder, Gallery, to_dataframe
from facecli.common.enums import Outcome
from facecli.common.errors import InputError, MisuseError, UsageError
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.enroll import EnrollStatus
from facecli.report.decisions import decision_row

RGB, BGR = ChannelOrder.RGB, ChannelOrder.BGR


@pytest.fixture
def gallery(tmp_path: Path, extractor):
    opened = Gallery.open(tmp_path / "g.facecli", create=True)
    opened.models.extractor = extractor
    opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
    yield opened
    opened.close()


def pixels() -> np.ndarray:
    """BGR."""
    return cv2.imread(str(hopper()))


def test_every_kind_of_photo_gives_the_same_answer(gallery: Gallery):
    bgr = pixels()
    # An array has all its pixels at once, a file as many as are looked at: the same to a hundredth.
    kinds = [
        gallery.identify(str(hopper())),
        gallery.identify(hopper()),
        gallery.identify(hopper().read_bytes()),
        gallery.identify(bytearray(hopper().read_bytes())),
        gallery.identify([memoryview(hopper().read_bytes())]),
        gallery.identify(bgr, channels=BGR),
        gallery.identify(bgr, channels="bgr"),
        gallery.identify(np.ascontiguousarray(bgr[:, :, ::-1]), channels="rgb"),
        gallery.identify(np.ascontiguousarray(bgr[:, :, ::-1]), channels=RGB),
        gallery.identify(Pillow.open(hopper())),
        gallery.identify(iter([hopper()])),
    ]
    answers = [list(kind) for kind in kinds]
    assert [[d.subject for d in answer] for answer in answers] == [["Grace Hopper"]] * len(kinds)
    assert [a[0].candidates[0].score for a in answers] == pytest.approx(
        [1.0] * len(kinds), abs=0.01
    )
    swapped = list(gallery.identify(bgr, channels=RGB))
    assert swapped[0].candidates[0].score < 0.99, "the order makes a difference"


def test_several_of_several_kinds(gallery: Gallery):
    found = list(gallery.identify([str(hopper()), pixels(), collins()], channels=BGR))
    assert [d.outcome for d in found] == [
        Outcome.IDENTIFIED, Outcome.IDENTIFIED, Outcome.UNKNOWN,
    ]  # fmt: skip
    assert [d.probe.path for d in found][1] == "(array)"
    assert gallery.verify(hopper(), pixels(), channels=BGR).accepted


def test_a_grey_array_has_no_order(gallery: Gallery):
    grey = cv2.cvtColor(pixels(), cv2.COLOR_BGR2GRAY)
    (found,) = gallery.identify(grey)
    assert found.subject == "Grace Hopper"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "a photo is a path, a file's bytes, a uint8 array or a Pillow image, not int"),
        ([hopper, 3.5], "not function"),
        (None, "not NoneType"),
        (np.zeros((9, 9, 3), np.float32), r"an array of float32 and shape \(9, 9, 3\) is no photo"),
        (np.zeros((9, 9, 4), np.uint8), r"shape \(9, 9, 4\) is no photo"),
        (np.zeros((0, 9), np.uint8), "holds no pixels"),
        (np.zeros((9, 9, 3), np.uint8), "say how the array's colours lie"),
        (io.BytesIO(b"lines\nof a photo"), "an open file is no photo"),
        ([io.BytesIO()], "an open file is no photo"),
    ],
)
def test_what_is_no_photo_is_said_in_words(gallery: Gallery, given, said: str):
    with pytest.raises(UsageError, match=said):
        list(gallery.identify(given))


def test_options_of_the_wrong_kind_are_said_in_words(gallery: Gallery):
    for options, said in (
        ({"channels": "rbg"}, "channels is 'RGB' or 'BGR', not 'rbg'"),
        ({"channels": BGR, "threshold": "0.4"}, "a cosine between -1 and 1, not '0.4'"),
        ({"channels": BGR, "fpir": "1 %"}, "a rate between 0 and 1, not '1 %'"),
    ):
        with pytest.raises(UsageError, match=said):
            list(gallery.identify(pixels(), **options))
    assert next(gallery.identify(hopper(), threshold=np.float32(0.25))).subject == "Grace Hopper"
    with pytest.raises(UsageError, match="a subject's name is text, not int"):
        gallery.enroll(hopper(), 5)


def test_embed_and_detect_store_nothing(gallery: Gallery):
    (photo,) = gallery.embed(hopper())
    assert photo.faces[0].template.vector.shape == (192,)
    (face,) = gallery.detect(str(hopper()))
    assert face.box == photo.faces[0].face.box
    assert 0.5 < face.quality <= 1
    with pytest.raises(InputError, match=r"nobody\.jpg"):
        gallery.detect("nobody.jpg")
    twice = gallery.detect([hopper(), str(hopper()), "nobody.jpg"])
    assert [[one.box for one in next(twice)] for _ in range(2)] == [[face.box], [face.box]]
    with pytest.raises(InputError, match=r"nobody\.jpg"):
        next(twice)
    everybody = gallery.vectors()
    ids, names, templates = everybody
    assert (ids, names) == ((1,), everybody.names) and templates is everybody.templates
    assert (everybody.names, everybody.templates.shape) == (("Grace Hopper",), (1, 192))
    assert float(everybody.templates[0] @ photo.faces[0].template.vector) == pytest.approx(
        1, abs=1e-5
    )


def test_enrolling_files_folders_and_pictures(gallery: Gallery, tmp_path: Path):
    folder = tmp_path / "people"
    (folder / "Eileen Collins").mkdir(parents=True)
    (folder / "Eileen Collins" / "1.png").write_bytes(collins().read_bytes())
    (folder / "IMG_0001.jpg").write_bytes(hopper().read_bytes())
    report = gallery.enroll(folder)
    assert [(i.subject, i.status) for i in report.items] == [
        ("Eileen Collins", EnrollStatus.ENROLLED), ("", EnrollStatus.SKIPPED),
    ]  # fmt: skip
    report = gallery.enroll(cv2.imread(str(collins())), "E. Collins", channels=BGR)
    assert report.count(EnrollStatus.ENROLLED) == 1
    again = gallery.enroll([cv2.imread(str(collins()))], "E. Collins", channels=BGR)
    assert again.count(EnrollStatus.ALREADY) == 1
    assert list(gallery) == ["E. Collins", "Eileen Collins", "Grace Hopper"]
    with pytest.raises(UsageError, match="say who is on a picture"):
        gallery.enroll(pixels(), channels=BGR)
    dry = gallery.enroll(pixels(), "Nobody", channels=BGR, dry_run=True)
    assert dry.count(EnrollStatus.ENROLLED) == 1
    assert "Nobody" not in gallery


def test_a_gallery_has_a_length_names_and_says_what_it_is(tmp_path: Path, gallery: Gallery):
    assert (len(gallery), list(gallery)) == (1, ["Grace Hopper"])
    assert "Grace Hopper" in gallery
    assert "Ada" not in gallery and 3 not in gallery
    assert repr(gallery) == (
        f"<Gallery {tmp_path / 'g.facecli'}: 1 subject, 1 reference, "
        "embedder mobilefacenet-arcface>"
    )
    with Gallery.open(tmp_path / "empty", create=True) as empty:
        assert len(empty) == 0 and empty
    assert repr(empty) == f"<Gallery {tmp_path / 'empty'}, closed>"
    with pytest.raises(MisuseError, match="closed"):
        len(empty)


def test_a_decision_as_plain_values(gallery: Gallery):
    found = [*gallery.identify([hopper(), collins()]), *gallery.identify("nobody.jpg")]
    for decision in found:
        plain, row = decision.to_dict(), decision_row(decision)
        assert set(plain) < set(row)
        for key, value in plain.items():
            if key not in ("candidates", "reason"):
                near = pytest.approx(row[key], abs=0.06) if isinstance(value, float) else row[key]
                assert value == near, key
        assert [c["subject"] for c in plain["candidates"]] == [
            c["subject"] for c in row["candidates"]
        ]
    assert found[-1].to_dict()["reason"] == "not found"


def test_decisions_as_a_data_frame(gallery: Gallery):
    found = list(gallery.identify([hopper(), collins()]))
    pytest.importorskip("pandas", reason="pandas is the user's own")
    frame = to_dataframe(found, top=1)
    assert frame.subject.isna().tolist() == [False, True]
    assert frame.nearest.tolist() == ["Grace Hopper"] * 2
    assert to_dataframe(found[0]).subject.tolist() == ["Grace Hopper"]
    assert frame.score_1.tolist() == frame.score.tolist()
