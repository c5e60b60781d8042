"""Every picture that is shown or measured is turned and mirrored as the ffmpeg program shows it."""

import io
import subprocess
from math import cos, radians, sin
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from annotate.features._frames import frames
from annotate.media.audio import decode_audio
from annotate.media.cut import cut, size_of
from annotate.media.frames import Upright
from annotate.media.keyframes import keyframes
from annotate.media.probe import probe
from annotate.media.remux import cannot_copy, copy
from annotate.types import SampleMedia, Segment
from tests.support.media_factory import make_video, set_display_matrix

Matrix = tuple[float, float, float, float]

EIGHT: dict[str, Matrix] = {
    "as-stored": (1, 0, 0, 1),
    "clockwise": (0, 1, -1, 0),
    "half-turn": (-1, 0, 0, -1),
    "counter-clockwise": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside-down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed-across": (0, -1, -1, 0),
}


def _turn(degrees: float) -> Matrix:
    angle = radians(degrees)
    return cos(angle), sin(angle), -sin(angle), cos(angle)


ODD: dict[str, Matrix] = {
    "zeros": (0, 0, 0, 0),
    "only-a": (1, 0, 0, 0),
    "only-b": (0, 1, 0, 0),
    "only-minus-a": (-1, 0, 0, 0),
    "only-minus-d": (0, 0, 0, -1),
    "first-column": (1, 0, 1, 0),
    "first-row": (1, 1, 0, 0),
    "all-ones": (1, 1, 1, 1),
    "halved": (0.5, 0, 0, 0.5),
    "a-third-of-a-degree": _turn(0.3),
    "one-degree": _turn(1),
    "89.6-degrees": _turn(89.6),
    "ten-degrees": _turn(10),
    "minus-ten-degrees": _turn(-10),
    "45-degrees-mirrored": (-(0.5**0.5), 0.5**0.5, 0.5**0.5, 0.5**0.5),
}


def ffmpeg(*arguments: str) -> bytes:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def as_ffmpeg_shows_it(path: Path, pix_fmt: str = "yuv420p") -> NDArray[np.uint8]:
    """The first picture, as `VideoFrame.to_ndarray` would give it; ffmpeg turns it by itself."""
    raw = ffmpeg("-i", str(path), "-frames:v", "1", "-pix_fmt", pix_fmt, "-f", "nut", "-c:v", "rawvideo", "-")
    with av.open(io.BytesIO(raw)) as container:
        return next(container.decode(video=0)).to_ndarray(format=pix_fmt)


def first_picture(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def turned_video(path: Path, matrix: Matrix, size: tuple[int, int] = (160, 96)) -> Path:
    return set_display_matrix(make_video(path, seconds=1, size=size, audio="tone"), matrix)


@pytest.fixture(scope="module", params=[*EIGHT, *ODD])
def turned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return turned_video(tmp_path_factory.mktemp("turned") / "a.mp4", (EIGHT | ODD)[request.param])


def test_a_picture_is_turned_and_mirrored_as_ffmpeg_does_to_the_pixel(turned: Path) -> None:
    found = probe(turned)
    upright = Upright(size_of(found), found.upright)(first_picture(turned)).to_ndarray()
    assert np.array_equal(upright, as_ffmpeg_shows_it(turned))


def assert_alike(picture: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """The same but for what encoding and scaling change; no other orientation comes as near."""
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).mean() < 6


def test_clips_thumbnails_and_features_show_what_ffmpeg_shows(turned: Path, tmp_path: Path) -> None:
    found, heard = probe(turned), decode_audio(turned)
    sample = SampleMedia.under(tmp_path, "0" * 16)
    cut(turned, found, heard, [(sample, Segment(0, 400_000))])
    expected = as_ffmpeg_shows_it(turned, "gray")
    for clip in (sample.clip, sample.silent):
        # The clip itself says nothing of turning, so that no player turns it again.
        assert_alike(first_picture(clip).to_ndarray(format="gray"), expected)
        assert probe(sample.clip).upright == ()
    assert_alike(next(frames(sample.silent, 1, 1000, "gray")), expected)
    assert_alike(next(keyframes(turned))[1], as_ffmpeg_shows_it(turned, "rgb24"))


@pytest.mark.parametrize("name", EIGHT)
def test_a_copied_clip_is_seen_as_ffmpeg_shows_its_source(name: str, tmp_path: Path) -> None:
    source = turned_video(tmp_path / "a.mp4", EIGHT[name])
    found, heard = probe(source), decode_audio(source)
    plain = name in ("as-stored", "clockwise", "half-turn", "counter-clockwise")
    assert bool(cannot_copy(found, heard)) is not plain
    if plain:
        sample = SampleMedia.under(tmp_path, "0" * 16)
        copy(source, found, heard, [(sample, Segment(0, 400_000))])
        expected = as_ffmpeg_shows_it(source, "gray")
        assert np.array_equal(as_ffmpeg_shows_it(sample.silent, "gray"), expected)
        assert np.array_equal(next(frames(sample.silent, 1, 1000, "gray")), expected)


def test_a_scale_in_the_matrix_makes_square_pixels_unless_it_is_absurd(tmp_path: Path) -> None:
    source = turned_video(tmp_path / "a.mp4", (-1, 0, 0, 0.5))
    found = probe(source)
    assert (size_of(found), found.upright) == ((320, 96), ("hflip",))
    assert size_of(probe(set_display_matrix(source, (1, 0, 0, 0.001)))) == (160, 96)


def _remuxed(source: Path, target: Path, *arguments: str) -> Path:
    ffmpeg("-display_rotation", "90", "-i", str(source), "-c", "copy", *arguments, str(target))
    return target


@pytest.mark.parametrize("size", [(160, 96), (161, 97), (99, 161)], ids=["even", "odd", "odd-portrait"])
@pytest.mark.parametrize("container", ["mov", "mkv", "ts"])
def test_other_containers_and_odd_sizes_are_turned_too(
    container: str, size: tuple[int, int], tmp_path: Path
) -> None:
    plain = make_video(tmp_path / "plain.mp4", seconds=1, size=size, pix_fmt="yuv444p")
    if container == "ts":
        # A transport stream has no display matrix: the H.264 stream brings its own.
        bits = "h264_metadata=display_orientation=insert:rotate=90:flip=horizontal"
        source = tmp_path / "a.ts"
        ffmpeg("-i", str(plain), "-c", "copy", "-bsf:v", bits, str(source))
    else:
        source = _remuxed(plain, tmp_path / f"a.{container}")
    assert probe(source).upright
    sample = SampleMedia.under(tmp_path, "0" * 16)
    cut(source, probe(source), decode_audio(source), [(sample, Segment(0, 400_000))])
    expected = as_ffmpeg_shows_it(source, "gray")
    even = expected[: expected.shape[0] // 2 * 2, : expected.shape[1] // 2 * 2]
    assert_alike(first_picture(sample.clip).to_ndarray(format="gray"), even)
