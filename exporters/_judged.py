"""Which text raters judged, where the transcript of the sample was corrected later."""

import csv
from pathlib import Path

from annotate.types import Dataset, DatasetRow
from annotate.wording import counted, either

FILE_NAME = "judged_text.csv"


def judged_otherwise(row: DatasetRow) -> dict[str, tuple[str, ...]]:
    """By pass: the texts that raters saw, where one of them is not that of the row."""
    return {modality: texts for modality, texts in sorted(row.judged.items()) if set(texts) != {row.text}}


def write_judged(dataset: Dataset, folder: Path) -> list[Path]:
    """Write `FILE_NAME` with a line for each text that raters saw of such samples, if there are any."""
    lines = [
        (row.video_id, row.clip_id, modality, text)
        for row in dataset.rows
        for modality, texts in judged_otherwise(row).items()
        for text in texts
    ]
    if not lines:
        return []
    path = folder / FILE_NAME
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("video_id", "clip_id", "pass", "judged_text"))
        writer.writerows(lines)
    return [path]


def judged_lines(dataset: Dataset) -> list[str]:
    """Lines for the datasheet; empty if every rater saw the text of the dataset."""
    count = sum(bool(judged_otherwise(row)) for row in dataset.rows)
    if not count:
        return []
    return [
        "",
        f"{counted(count, 'sample')} {either(count, 'was', 'were')} judged, in T or M, on another transcript "
        "than the text here, which was corrected later:",
        f"`{FILE_NAME}`, or `judged_text` in JSON, holds what raters saw.",
    ]
