"""Commands that import a corpus made elsewhere."""

from pathlib import Path
from typing import Annotated, Any

import typer

from annotate.commands.shared import invocation

app = typer.Typer(no_args_is_help=True, help="Import a corpus made elsewhere.")


DEFAULT_MEMORY_GB = 8.0
"""As in `annotate.importing.columns`, which takes too long to import for a help text."""


def _column(text: str) -> Any:
    return typer.Option(metavar="COLUMN", help=text)


def _pairs(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=f"{text} May be repeated.")


CorpusName = Annotated[
    str | None,
    typer.Option(
        help="Name of the corpus; importing under a known name updates it; default: the file's name."
    ),
]
Regroup = Annotated[
    bool, typer.Option("--regroup", help="Assign new splits by group, instead of those of the corpus.")
]
Memory = Annotated[float, typer.Option(min=0.1, help="Gigabytes of memory that reading may use.")]

TableFile = Annotated[
    Path, typer.Argument(metavar="TABLE", help="CSV, TSV, Parquet or .npz; one row per sample or answer.")
]
FeatureFiles = Annotated[list[Path] | None, typer.Option(help=".npz with feature arrays. May be repeated.")]
MappingFile = Annotated[
    Path | None, typer.Option("--map", help="TOML file that holds these options under their names.")
]
SampleId = Annotated[str, _column("Id of the sample; default: the number of the row.")]
VideoName = Annotated[str, _column("Video that the sample was cut from; default: one of its own.")]
Speaker = Annotated[str, _column("Speaker of the sample.")]
SplitName = Annotated[str, _column("train, valid or test; default: assigned by group.")]
Transcript = Annotated[str, _column("Transcript of the sample.")]
Start = Annotated[str, _column("Start, in seconds from the start of the video.")]
End = Annotated[str, _column("End, in seconds from the start of the video.")]
FeatureArrays = Annotated[
    list[str] | None, _pairs("MODALITY=ARRAY", "Array with the features of a modality, as audio=mfcc.")
]
FeatureIds = Annotated[
    str,
    typer.Option(metavar="ARRAY", help="Ids of the rows of the arrays; default: the order of the table."),
]
Lengths = Annotated[
    list[str] | None, _pairs("MODALITY=ARRAY", "Array with the number of frames per row, padding excluded.")
]
CutPadding = Annotated[
    bool, typer.Option("--cut-padding", help="Remove all-zero frames at the start and the end of each row.")
]
LabelColumns = Annotated[
    list[str] | None, _pairs("TASK=COLUMN", "Column with the labels of a task, as sentiment.M=label.")
]
ValueNames = Annotated[list[str] | None, _pairs("DIMENSION:THEIRS=OURS", "Meaning of a word in the table.")]
Rater = Annotated[str, _column("Rater who gave the answers of the row.")]
Votes = Annotated[bool, typer.Option("--votes", help="Each row is one answer of an unknown rater.")]
CountColumns = Annotated[
    list[str] | None, _pairs("TASK:ANSWER=COLUMN", "Column that counts the votes for an answer.")
]
ModalityColumn = Annotated[
    str, _column("Modality that the answers of the row are about; --label then names a dimension.")
]
Into = Annotated[
    str | None, typer.Option(metavar="CORPUS", help="Add answers about the samples of this corpus only.")
]


@app.command("table")
def import_table(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    table: TableFile,
    features: FeatureFiles = None,
    mapping: MappingFile = None,
    id: SampleId = "",
    video: VideoName = "",
    speaker: Speaker = "",
    split: SplitName = "",
    text: Transcript = "",
    start: Start = "",
    end: End = "",
    feature: FeatureArrays = None,
    feature_id: FeatureIds = "",
    length: Lengths = None,
    cut_padding: CutPadding = False,
    label: LabelColumns = None,
    value: ValueNames = None,
    rater: Rater = "",
    votes: Votes = False,
    count: CountColumns = None,
    modality: ModalityColumn = "",
    memory: Memory = DEFAULT_MEMORY_GB,
    name: CorpusName = None,
    into: Into = None,
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
    file: Annotated[Path, typer.Argument(help="The feature pickle; no code in it is executed.")],
    dimension: Annotated[
        str, typer.Option(help="Dimension of its labels; default: the only one with numbers.")
    ] = "",
    memory: Memory = DEFAULT_MEMORY_GB,
    name: CorpusName = None,
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
