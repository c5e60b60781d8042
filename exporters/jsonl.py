"""One JSON object per line with everything that is known about a sample."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotate.errors import ExportError
from annotate.registry import exporter
from annotate.types import Dataset, DatasetRow, Dimension, Kind, Label, Split
from exporters.datasheet import write_datasheet

CONTENTS = (
    "- `train.jsonl`, `valid.jsonl`, `test.jsonl`: one sample per line, UTF-8.",
    "  `labels` by task: `value`, `distribution` (share of the raters per answer), `raters`. The value of a",
    "  multilabel task is a list, perhaps an empty one, and its shares are apart from each other.",
    "  `judged_text` by pass (T, M): the texts that raters saw, several where one was corrected meanwhile; a",
    "  pass is absent where that is not on record.",
    "  `start_us`, `end_us`: microseconds from the start of the video.",
    "  `media`: paths below the media folder of the project that made this; the media are not copied.",
)


@exporter("jsonl")
class JsonLines:
    """One JSON object per sample, with labels, distributions, speaker and times."""

    needs_clips = False

    def write(self, dataset: Dataset, folder: Path) -> list[Path]:
        """Write one file per split.

        Raises `ExportError` for a label that is not a number, or of a multilabel task no set of answers.
        """
        several = {t.id: t.dimension for t in dataset.tasks if t.dimension.kind is Kind.MULTILABEL}
        files = [folder / f"{split.value}.jsonl" for split in Split]
        for split, path in zip(Split, files, strict=True):
            with path.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(_line(row, several) + "\n" for row in dataset.rows if row.split is split)
        return [*files, write_datasheet(dataset, folder, contents=CONTENTS)]


def _line(row: DatasetRow, several: Mapping[str, Dimension]) -> str:
    try:
        return json.dumps(_object(row, several), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ExportError(
            f"a label of sample {row.sample_id} is not a number",
            hint="`annotate pull --full` makes the labels again",
        ) from error


def _object(row: DatasetRow, several: Mapping[str, Dimension]) -> dict[str, Any]:
    return {
        "id": row.sample_id,
        "video_id": row.video_id,
        "clip_id": row.clip_id,
        "split": row.split.value,
        "speaker": row.speaker,
        "speaker_guessed": row.speaker_guessed,
        "text": row.text,
        "judged_text": {modality: list(texts) for modality, texts in sorted(row.judged.items())},
        "start_us": row.start_us,
        "end_us": row.end_us,
        "labels": {
            task: {
                "value": _value(label, several.get(label.task_id)),
                "distribution": dict(sorted(label.distribution.items())),
                "raters": label.raters,
            }
            for task, label in sorted(row.labels.items())
        },
        "media": {
            "clip": _below_media(row.media.clip),
            "audio": _below_media(row.media.audio),
            "silent": _below_media(row.media.silent),
        },
    }


def _value(label: Label, dimension: Dimension | None) -> float | str | list[str]:
    """The value of a label; with the `dimension` of a multilabel task, its list of answers."""
    if dimension is None:
        return label.value
    if not isinstance(label.value, str) or not dimension.takes(label.value):
        raise ExportError(
            f"the label {label.task_id} of sample {label.sample_id} is no set of answers: {label.value!r}",
            hint="`annotate pull --full` makes the labels again",
        )
    return list(dimension.ticked(label.value))


def _below_media(path: Path) -> str:
    """`SampleMedia` puts each file into a folder per pass, and in it a folder per prefix."""
    return path.relative_to(path.parents[2]).as_posix()
