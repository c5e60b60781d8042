"""What is seen in pictures: faces, their mouths, and burnt-in text, which can be hidden."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from annotate.media.blur import hide_lettering, seen_lines, without_lettering
from annotate.media.clip import ClipEncoder
from annotate.media.cut import CutSample
from annotate.media.faces import Sighting, settle
from annotate.media.glimpses import Watcher
from annotate.media.lettering import lines
from annotate.media.sound import listen
from annotate.steps._prepare import prepare
from annotate.types import Box, CutPlan, Glimpse, SampleMedia, VideoJob
from tests.media_factory import EXAMPLES

FACE = EXAMPLES / "grid_lbax4n.mpg"
Pictures = list[NDArray[np.uint8]]


def pictures(path: Path = FACE, count: int = 50) -> Pictures:
    with av.open(str(path)) as source:
        return [frame.to_ndarray(format="bgr24") for frame in islice(source.decode(video=0), count)]


def seen(shown: Sequence[NDArray[np.uint8]], every_us: int = 40_000) -> tuple[Glimpse, ...]:
    watcher = Watcher()
    for n, picture in enumerate(shown):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        watcher.see(frame.reformat(format="yuv420p"), n * every_us)
    return watcher.glimpses()


def subtitled(shown: Pictures, text: str = "I know that") -> Pictures:
    made = []
    for picture in shown:
        copy = picture.copy()
        for thickness, ink in ((5, 0), (2, 255)):
            cv2.putText(copy, text, (70, 265), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (ink, ink, ink), thickness)
        made.append(copy)
    return made


def encoded(shown: Pictures) -> bytes:
    height, width = shown[0].shape[:2]
    encoder = ClipEncoder(Fraction(25), (width, height), (16_000, 1))
    for picture in shown:
        encoder.picture(av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p"))
    return encoder.finish(np.zeros((1, 1600), np.float32))[1]


def test_one_face_is_seen_in_each_searched_picture_and_its_mouth_between_them() -> None:
    looked = seen(pictures())
    assert len(looked) == 25
    assert [len(g.faces) for g in looked if g.faces is not None] == [1] * 4
    assert looked[0].mouth is None
    assert all(g.mouth is not None and 0 <= g.mouth < 1 for g in looked[1:])


def test_two_faces_are_told_from_one() -> None:
    both = [np.hstack(p) for p in zip(pictures(), pictures(EXAMPLES / "grid_bbaf2n.mpg"), strict=True)]
    assert {len(g.faces) for g in seen(both) if g.faces is not None} == {2}


def test_a_picture_without_face_has_none() -> None:
    empty = [np.full((288, 360, 3), 90, np.uint8)] * 26
    assert [g.faces for g in seen(empty) if g.faces is not None] == [()]
    assert {g.mouth for g in seen(empty)} == {None}


def test_after_a_cut_everything_is_looked_for_anew() -> None:
    looked = seen([*pictures(count=26), *[np.zeros((288, 360, 3), np.uint8)] * 26])
    first = next(g for g in looked if g.brightness < 0.1)
    assert (first.faces, first.mouth) == ((), None)


def test_key_pictures_far_apart_tell_faces_but_no_motion_of_mouths() -> None:
    looked = seen(pictures()[::12], every_us=3_000_000)
    assert [len(g.faces or ()) for g in looked] == [1] * 5
    assert [g.mouth for g in looked] == [None] * 5


SPOT, ELSEWHERE = Box(0.4, 0.2, 0.2, 0.3), Box(0.1, 0.7, 0.1, 0.1)


def test_what_is_seen_once_and_faintly_is_no_face() -> None:
    surely, faintly = Sighting(SPOT, 9.0), Sighting(ELSEWHERE, 2.0)
    assert settle([[surely], [surely, faintly], [surely]]) == [(SPOT,)] * 3


def test_a_face_missed_between_two_sightings_is_there() -> None:
    assert settle([[Sighting(SPOT, 9.0)], [], [Sighting(SPOT, 9.0)]]) == [(SPOT,)] * 3


def test_lines_of_text_are_found_where_they_stand() -> None:
    (found, *_) = lines(cv2.cvtColor(subtitled(pictures(count=1))[0], cv2.COLOR_BGR2GRAY))
    assert found.left == pytest.approx(0.2, abs=0.06)
    assert found.top + found.height == pytest.approx(0.93, abs=0.06)


def test_text_of_a_single_look_between_others_does_not_count() -> None:
    plain = pictures(count=40)
    assert any(g.lettering for g in seen(subtitled(plain)))
    flashed = [*plain[:12], *subtitled(plain[12:16]), *plain[16:]]
    assert not any(g.lettering for g in seen(flashed))


def test_hidden_text_cannot_be_found_again_and_the_rest_stays() -> None:
    plain = pictures(count=30)
    clip = encoded(subtitled(plain))
    made = without_lettering(clip, seen(subtitled(plain)))
    assert seen_lines(clip)
    assert not seen_lines(made)
    with av.open(BytesIO(made)) as source:
        assert [s.type for s in source.streams] == ["video"]
        after = [frame.to_ndarray(format="bgr24") for frame in source.decode(video=0)]
    assert len(after) == 30
    top = slice(0, 180)
    assert np.abs(after[10][top].astype(int) - plain[10][top]).mean() < 6
    # Every letter is gone: what is left of contrast is between squares as high as the letters.
    rows = cv2.cvtColor(after[10][240:270], cv2.COLOR_BGR2GRAY).astype(int)
    assert np.abs(np.diff(rows, axis=1)).max() < 25


def test_a_clip_without_text_keeps_its_bytes(tmp_path: Path) -> None:
    plain = pictures(count=30)
    media = SampleMedia.under(tmp_path, "0" * 16)
    media.silent.parent.mkdir(parents=True)
    media.silent.write_bytes(encoded(plain))
    before, cut = media.silent.read_bytes(), CutSample({"V": "as before"}, seen(plain))
    assert hide_lettering(media, cut) is cut
    assert media.silent.read_bytes() == before


def test_hiding_writes_the_silent_clip_anew_and_tells_its_hash(tmp_path: Path) -> None:
    shown = subtitled(pictures(count=30))
    media = SampleMedia.under(tmp_path, "0" * 16)
    media.silent.parent.mkdir(parents=True)
    media.silent.write_bytes(encoded(shown))
    made = hide_lettering(media, CutSample({"M": "kept", "V": "as before"}, seen(shown)))
    assert made.sha256["M"] == "kept"
    assert made.sha256["V"] != "as before"
    assert not seen_lines(media.silent.read_bytes())


def test_subtitles_are_hidden_from_the_vision_pass_alone_and_only_on_request(tmp_path: Path) -> None:
    shown = subtitled(pictures(count=75))
    encoder = ClipEncoder(Fraction(25), (360, 288), (16_000, 1))
    for picture in shown:
        encoder.picture(av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p"))
    video = tmp_path / "a.mp4"
    video.write_bytes(encoder.finish(listen(FACE).wave[None, :48_000])[0])
    sidecar = tmp_path / "a.srt"
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nlay blue at x four now\n")
    for hide in (False, True):
        job = VideoJob(video, "0" * 64, tmp_path / str(hide), sidecar, CutPlan(hide_subtitles=hide))
        (sample,) = prepare(job).samples
        media = SampleMedia.under(job.media, sample.id)
        assert seen_lines(media.clip.read_bytes())
        assert bool(seen_lines(media.silent.read_bytes())) is not hide
        assert sample.media_sha256["V"] == hashlib.sha256(media.silent.read_bytes()).hexdigest()
        assert sample.measures["burnt-in-text"] == 1
