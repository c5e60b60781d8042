"""Hostile and odd media: lists of files reach nothing, damage has its reason, odd footage is cut."""

import hashlib
import http.server
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from annotate.executors.process import ProcessExecutor
from annotate.ingest.prepare import prepare
from annotate.media.audio import decode_audio
from annotate.media.cut import cut
from annotate.media.probe import probe
from annotate.types import (
    CutPlan,
    Failed,
    Finished,
    SampleMedia,
    Segment,
    VideoJob,
    VideoOutcome,
    VideoStatus,
)
from tests.support.media_factory import RATE, decoded, make_video, picture, speech
from tests.support.processes import PATIENCE

LISTS = {
    "hls-file.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{uri}\n#EXT-X-ENDLIST\n",
    "hls-relative.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{name}\n#EXT-X-ENDLIST\n",
    "hls-http.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{name}'\n",
    "http.ffconcat": "ffconcat version 1.0\nfile '{url}'\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "dash.mpd": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
        'bandwidth="1"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    ),
    "imf.xml": (
        '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
        "<Id>urn:uuid:0</Id><EditRate>25 1</EditRate><SegmentList><Path>{uri}</Path></SegmentList>"
        "</CompositionPlaylist>"
    ),
    "words.txt": "{uri}\n{url}\n" * 50,
}


@pytest.fixture
def hits() -> Iterator[tuple[str, list[str]]]:
    """The address of a listener, and what was asked of it."""
    asked: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/a.ts", asked
    server.shutdown()
    server.server_close()


def job(path: Path, media: Path) -> VideoJob:
    return VideoJob(path, hashlib.sha256(path.read_bytes()).hexdigest(), media, None, CutPlan())


def run(path: Path) -> VideoOutcome:
    return prepare(job(path, path.parent / "media"))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("disguised", [True, False], ids=["as-mp4", "as-itself"])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_reaches_neither_another_file_nor_the_network(
    name: str, disguised: bool, hits: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = hits
    real = make_video(tmp_path / "real.ts")
    text = LISTS[name].format(uri=real.as_uri(), name=real.name, url=url)
    path = tmp_path / (f"{name}.mp4" if disguised else name)
    path.write_text(text)
    got = run(path)
    assert (got.status, got.reason, got.samples) == (VideoStatus.FAILED, "broken", ())
    assert asked == []
    assert files(tmp_path / "media") == []


@pytest.mark.parametrize(
    "name",
    ["-i.mp4", "a\nb.mp4", "a%03d.mp4", "http:evil.mp4", 'it\'s "so".mp4', "caf\udce9.mp4", "视频.mp4"],
)
def test_a_file_of_any_name_is_cut(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "plain.mp4").rename(tmp_path / name)
    got = run(path)
    assert (got.status, len(got.samples)) == (VideoStatus.OK, 1)


ODD: dict[str, dict[str, object]] = {
    "hevc-10-bit.mp4": {
        "codec": "libx265", "pix_fmt": "yuv420p10le", "encoder": {"x265-params": "log-level=none:pools=1"},
    },
    "webm.webm": {"codec": "libvpx-vp9", "encoder": {"deadline": "realtime", "cpu-used": "8"}},
    "avi.avi": {"codec": "mpeg4"},
    "odd.mkv": {"size": (161, 121), "pix_fmt": "yuv444p"},
    "late.mp4": {"delay": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_footage_is_cut(name: str, tmp_path: Path) -> None:
    got = run(make_video(tmp_path / name, **ODD[name]))  # type: ignore[arg-type]
    assert (got.status, len(got.samples)) == (VideoStatus.OK, 1)
    media = SampleMedia.under(tmp_path / "media", got.samples[0].id)
    with av.open(str(media.clip)) as clip:
        assert clip.streams.video[0].codec_context.pix_fmt == "yuv420p"
        count = sum(1 for _ in clip.decode(video=0))
    assert abs(count - got.samples[0].segment.seconds * 25) <= 1


@pytest.mark.parametrize("container", ["a.mp4", "a.mov"])
def test_a_still_picture_becomes_a_clip_that_stands_still(container: str, tmp_path: Path) -> None:
    path = remade(make_video(tmp_path / "moving.mp4", encoder={"bf": "0"}), tmp_path / container, one_picture)
    got = run(path)
    assert (got.status, len(got.samples)) == (VideoStatus.OK, 1)
    with av.open(str(SampleMedia.under(tmp_path / "media", got.samples[0].id).clip)) as clip:
        shown = [frame.to_ndarray(format="gray") for frame in clip.decode(video=0)]
    assert len(shown) >= 25
    assert np.abs(shown[0].astype(int) - shown[-1]).mean() < 2


def remade(source: Path, target: Path, change: object) -> Path:
    """A copy whose packets went through `change`, which may drop (False) or alter them."""
    with av.open(str(source)) as there, av.open(str(target), "w") as out:
        copies = {s.index: out.add_stream_from_template(s) for s in there.streams}
        kept = [p for p in there.demux() if p.dts is not None and change(p) is not False]  # type: ignore[operator]
        for packet in kept:
            packet.stream = copies[packet.stream.index]
            out.mux(packet)
    return target


def one_picture(packet: av.Packet) -> bool:
    return packet.stream.type == "audio" or packet.pts == 0


def jump(packet: av.Packet) -> None:
    if packet.pts * packet.time_base >= 1.5:
        leap = int(12 * 3600 / packet.time_base)
        packet.pts, packet.dts = packet.pts + leap, packet.dts + leap


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_a_clock_that_jumps_by_half_a_day_costs_no_memory_and_has_its_reason(
    name: str, tmp_path: Path
) -> None:
    path = remade(make_video(tmp_path / "plain.mp4", encoder={"bf": "0"}), tmp_path / name, jump)
    got = run(path)
    assert got.status in (VideoStatus.OK, VideoStatus.FAILED)
    if got.status is VideoStatus.FAILED:
        assert got.reason in ("broken", "too-long", "truncated")
    assert all(sample.segment.end_us < 10_000_000 for sample in got.samples)


def test_times_below_zero_are_cut_from_the_first_picture(tmp_path: Path) -> None:
    def earlier(packet: av.Packet) -> None:
        back = int(1 / packet.time_base)
        packet.pts, packet.dts = packet.pts - back, packet.dts - back

    path = remade(make_video(tmp_path / "plain.mp4", encoder={"bf": "0"}), tmp_path / "a.mkv", earlier)
    assert run(path).status is VideoStatus.OK


def with_tracks(path: Path, waves: Sequence[np.ndarray], default: int | None, layout: str = "mono") -> Path:
    """Pictures and several sound tracks, each of (samples,) mono, or of as many channels as `layout` has."""
    from av.stream import Disposition

    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        sounds = [out.add_stream("aac", rate=RATE, layout=layout) for _ in waves]
        for n, stream in enumerate(sounds):
            stream.disposition = Disposition.default if n == default else Disposition(0)
        packets = [
            p
            for n in range(75)
            for p in video.encode(
                av.VideoFrame.from_ndarray(picture(n, (160, 120)), format="gray").reformat(format="yuv420p")
            )
        ]
        packets += video.encode(None)
        for stream, wave in zip(sounds, waves, strict=True):
            channels = stream.codec_context.channels
            frame = av.AudioFrame.from_ndarray(
                np.repeat(wave[None], channels, 0), format="fltp", layout=layout
            )
            frame.sample_rate = RATE
            packets += [*stream.encode(frame), *stream.encode(None)]
        for packet in packets:
            out.mux(packet)
    return path


@pytest.mark.parametrize(("default", "loud"), [(None, 0), (0, 0), (1, 1)])
def test_of_two_sound_tracks_the_default_one_is_taken_and_that_is_said(
    default: int | None, loud: int, tmp_path: Path
) -> None:
    quiet = 0.001 * speech()
    waves = [speech() if n == loud else quiet for n in range(2)]
    got = run(with_tracks(tmp_path / "a.mkv", waves, default))
    assert (got.status, len(got.samples)) == (VideoStatus.OK, 1)
    assert "several sound tracks" in got.detail


def test_sound_of_six_channels_is_mixed_to_two_and_to_one(tmp_path: Path) -> None:
    got = run(with_tracks(tmp_path / "a.mp4", [speech()], 0, layout="5.1"))
    assert (got.status, got.facts["channels"]) == (VideoStatus.OK, 6)
    media = SampleMedia.under(tmp_path / "media", got.samples[0].id)
    with av.open(str(media.clip)) as clip:
        assert clip.streams.audio[0].layout.name == "stereo"
    assert np.abs(decoded(media.audio, 16_000)).max() > 0.02


def mutants(folder: Path, count: int) -> list[Path]:
    """Half cut off at any byte, half with some bits turned over; of four kinds of files."""
    rng = np.random.default_rng(1)
    kinds = ({}, {"options": {"movflags": "faststart"}}, {"codec": "mpeg4"}, {"encoder": {"bf": "2"}})
    small = [
        make_video(folder / f"{n}.mp4", seconds=1.5, size=(128, 64), **kind) for n, kind in enumerate(kinds)
    ]  # type: ignore[arg-type]
    made = []
    for n in range(count):
        content = bytearray(small[n % 4].read_bytes())
        if n % 2:
            for at in rng.integers(0, len(content), rng.integers(1, 30)):
                content[at] ^= 1 << int(rng.integers(8))
        else:
            del content[int(rng.integers(1, len(content))) :]
        made.append(folder / f"mutant{n}.mp4")
        made[-1].write_bytes(content)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.soak)])
def test_no_damage_hangs_or_ends_a_run_and_each_has_its_reason(tmp_path: Path, count: int) -> None:
    jobs = [job(path, tmp_path / "media") for path in mutants(tmp_path, count)]
    told = ProcessExecutor().run(prepare, jobs, workers=2, deadline_seconds=PATIENCE, window=4)
    outcomes = [o for o in told if isinstance(o, Finished | Failed)]
    assert len(outcomes) == count
    assert [o for o in outcomes if not isinstance(o, Finished)] == []
    values = [o.value for o in outcomes if isinstance(o, Finished)]
    assert all(v.samples if v.status is VideoStatus.OK else v.reason and v.detail for v in values)
    assert {v.status for v in values} >= {VideoStatus.OK, VideoStatus.FAILED}


def test_a_cut_that_cannot_begin_at_a_key_picture_is_made_without_passing_over_any(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=5, encoder={"g": "12"})
    heard = decode_audio(path)
    heard.entry_us[:] += 40_000
    wanted = [(SampleMedia.under(tmp_path, "0" * 16), Segment(4_000_000, 4_400_000))]
    assert len(partial(cut, path, probe(path), heard, wanted)()) == 1
