"""Builds the dataset of all finished samples, with safe names and without leaks between splits."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annotate.corpus.gaps import gap_warnings, required_tasks
from annotate.errors import ExportError, NothingToDo
from annotate.progress import Bar
from annotate.project import Project
from annotate.types import UNIMODAL, Dataset, DatasetRow, Label, Modality, Split, Task
from db.dataset import DatasetSample, dataset_samples, human_labels, imported_tasks, video_names
from db.engine import reading
from db.reask import judged_texts

NAME_LENGTH = 32
"""Maximum length of ids in common tools."""
MISSING_WORDS = frozenset({"na", "nan", "null", "none", "true", "false"})
"""Names that table readers convert to missing or boolean values."""
BLOCK = 256
"""Number of samples whose features are read at once."""


def finished_dataset(project: Project, bar: Bar) -> tuple[Dataset, Mapping[Modality, "FeatureReader"]]:
    """The dataset, and the readers of its features, which know afterwards whether they were used.

    Raises `NothingToDo` when no sample is finished (without a hint if the next command is the hint),
    `ExportError` when a group is in two splits, and `ConfigError` when the settings require labels that no
    pass asks for.
    """
    tasks = required_tasks(project)
    with reading(project.engine) as session:
        samples, names, labels = dataset_samples(session), video_names(session), human_labels(session)
        imported, later = imported_tasks(session), gap_warnings(project, session)
        judged = judged_texts(session)
    rows, left_out = finished_rows(project, samples, short_names(names), labels, tasks, judged)
    rows = [replace(row, imported=imported.get(row.sample_id, row.imported)) for row in rows]
    if not rows:
        hint = ""
        if later and "partly labelled" in left_out:
            hint = later[0]
        elif "no transcript" in left_out:
            ingest = "`annotate ingest VIDEOS --transcripts DIR`, which cuts them again"
            others = ", ".join(f'"{m}"' for m in project.settings.passes if m is not Modality.TEXT)
            without_text = f"write export.require = [{others}] into annotate.toml to do without T, or "
            hint = f"{without_text if others else ''}give transcripts: {ingest}"
        elif "too few raters" in left_out:
            hint = "let more people judge, or lower export.min_raters in annotate.toml"
        if not samples:
            raise NothingToDo("there are no samples to export", hint=hint)
        reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
        raise NothingToDo(f"no sample is finished ({reasons})", hint=hint)
    require_no_leak(rows, project.settings.splits.together)
    features = {m: FeatureReader(project, m, [row.sample_id for row in rows], bar) for m in UNIMODAL}
    name = project.settings.project.name
    return Dataset(name, tasks, rows, left_out, features, _FeatureNames(project)), features


def finished_rows(
    project: Project,
    samples: Sequence[DatasetSample],
    video_ids: Mapping[str, str],
    labels: Mapping[str, Mapping[str, Label]],
    tasks: Sequence[Task],
    judged: Mapping[str, Mapping[str, tuple[str, ...]]],
) -> tuple[list[DatasetRow], dict[str, int]]:
    """The rows ordered by (video_id, clip_id), and how many samples were left out, by reason.

    A clip's number counts all samples of its video, so it stays the same when more of them are finished.
    """
    rows, left_out, positions = [], Counter[str](), Counter[str]()
    for sample in samples:
        positions[sample.video_sha256] += 1
        usable, reason = _usable_labels(project, sample, labels.get(sample.sample_id, {}), tasks)
        if reason or sample.split is None:
            left_out[reason] += 1
            continue
        # A speaker that nobody named is a guess of diarization.
        guessed = sample.guessed and sample.speaker in video_ids
        speaker = sample.sample_speaker if sample.sample_speaker and not sample.guessed else sample.speaker
        if guessed:
            # The guessed name is meaningless outside its video, so it is prefixed with the video's name.
            speaker = f"{video_ids[sample.video_sha256]}:{sample.sample_speaker}"
        rows.append(
            DatasetRow(
                sample_id=sample.sample_id,
                video_id=video_ids[sample.video_sha256],
                clip_id=f"{positions[sample.video_sha256]:04d}",
                text=sample.transcript,
                speaker=speaker,
                speaker_guessed=guessed,
                split=Split(sample.split),
                start_us=sample.start_us,
                end_us=sample.end_us,
                labels=usable,
                media=project.sample_media(sample.sample_id),
                judged=judged.get(sample.sample_id, {}),
            )
        )
    return sorted(rows, key=lambda row: (row.video_id, row.clip_id)), dict(sorted(left_out.items()))


def _usable_labels(
    project: Project, sample: DatasetSample, labels: Mapping[str, Label], tasks: Sequence[Task]
) -> tuple[dict[str, Label], str]:
    """The labels with enough raters, and the reason why the sample is left out; empty if it is not."""
    known, least = {task.id for task in project.settings.tasks()}, project.settings.export.min_raters
    usable = {t: label for t, label in labels.items() if t in known and label.raters >= least}
    missing = [task for task in tasks if task.id not in usable]
    if sample.rejected:
        return usable, "rejected"
    if sample.split is None:
        return usable, "no split yet"
    if not missing:
        return usable, ""
    if not sample.transcript and any(task.modality is Modality.TEXT for task in missing):
        return usable, "no transcript"
    if all(task.id in labels for task in missing):
        return usable, "too few raters"
    return usable, "partly labelled" if labels else "not labelled"


def require_no_leak(rows: Sequence[DatasetRow], together: Collection[str]) -> None:
    """Raise `ExportError` when a video is in two splits, or a speaker, if those stay `together`."""
    keys = [("video", "video_id"), *([("speaker", "speaker")] if "speaker" in together else [])]
    for word, key in keys:
        splits = defaultdict(set)
        for row in rows:
            splits[getattr(row, key)].add(row.split)
        for name, splits_of_name in sorted(splits.items()):
            if len(splits_of_name) > 1:
                raise ExportError(
                    f"the {word} {name!r} is in two splits: {', '.join(sorted(splits_of_name))}",
                    hint="scores on such a dataset are meaningless: "
                    + (
                        "correct the names in the transcript or table, or "
                        "leave speakers out of splits.together"
                        if word == "speaker"
                        else "restore the database from a backup"
                    ),
                )


def short_names(names: Mapping[str, str]) -> dict[str, str]:
    """A unique short name for each video (sha256 -> file name) that is safe in paths and tables.

    The file name if it is suitable; else the cleaned file name with a part of the hash.
    """
    taken = Counter(name.lower() for name in names.values())
    short = {}
    for sha256, name in names.items():
        plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name) and len(name) <= NAME_LENGTH
        if plain and name.lower() not in MISSING_WORDS and taken[name.lower()] == 1:
            short[sha256] = name
            continue
        ending = sha256[:8]
        clean = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[: NAME_LENGTH - len(ending) - 1].strip("-")
        short[sha256] = f"{clean}-{ending}" if clean else ending
    taken = Counter(name.lower() for name in short.values())
    return {sha256: n if taken[n.lower()] == 1 else sha256[:NAME_LENGTH] for sha256, n in short.items()}


class FeatureReader:
    """Features of one modality, read lazily in blocks in the order of the rows."""

    def __init__(self, project: Project, modality: Modality, sample_ids: list[str], bar: Bar) -> None:
        self.used = False
        self._project, self._modality, self._ids, self._bar = project, modality, sample_ids, bar
        self._positions = {sample: i for i, sample in enumerate(sample_ids)}
        self._block: dict[str, NDArray[np.float32]] = {}

    def __call__(self, sample_id: str) -> NDArray[np.float32]:
        """The features of a sample, (frames, dim)."""
        self.used = True
        if sample_id not in self._block:
            from annotate.corpus.features import read_features

            start = self._positions[sample_id] // BLOCK * BLOCK
            ids = self._ids[start : start + BLOCK]
            self._block = dict(zip(ids, read_features(self._project, self._modality, ids), strict=True))
            self._bar.advance(len(ids), f"{self._modality.word} features")
        return self._block[sample_id]


class _FeatureNames(Mapping[Modality, str]):
    """The names of the extractors, computed lazily, because formats without features need no extractor."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def __getitem__(self, modality: Modality) -> str:
        return self._names[modality]

    @cached_property
    def _names(self) -> Mapping[Modality, str]:
        from annotate.corpus.features import feature_names

        return feature_names(self._project)

    def __iter__(self) -> Iterator[Modality]:
        return iter(UNIMODAL)

    def __len__(self) -> int:
        return len(UNIMODAL)
