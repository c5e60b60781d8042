"""What was told about files: who talks in them, and what they are an episode of; tables win over patterns."""

import csv
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotate.errors import UsageError
from annotate.ingest.files import SourceFile
from annotate.ingest.path_patterns import PathPattern, Pattern, compiled
from annotate.types import Told, Turn

KNOWN = ("file", "speaker", "episode", "start", "end")


@dataclass
class Speakers:
    """Everything that was told about speakers and episodes. `of` remembers which lines were used."""

    table: Mapping[str, Told] = field(default_factory=dict)
    speaker_pattern: PathPattern | None = None
    episode_pattern: PathPattern | None = None
    _used: set[str] = field(default_factory=set)
    _matched: dict[str, dict[str, str]] = field(default_factory=dict)
    """By group and path: what the patterns found."""

    def match(self, files: Sequence[SourceFile]) -> None:
        """Search the paths of all files for the patterns, once, before `of` is asked about any.

        Raises `UsageError` or `ConfigError` for a pattern that takes too long.
        """
        for pattern in (self.speaker_pattern, self.episode_pattern):
            if pattern is not None:
                self._matched[pattern.group] = pattern.search(files)

    def of(self, file: SourceFile) -> Told:
        """What was told about `file`."""
        told = Told()
        for key in (_normal(file.relative), _normal(Path(file.path).name)):
            if key in self.table:
                self._used.add(key)
                told = self.table[key]
                break
        return Told(
            told.speaker or self._matched.get("speaker", {}).get(file.path, ""),
            told.episode or self._matched.get("episode", {}).get(file.path, ""),
            told.turns,
        )

    def unused(self) -> list[str]:
        """Files of the table that no file was found for, sorted."""
        return sorted(self.table.keys() - self._used)


def read_speakers(table: Path | None, speaker: Pattern, episode: Pattern) -> Speakers:
    """What the options and the settings say.

    Raises `UsageError` for an option that cannot be used, `ConfigError` for such a setting.
    """
    return Speakers(
        _read_table(table) if table else {}, compiled(speaker, "speaker"), compiled(episode, "episode")
    )


def _read_table(path: Path) -> dict[str, Told]:
    """By normalised file name or relative path."""
    hint = (
        "a CSV in UTF-8 whose first line is `file,speaker`, with `episode` if you like, "
        "and with `start,end` in seconds where speakers take turns"
    )
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            columns = rows.fieldnames or ()
            if not _usable(columns):
                found = ", ".join(columns) or "none"
                raise UsageError(
                    f"{path} has the columns {found}; it needs file and speaker or episode, and may have "
                    "start and end",
                    hint=hint,
                )
            return _collect(rows, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=hint) from error


def _usable(columns: object) -> bool:
    names = list(columns) if isinstance(columns, list) else []
    timed = {"start", "end"} & set(names)
    return (
        len(set(names)) == len(names)
        and set(names) <= set(KNOWN)
        and "file" in names
        and bool({"speaker", "episode"} & set(names))
        and (not timed or (len(timed) == 2 and "speaker" in names))
    )


def _collect(rows: "csv.DictReader[str]", path: Path) -> dict[str, Told]:
    """The lines of a file put together: those with times are turns, one without is for the whole file."""
    table: dict[str, Told] = {}
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        cells = _cells(row, where)
        key = _normal(cells["file"].removeprefix("./"))
        old = table.get(key, Told())
        turn = _turn(cells, where)
        table[key] = Told(
            _one(old.speaker, "" if turn else cells["speaker"], "speakers", cells["file"], where),
            _one(old.episode, cells["episode"], "episodes", cells["file"], where),
            old.turns + ((turn,) if turn else ()),
        )
    return table


def _cells(row: Mapping[str, str | None], where: str) -> dict[str, str]:
    """By column, without the spaces around; empty where the table has none."""
    if None in row or any(value is None for value in row.values()):
        raise UsageError(f"{where}: it has more or fewer cells than the first line", hint="mend the line")
    cells = {name: (row.get(name) or "").replace("\0", "").strip() for name in KNOWN}
    needed = [name for name in ("file", "speaker") if name in row and not cells[name]]
    if needed and not (needed == ["speaker"] and cells["episode"] and not cells["start"]):
        raise UsageError(f"{where}: the {needed[0]} is missing", hint="mend the line")
    return cells


def _turn(cells: Mapping[str, str], where: str) -> Turn | None:
    if not cells["start"] and not cells["end"]:
        return None
    try:
        start, end = float(cells["start"]), float(cells["end"])
    except ValueError:
        start, end = math.nan, math.nan
    if not 0 <= start < end < math.inf:
        raise UsageError(
            f"{where}: from {cells['start'] or 'nothing'!r} to {cells['end'] or 'nothing'!r} is no stretch "
            "of time",
            hint="seconds from the start of the video, the end after the start; leave both empty to name "
            "the speaker of the whole file",
        )
    return Turn(cells["speaker"], round(start * 1e6), round(end * 1e6))


def _one(old: str, new: str, word: str, file: str, where: str) -> str:
    if old and new and old != new:
        raise UsageError(f"{where}: {file} has two {word}, {old} and {new}", hint="keep one")
    return old or new


def _normal(name: str) -> str:
    """The same text for composed and decomposed accents: file systems differ there."""
    return unicodedata.normalize("NFC", name)
