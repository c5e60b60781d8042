"""Commands that bring in a corpus which others made."""

from pathlib import Path
from typing import Annotated, Any

import typer

from annotate.commands.shared import invocation

app = typer.Typer(no_args_is_help=True, help="Start from a corpus that others made.")


ImportName = Annotated[
    str | None,
    typer.Option(help="What the corpus is called; else the file's name. Again: it is brought up to date."),
]
Regroup = Annotated[
    bool, typer.Option("--regroup", help="Give splits anew, per group, whatever the corpus says.")
]


Memory = Annotated[float, typer.Option(min=0.1, help="Gigabytes that reading it may take.")]
DEFAULT_MEMORY_GB = 8.0
"""As in `annotate.importing.columns`, which takes too long to import for a help text."""


def _column(text: str) -> Any:
    return typer.Option(metavar="COLUMN", help=text)


def _pairs(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


@app.command("table")
def import_table(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    table: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or .npz, a row per sample or answer.")],
    features: Annotated[
        list[Path] | None, typer.Option(help=".npz with feature arrays; may come again.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", help="TOML file that says what the options do.")
    ] = None,
    id: Annotated[str, _column("What a sample is called; else its row's number.")] = "",
    video: Annotated[str, _column("What a sample is a part of; else of itself.")] = "",
    speaker: Annotated[str, _column("Who talks.")] = "",
    split: Annotated[str, _column("train, valid or test; else they are given per group.")] = "",
    text: Annotated[str, _column("What is said.")] = "",
    start: Annotated[str, _column("Seconds from the start of the video.")] = "",
    end: Annotated[str, _column("The same of its end.")] = "",
    feature: Annotated[
        list[str] | None, _pairs("MODALITY=ARRAY", "Such as audio=mfcc; may come again.")
    ] = None,
    feature_id: Annotated[
        str, typer.Option(metavar="ARRAY", help="Ids of the arrays' rows; else the order is the table's.")
    ] = "",
    length: Annotated[
        list[str] | None, _pairs("MODALITY=ARRAY", "How many frames of each row are no padding.")
    ] = None,
    cut_padding: Annotated[
        bool, typer.Option("--cut-padding", help="Cut frames of zeros at both ends.")
    ] = False,
    label: Annotated[
        list[str] | None, _pairs("TASK=COLUMN", "Such as sentiment.M=label; may come again.")
    ] = None,
    value: Annotated[
        list[str] | None, _pairs("DIMENSION:THEIRS=OURS", "What a word in the table means; may come again.")
    ] = None,
    rater: Annotated[str, _column("Who gave the answers of a row.")] = "",
    votes: Annotated[bool, typer.Option("--votes", help="A row is one answer by nobody knows whom.")] = False,
    count: Annotated[
        list[str] | None, _pairs("TASK:ANSWER=COLUMN", "A column that counts votes; may come again.")
    ] = None,
    modality: Annotated[str, _column("What a row's answers are about; then TASK is a dimension.")] = "",
    memory: Memory = DEFAULT_MEMORY_GB,
    name: ImportName = None,
    into: Annotated[
        str | None, typer.Option(metavar="CORPUS", help="Bring answers about its samples, and nothing else.")
    ] = None,
    regroup: Regroup = False,
) -> None:
    """Import a table with features. Example: annotate import table clips.csv --label emotion.M=emotion"""
    from annotate.steps.import_ import import_table as step

    shared = invocation(context)
    flags = {
        "id": id, "video": video, "speaker": speaker, "split": split, "text": text, "start": start,
        "end": end, "rater": rater, "votes": votes, "cut_padding": cut_padding,
        "modality": modality, "feature_id": feature_id, "feature": feature or [],
        "length": length or [], "label": label or [], "value": value or [], "count": count or [],
    }  # fmt: skip
    report = step(
        shared.open_project(),
        table,
        features=features or [],
        mapping=mapping,
        flags=flags,
        name=name,
        into=into,
        regroup=regroup,
        memory_gb=memory,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)


@app.command("mmsa")
def import_mmsa(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The feature pickle; nothing in it is run.")],
    dimension: Annotated[
        str, typer.Option(help="What its labels are about; else the only one with numbers.")
    ] = "",
    memory: Memory = DEFAULT_MEMORY_GB,
    name: ImportName = None,
    regroup: Regroup = False,
) -> None:
    """Import a feature file of MMSA. Example: annotate import mmsa unaligned.pkl"""
    from annotate.steps.import_ import import_mmsa as step

    shared = invocation(context)
    report = step(
        shared.open_project(),
        file,
        dimension=dimension,
        memory_gb=memory,
        name=name,
        regroup=regroup,
        progress=shared.progress(),
    )
    shared.emit(report)
