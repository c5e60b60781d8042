"""One video in a worker: what cannot be used gets a reason, what can becomes samples with finished files."""

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from annotate.errors import MediaError
from annotate.ingest.prepare import prepare
from annotate.types import CutPlan, SampleMedia, VideoJob, VideoOutcome, VideoStatus
from tests.support.media_factory import make_video


def run(path: Path, media: Path, sidecar: Path | None = None) -> VideoOutcome:
    return prepare(VideoJob(path, hashlib.sha256(path.read_bytes()).hexdigest(), media, sidecar, CutPlan()))


def written(media: Path) -> dict[str, bytes]:
    return {str(p.relative_to(media)): p.read_bytes() for p in sorted(media.rglob("*")) if p.is_file()}


def srt(path: Path, *times: str, text: str = "hello there") -> Path:
    sidecar = path.with_suffix(".srt")
    sidecar.write_text("\n\n".join(f"{n}\n{t}\n{text} {n}" for n, t in enumerate(times, 1)))
    return sidecar


@pytest.mark.parametrize(
    ("made", "status", "reason"),
    [
        ({"audio": None}, VideoStatus.REJECTED, "no-audio"),
        ({"audio": "silence"}, VideoStatus.REJECTED, "silent"),
        ({"audio": "tone"}, VideoStatus.REJECTED, "no-speech"),
        ({"seconds": 0.2}, VideoStatus.REJECTED, "too-short"),
    ],
)
def test_a_video_without_utterance_is_rejected(
    made: dict[str, object], status: VideoStatus, reason: str, tmp_path: Path
) -> None:
    got = run(make_video(tmp_path / "a.mp4", **made), tmp_path / "media")  # type: ignore[arg-type]
    assert (got.status, got.reason, got.samples) == (status, reason, ())
    assert got.detail
    assert not (tmp_path / "media").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"these are words", "broken"), (b"#EXTM3U\nfile:///etc/passwd\n", "broken")],
)
def test_a_file_that_is_no_video_fails_with_a_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    got = run(tmp_path / "a.mp4", tmp_path / "media")
    assert (got.status, got.reason) == (VideoStatus.FAILED, reason)


def test_a_truncated_video_fails_and_is_not_half_used(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=6, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    got = run(path, tmp_path / "media")
    assert (got.status, got.reason) == (VideoStatus.FAILED, "truncated")


def test_a_name_that_is_not_text_gives_a_printable_reason(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.mp4"
    path.write_bytes(b"words")
    assert run(path, tmp_path / "media").detail.encode()


def test_a_subtitle_file_without_usable_cue_is_rejected(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    got = run(path, tmp_path / "media", srt(path, "-00:00:02,000 --> 00:00:01,000"))
    assert (got.status, got.reason) == (VideoStatus.REJECTED, "no-cues")
    assert "negative time" in got.detail


def test_bad_cues_are_told_and_good_ones_used(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    times = (
        "00:00:00,500 --> 00:00:01,500",
        "00:00:01,200 --> 00:00:02,400",
        "00:00:09,000 --> 00:00:10,000",
    )
    got = run(path, tmp_path / "media", srt(path, *times))
    assert got.status is VideoStatus.OK
    assert [(s.segment.start_us, s.segment.end_us) for s in got.samples] == [
        (400_000, 1_480_000),
        (1_480_000, 2_480_000),
    ]
    assert [(s.segment.text, s.transcript_origin) for s in got.samples] == [
        ("hello there 1", "subtitles"),
        ("hello there 2", "subtitles"),
    ]
    assert "dropped 1 subtitle cue beyond the end" in got.detail


def test_a_full_disk_is_raised_because_it_is_not_the_fault_of_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = make_video(tmp_path / "a.mp4")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MediaError) as caught:
        run(path, tmp_path / "media")
    assert (caught.value.code, bool(caught.value.hint)) == ("disk-full", True)
    assert written(tmp_path / "media") == {}


def test_what_only_the_second_decoder_reads_is_cut_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotate.media.probe import probe
    from annotate.media.source import broken

    path = make_video(tmp_path / "a.mp4")

    def gives_up_on_the_original(file: Path) -> object:
        if file == path:
            raise broken(file)
        return probe(file)

    monkeypatch.setattr("annotate.ingest.prepare.probe", gives_up_on_the_original)
    got = run(path, tmp_path / "media")
    assert (got.status, got.facts["rescued"], len(got.samples)) == (VideoStatus.OK, True, 1)


def test_real_footage_becomes_samples_whose_files_have_the_stated_content(
    example_videos: Path, tmp_path: Path
) -> None:
    path = example_videos / "grid_lwbsza.mpg"
    got = run(path, tmp_path, path.with_suffix(".srt"))
    (sample,) = got.samples
    assert (got.status, got.reason, got.detail) == (VideoStatus.OK, "", "")
    assert sample.segment.text == "lay white by s zero again"
    media = SampleMedia.under(tmp_path, sample.id)
    for key, file in (("A", media.audio), ("V", media.silent), ("M", media.clip)):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == sample.media_sha256[key]
    assert sample.measures["face"] == 1.0
    assert -40 < float(sample.measures["loudness"] or 0) < -10
    assert float(sample.measures["speech"] or 0) > 0.5
    assert got.facts["video_codec"] == "mpeg1video"


@pytest.mark.parametrize("subtitles", [True, False])
def test_the_sound_is_searched_for_speech_once(
    subtitles: bool, example_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotate.segmenters import silero_vad

    calls = []

    def counted(wave: np.ndarray) -> np.ndarray:
        calls.append(len(wave))
        return real(wave)

    real = silero_vad.voicing
    monkeypatch.setattr(silero_vad, "voicing", counted)
    path = example_videos / "grid_lwbsza.mpg"
    got = run(path, tmp_path, path.with_suffix(".srt") if subtitles else None)
    assert (got.status, len(calls)) == (VideoStatus.OK, 1)
    assert all(float(s.measures["speech"] or 0) > 0.25 for s in got.samples)


def test_a_voice_without_face_is_kept_and_said(example_videos: Path, tmp_path: Path) -> None:
    got = run(example_videos / "autoeditor_voice_noface_42s.mp4", tmp_path)
    assert (got.status, got.detail) == (VideoStatus.OK, "no face seen")
    assert len(got.samples) >= 3
    assert all(s.measures["face"] == 0.0 for s in got.samples)
    assert all(0.3 <= s.segment.seconds <= 10.1 for s in got.samples)


def test_a_second_run_gives_the_same_outcome_and_bytes(example_videos: Path, tmp_path: Path) -> None:
    path = example_videos / "grid_bbaf2n.mpg"
    first = run(path, tmp_path, path.with_suffix(".srt"))
    before = written(tmp_path)
    assert run(path, tmp_path, path.with_suffix(".srt")) == first
    assert written(tmp_path) == before
