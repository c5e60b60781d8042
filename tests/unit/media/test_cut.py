"""Cuts are exact to the picture and the sample, on even, uneven, turned and odd footage."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from annotate.media.audio import DecodedAudio, Timeline, decode_audio
from annotate.media.cut import _DecodingPlan, _VideoTrack, cut, snap
from annotate.media.files import write_atomic
from annotate.media.probe import probe
from annotate.media.source import open_source
from annotate.types import SampleMedia, Segment
from tests.support.media_factory import RATE, decoded, make_video, number_of, speech

SPANS = (Segment(400_000, 1_200_000), Segment(1_200_000, 2_600_000))


def cut_all(path: Path, media: Path, spans: tuple[Segment, ...] = SPANS) -> list[SampleMedia]:
    heard = decode_audio(path)
    wanted = [(SampleMedia.under(media, f"{n:016d}"), s) for n, s in enumerate(snap(spans, heard))]
    cut(path, probe(path), heard, wanted)
    return [m for m, _ in wanted]


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def streams(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SampleMedia]]:
    folder = tmp_path_factory.mktemp("plain")
    source = make_video(folder / "a.mp4")
    return source, cut_all(source, folder / "media")


def test_a_clip_holds_exactly_the_pictures_of_its_segment(plain: tuple[Path, list[SampleMedia]]) -> None:
    _, (first, second) = plain
    assert [number_of(p) for p in pictures(first.clip)] == list(range(10, 30))
    assert [number_of(p) for p in pictures(second.clip)] == list(range(30, 65))


def test_the_wave_holds_exactly_the_samples_of_the_source(plain: tuple[Path, list[SampleMedia]]) -> None:
    source, (first, second) = plain
    whole = soxr.resample(decoded(source), RATE, 16_000)
    for media, (start, end) in ((first, (6_400, 19_200)), (second, (19_200, 41_600))):
        wave, rate = soundfile.read(media.audio, dtype="float32")
        assert (rate, wave.shape) == (16_000, (end - start,))
        assert np.abs(wave - whole[start:end].clip(-1, 1)).max() < 2e-3


def test_the_sound_of_a_clip_is_in_step_with_its_pictures(plain: tuple[Path, list[SampleMedia]]) -> None:
    source, (_, second) = plain
    there = decoded(source)[round(1.2 * RATE) :][: RATE // 2]
    here = decoded(second.clip)[: RATE // 2]
    best = max(range(-300, 301), key=lambda s: float(np.dot(here[400:20_000], there[400 + s : 20_000 + s])))
    assert abs(best) <= 1


def test_a_finished_sample_keeps_nothing_of_its_sound_in_memory(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=24)
    heard = decode_audio(source)
    spans = [Segment(n * 1_000_000, (n + 1) * 1_000_000) for n in range(24)]

    def peak(count: int) -> int:
        wanted = [(SampleMedia.under(tmp_path, f"{n:016d}"), s) for n, s in enumerate(spans[:count])]
        tracemalloc.start()
        cut(source, probe(source), heard, wanted)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    # A second of sound has 176 kB.
    assert peak(24) - peak(4) < 20 * 44_100 * 4 / 4


def test_what_a_pass_may_not_show_is_absent_from_its_file(plain: tuple[Path, list[SampleMedia]]) -> None:
    _, (first, _) = plain
    assert streams(first.clip) == ["video", "audio"]
    assert streams(first.silent) == ["video"]
    assert streams(first.audio) == ["audio"]
    same = zip(pictures(first.clip), pictures(first.silent), strict=True)
    assert all(np.array_equal(a, b) for a, b in same)


def test_a_clip_plays_in_a_browser(plain: tuple[Path, list[SampleMedia]]) -> None:
    _, (first, _) = plain
    with av.open(str(first.clip)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert audio.codec_context.name == "aac"
        assert video.average_rate == Fraction(25)
    content = first.clip.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_the_same_video_gives_the_same_bytes(plain: tuple[Path, list[SampleMedia]], tmp_path: Path) -> None:
    source, samples = plain
    again = cut_all(source, tmp_path)
    for a, b in zip(samples, again, strict=True):
        for name in ("clip", "audio", "silent"):
            assert getattr(a, name).read_bytes() == getattr(b, name).read_bytes()


def test_a_video_that_is_made_smaller_gives_the_same_bytes_too(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", size=(1080, 1920), seconds=2, audio="tone")
    spans = (Segment(0, 1_000_000), Segment(1_000_000, 2_000_000))
    runs = [[m.silent.read_bytes() for m in cut_all(source, tmp_path / str(n), spans)] for n in range(3)]
    assert runs[0] == runs[1] == runs[2]


def test_uneven_pictures_become_even_and_keep_their_time(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", vfr=True)
    first, second = cut_all(source, tmp_path / "media")
    assert [number_of(p) for p in pictures(first.clip)] == list(range(10, 30))
    numbers = [number_of(p) for p in pictures(second.clip)]
    assert abs(len(numbers) - 35) <= 1
    assert all(abs(number - (30 + k)) <= 1 for k, number in enumerate(numbers))


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_a_turned_video_is_cut_upright(rotate: int, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", rotate=rotate, audio="tone", seconds=2)
    (first,) = cut_all(source, tmp_path / "media", (Segment(1_000_000, 1_400_000),))
    turned = np.rot90(pictures(first.clip)[0], -(rotate // 90))
    assert turned.shape == (120, 160)
    assert number_of(np.ascontiguousarray(turned)) == 25


@pytest.mark.parametrize(
    "odd",
    [
        {"size": (161, 121), "pix_fmt": "yuv444p", "name": "a.mkv"},
        {"pix_fmt": "yuv420p10le", "name": "a.mkv"},
        {"name": "a.ts"},
        {"delay": 0.4, "name": "a.mp4"},
        {"codec": "mpeg4", "name": "a.mov"},
    ],
    ids=["odd-size", "10-bit", "transport-stream", "late-picture", "mpeg4"],
)
def test_odd_footage_gives_whole_clips(odd: dict[str, object], tmp_path: Path) -> None:
    source = make_video(tmp_path / str(odd.pop("name")), **odd)  # type: ignore[arg-type]
    for media, span in zip(cut_all(source, tmp_path / "media"), SPANS, strict=True):
        frames = pictures(media.clip)
        assert abs(len(frames) - span.seconds * 25) <= 1
        assert frames[0].shape == (120, 160)
        assert abs(len(soundfile.read(media.audio)[0]) - span.seconds * 16_000) <= 640


def test_real_mpeg1_footage_is_cut_to_the_picture(example_videos: Path, tmp_path: Path) -> None:
    source = example_videos / "grid_bbaf2n.mpg"
    (media,) = cut_all(source, tmp_path, (Segment(640_000, 2_480_000),))
    there, here = pictures(source)[16:62], pictures(media.clip)
    assert len(here) == 46
    near = [np.abs(a.astype(int) - b).mean() for a, b in zip(there, here, strict=True)]
    off = [np.abs(a.astype(int) - b).mean() for a, b in zip(there[1:], here, strict=False)]
    assert max(near) < 3
    assert np.mean(near) < np.mean(off)


@pytest.mark.parametrize(
    "change",
    [{}, {"rotate": 180}, {"size": (1600, 1200)}, {"pix_fmt": "yuvj420p"}, {"pix_fmt": "yuv420p10le"}],
    ids=["as-is", "turned", "scaled", "full-range", "10-bit"],
)
def test_brightness_stays_as_it_was(change: dict[str, object], tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv" if "rotate" not in change else tmp_path / "a.mp4", **change)  # type: ignore[arg-type]
    (media,) = cut_all(source, tmp_path / "media", (Segment(1_000_000, 1_400_000),))
    with av.open(str(source)) as there, av.open(str(media.clip)) as here:
        before, after = (next(c.decode(video=0)).to_ndarray(format="rgb24") for c in (there, here))
    middles = [int(rgb[rgb.shape[0] // 2, rgb.shape[1] // 2].mean()) for rgb in (before, after)]
    assert abs(middles[0] - middles[1]) <= 3


CODECS = {
    "h264": ("libx264", {"g": "12", "bf": "3"}),
    "h264-open": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "h264-refresh": ("libx264", {"g": "12", "x264-params": "intra-refresh=1"}),
    "hevc-open": ("libx265", {"x265-params": "keyint=12:min-keyint=12:open-gop=1:log-level=none:pools=1"}),
    "mpeg2": ("mpeg2video", {"g": "12", "bf": "2"}),
    "mpeg4": ("mpeg4", {"g": "12", "bf": "2"}),
    "vp9": ("libvpx-vp9", {"g": "12", "cpu-used": "8", "deadline": "realtime"}),
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".ts"])
def test_passing_over_pauses_changes_no_byte_of_a_clip(
    name: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, options = CODECS[name]
    if (ending, name) == (".ts", "vp9"):
        ending = ".webm"
    source = make_video(tmp_path / f"a{ending}", seconds=5, codec=codec, encoder=options)
    spans = (Segment(600_000, 1_000_000), Segment(2_760_000, 3_000_000), Segment(4_200_000, 4_600_000))
    decoded: list[int] = []
    see = _VideoTrack._add
    monkeypatch.setattr(_VideoTrack, "_add", lambda self, frame: decoded.append(1) or see(self, frame))
    brief = [m.clip.read_bytes() for m in cut_all(source, tmp_path / "brief", spans)]
    count = len(decoded)
    heard = replace(decode_audio(source), entry_us=np.zeros(0, np.int64))
    monkeypatch.setattr(_DecodingPlan, "needs", lambda *_: True)
    wanted = [
        (SampleMedia.under(tmp_path / "full", f"{n:016d}"), s) for n, s in enumerate(snap(spans, heard))
    ]
    cut(source, probe(source), heard, wanted)
    assert [m.clip.read_bytes() for m, _ in wanted] == brief
    if name in ("h264", "mpeg4"):
        assert count < 100


def test_sound_that_has_holes_stays_in_time(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", seconds=2, audio="tone")
    holed = tmp_path / "holed.mkv"
    with av.open(str(source)) as there, av.open(str(holed), "w") as out:
        copies = {s.index: out.add_stream_from_template(s) for s in there.streams}
        for packet in there.demux():
            late = packet.pts is not None and 0.5 < packet.pts * packet.time_base < 1.0
            if packet.dts is None or (packet.stream.type == "audio" and late):
                continue
            packet.stream = copies[packet.stream.index]
            out.mux(packet)
    wave = decode_audio(holed).wave
    assert abs(len(wave) - 2 * 16_000) < 1_000
    assert np.abs(wave[10_000:15_000]).max() < 0.01
    assert np.abs(wave[17_000:30_000]).max() > 0.2


def test_segments_snap_to_the_nearest_picture_and_stay_disjoint() -> None:
    heard = DecodedAudio(np.zeros(0, np.float32), np.arange(0, 2_000_000, 40_000), 2_000_000)
    spans = [Segment(95_000, 611_000), Segment(611_000, 1_995_000)]
    assert snap(spans, heard) == [Segment(80_000, 600_000), Segment(600_000, 2_000_000)]


def heard_as(path: Path, layout: str) -> np.ndarray:
    with open_source(path) as container:
        timeline = Timeline(container, layout)
        blocks = [b for p in container.demux(audio=0) for b in timeline.decode(p)]
        return np.concatenate([*blocks, *timeline.rest()], axis=1)


@pytest.mark.parametrize(
    ("channels", "codec"), [("stereo", "aac"), ("stereo", "pcm_s16le"), ("5.1", "aac"), ("7.1", "pcm_f32le")]
)
def test_the_wave_is_the_mean_of_both_channels_of_the_clip(channels: str, codec: str, tmp_path: Path) -> None:
    path = with_sound(tmp_path / "a.mkv", speech(), channels, codec)
    both, one = heard_as(path, "stereo"), heard_as(path, "mono")
    assert (len(both), len(one)) == (2, 1)
    np.testing.assert_allclose(one[0], both.mean(axis=0), atol=1e-6)
    if channels == "stereo":
        assert np.abs(one).max() <= 1.05 * np.abs(speech()).max()


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -1e30])
def test_samples_that_are_no_sound_are_silence_and_spoil_nothing_after_them(
    nothing: float, tmp_path: Path
) -> None:
    wave = speech()
    clean = decode_audio(with_sound(tmp_path / "clean.mkv", wave, "mono", "pcm_f32le")).wave
    wave[RATE // 2 : RATE // 2 + 9] = nothing
    spoilt = decode_audio(with_sound(tmp_path / "spoilt.mkv", wave, "mono", "pcm_f32le")).wave
    assert np.isfinite(spoilt).all() and np.abs(spoilt).max() < 2
    np.testing.assert_allclose(spoilt[9_000:], clean[9_000:], atol=1e-3)


def with_sound(path: Path, wave: np.ndarray, layout: str, codec: str) -> Path:
    """The sound in all channels alike, and pictures."""
    with (
        av.open(str(make_video(path.with_name("pictures.mkv"), audio=None))) as there,
        av.open(str(path), "w") as out,
    ):
        pictures = out.add_stream_from_template(there.streams.video[0])
        sound = out.add_stream(codec, rate=RATE, layout=layout)
        plane = "s16" if codec == "pcm_s16le" else "flt"
        samples = np.repeat(wave, sound.codec_context.channels)[None]
        if plane == "s16":
            samples = np.round(samples * 32_767).clip(-32_768, 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format=plane, layout=layout)
        frame.sample_rate = RATE
        packets = [p for p in there.demux(video=0) if p.dts is not None]
        for packet in packets:
            packet.stream = pictures
        for packet in [*packets, *sound.encode(frame), *sound.encode(None)]:
            out.mux(packet)
    return path


def test_a_hole_of_minutes_is_filled_without_memory(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", seconds=2, audio="tone")
    with open_source(source) as container:
        timeline = Timeline(container, "stereo")
        packets = list(container.demux(audio=0))
        for packet in packets:
            if packet.pts is not None and packet.pts * packet.time_base > 1:
                packet.pts += int(500 / packet.time_base)
        tracemalloc.start()
        blocks = [b for p in packets for b in timeline.decode(p)] + timeline.rest()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert sum(b.shape[1] for b in blocks) == timeline.position == pytest.approx(502 * RATE, abs=RATE // 10)
    assert most < 20_000_000
    assert not np.any(blocks[100])


_WITH_LITTLE_ROOM = """
import json, resource, signal, sys
from pathlib import Path
from annotate.errors import MediaError
from annotate.media.cut import cut
from annotate.media.probe import probe
from annotate.media.audio import decode_audio
from annotate.types import SampleMedia, Segment
source, media = map(Path, sys.argv[1:])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    sample = SampleMedia.under(media, "0" * 16)
    cut(source, probe(source), decode_audio(source), [(sample, Segment(0, 1_000_000))])
except MediaError as error:
    print(json.dumps([error.code, error.hint]))
"""


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", audio="tone", seconds=2)
    done = subprocess.run(
        [sys.executable, "-c", _WITH_LITTLE_ROOM, source, tmp_path / "media"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, hint = json.loads(done.stdout)
    assert code == "disk-full"
    assert "run the same command again" in hint
    assert [p for p in (tmp_path / "media").rglob("*") if p.is_file()] == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.bin"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"new"]
