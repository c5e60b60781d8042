"""How surely burnt-in text is found, what that costs, and whether anything is legible once it is hidden.

    python -m benchmarks.ingest --only lettering [--data DIR] [--quick] [--json FILE]

Lines of ten heights (font sizes of 2.5 to 8 % of the picture's shorter side), four contrasts (the ink is 30,
60, 100 or 160 of 255 brighter or darker than the mean behind it, evenly, without an outline), English and
Chinese, are drawn over three seconds of clips, which are then encoded (H.264, CRF 23) and decoded. A clip
counts as found where the check `burnt-in-text` breaks the presets' rule (`LIMIT`).

What finds a line was chosen on other videos of the same set; the bars hold on `JUDGED`, of
DIR/talking_videos. Without --data, the GRID clips among them are judged. Two sets of settings were
judged, and the better stayed (76 and 74 of 80 lines). The least score of a line and how often the
network runs were set with all videos in view: false alarms and cost are those of a development set.

- lettering_recall: share of the clips with a line that are found;
- lettering_false_alarms: share of the clips without a line, as they are and mirrored, that are found;
- lettering_cost_vs_decode: CPU seconds of searching all these clips / those of decoding them once;
- lettering_legible: share of clips with a line of at least 4 % and a contrast of at least 60 (every fourth of
  them) in which, once it is hidden, rapidocr's own reader still reads two letters or more of the line in the
  lower part of any of the pictures that it is shown, one a second (printed beside it: in how many it reads
  the line before).
"""

import io
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import cycle, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.checks.burnt_in_text import BurntInText
from annotate.media.blur import without_onscreen_text
from annotate.media.frame_sampling import FrameSampler
from annotate.media.onscreen_text import LineSearch
from annotate.types import FrameSample, Observed, Segment
from benchmarks._bars import Bars

Pictures = list[NDArray[np.uint8]]
"""(height, width, 3) RGB each."""

JUDGED = (
    "grid_bbaf2n.mpg", "grid_lbax4n.mpg", "grid_lwbsza.mpg", "grid_pwij3p.mpg", "grid_sbwe5n.mpg",
    "grid_swiz3n.mpg", "liveportrait_d20.mp4", "retalk_face1.mp4", "retalk_face2.mp4",
)  # fmt: skip
"""Contrast, size and sharpening were not chosen by these videos."""
LIMIT = 0.3
"""Of the rule `burnt-in-text` in the presets."""
SECONDS, FPS, LARGEST = 3, 25, 1280
HEIGHTS = tuple(0.025 + n * 0.055 / 9 for n in range(10))
CONTRASTS = (30, 60, 100, 160)
SENTENCES = (
    ("She said that nothing would ever change", "and so we left the house at nine", "Why did you come back?"),
    ("他昨天晚上就已經離開北京了", "你為什麼不早一點告訴我呢", "我真的不想再听你解释了"),
)


@dataclass
class Cost:
    """CPU seconds over all clips."""

    searching: float = 0.0
    decoding: float = 0.0
    clips: int = field(default=0)


def windows(path: Path) -> Iterator[Pictures]:
    """Three seconds each, one after the other, at 25 pictures a second; what is left over is not used."""
    import av

    pictures: Pictures = []
    made = 0
    with av.open(str(path)) as source:
        start = None
        for frame in source.decode(video=0):
            start = frame.time if start is None else start
            scale = min(1.0, LARGEST / max(frame.width, frame.height))
            size = [int(side * scale) // 2 * 2 for side in (frame.width, frame.height)]
            while made / FPS <= (frame.time or 0.0) - (start or 0.0) + 1e-6:
                pictures.append(frame.reformat(*size, "rgb24").to_ndarray())
                made += 1
                if len(pictures) == SECONDS * FPS:
                    yield pictures
                    pictures = []


def font(size: int) -> object:
    """Noto Sans CJK of the development dependency `cvttf-notosanscjk-bold`."""
    from PIL import ImageFont

    for folder in map(Path, sys.path):
        for path in sorted(folder.glob("cvttf_NotoSansCJK_*/*.otf"))[:1]:
            return ImageFont.truetype(str(path), size)
    raise SystemExit("pip install cvttf-notosanscjk-bold: no font with Chinese letters was found")


def with_line(pictures: Pictures, height: float, contrast: int, text: str) -> Pictures:
    """The line stands at the bottom, in the middle, in all pictures."""
    from PIL import Image, ImageDraw

    high, wide = pictures[0].shape[:2]
    size = max(6, round(height * min(high, wide)))
    letters = font(size)
    while letters.getlength(text) > 0.94 * wide:  # type: ignore[attr-defined]
        text = text[:-1]
    long = letters.getlength(text)  # type: ignore[attr-defined]
    left, top = (wide - long) / 2, high * 0.93 - 1.25 * size
    behind = pictures[0][int(top) : int(top + 1.4 * size), int(left) : int(left + long)]
    level = float((behind @ np.array([0.299, 0.587, 0.114])).mean())
    ink = level + contrast if level + contrast <= 255 else max(0.0, level - contrast)
    layer = Image.new("L", (wide, high))
    ImageDraw.Draw(layer).text((left, top), text, font=letters, fill=255)  # type: ignore[arg-type]
    cover = np.asarray(layer, np.float32)[..., None] / 255
    return [np.asarray(p * (1 - cover) + ink * cover, np.uint8) for p in pictures]


def encoded(pictures: Pictures) -> bytes:
    import av

    made = io.BytesIO()
    with av.open(made, "w", "mp4") as target:
        stream = target.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height = pictures[0].shape[1] // 2 * 2, pictures[0].shape[0] // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for n, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[: stream.height, : stream.width]))
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return made.getvalue()


def frame_samples(clip: bytes, cost: Cost) -> tuple[FrameSample, ...]:
    """What ingest sees in a clip; the costs are added up."""
    import av

    sampler = FrameSampler()
    timed = _Timed()
    sampler._text = timed
    with av.open(io.BytesIO(clip)) as source:
        source.streams.video[0].codec_context.thread_count = 1
        pictures = source.decode(video=0)
        while True:
            began = time.process_time()
            frame = next(pictures, None)
            cost.decoding += time.process_time() - began
            if frame is None:
                break
            sampler.add(frame, round((frame.time or 0.0) * 1e6))
    found = sampler.frame_samples()
    cost.searching += timed.seconds
    cost.clips += 1
    return found


class _Timed(LineSearch):
    """Counts the CPU seconds that the search takes."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def add(self, index: int, luma: NDArray[np.uint8], time_us: int) -> None:
        began = time.process_time()
        super().add(index, luma, time_us)
        self.seconds += time.process_time() - began

    def lines(self) -> dict[int, tuple[object, ...]]:  # type: ignore[override]
        began = time.process_time()
        found = super().lines()
        self.seconds += time.process_time() - began
        return dict(found)


def is_found(seen: tuple[FrameSample, ...]) -> bool:
    segment = Segment(0, SECONDS * 1_000_000)
    share = BurntInText().measure(Observed(segment, np.zeros(16, np.float32), (), seen))
    return share is not None and share > LIMIT


def read(clip: bytes) -> str:
    """What rapidocr reads in the lower part of one picture a second."""
    import av
    from rapidocr import RapidOCR

    if not hasattr(read, "engine"):
        read.engine = RapidOCR(  # type: ignore[attr-defined]
            params={"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "critical"}
        )
    said = []
    with av.open(io.BytesIO(clip)) as source:
        for n, frame in enumerate(source.decode(video=0)):
            if n % FPS == FPS // 2:
                picture = frame.to_ndarray(format="bgr24")
                result = read.engine(picture[int(picture.shape[0] * 0.55) :])  # type: ignore[attr-defined]
                said += list(result.txts or ())
    return "".join(said)


def shared_letters(text: str, said: str) -> int:
    """Letters of the longest piece of `text` that `said` holds too."""
    text, said = ("".join(filter(str.isalnum, s.casefold())) for s in (text, said))
    return max(
        (n - m for m in range(len(text)) for n in range(m + 1, len(text) + 1) if text[m:n] in said), default=0
    )


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """All bars of burnt-in text."""
    videos = data / "talking_videos" if data else None
    examples = Path(__file__).parent.parent / "examples" / "videos"
    folder = videos if videos and videos.is_dir() else examples
    clips = [
        pictures
        for name in JUDGED[:: 3 if quick else 1]
        if (folder / name).is_file()
        for pictures in windows(folder / name)
    ]
    frame_samples(encoded(clips[0]), Cost())  # loads the networks
    cost = Cost()
    alarms = [
        is_found(frame_samples(encoded([p[:, ::-1] for p in pictures] if mirrored else pictures), cost))
        for pictures in clips
        for mirrored in (False, True)
    ]
    cells = list(product(range(2), CONTRASTS, HEIGHTS))[:: 7 if quick else 1]
    found: dict[int, list[bool]] = {contrast: [] for contrast in CONTRASTS}
    legible: list[tuple[bool, bool]] = []
    for n, ((script, contrast, height), pictures) in enumerate(zip(cells, cycle(clips), strict=False)):
        text = SENTENCES[script][n % len(SENTENCES[script])]
        clip = encoded(with_line(pictures, height, contrast, text))
        seen = frame_samples(clip, cost)
        found[contrast].append(is_found(seen))
        if not found[contrast][-1]:
            print(f"  lettering: missed: {('English', 'Chinese')[script]}, {height:.1%}, contrast {contrast}")
        if contrast >= 60 and height >= 0.04 and len(found[contrast]) % 4 == 0:
            before, after = (
                shared_letters(text, read(c)) >= 2 for c in (clip, without_onscreen_text(clip, seen))
            )
            legible.append((before, after))
    for contrast, hits in found.items():
        print(f"lettering, contrast {contrast}: {sum(hits)} of {len(hits)} clips found")
    print(f"lettering: {sum(alarms)} of {len(alarms)} clips without a line taken for one with")
    print(
        f"lettering: CPU {cost.searching:.2f} s to search, {cost.decoding:.2f} s to decode {cost.clips} clips"
    )
    print(f"lettering: read in {sum(b for b, _ in legible)} of {len(legible)} clips before they are hidden")
    every: Sequence[bool] = [hit for hits in found.values() for hit in hits]
    bars.bar("lettering_recall", float(np.mean(every)), ">=", 0.95)
    bars.bar("lettering_false_alarms", float(np.mean(alarms)), "<=", 0.02)
    bars.bar("lettering_cost_vs_decode", cost.searching / cost.decoding, "<=", 1.0)
    bars.bar("lettering_legible", float(np.mean([after for _, after in legible])), "<=", 0.0)
