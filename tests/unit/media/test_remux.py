"""Copied clips show exactly their sample, play in browsers, and are made only where that holds."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from annotate.ingest import prepare as _prepare
from annotate.media.audio import decode_audio
from annotate.media.cut import CutSample, snap
from annotate.media.probe import probe
from annotate.media.remux import cannot_copy, copy
from annotate.types import CutPlan, SampleMedia, Segment, VideoJob, VideoStatus
from tests.support.media_factory import RATE, decoded, make_video, number_of

SPANS = (Segment(420_000, 1_200_000), Segment(2_760_000, 4_200_000))


def copied(source: Path, media: Path) -> list[tuple[SampleMedia, CutSample]]:
    heard = decode_audio(source)
    wanted = [(SampleMedia.under(media, f"{n:016d}"), s) for n, s in enumerate(snap(SPANS, heard))]
    assert cannot_copy(probe(source), heard) == ""
    return [(m, c) for (m, _), c in zip(wanted, copy(source, probe(source), heard, wanted), strict=True)]


def numbers(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [number_of(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]


@pytest.mark.parametrize("encoder", [{}, {"g": "40", "bf": "3"}, {"g": "10", "bf": "0"}])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_copied_clip_shows_and_sounds_exactly_its_sample(
    name: str, encoder: dict[str, str], tmp_path: Path
) -> None:
    source = make_video(tmp_path / name, seconds=5, encoder=encoder)
    there = decoded(source)
    for (media, _), (first, last) in zip(
        copied(source, tmp_path / "media"), ((10, 30), (69, 105)), strict=True
    ):
        assert numbers(media.clip) == numbers(media.silent) == list(range(first, last))
        with av.open(str(media.clip)) as clip, av.open(str(media.silent)) as silent:
            assert clip.duration == silent.duration == (last - first) * 40_000
            assert [s.type for s in silent.streams] == ["video"]
        start, here = round(first * RATE / 25), decoded(media.clip)[3_000:20_000]
        best = max(
            range(-500, 501), key=lambda s: float(np.dot(here, there[start + s + 3_000 :][: len(here)]))
        )
        assert abs(best) <= 1
        assert len(soundfile.read(media.audio)[0]) == round((last - first) * 640)


def test_a_copied_clip_stays_turned(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=5, rotate=90)
    assert [probe(media.clip).rotation for media, _ in copied(source, tmp_path / "media")] == [90, 90]


def test_copying_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=5)
    runs = [[dict(c.sha256) for _, c in copied(source, tmp_path / n)] for n in ("one", "two")]
    assert runs[0] == runs[1]


def test_copying_looks_at_key_pictures_alone(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=5, encoder={"g": "15"})
    seen = [[g.time_us for g in c.frame_samples] for _, c in copied(source, tmp_path / "media")]
    assert seen == [[600_000], [3_000_000, 3_600_000]]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"codec": "mpeg4"}, "may not play"),
        ({"codec": "libx265", "encoder": {"x265-params": "log-level=none:pools=1"}}, "may not play"),
        ({"pix_fmt": "yuv420p10le"}, "may not play"),
        ({"vfr": True}, "variable"),
        ({"name": "a.mkv"}, "container"),
    ],
    ids=["mpeg4", "hevc", "10-bit", "variable", "matroska"],
)
def test_videos_that_copies_would_show_wrongly_are_refused_with_a_reason(
    made: dict[str, object], why: str, tmp_path: Path
) -> None:
    source = make_video(tmp_path / str(made.pop("name", "a.mp4")), **made)  # type: ignore[arg-type]
    assert why in cannot_copy(probe(source), decode_audio(source))


def test_rare_keyframes_are_reported(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4")
    heard = replace(decode_audio(source), end_us=60_000_000)
    assert "20 s apart" in cannot_copy(probe(source), heard)


@pytest.mark.parametrize(
    ("name", "hide", "said"),
    [
        ("a.mp4", False, ""),
        ("a.mkv", False, "encoded anew: its container"),
        ("a.mp4", True, "encoded anew: subtitles are hidden"),
    ],
)
def test_ingest_copies_where_it_can_and_says_where_not(
    name: str, hide: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / name)
    made: list[str] = []
    for how in ("cut", "copy"):
        real = getattr(_prepare, how)
        monkeypatch.setattr(_prepare, how, lambda *a, how=how, real=real: made.append(how) or real(*a))
    got = _prepare.prepare(
        VideoJob(path, "0" * 64, tmp_path / "media", None, CutPlan(cut="copy", hide_subtitles=hide))
    )
    assert (got.status, len(got.samples)) == (VideoStatus.OK, 1)
    assert made == ["cut" if said else "copy"]
    assert said in got.detail
