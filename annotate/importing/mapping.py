"""Which column or array of a corpus means what: from flags, from a small TOML file, or from both."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from annotate.errors import UsageError
from annotate.types import UNIMODAL, Modality

MODALITIES = {word: m for m in Modality for word in (m.value.lower(), m.word)} | {
    "video": Modality.VISION, "face": Modality.VISION, "visual": Modality.VISION, "voice": Modality.AUDIO,
    "all": Modality.MULTIMODAL,
}  # fmt: skip
"""What a cell may call a modality, in small letters."""


@dataclass(frozen=True, slots=True)
class TableMap:
    """Names of columns (empty: there is none) and of arrays."""

    id: str = ""
    """What a sample is called; empty: the number of its row, from 0."""
    video: str = ""
    """What a sample is a part of; empty: a video of its own."""
    speaker: str = ""
    split: str = ""
    text: str = ""
    start: str = ""
    """Seconds from the start of the video."""
    end: str = ""
    rater: str = ""
    """Who gave the answers of a row."""
    votes: bool = False
    """A row is one answer, by nobody knows whom."""
    modality: str = ""
    """What the answers of a row were given on."""
    feature: Mapping[str, str] = field(default_factory=dict)
    """By ``text``, ``audio``, ``vision``: name of the array."""
    feature_id: str = ""
    """Array of ids that says which sample each row of the others is; empty: those of the table, in order."""
    cut_padding: bool = False
    """Leave out frames of zeros at both ends."""
    length: Mapping[str, str] = field(default_factory=dict)
    """By modality: array with the number of frames that are no padding."""
    label: Mapping[str, str] = field(default_factory=dict)
    """By task (``sentiment.M``), or by dimension where a column tells the modality: the column."""
    value: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By dimension: our answer by their word."""
    count: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By task or dimension, as `label`: by answer, the column that counts its votes."""

    def columns(self) -> list[str]:
        """Every column that is named."""
        single = (self.id, self.video, self.speaker, self.split, self.text, self.start, self.end)
        counted = (column for columns in self.count.values() for column in columns.values())
        return [c for c in (*single, self.rater, self.modality, *self.label.values(), *counted) if c]

    def tells_samples(self) -> bool:
        """Whether it names anything about samples beside their answers."""
        about = (self.video, self.speaker, self.split, self.text, self.start, self.end)
        return any(about) or bool(self.feature)


def read_map(path: Path | None, flags: Mapping[str, Any]) -> TableMap:
    """What the file says, overruled by the flags: strings, and lists of ``KEY=NAME``.

    Raises `UsageError` for a file or flag that cannot be read, and for a key that does not exist.
    """
    said = _file(path) if path is not None else TableMap()
    single: dict[str, Any] = {
        key: value for key, value in flags.items() if isinstance(value, str | bool) and value
    }
    feature = {**said.feature, **_pairs("--feature", flags.get("feature", ()))}
    length = {**said.length, **_pairs("--length", flags.get("length", ()))}
    for flag, found in (("feature", feature), ("length", length)):
        _require_modalities(flag, found)
    return replace(
        said,
        **single,
        feature=feature,
        length=length,
        label={**said.label, **_pairs("--label", flags.get("label", ()))},
        value=_nested(said.value, _values(flags.get("value", ()))),
        count=_nested(said.count, _counts(flags.get("count", ()))),
    )


def _require_modalities(flag: str, found: Mapping[str, str]) -> None:
    words = [m.word for m in UNIMODAL]
    for word in found:
        if word not in words:
            raise UsageError(
                f"{flag} names {word!r}", hint=f"known: {', '.join(words)}; as in --{flag} audio=KEY"
            )


def _pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for key, equals, name in pairs:
        if not (key and equals and name):
            raise UsageError(f"{flag} {key}{equals}{name} cannot be read", hint=f"say {flag} KEY=NAME")
    found = {key.strip(): name.strip() for key, _, name in pairs}
    for key, _, name in pairs:
        if found[key.strip()] != name.strip():
            raise UsageError(
                f"{flag} says {key.strip()!r} twice: {name.strip()} and {found[key.strip()]}",
                hint="say it once",
            )
    return found


def _values(given: Sequence[str]) -> list[tuple[str, str, str]]:
    """``emotion:A=anger`` as (dimension, their word, our answer)."""
    found = []
    for key, ours in _pairs("--value", given).items():
        dimension, colon, theirs = key.partition(":")
        if not colon:
            raise UsageError(f"--value {key}={ours} cannot be read", hint="say --value DIMENSION:THEIRS=OURS")
        found.append((dimension, theirs, ours))
    return found


def _counts(given: Sequence[str]) -> list[tuple[str, str, str]]:
    """``emotion.A:anger=COLUMN`` as (task, answer, column)."""
    found = []
    for key, column in _pairs("--count", given).items():
        task, colon, answer = key.partition(":")
        if not colon:
            raise UsageError(f"--count {key}={column} cannot be read", hint="say --count TASK:ANSWER=COLUMN")
        found.append((task, answer, column))
    return found


def _nested(
    said: Mapping[str, Mapping[str, str]], flags: Sequence[tuple[str, str, str]]
) -> dict[str, dict[str, str]]:
    found = {outer: dict(inner) for outer, inner in said.items()}
    for outer, key, value in flags:
        found.setdefault(outer, {})[key] = value
    return found


def _file(path: Path) -> TableMap:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", hint="see docs/import.md for an example"
        ) from error
    known = {f.name: f.default for f in fields(TableMap)}
    for key, value in content.items():
        if key not in known:
            close = get_close_matches(key, known, n=1)
            raise UsageError(
                f"{path}: unknown key {key!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}",
            )
        deep = key in ("value", "count")
        if isinstance(known[key], bool) and not isinstance(value, bool):
            raise UsageError(
                f"{path}: {key} has to be true or false", hint="see docs/import.md for an example"
            )
        if not isinstance(known[key], bool) and not _fits(value, text=known[key] == "", deep=deep):
            shape = (
                "a name in quotes" if known[key] == "" else f"a table, as in [{key}{'.NAME' if deep else ''}]"
            )
            raise UsageError(f"{path}: {key} has to be {shape}", hint="see docs/import.md for an example")
    return TableMap(**content)


def _fits(value: object, *, text: bool, deep: bool) -> bool:
    if text:
        return isinstance(value, str)
    if not isinstance(value, dict):
        return False
    return all(_fits(inner, text=not deep, deep=False) for inner in value.values())
