"""A cry of half a second is never lost: a neighbour takes it in, or it is a sample on which rules decide."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from annotate.errors import AnnotateError
from annotate.project import Project
from annotate.steps.explain import explain
from annotate.steps.ingest import ingest
from annotate.steps.recheck import recheck
from tests.conftest import MakeProject, RunAnnotate
from tests.support.media_factory import RATE, decoded, video_with_sound


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.fixture
def talk(tmp_path: Path, example_videos: Path) -> Path:
    """A word of 0.6 s shortly before a sentence of 3.6 s, and the same word again far from anything."""
    wave = decoded(example_videos / "autoeditor_voice_noface_42s.mp4")
    word, sentence = (wave[round(a * RATE) : round(b * RATE)] for a, b in ((0.1, 0.75), (1.25, 4.9)))
    parts = (silence(0.5), word, silence(0.3), sentence, silence(2), word, silence(1))
    return video_with_sound(tmp_path / "talk.mp4", np.concatenate(parts))


def set_up(make_project: MakeProject, **settings: str) -> Project:
    """A project with the one rule about duration, and these settings."""
    file = make_project(checks=True).root / "annotate.toml"
    text = re.sub(r"(?ms)^\[checks\].*?(?=^\[)", "[checks]\nduration = { min = 0.9 }\n\n", file.read_text())
    for name, value in settings.items():
        text = re.sub(rf"(?m)^{name} = \S+", f"{name} = {value}", text)
    file.write_text(text)
    return Project.open(file.parent)


def test_short_speech_is_taken_in_by_a_neighbour_or_rejected_by_a_rule_and_explained(
    make_project: MakeProject, annotate: RunAnnotate, talk: Path
) -> None:
    project = set_up(make_project, min_seconds="1.5")
    report = ingest(project, [talk], workers=1)
    assert (report.samples, report.rejected_samples) == (1, {"duration": 1})
    sentence, word = explain(project, "talk").samples
    assert sentence["status"] == "ok" and sentence["start"] < 0.7 and sentence["end"] > 4.9
    start, end = map(float, sentence["joined"].split(" to "))
    assert 0.4 < start < 0.7 and 0.9 < end < 1.3
    assert word["status"] == "rejected" and word["reasons"].startswith("duration: ")
    assert (word["start"] > 7, word["seconds"] < 0.9, word["joined"]) == (True, True, "")
    told = json.loads(annotate("explain", "talk", "--json", cwd=project.root).stdout)
    assert [s["joined"] for s in told["samples"]] == [sentence["joined"], ""]
    file = project.root / "annotate.toml"
    file.write_text(file.read_text().replace("min = 0.9", "min = 0.3"))
    assert recheck(Project.open(project.root)).samples == 2


def test_a_video_that_is_no_longer_than_a_cry_is_looked_at(
    make_project: MakeProject, tmp_path: Path, example_videos: Path
) -> None:
    wave = decoded(example_videos / "autoeditor_voice_noface_42s.mp4")
    video_with_sound(tmp_path / "cry.mp4", wave[round(0.1 * RATE) : round(0.75 * RATE)])
    project = set_up(make_project)
    with pytest.raises(AnnotateError, match="1 cut, 1 rejected: duration 1"):
        ingest(project, [tmp_path / "cry.mp4"], workers=1)
