"""Pictures and sound are kept apart whatever their order in the file, and none of them is lost at its end."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from annotate.media.audio import DecodedAudio, decode_audio
from annotate.media.cut import cut
from annotate.media.probe import Probe, probe
from annotate.media.remux import cannot_copy, copy
from annotate.types import SampleMedia, Segment
from tests.support.media_factory import make_video, number_of

B_FRAMES = {"libx264": {"bf": "3", "g": "25"}, "mpeg4": {"bf": "2", "g": "25"}, "wmv2": {}}


def ffmpeg_pictures(path: Path, size: tuple[int, int] = (160, 120)) -> NDArray[np.uint8]:
    """(pictures, height, width) brightness of all pictures of a file, as the ffmpeg program shows them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-i", str(path)]
    command += ["-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0])


def whole_clip(path: Path, media: Path) -> tuple[SampleMedia, Probe, DecodedAudio]:
    """Cut one sample that reaches from the start of a file to its end."""
    found, heard = probe(path), decode_audio(path)
    sample = SampleMedia.under(media, "0" * 16)
    cut(path, found, heard, [(sample, Segment(0, heard.end_us))])
    return sample, found, heard


@pytest.mark.parametrize("sound_first", [True, False], ids=["sound-first", "picture-first"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "mpeg4"),
        ("b.avi", "libx264"),
        ("a.wmv", "wmv2"),
    ],
)
def test_a_whole_clip_holds_all_pictures_and_sound_in_either_order_of_streams(
    name: str, codec: str, sound_first: bool, tmp_path: Path
) -> None:
    source = make_video(
        tmp_path / name, seconds=2, sound_first=sound_first, codec=codec, encoder=B_FRAMES[codec]
    )
    sample, _, heard = whole_clip(source, tmp_path / "media")
    expected = [number_of(picture) for picture in ffmpeg_pictures(source)]
    shown = [number_of(picture) for picture in ffmpeg_pictures(sample.clip)]
    assert expected == list(range(50))
    # Where the sound lasts longer or begins earlier than the pictures, the nearest picture stays on screen.
    assert list(dict.fromkeys(shown)) == expected
    wave, rate = soundfile.read(sample.audio, dtype="float32")
    assert abs(len(wave) / rate - heard.end_us / 1e6) < 1e-3
    assert np.abs(wave[-rate // 5 : -rate // 10]).max() > 1e-3


@pytest.mark.parametrize("sound_first", [True, False], ids=["sound-first", "picture-first"])
def test_a_copied_clip_reaches_the_end_in_either_order_of_streams(sound_first: bool, tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=2, sound_first=sound_first, encoder=B_FRAMES["libx264"])
    found, heard = probe(source), decode_audio(source)
    assert not cannot_copy(found, heard)
    sample = SampleMedia.under(tmp_path / "media", "0" * 16)
    copy(source, found, heard, [(sample, Segment(0, heard.end_us))])
    assert [number_of(picture) for picture in ffmpeg_pictures(sample.clip)] == list(range(50))


def test_a_sample_amid_an_avi_file_with_late_pictures_shows_its_own(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.avi", seconds=4, encoder={"bf": "3", "g": "25"})
    found, heard = probe(source), decode_audio(source)
    spans = (Segment(400_000, 1_200_000), Segment(2_800_000, 3_600_000))
    wanted = [(SampleMedia.under(tmp_path / "media", f"{n:016d}"), span) for n, span in enumerate(spans)]
    cut(source, found, heard, wanted)
    shown = [[number_of(picture) for picture in ffmpeg_pictures(media.clip)] for media, _ in wanted]
    assert shown == [list(range(10, 30)), list(range(70, 90))]


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_channels_of_opposite_phase_do_not_cancel_each_other(codec: str, tmp_path: Path) -> None:
    plain = make_video(tmp_path / "plain.mov", seconds=2)
    wired = tmp_path / "wired.mov"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-i", str(plain)]
    command += ["-c:v", "copy", "-af", "pan=stereo|c0=c0|c1=-1*c0", "-c:a", codec, str(wired)]
    subprocess.run(command, check=True)
    wanted, heard = decode_audio(plain).wave, decode_audio(wired).wave
    length = min(len(wanted), len(heard))
    assert np.corrcoef(wanted[:length], heard[:length])[0, 1] > 0.99
    assert heard.std() == pytest.approx(wanted.std(), rel=0.05)
