"""Faces in single pictures, against marks that were made by eye."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import annotate.yunet
from annotate.errors import AnnotateError
from annotate.yunet import search
from benchmarks._ingest_faces import MARKS, tallies, total
from tests.support.media_factory import EXAMPLES


def test_marked_faces_of_the_examples_are_found_upright_dim_mirrored_and_turned() -> None:
    counted = total(tallies(EXAMPLES, judged=False, every=6))
    assert counted.found >= 80
    assert (counted.missed, counted.wrong) == (0, 0)


def test_the_marks_hold_at_least_400_frames_with_and_without_faces() -> None:
    import json

    videos = json.loads(MARKS.read_text(encoding="utf-8"))["videos"]
    frames = [boxes for video in videos for boxes in video["frames"].values()]
    assert len(frames) >= 400
    assert any(not boxes for boxes in frames)
    assert all(0 <= x < x + w <= 1 and 0 <= y < y + h <= 1 for boxes in frames for x, y, w, h in boxes)


def test_without_its_weights_the_detector_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(annotate.yunet, "_WEIGHTS", tmp_path / "gone.onnx")
    annotate.yunet._weights.cache_clear()
    try:
        with pytest.raises(AnnotateError, match=r"gone\.onnx") as caught:
            annotate.yunet._weights()
    finally:
        annotate.yunet._weights.cache_clear()
    assert "pip install" in caught.value.hint


def test_the_weights_are_those_that_the_attribution_names() -> None:
    weights = annotate.yunet._WEIGHTS
    attribution = weights.with_name("ATTRIBUTION.md").read_text(encoding="utf-8")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in attribution
    assert weights.name in attribution
    assert "Permission is hereby granted" in attribution


def test_the_detector_is_silent_and_leaves_opencvs_log_level_alone(capfd: pytest.CaptureFixture[str]) -> None:
    import cv2
    import numpy as np

    logging = getattr(cv2.utils, "logging", cv2)
    before = logging.getLogLevel()
    with ThreadPoolExecutor(1) as pool:  # each thread opens a network of its own
        assert pool.submit(search, np.full((90, 160, 3), 128, np.uint8)).result() == ()
    assert logging.getLogLevel() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["cv2.CascadeClassifier", "cv2.HOGDescriptor"])
def test_nothing_needs_what_opencv_5_has_no_more(name: str) -> None:
    sources = Path(annotate.yunet.__file__).parent.rglob("*.py")
    assert not [path for path in sources if name in path.read_text(encoding="utf-8")]


def test_an_empty_picture_has_no_face() -> None:
    import numpy as np

    assert search(np.full((90, 160, 3), 128, np.uint8)) == ()
    assert search(np.zeros((2, 2, 3), np.uint8)) == ()
