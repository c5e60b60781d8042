"""The layout that CH-SIMS is shared in: `label.csv`, and one clip per utterance under `Raw/`."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from annotate.errors import ExportError
from annotate.registry import exporter
from annotate.types import Dataset, DatasetRow, Dimension, Modality
from exporters._judged import write_judged
from exporters._regression import POLARITIES, left_aside, polarity, regression_dimension, value
from exporters.datasheet import write_datasheet

COLUMNS = ("video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode")
ORDER = (Modality.MULTIMODAL, Modality.TEXT, Modality.AUDIO, Modality.VISION)
"""The order in which the columns name the modalities."""

CONTENTS = (
    "- `label.csv`: `label` is the multimodal label, `label_T`, `label_A`, `label_V` the unimodal ones;",
    "  `annotation` tells the side of the scale's middle; `mode` is the split. Read it as UTF-8,",
    '  ids as text, without guessing missing values: `pandas.read_csv("label.csv", dtype={"video_id": str,',
    '  "clip_id": str, "text": str}, keep_default_na=False)`: people do say "None".',
    "  The text is exact. A spreadsheet program would run a text that starts with = + - or @ as a formula:",
    "  import that column as text.",
    "- `Raw/VIDEO_ID/CLIP_ID.mp4`: picture and sound. They may be hard links to the project's own",
    "  clips: copy a file before you change it.",
)


@exporter("chsims-csv")
class ChSimsCsv:
    """label.csv and Raw/ as in CH-SIMS (Yu et al. 2020), the input of MMSA-FET."""

    needs_clips = True

    def write(self, dataset: Dataset, folder: Path) -> list[Path]:
        """Write the table and link or copy the clips.

        Raises `ExportError` without a regression dimension, or when a clip is missing.
        """
        import pandas as pd

        dimension = regression_dimension(dataset)
        table = folder / "label.csv"
        cells = pd.DataFrame([_cells(row, dimension) for row in dataset.rows], columns=list(COLUMNS))
        cells.to_csv(table, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")
        # A link has the permissions of the project's clip; where others are wanted, a copy is made.
        mode = stat.S_IMODE(table.stat().st_mode)
        clips = [_place_clip(row, folder, mode) for row in dataset.rows]
        contents = [*CONTENTS, *left_aside(dataset, dimension)]
        card = write_datasheet(dataset, folder, contents=contents)
        return [table, *clips, card, *write_judged(dataset, folder)]


def _cells(row: DatasetRow, dimension: Dimension) -> list[Any]:
    """In the order of `COLUMNS`; a label that is not there is an empty cell."""
    values = [value(row, dimension, modality) for modality in ORDER]
    side = "" if values[0] is None else POLARITIES[polarity(values[0], dimension)]
    return [row.video_id, row.clip_id, row.text, *values, side, row.split.value]


def _place_clip(row: DatasetRow, folder: Path, mode: int) -> Path:
    target = folder / "Raw" / row.video_id / f"{row.clip_id}.mp4"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not row.media.clip.is_file():
        raise ExportError(
            f"the clip of sample {row.sample_id} is missing", hint="run `annotate ingest` on its video again"
        )
    clip = row.media.clip
    if not clip.is_symlink() and stat.S_IMODE(clip.stat().st_mode) == mode:
        with suppress(OSError):  # another file system, or one without hard links
            os.link(clip, target)
            return target
    shutil.copyfile(clip, target)
    return target
