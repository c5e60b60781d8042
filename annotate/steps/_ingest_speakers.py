"""Who talks in a file, as far as somebody said so: a CSV wins over a pattern on the path."""

import csv
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotate.errors import AnnotateError, ConfigError, UsageError
from annotate.steps._ingest_files import SourceFile, storable

COLUMNS = ("file", "speaker")


@dataclass
class Speakers:
    """What was said about speakers. `of` remembers which lines were used."""

    table: Mapping[str, str] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None
    _used: set[str] = field(default_factory=set)

    def of(self, file: SourceFile) -> str | None:
        """The speaker of `file`; None when nobody said."""
        for key in (_normal(file.relative), _normal(Path(file.path).name)):
            if key in self.table:
                self._used.add(key)
                return self.table[key]
        if self.pattern is None:
            return None
        # Below the named folder first: a folder above it may match by accident.
        for text in (file.relative, file.path):
            match = self.pattern.search(text)
            if match and match["speaker"]:
                return storable(match["speaker"])
        return None

    def unused(self) -> list[str]:
        """Files of the table that no file was found for, sorted."""
        return sorted(self.table.keys() - self._used)


def read_speakers(table: Path | None, flag: str | None, setting: str) -> Speakers:
    """What the options and the settings say; an option wins.

    Raises `UsageError` for an option that cannot be used, `ConfigError` for such a setting.
    """
    error, pattern = (UsageError, flag) if flag is not None else (ConfigError, setting)
    return Speakers(_read_table(table) if table else {}, _compile(pattern, error))


def _compile(pattern: str, error: type[AnnotateError]) -> re.Pattern[str] | None:
    if not pattern:
        return None
    hint = "for example '(?P<speaker>s[0-9]+)_'"
    try:
        compiled = re.compile(pattern)
    except re.error as reason:
        raise error(
            f"the speaker pattern {pattern!r} is no regular expression: {reason}", hint=hint
        ) from reason
    if "speaker" not in compiled.groupindex:
        raise error(f"the speaker pattern {pattern!r} has no group called `speaker`", hint=hint)
    return compiled


def _read_table(path: Path) -> dict[str, str]:
    """By normalised file name or relative path."""
    hint = "a CSV in UTF-8 whose first line is `file,speaker`"
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            if sorted(rows.fieldnames or ()) != sorted(COLUMNS):
                found = ", ".join(rows.fieldnames or ()) or "none"
                raise UsageError(f"{path} has the columns {found}; it needs file and speaker", hint=hint)
            return _collect(rows, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=hint) from error


def _collect(rows: "csv.DictReader[str]", path: Path) -> dict[str, str]:
    table: dict[str, str] = {}
    for row in rows:
        file, speaker = (row["file"] or "").strip(), (row["speaker"] or "").strip()
        where = f"{path}, line {rows.line_num}"
        if not file or not speaker or None in row:
            raise UsageError(
                f"{where}: a line needs a file and a speaker, and nothing else", hint="mend the line"
            )
        key = _normal(file.removeprefix("./"))
        if table.setdefault(key, speaker) != speaker:
            raise UsageError(f"{where}: {file} has two speakers, {table[key]} and {speaker}", hint="keep one")
    return table


def _normal(name: str) -> str:
    """The same text for composed and decomposed accents: file systems differ there."""
    return unicodedata.normalize("NFC", name)
