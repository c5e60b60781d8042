"""`annotate.toml` and `ANNOTATE_*` variables, read into frozen settings.

A flag wins over a variable, a variable over the file, the file over a default. Nested keys of a
variable are joined by two underscores: ``ANNOTATE_TRAIN__EPOCHS=50``.
"""

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from annotate.config.sections import (
    BatchSettings,
    CorrectionSettings,
    CostSettings,
    DatabaseSettings,
    DimensionSettings,
    DuplicateSettings,
    ExportSettings,
    FeatureSettings,
    IngestSettings,
    LabelStudioSettings,
    ProjectSettings,
    ProtocolSettings,
    RuleSettings,
    SplitSettings,
    StorageSettings,
    TrainSettings,
    TranscribeSettings,
)
from annotate.errors import ConfigError
from annotate.types import (
    Answer,
    CutPlan,
    Dimension,
    LengthRules,
    Modality,
    Rule,
    Task,
    Transcribing,
    TranscriptOptions,
)

FILE_NAME = "annotate.toml"


class Settings(BaseSettings):
    """The content of `annotate.toml`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="ANNOTATE_", env_nested_delimiter="__"
    )

    project: ProjectSettings = ProjectSettings()
    database: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    protocol: ProtocolSettings = ProtocolSettings()
    dimensions: Annotated[tuple[DimensionSettings, ...], Field(min_length=1)]
    splits: SplitSettings = SplitSettings()
    ingest: IngestSettings = IngestSettings()
    transcribe: TranscribeSettings = TranscribeSettings()
    checks: dict[str, RuleSettings] = {}
    """By check: what a sample needs to be used."""
    repeats: DuplicateSettings = DuplicateSettings()
    corrections: CorrectionSettings = CorrectionSettings()
    features: FeatureSettings = FeatureSettings()
    train: TrainSettings = TrainSettings()
    batch: BatchSettings = BatchSettings()
    costs: CostSettings = CostSettings()
    labelstudio: LabelStudioSettings = LabelStudioSettings()
    export: ExportSettings = ExportSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file, which arrives as arguments."""
        return env_settings, init_settings

    @property
    def passes(self) -> tuple[Modality, ...]:
        """The passes, in the order in which they are asked."""
        return self.protocol.passes

    def cut_plan(self) -> CutPlan:
        """All settings that determine how videos are cut."""
        ingest = self.ingest
        return CutPlan(
            segmenter=ingest.segmenter,
            segmenter_with_transcript=ingest.segmenter_with_transcript,
            vad_preset=ingest.vad_preset,
            lengths=LengthRules(
                ingest.min_seconds, ingest.max_seconds, ingest.pad_seconds, ingest.bridge_seconds
            ),
            cut=ingest.cut,
            hide_subtitles=ingest.hide_subtitles,
            read_subtitles=ingest.read_subtitles,
            # Without a model the section has no effect, so changing it must not cut videos again.
            transcribing=Transcribing(**self.transcribe.model_dump())
            if self.transcribe.model
            else Transcribing(),
            guess_speakers=ingest.guess_speakers,
            transcripts=TranscriptOptions(ingest.transcript_encoding, ingest.transcript_tiers),
        )

    def rules(self) -> dict[str, Rule]:
        """The rule of each check."""
        return {name: Rule(r.min, r.max, r.allow) for name, r in sorted(self.checks.items())}

    def dimension_list(self) -> tuple[Dimension, ...]:
        """The dimensions, as other packages use them."""
        return tuple(
            Dimension(d.name, d.kind, tuple(Answer(a.value, a.label) for a in d.answers))
            for d in self.dimensions
        )

    def tasks(self, modality: Modality | None = None) -> tuple[Task, ...]:
        """Every task, or those asked in one pass; pass by pass, dimensions in file order."""
        passes = self.passes if modality is None else (modality,)
        return tuple(Task(d, m) for m in passes for d in self.dimension_list())


def load(path: Path) -> Settings:
    """Read `annotate.toml` at `path`.

    Raises `ConfigError` naming the key, with the nearest known key when it is unknown.
    """
    try:
        # Editors on Windows put a byte order mark in front of UTF-8.
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="save the file as UTF-8") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="correct the file by hand") from error
    section = content.get("labelstudio")
    if isinstance(section, dict) and "token" in section:
        raise ConfigError(
            f"{path} holds a Label Studio token; secrets do not belong in a file that is shared",
            hint="delete the line and set ANNOTATE_LABELSTUDIO__TOKEN instead",
        )
    return parse(content, where=str(path))


def parse(content: dict[str, Any], where: str) -> Settings:
    """Settings from the content of a TOML file; `where` is named in errors.

    Raises `ConfigError`.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**content)
    except ValidationError as error:
        message, hint = _explain(error)
        raise ConfigError(f"{where}: {message}", hint=hint) from error
    except SettingsError as error:
        raise ConfigError(
            f"a variable cannot be read: {error}", hint="name one key, as in ANNOTATE_TRAIN__EPOCHS=50"
        ) from error


def train_settings(content: dict[str, Any]) -> TrainSettings:
    """The settings of `[train]`, from its content.

    Raises `ConfigError`.
    """
    try:
        return TrainSettings(**content)
    except ValidationError as error:
        message, hint = _explain(error, TrainSettings)
        raise ConfigError(f"train: {message}", hint=hint) from error


def _refuse_unknown_variables() -> None:
    """Raise `ConfigError` for a variable of an unknown section, which pydantic would ignore."""
    sections = [name.upper() for name in Settings.model_fields]
    for name in sorted(os.environ):
        section, nested, _ = name.removeprefix("ANNOTATE_").partition("__")
        if name.startswith("ANNOTATE_") and nested and section not in sections:
            close = get_close_matches(section, sections, n=1)
            known = ", ".join(f"ANNOTATE_{s}__..." for s in sections)
            raise ConfigError(
                f"the variable {name} names no section",
                hint=f"did you mean ANNOTATE_{close[0]}__...?" if close else f"known: {known}",
            )


_OWN_WORDS = {
    "tuple_type": 'it has to be a list, as in ["..."]',
    "dict_type": "it has to be a table, as in { key = value }",
    "model_type": "it has to be a table, as in { key = value }",
}
"""Messages in terms of TOML, by the error type of pydantic."""


def _explain(error: ValidationError, model: type[BaseModel] | None = None) -> tuple[str, str]:
    """The first complaint as (message, hint); `model`: what was read, else all `Settings`."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        close = get_close_matches(str(first["loc"][-1]), _known_keys(first["loc"][:-1], model), n=1)
        known = ", ".join(_known_keys(first["loc"][:-1], model))
        return f"unknown key {key!r}", f"did you mean {close[0]!r}?" if close else f"known: {known}"
    if first["type"] == "missing":
        return f"{key!r} is missing", "`annotate init` in an empty folder writes a complete example"
    message = _OWN_WORDS.get(first["type"], first["msg"].removeprefix("Value error, "))
    given = first["input"]
    shown = "" if isinstance(given, dict | BaseModel) else f", not {given!r}"
    return f"{key}: {message}{shown}", f"correct {key} in {FILE_NAME} or its ANNOTATE_ variable"


def _known_keys(path: tuple[int | str, ...], model: type[BaseModel] | None = None) -> list[str]:
    """The keys that the section at `path` can have."""
    model = model or Settings
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            # The name of a check, inside the section that holds one rule for each.
            continue
        inner = field.annotation
        args = getattr(inner, "__args__", ())
        model = next((t for t in (inner, *args) if isinstance(t, type) and issubclass(t, BaseModel)), model)
    return sorted(model.model_fields)
