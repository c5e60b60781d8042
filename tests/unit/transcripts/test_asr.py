"""Speech written down by a machine: what is asked of the engine, and what is missing is told at once."""

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from annotate.config.settings import Settings
from annotate.errors import ConfigError
from annotate.project import Project
from annotate.steps.ingest import ingest
from annotate.transcribers import faster_whisper
from annotate.transcribers.faster_whisper import FasterWhisper, as_cue
from annotate.types import Word
from db import models
from db.engine import reading
from tests.support.media_factory import decoded
from tests.support.tiny_whisper import save_whisper


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whisper(tmp_path_factory.mktemp("whisper") / "model")


def test_a_missing_package_is_told_with_the_way_to_get_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faster_whisper, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="package faster-whisper is missing") as caught:
        FasterWhisper(model=str(model))
    assert "[asr]" in caught.value.hint


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(ConfigError, match="'huge-v9': not a local folder, and it cannot be downloaded"):
        FasterWhisper(model="huge-v9")


def test_a_damaged_model_is_told(tmp_path: Path, model: Path, example_videos: Path) -> None:
    shutil.copytree(model, tmp_path / "bad")
    (tmp_path / "bad" / "model.bin").write_bytes(b"no model")
    engine = FasterWhisper(model=str(tmp_path / "bad"), device="cpu")
    with pytest.raises(ConfigError, match="cannot be used on 'cpu'"):
        engine.transcribe(decoded(example_videos / "grid_bbaf2n.mpg", 16_000), lambda: None)


def test_a_folder_never_touches_the_network(
    model: Path, example_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    faster_whisper._loaded.cache_clear()
    engine = FasterWhisper(model=str(model), language="en", device="cpu")
    got = engine.transcribe(decoded(example_videos / "grid_bbaf2n.mpg", 16_000), lambda: None)
    assert (got.origin, got.language) == ("asr", "en")


def test_words_keep_their_times_and_lose_their_spaces() -> None:
    words = [SimpleNamespace(word=" so", start=1.0, end=1.25), SimpleNamespace(word=" ", start=2, end=3)]
    cue = as_cue(SimpleNamespace(text="  so  what ", start=1.0, end=3.0, words=words))
    assert cue is not None
    assert (cue.text, cue.raw, cue.words) == ("so what", "  so  what ", (Word("so", 1_000_000, 1_250_000),))
    assert as_cue(SimpleNamespace(text=" ", start=1, end=3, words=None)) is None


def transcribing(project: Project, model: str, engine: str = "faster-whisper") -> Project:
    content = project.settings.model_dump()
    content["transcribe"] |= {"model": model, "device": "cpu", "engine": engine}
    other = Project(project.root, Settings(**content))
    other.__dict__["engine"] = project.engine
    return other


def test_a_model_that_is_not_there_is_told_before_any_video_is_touched(
    project: Project, example_videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"there is no model\.bin"):
        ingest(transcribing(project, str(tmp_path / "nowhere")), [example_videos])
    assert not list(project.media.glob("*"))


def test_a_video_without_transcript_is_written_down_and_cut_where_it_is_heard(
    project: Project, example_videos: Path, tmp_path: Path, model: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy2(example_videos / "grid_bbaf2n.mpg", folder / "heard.mpg")
    shutil.copy2(example_videos / "grid_lbax4n.mpg", folder / "told.mpg")
    shutil.copy2(example_videos / "grid_lbax4n.srt", folder / "told.srt")
    report = ingest(transcribing(project, str(model)), [folder], workers=1)
    assert report.samples == 2
    with reading(project.engine) as session:
        samples = list(session.scalars(select(models.Sample)))
    origins = sorted((s.transcript_origin, s.transcript == "lay blue at x four now") for s in samples)
    assert origins == [("asr", False), ("subtitles", True)]
    assert all(sample.transcript for sample in samples)
