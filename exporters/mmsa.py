"""The unaligned feature file that MMSA trains on."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ExportError
from annotate.registry import exporter
from annotate.types import UNIMODAL, Dataset, DatasetRow, Dimension, Modality, Split, Task
from exporters._judged import write_judged
from exporters._regression import POLARITIES, left_aside, polarity, regression_dimension, value
from exporters.datasheet import write_datasheet

FILE_NAME = "unaligned.pkl"


@dataclass(frozen=True, slots=True)
class _Features:
    """The features of one modality for every row."""

    extractor: str
    arrays: dict[str, NDArray[np.float32]]
    """By sample id: (frames, dim), at least one frame."""
    frames: int
    """Of the longest sample."""
    dim: int

    def padded(self, ids: list[str]) -> NDArray[np.float32]:
        """(n, frames, dim), zeros after the end of each."""
        out = np.zeros((len(ids), self.frames, self.dim), dtype="<f4")
        for i, sample in enumerate(ids):
            out[i, : len(self.arrays[sample])] = self.arrays[sample]
        return out


@exporter("mmsa")
class Mmsa:
    """Feature pickle for MMSA (Mao et al. 2022), unaligned, with unimodal labels as in CH-SIMS."""

    needs_clips = False

    def write(self, dataset: Dataset, folder: Path) -> list[Path]:
        """Write one file for all three splits.

        Raises `ExportError` without a regression dimension, for an empty split, and for features that are
        not finite; `FeatureError` when features are missing.
        """
        dimension = regression_dimension(dataset)
        present = {row.split for row in dataset.rows}
        for split in Split:
            if split not in present:
                reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(dataset.left_out.items()) if n)
                raise ExportError(
                    f"no finished sample is in the {split.value} split, and MMSA needs all three"
                    + (f"; samples that are left out: {reasons}" if reasons else ""),
                    hint="`annotate next-batch` asks for valid and test samples too: let them be judged, run "
                    "`annotate pull`, then export again; export.require in annotate.toml names the passes "
                    "that a finished sample has to have labels for",
                )
        features = {m: _read(dataset, m) for m in UNIMODAL}
        path = folder / FILE_NAME
        with path.open("wb") as file:
            _Pickler(file).dump({s.value: _split(dataset, s, dimension, features) for s in Split})
        card = write_datasheet(dataset, folder, contents=_contents(dataset, dimension, features))
        return [path, card, *write_judged(dataset, folder)]


class _Pickler(pickle.Pickler):
    """Gives equal bytes for equal content, and files that every NumPy reads."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=4)
        # Without the memo it makes no difference whether two equal strings are one object.
        self.fast = True

    def reducer_override(self, obj: object) -> Any:
        """An array as shape, type and bytes: NumPy's own form names modules that moved in NumPy 2."""
        if isinstance(obj, np.ndarray):
            return np.ndarray, (obj.shape, obj.dtype.str, bytearray(obj.tobytes()))
        return NotImplemented


def _read(dataset: Dataset, modality: Modality) -> _Features:
    read = dataset.features[modality]
    arrays = {row.sample_id: np.asarray(read(row.sample_id), dtype="<f4") for row in dataset.rows}
    dim = next(iter(arrays.values())).shape[-1]
    for sample, array in arrays.items():
        if array.ndim != 2 or len(array) < 1 or array.shape[1] != dim or not np.isfinite(array).all():
            raise ExportError(
                f"the {modality.word} features of sample {sample} are damaged: {array.shape}, or not finite",
                hint=f"delete the folder `features/{modality.value}` and run `annotate extract`",
            )
    return _Features(dataset.feature_names[modality], arrays, max(map(len, arrays.values())), dim)


def _split(
    dataset: Dataset, split: Split, dimension: Dimension, features: Mapping[Modality, _Features]
) -> dict[str, Any]:
    rows = [row for row in dataset.rows if row.split is split]
    ids = [row.sample_id for row in rows]
    labels = _labels(rows, dimension, Modality.MULTIMODAL)
    sides = [polarity(number, dimension) for number in labels]
    judged = [m for m in UNIMODAL if Task(dimension, m) in dataset.tasks]
    return {
        "raw_text": [row.text for row in rows],
        "id": [f"{row.video_id}$_${row.clip_id}" for row in rows],
        **{m.word: features[m].padded(ids) for m in UNIMODAL},
        **{f"{m.word}_lengths": [len(features[m].arrays[i]) for i in ids] for m in UNIMODAL},
        "annotations": [POLARITIES[side] for side in sides],
        "classification_labels": np.array(sides, dtype="<i8"),
        "regression_labels": np.array(labels, dtype="<f4"),
        # MMSA calls `.astype` on these: an array, never a list.
        **{
            f"regression_labels_{m.value}": np.array(_labels(rows, dimension, m), dtype="<f4") for m in judged
        },
    }


def _labels(rows: list[DatasetRow], dimension: Dimension, modality: Modality) -> list[float]:
    """The label of a task that every row has; MMSA has no mask and would learn from a NaN."""
    numbers = [value(row, dimension, modality) for row in rows]
    present = [number for number in numbers if number is not None]
    if len(present) < len(rows):
        raise ExportError(
            f"a sample has no label for {Task(dimension, modality).id}",
            hint=f"add {modality.value} to export.require in annotate.toml",
        )
    return present


def _contents(dataset: Dataset, dimension: Dimension, features: Mapping[Modality, _Features]) -> list[str]:
    unimodal = all(Task(dimension, m) in dataset.tasks for m in UNIMODAL)
    corpus = "sims" if unimodal else "mosi"
    shapes = [
        f"  - `{m.word}`: {f.frames} frames of {f.dim}, by `{f.extractor}`" for m, f in features.items()
    ]
    return [
        f"- `{FILE_NAME}`: features and the labels of `{dimension.name}`, for MMSA's unaligned models:",
        f'  `MMSA_run("lf_dnn", "{corpus}", custom_feature="{FILE_NAME}")`.',
        "  It is a pickle: load it only where you trust whoever gave it to you.",
        *shapes,
        "  - Zeros are added at the end up to the longest sample; `*_lengths` has the true lengths.",
        "    A model with `need_normalized` averages over those zeros too.",
        "  - `regression_labels` is M; `regression_labels_T`, `_A`, `_V` too when no sample lacks them.",
        "  - `annotations`, `classification_labels`: the side of the scale's middle; MMSA reads neither.",
        "  - `text_bert` is not there, it takes BERT's own tokenizer: models with `use_bert` (Self-MM, MISA,",
        "    ...) cannot use this file. MMSA's scores assume a scale of -1 to 1 (sims) or -3 to 3 (mosi).",
        *left_aside(dataset, dimension),
    ]
