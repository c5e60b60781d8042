"""How well faces are found, on frames whose faces were marked by eye before any detector saw them.

    python -m benchmarks.ingest --only faces [--data DIR] [--quick] [--json FILE]

`face_marks.json` beside this file says how the marks were made. Each frame is judged as it is, darkened to a
quarter, mirrored, and turned by 20 degrees; a face counts as found where its box and a mark have an
intersection over union of 0.4 or more, one box for one mark. A frame is judged alone: what its neighbours in
time would add is left out.

The score from which a face counts was chosen on some videos; the bars hold on the others (`JUDGED`), which
need DIR/talking_videos. Without --data the GRID clips in examples/videos are all there is, and what they say
is printed without bars, because the score was chosen on them.

- faces_recall, faces_precision: over all four versions of the frames of the judged videos;
- faces_ms_per_picture: CPU milliseconds of one search, decoding left out (printed, no bar).
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.media.faces import for_search
from annotate.types import Box
from annotate.yunet import SURE, overlap, search
from benchmarks._bars import Bars

MARKS = Path(__file__).with_name("face_marks.json")
JUDGED = (
    "edge_face_no_audio_stream.mp4", "edge_face_then_none_hevc.mov", "edge_no_face.mp4",
    "latentsync_demo2_1080x1920_hevc.mp4", "liveportrait_d20.mp4", "may_5s.mp4", "openvna_test_yt.mp4",
    "retalk_face2.mp4", "retalk_face4.mp4",
)  # fmt: skip
"""No setting of the detector was chosen by these videos."""
SAME = 0.4
DEGREES = 20
VERSIONS = ("as it is", "darkened", "mirrored", "turned")

Picture = NDArray[np.uint8]


@dataclass
class Tally:
    """Counts of one version."""

    found: int = 0
    wrong: int = 0
    missed: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, boxes: list[Box], marks: list[Box]) -> None:
        left = list(marks)
        for box in boxes:
            same = [mark for mark in left if overlap(box, mark) >= SAME]
            if same:
                left.remove(same[0])
        right = len(marks) - len(left)
        self.found, self.missed = self.found + right, self.missed + len(left)
        self.wrong += len(boxes) - right

    @property
    def recall(self) -> float:
        return self.found / max(self.found + self.missed, 1)

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.wrong, 1)


def marked_frames(path: Path, frames: dict[str, Any], every: int) -> Iterator[tuple[Picture, list[Box]]]:
    """Each marked frame, made small as ingest makes it, and the boxes of its faces."""
    import av

    marks = {int(n): [Box(*box) for box in frames[n]] for n in list(frames)[::every]}
    with av.open(str(path)) as source:
        source.streams.video[0].codec_context.thread_count = 1
        for n, frame in enumerate(source.decode(video=0)):
            if n in marks:
                yield for_search(frame), marks[n]
            if n >= max(marks):
                return


def versions(picture: Picture, marks: list[Box]) -> Iterator[tuple[str, Picture, list[Box]]]:
    """The four versions of a frame, with its marks moved along."""
    yield "as it is", picture, marks
    yield "darkened", picture // 4, marks
    mirrored = [Box(1 - box.left - box.width, box.top, box.width, box.height) for box in marks]
    yield "mirrored", np.ascontiguousarray(picture[:, ::-1]), mirrored
    yield "turned", *turned(picture, marks)


def turned(picture: Picture, marks: list[Box]) -> tuple[Picture, list[Box]]:
    """Counter-clockwise about the middle; a mark becomes the box around the turned ellipse inside it."""
    import cv2

    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), DEGREES, 1)
    made = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    cosine, sine = np.cos(np.deg2rad(DEGREES)), np.sin(np.deg2rad(DEGREES))
    boxes = []
    for box in marks:
        middle = np.array([(box.left + box.width / 2) * width, (box.top + box.height / 2) * height, 1.0])
        x, y = (float(value) for value in turn @ middle)
        across, down = box.width * width / 2, box.height * height / 2
        wide, high = np.hypot(across * cosine, down * sine), np.hypot(across * sine, down * cosine)
        boxes.append(Box((x - wide) / width, (y - high) / height, 2 * wide / width, 2 * high / height))
    return np.asarray(made, np.uint8), boxes


def tallies(folder: Path, judged: bool, every: int) -> dict[str, Tally]:
    """By version, over the videos of one side that lie in the folder."""
    counted = {version: Tally() for version in VERSIONS}
    for video in json.loads(MARKS.read_text(encoding="utf-8"))["videos"]:
        path = folder / video["file"]
        if (video["file"] in JUDGED) is not judged or not path.is_file():
            continue
        for picture, marks in marked_frames(path, video["frames"], every):
            for version, shown, boxes in versions(picture, marks):
                began = time.process_time()
                detections = search(shown)
                counted[version].seconds.append(time.process_time() - began)
                counted[version].add([s.box for s in detections if s.score >= SURE], boxes)
    return counted


def total(counted: dict[str, Tally]) -> Tally:
    parts = list(counted.values())
    return Tally(sum(p.found for p in parts), sum(p.wrong for p in parts), sum(p.missed for p in parts))


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """All bars of the face detector."""
    videos = data / "talking_videos" if data else None
    judged = videos is not None and videos.is_dir()
    folder = videos if videos and judged else Path(__file__).parent.parent / "examples" / "videos"
    counted = tallies(folder, judged, 4 if quick else 1)
    for version, tally in counted.items():
        print(
            f"faces, {version}: recall {tally.recall:.3f}, precision {tally.precision:.3f}; "
            f"{tally.found} found, {tally.missed} missed, {tally.wrong} wrong "
            f"in {len(tally.seconds)} pictures"
        )
    seconds = [s for tally in counted.values() for s in tally.seconds]
    print(f"faces_ms_per_picture {1000 * float(np.median(seconds)):.1f}")
    if judged:
        bars.bar("faces_recall", total(counted).recall, ">=", 0.95)
        bars.bar("faces_precision", total(counted).precision, ">=", 0.98)
    else:
        print("faces: no bar without --data DIR, for the score was chosen on these clips")
