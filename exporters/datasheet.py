"""Writes the datasheet of a dataset: a README.md that says what it holds and how it was labelled."""

from collections.abc import Iterable
from pathlib import Path

from annotate.consensus.defaults import default_aggregator
from annotate.types import Dataset
from annotate.wording import counted, either
from exporters._judged import judged_lines
from exporters.manifest import dimensions, labels_per_task, samples_per_split


def write_datasheet(dataset: Dataset, folder: Path, *, contents: Iterable[str]) -> Path:
    """Write `README.md`; `contents` are the lines about the files of the format."""
    path = folder / "README.md"
    left_out = [f"- {reason}: {n}" for reason, n in sorted(dataset.left_out.items())]
    if not any(dataset.left_out.values()):
        left_out = []
    sections = [
        [f"# {' '.join(dataset.name.split())}"],
        ["## Samples", *_samples(dataset)],
        ["## Labels", *_labels(dataset)],
        ["## Left out", *(left_out or ["Nothing."])],
        ["## Files", *contents, "- `manifest.json`: size and sha256 of every file."],
    ]
    text = "\n\n".join("\n".join([lines[0], *([""] if lines[1:] else []), *lines[1:]]) for lines in sections)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def _samples(dataset: Dataset) -> list[str]:
    seconds = sum(row.end_us - row.start_us for row in dataset.rows) / 1e6
    groups = {row.split: set[str]() for row in dataset.rows}
    for row in dataset.rows:
        groups[row.split].add(row.speaker)
    speakers = {split.value: len(names) for split, names in groups.items()}
    videos = len({row.video_id for row in dataset.rows})
    splits: dict[str, set[str]] = {}
    for row in dataset.rows:
        splits.setdefault(row.speaker, set()).add(row.split)
    shared = sum(len(names) > 1 for names in splits.values())
    overlap = "No speaker and no video is in two splits."
    if shared:
        both = f"{counted(shared, 'speaker')} {either(shared, 'is', 'are')}"
        overlap = f"No video is in two splits, but {both}: scores say little about strangers."
    guessed = []
    count = sum(row.speaker_guessed for row in dataset.rows)
    if count:
        guessed = [
            f"The speaker of {counted(count, 'utterance')} was identified by voice (`VIDEO:voice 1`), "
            "within one video only:",
            "the same person in another video has another name.",
        ]
    return [
        f"{counted(len(dataset.rows), 'utterance')}, {seconds:.1f} seconds, {counted(videos, 'video')}.",
        overlap,
        "A video whose speaker is unknown counts as a speaker of its own.",
        *guessed,
        "",
        "| split | samples | speakers |",
        "|---|---|---|",
        *(f"| {s} | {n} | {speakers.get(s, 0)} |" for s, n in samples_per_split(dataset).items()),
    ]


def _labels(dataset: Dataset) -> list[str]:
    raters = {
        task: sorted(row.labels[task].raters for row in dataset.rows if task in row.labels)
        for task in labels_per_task(dataset)
    }
    described = []
    for dimension in dimensions(dataset):
        answers = [a.label if a.alias == a.label else f"{a.alias} ({a.label})" for a in dimension.answers]
        rule = default_aggregator(dimension.kind).rule
        described.append(
            f"- `{dimension.name}`: {dimension.kind.value}; {', '.join(answers)}; a label is {rule}."
        )
    return [
        *_how_judged(dataset),
        "",
        *described,
        "",
        "| task | labels | raters per label |",
        "|---|---|---|",
        *(f"| {task} | {len(n)} | {_span(n)} |" for task, n in raters.items()),
        *judged_lines(dataset),
    ]


def _how_judged(dataset: Dataset) -> list[str]:
    """What each rater perceived, as far as this project knows."""
    here = [
        "T was judged from the words alone, A from the voice alone, V from the silent picture alone,",
        "M from all together; each rater was blind to what the pass does not show.",
    ]
    count = sum(len(row.labels) for row in dataset.rows)
    imported = sum(task in row.labels for row in dataset.rows for task in row.imported)
    if not imported:
        return here
    unknown = "what their raters saw and heard, and whether they were blind to the rest, is not known here."
    if imported == count:
        return [f"All labels were imported from a corpus of others: {unknown}"]
    return [
        f"{imported} of {counted(count, 'label')} {either(imported, 'was', 'were')} imported from "
        "a corpus of others, or rest on imported answers:",
        f"{unknown} Of the others:",
        *here,
    ]


def _span(numbers: list[int]) -> str:
    if not numbers:
        return "-"
    return str(numbers[0]) if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"
