"""The sections of `annotate.toml`: every key with its default, limits and meaning."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from annotate.config.baselines import PRESETS, merge
from annotate.permissions import Access
from annotate.types import AND, Kind, Modality, Split

LARGEST_SEED = 2**31 - 1
"""What both databases keep in a column of seeds."""


def require_encoding(name: str) -> None:
    """Raise `ValueError` for a name that is not a text encoding of Python; an empty one is allowed."""
    try:
        "a".encode(name or "utf-8")
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"{name!r} is not a known encoding; try utf-8, cp1252, cp1251, gb18030, big5"
        ) from error


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _hold_no_null_character(cls, content: Any) -> Any:
        values = content.values() if isinstance(content, dict) else ()
        if any(isinstance(value, str) and "\0" in value for value in values):
            raise ValueError("a text holds the character U+0000, which no database stores")
        return content


class AnswerSettings(_Section):
    """One answer a rater can give."""

    value: float | str
    label: str


class DimensionSettings(_Section):
    """One dimension that raters judge."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
    kind: Kind
    answers: Annotated[tuple[AnswerSettings, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _answers_fit_the_kind(self) -> Self:
        values = [a.value for a in self.answers]
        if len(set(values)) != len(values):
            raise ValueError("two answers have the same value")
        if self.kind is Kind.REGRESSION:
            if not all(isinstance(v, float) for v in values):
                raise ValueError("the answers of a regression dimension have to be numbers")
            if values != sorted(values, key=float):
                raise ValueError("the answers of a regression dimension have to be in rising order")
        elif not all(isinstance(v, str) for v in values):
            raise ValueError(f"the answers of a {self.kind.value} dimension have to be words in quotes")
        elif self.kind is Kind.MULTILABEL:
            for value in map(str, values):
                if AND in value:
                    raise ValueError(f"{value!r} holds a {AND!r}, which separates the answers of a rater")
                if not value.strip():
                    raise ValueError("an answer has an empty value; raters can tick no answer in any case")
        return self


class ProjectSettings(_Section):
    """Name of the corpus, and the seed of all random draws."""

    name: Annotated[str, Field(min_length=1)] = "corpus"
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0


class DatabaseSettings(_Section):
    """The database. A relative SQLite path is relative to the project folder."""

    url: str = "sqlite:///annotate.db"


class StorageSettings(_Section):
    """Storage of clips. Credentials and endpoints come from the environment variables of the driver only."""

    access: Access = Access.OWNER
    """Who besides the owner may use the project's files: ``owner`` (nobody), ``group`` or ``everyone``."""
    media: str = ""
    """A folder (relative to the project folder), ``file://``, or any fsspec URL such as
    ``s3://bucket/prefix``; empty: `media` in the project folder."""


class ProtocolSettings(_Section):
    """The passes, and the number of raters."""

    passes: Annotated[tuple[Modality, ...], Field(min_length=1)] = tuple(Modality)
    raters: Annotated[int, Field(ge=1)] = 5
    """Number of different raters who judge each sample in each pass."""

    @model_validator(mode="after")
    def _each_pass_once(self) -> Self:
        if len(set(self.passes)) != len(self.passes):
            raise ValueError("a pass is named twice")
        if Modality.MULTIMODAL in self.passes and self.passes[-1] is not Modality.MULTIMODAL:
            raise ValueError("the multimodal pass M comes last: it shows what the others hide")
        return self


class SplitSettings(_Section):
    """Shares of the samples per split; a group of videos is never divided."""

    train: Annotated[float, Field(gt=0)] = 0.7
    valid: Annotated[float, Field(gt=0)] = 0.15
    test: Annotated[float, Field(gt=0)] = 0.15
    together: tuple[Literal["speaker", "episode", "repeats"], ...] = ("speaker", "episode", "repeats")
    """What is never divided among splits, apart from videos, which never are."""

    def share(self, split: Split) -> float:
        """The share of `split`, between 0 and 1."""
        total = self.train + self.valid + self.test
        return float(getattr(self, split.value)) / total


class IngestSettings(_Section):
    """How videos become samples."""

    segmenter: str = "silero-vad"
    """Used for videos without a transcript by people."""
    segmenter_with_transcript: str = "subtitles"
    vad_preset: Literal["near", "far"] = "near"
    """How far the microphone is."""
    min_seconds: Annotated[float, Field(gt=0)] = 1.0
    max_seconds: Annotated[float, Field(gt=0)] = 10.0
    pad_seconds: Annotated[float, Field(ge=0)] = 0.1
    bridge_seconds: Annotated[float, Field(ge=0)] = 0.2
    """Pauses shorter than this do not divide."""
    cut: Literal["exact", "copy"] = "exact"
    hide_subtitles: bool = False
    """Blur what looks like burnt-in text in the silent clip."""
    read_subtitles: bool = False
    """Take burnt-in text for the transcript of samples that have none."""
    speaker_pattern: str = ""
    """Regular expression with a group called `speaker`, searched in the path; empty: none."""
    episode_pattern: str = ""
    """Regular expression with a group called `episode`, searched in the path; empty: none."""
    transcript_encoding: str = ""
    """Encoding of transcripts without a byte order mark; empty: detected per file."""
    transcript_tiers: tuple[str, ...] = ()
    """Names or patterns (``tx@*``) of the ELAN and Praat tiers that hold the speech; empty: detected."""
    guess_speakers: bool = True
    """Tell the voices of a video apart by ear where its transcript names nobody."""
    executor: str = "process"
    """Where videos are cut."""
    address: str = ""
    """Address of the executor's cluster; empty: this machine."""
    workers: Annotated[int, Field(ge=0)] = 0
    """0 means one per processor."""
    deadline_seconds: Annotated[float, Field(gt=0)] = 600.0
    """A worker that gets nowhere on a video for so long is killed."""
    attempts: Annotated[int, Field(ge=1)] = 3
    """A video whose worker died this often is left alone."""

    @model_validator(mode="after")
    def _encoding_is_known(self) -> Self:
        require_encoding(self.transcript_encoding)
        return self

    @model_validator(mode="after")
    def _minimum_below_maximum(self) -> Self:
        if self.min_seconds >= self.max_seconds:
            raise ValueError("min_seconds must be below max_seconds")
        return self


class TranscribeSettings(_Section):
    """Speech recognition for videos without a transcript; none without a model."""

    engine: str = "faster-whisper"
    model: str = ""
    """Path of a folder (then nothing is fetched), or a name that the engine knows."""
    language: str = ""
    """Two-letter language code; empty: detected by the engine."""
    device: str = "auto"


class CorrectionSettings(_Section):
    """Corrections of samples by hand."""

    by: str = ""
    """Name of who corrects, for the log; empty: the login name."""


class RuleSettings(_Section):
    """What a measured value must be for its sample to be used."""

    min: float | None = None
    max: float | None = None
    allow: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max: no sample could pass")
        if self.min is None and self.max is None and not self.allow:
            raise ValueError("a rule needs min, max or allow")
        return self


class DuplicateSettings(_Section):
    """What counts as a duplicate: of duplicates in two splits, the less protected split loses its one."""

    sound: bool = True
    """The same recording, including re-encoded copies and copies with mild noise."""
    text: bool = True
    """The same words. Unsuitable for scripted corpora, where all speakers read the same sentences."""
    text_words: Annotated[int, Field(ge=1)] = 6
    """Shorter texts are not compared."""
    text_characters: Annotated[int, Field(ge=1)] = 10
    """The same for scripts without spaces."""


class FeatureSettings(_Section):
    """Feature extractor of each modality, and the path or name of its pretrained weights."""

    text: str = "char-hash"
    audio: str = "voice-stats"
    vision: str = "face-motion"
    text_model: str = ""
    audio_model: str = ""
    vision_model: str = ""

    def extractor(self, modality: Modality) -> str:
        """The name of the extractor of one of T, A, V."""
        return str(getattr(self, modality.word))

    def model(self, modality: Modality) -> str:
        """Path or hub name of the pretrained weights of one of T, A, V; empty for the default."""
        return str(getattr(self, f"{modality.word}_model"))


Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""A larger number is a mistake, and would run forever or exceed 64 bits."""


class TrainSettings(_Section):
    """The multi-task network and its training. Names are those of plug-ins: `annotate list` shows them."""

    preset: Literal["", "mlf-dnn", "mtfn", "mlmf"] = ""
    """A baseline, which sets every key that is not set here; empty: the defaults apply."""
    hidden: Annotated[int, Field(ge=1, le=16_384)] = 64
    members: Annotated[int, Field(ge=1, le=1_000)] = 5
    epochs: Count = 200
    patience: Count = 20
    batch_size: Count = 32
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 1e-2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    encoder: str = "mean-pool"
    """Encoder of every modality that does not name its own."""
    text_encoder: str = ""
    audio_encoder: str = ""
    vision_encoder: str = ""
    fusion: str = "concat"
    """How the modalities become one code for the multimodal heads."""
    sharing: str = "hard"
    """What the tasks learn together."""
    weighting: str = "fixed"
    """How much each task's loss moves what is shared."""
    ensemble: str = "deep"
    """How the members come about and become one answer."""
    regression_head: str = "mean"
    classification_head: str = "softmax"
    multilabel_head: str = "sigmoid"
    sampling: Literal["joint", "one-task"] = "joint"
    """Whether a step teaches every task, or one drawn by chance (Collobert & Weston 2008)."""
    stopping: Literal["joint", "task-wise"] = "joint"
    """Whether tasks stop together, or each when its own valid loss no longer falls (Zhang et al. 2014)."""
    balance: tuple[Literal["class", "group", "raters"], ...] = ()
    """What labels are weighted by: rare classes more, large groups less, many raters more."""
    unimodal_labels: bool = True
    """Whether the labels of T, A and V are learned from too."""
    options: dict[str, dict[str, Any]] = {}
    """By plug-in, or by `text`, `audio`, `vision` for one modality's encoder: its options."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What the layers compute in while they learn; auto: bfloat16 for large ones on a GPU that has it."""
    compile: bool = False
    """Whether the network is compiled for the machine before it learns."""
    tensorboard: str = ""
    """Folder for training logs, relative to the project folder; empty: none."""
    device: str = "auto"

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, content: Any) -> Any:
        preset = content.get("preset") if isinstance(content, dict) else None
        return merge(content, PRESETS[preset]) if isinstance(preset, str) and preset in PRESETS else content

    def network_options(self) -> dict[str, Any]:
        """The fields of `annotate.learning.model_config.ModelConfig`: what decides the model."""
        return self.model_dump(exclude={"device", "preset", "tensorboard"})


class BatchSettings(_Section):
    """Composition of a batch."""

    strategy: str = "auto"
    cold_start: str = "herding"
    options: dict[str, dict[str, Any]] = {}
    """By query strategy: its options."""
    pool: Annotated[int, Field(ge=1000)] = 1_000_000
    """Maximum number of samples to rank; a larger pool is subsampled at random, by informativeness."""
    ask: Literal["samples", "questions"] = "samples"
    """Whether to ask about samples in every pass, or single questions by information per second."""
    holdout_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    audit_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    most_raters: Annotated[int, Field(ge=1)] = 5
    """Number of answers after which strategies that ask again leave a question alone."""


Seconds = Annotated[float, Field(ge=0, le=86_400)]


class CostSettings(_Section):
    """Rater time per question until there are answers to estimate it from: seconds, and seconds per second
    of the clip."""

    text: tuple[Seconds, Seconds] = (6.0, 0.5)
    audio: tuple[Seconds, Seconds] = (6.0, 1.0)
    vision: tuple[Seconds, Seconds] = (6.0, 1.0)
    multimodal: tuple[Seconds, Seconds] = (6.0, 1.0)
    dimension: Seconds = 2.0
    """Additional seconds for each dimension after the first, since the clip is played once."""

    @model_validator(mode="after")
    def _nothing_is_free(self) -> Self:
        free = [m.word for m in Modality if not any(getattr(self, m.word))]
        if free:
            raise ValueError(f"no question costs nothing: {', '.join(free)}")
        return self

    def by_pass(self, dimensions: int) -> dict[Modality, tuple[float, float]]:
        """(seconds, seconds per second of the clip) of a question about so many dimensions."""
        more = self.dimension * (dimensions - 1)
        costs = {m: getattr(self, m.word) for m in Modality}
        return {m: (fixed + more, rate) for m, (fixed, rate) in costs.items()}


class LabelStudioSettings(_Section):
    """The Label Studio server. An empty url means the local one of `annotate studio up`."""

    url: str = ""
    token: SecretStr = SecretStr("")
    """Read from ANNOTATE_LABELSTUDIO__TOKEN only."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Port of `annotate studio up`, on loopback only."""


class ExportSettings(_Section):
    """Requirements for a finished sample."""

    require: tuple[str, ...] = ()
    """Passes (T, A, V, M) and tasks such as ``sentiment.M`` whose labels a sample needs. A pass means
    all its tasks; empty means the tasks of every pass."""
    min_raters: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _passes_or_tasks(self) -> Self:
        for name in self.require:
            if not re.fullmatch(r"([a-z][a-z0-9_]*\.)?[TAVM]", name):
                raise ValueError(f"{name!r} is neither a pass (T, A, V, M) nor a task such as 'sentiment.M'")
        return self
