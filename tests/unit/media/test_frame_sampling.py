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

from annotate.ingest.prepare import prepare
from annotate.media.audio import decode_audio
from annotate.media.blur import hide_onscreen_text, text_lines, without_onscreen_text
from annotate.media.clip import ClipEncoder
from annotate.media.cut import CutSample
from annotate.media.faces import settle
from annotate.media.frame_sampling import FrameSampler
from annotate.media.onscreen_text import lines
from annotate.types import Box, CutPlan, FrameSample, SampleMedia, VideoJob
from annotate.yunet import Detection
from tests.support.media_factory import EXAMPLES

FACE = EXAMPLES / "grid_lbax4n.mpg"
Pictures = list[NDArray[np.uint8]]


def pictures(path: Path = FACE, count: int = 50) -> Pictures:
    with av.open(str(path)) as source:
        return [frame.to_ndarray(format="bgr24") for frame in islice(source.decode(video=0), count)]


def seen(shown: Sequence[NDArray[np.uint8]], every_us: int = 40_000) -> tuple[FrameSample, ...]:
    sampler = FrameSampler()
    for n, picture in enumerate(shown):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        sampler.add(frame.reformat(format="yuv420p"), n * every_us)
    return sampler.frame_samples()


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
        encoder.add_frame(av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p"))
    return encoder.finish(np.zeros((1, 1600), np.float32))[1]


def test_one_face_is_seen_in_each_searched_picture_and_its_mouth_between_them() -> None:
    looked = seen(pictures())
    assert len(looked) == 25
    assert [len(g.faces) for g in looked if g.faces is not None] == [1] * 3
    assert looked[0].mouth is None
    assert all(g.mouth is not None and 0 <= g.mouth < 1 for g in looked[1:])


def test_two_faces_are_told_from_one() -> None:
    both = [np.hstack(p) for p in zip(pictures(), pictures(EXAMPLES / "grid_bbaf2n.mpg"), strict=True)]
    assert {len(g.faces) for g in seen(both) if g.faces is not None} == {2}


def test_a_picture_without_face_has_none() -> None:
    empty = [np.full((288, 360, 3), 90, np.uint8)] * 26
    assert [g.faces for g in seen(empty) if g.faces is not None] == [(), ()]
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


TIMES_US = range(0, 10_000_000, 500_000)


def settled(*looks: Sequence[Detection]) -> list[tuple[Box, ...]]:
    return settle(looks, TIMES_US[: len(looks)])


def test_what_is_never_seen_surely_is_no_face() -> None:
    surely, faintly = Detection(SPOT, 0.9), Detection(ELSEWHERE, 0.5)
    assert settled([surely], [surely, faintly], [surely, faintly]) == [(SPOT,)] * 3


def test_a_face_seen_faintly_counts_where_it_was_seen_surely_before() -> None:
    assert settled([Detection(SPOT, 0.9)], [Detection(SPOT, 0.4)]) == [(SPOT,)] * 2


def test_a_face_missed_for_a_second_and_a_half_between_two_sightings_is_there_on_its_way() -> None:
    moved = Box(0.44, 0.2, 0.2, 0.3)
    found = settled([Detection(SPOT, 0.9)], [], [], [], [Detection(moved, 0.9)])
    assert [len(boxes) for boxes in found] == [1] * 5
    assert [boxes[0].left for boxes in found] == pytest.approx([0.4, 0.41, 0.42, 0.43, 0.44])


def test_a_face_that_is_gone_for_longer_is_not_there_meanwhile() -> None:
    gone: list[list[Detection]] = [[]] * 4
    assert settled([Detection(SPOT, 0.9)], *gone, [Detection(SPOT, 0.9)])[1:-1] == [()] * 4


def test_between_key_pictures_far_apart_nothing_is_guessed() -> None:
    looks = [[Detection(SPOT, 0.9)], [], [Detection(SPOT, 0.9)]]
    assert settle(looks, [0, 3_000_000, 6_000_000])[1] == ()


def test_people_small_in_the_background_are_no_further_faces() -> None:
    behind = Box(0.1, 0.1, 0.06, 0.09)
    assert settled([Detection(SPOT, 0.9), Detection(behind, 0.9)]) == [(SPOT,)]
    beside = Box(0.1, 0.1, 0.1, 0.15)
    assert settled([Detection(SPOT, 0.9), Detection(beside, 0.9)]) == [(SPOT, beside)]


def turned(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    by_20_degrees = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1)
    made = cv2.warpAffine(picture, by_20_degrees, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(made, np.uint8)


@pytest.mark.parametrize("name", ["bbaf2n", "lbbc2a", "lwbsza", "swiz3n"])
def test_a_turned_mirrored_or_dim_head_is_a_face(name: str) -> None:
    plain = pictures(EXAMPLES / f"grid_{name}.mpg", count=26)
    for shown in ([turned(p) for p in plain], [p[:, ::-1] for p in plain], [p // 4 for p in plain]):
        assert {len(g.faces) for g in seen(shown) if g.faces is not None} == {1}


def test_a_face_behind_a_hand_for_a_second_is_still_one_face() -> None:
    shown = pictures(count=75)
    for picture in shown[20:45]:
        picture[80:250, 120:250] = 120
    assert {len(g.faces) for g in seen(shown) if g.faces is not None} == {1}


def test_lines_of_text_are_found_where_they_stand() -> None:
    (found, *_) = lines(cv2.cvtColor(subtitled(pictures(count=1))[0], cv2.COLOR_BGR2GRAY))
    assert found.left == pytest.approx(0.2, abs=0.06)
    assert found.top + found.height == pytest.approx(0.93, abs=0.06)


def test_text_of_a_single_look_between_others_does_not_count() -> None:
    plain = pictures(count=40)
    assert any(g.onscreen_text for g in seen(subtitled(plain)))
    flashed = [*plain[:12], *subtitled(plain[12:16]), *plain[16:]]
    assert not any(g.onscreen_text for g in seen(flashed))


def test_hidden_text_cannot_be_found_again_and_the_rest_stays() -> None:
    plain = pictures(count=30)
    clip = encoded(subtitled(plain))
    made = without_onscreen_text(clip, seen(subtitled(plain)))
    assert text_lines(clip)
    assert not text_lines(made)
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
    assert hide_onscreen_text(media, cut) is cut
    assert media.silent.read_bytes() == before


def test_hiding_writes_the_silent_clip_anew_and_tells_its_hash(tmp_path: Path) -> None:
    shown = subtitled(pictures(count=30))
    media = SampleMedia.under(tmp_path, "0" * 16)
    media.silent.parent.mkdir(parents=True)
    media.silent.write_bytes(encoded(shown))
    made = hide_onscreen_text(media, CutSample({"M": "kept", "V": "as before"}, seen(shown)))
    assert made.sha256["M"] == "kept"
    assert made.sha256["V"] != "as before"
    assert not text_lines(media.silent.read_bytes())


def test_subtitles_are_hidden_from_the_vision_pass_alone_and_only_on_request(tmp_path: Path) -> None:
    shown = subtitled(pictures(count=75))
    encoder = ClipEncoder(Fraction(25), (360, 288), (16_000, 1))
    for picture in shown:
        encoder.add_frame(av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p"))
    video = tmp_path / "a.mp4"
    video.write_bytes(encoder.finish(decode_audio(FACE).wave[None, :48_000])[0])
    sidecar = tmp_path / "a.srt"
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nlay blue at x four now\n")
    for hide in (False, True):
        job = VideoJob(video, "0" * 64, tmp_path / str(hide), sidecar, CutPlan(hide_subtitles=hide))
        (sample,) = prepare(job).samples
        media = SampleMedia.under(job.media, sample.id)
        assert text_lines(media.clip.read_bytes())
        assert bool(text_lines(media.silent.read_bytes())) is not hide
        assert sample.media_sha256["V"] == hashlib.sha256(media.silent.read_bytes()).hexdigest()
        assert sample.measures["burnt-in-text"] == 1
