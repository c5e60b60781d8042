"""Key pictures are read small and in order, and scenes are found by them."""

from pathlib import Path

import av
import numpy as np
import pytest

from annotate.errors import MediaError
from annotate.media.keyframes import keyframes
from annotate.segmenters.scenes import Scenes
from annotate.types import Footage, LengthRules
from tests.support.media_factory import make_video


def coloured(path: Path, shown: list[tuple[float, int]], *, every_is_key: bool = False) -> Path:
    """Seconds and gray levels, one scene of still blocks after the other, 25 pictures per second."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "1" if every_is_key else "250"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for seconds, level in shown:
            blocks = np.clip(rng.normal(level, 25, (18, 32, 3)), 0, 255).astype(np.uint8)
            picture = blocks.repeat(10, axis=0).repeat(10, axis=1)
            for _ in range(round(seconds * 25)):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_key_pictures_are_small_and_come_in_order_from_the_start(tmp_path: Path) -> None:
    path = coloured(tmp_path / "a.mp4", [(2, 30), (3, 200)])
    found = list(keyframes(path))
    assert [time for time, _ in found] == [0, 2_000_000]
    assert [picture.shape for _, picture in found] == [(90, 160, 3)] * 2
    assert found[0][1].mean() == pytest.approx(30, abs=12)
    assert found[1][1].mean() == pytest.approx(200, abs=12)


def test_at_most_two_pictures_in_a_second_are_read(tmp_path: Path) -> None:
    path = coloured(tmp_path / "a.mp4", [(3, 30)], every_is_key=True)
    times = [time for time, _ in keyframes(path)]
    assert len(times) == 6
    assert min(np.diff(times)) >= 500_000


def test_scenes_of_a_real_file_are_found(tmp_path: Path) -> None:
    path = coloured(tmp_path / "a.mp4", [(2, 30), (3, 120), (1.6, 220)])
    footage = Footage(np.zeros(0, np.float32), 6_600_000, pictures=lambda: keyframes(path))
    found = Scenes().segment(footage, LengthRules()).segments
    assert [(s.start_us, s.end_us) for s in found] == [
        (0, 2_000_000),
        (2_000_000, 5_000_000),
        (5_000_000, 6_600_000),
    ]


def test_sound_alone_has_no_key_picture_and_a_playlist_is_refused(tmp_path: Path) -> None:
    assert list(keyframes(make_video(tmp_path / "a.mp3", video=False))) == []
    playlist = tmp_path / "a.mp4"
    playlist.write_text("#EXTM3U\nfile:///etc/passwd\n")
    with pytest.raises(MediaError) as caught:
        list(keyframes(playlist))
    assert caught.value.code == "broken"
