"""Regular expressions that users give for the paths of their videos, such as `--speaker-pattern`."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from annotate.corpus.paths import storable
from annotate.errors import AnnotateError, ConfigError, UsageError
from annotate.ingest import match_names
from annotate.ingest.files import SourceFile

EXAMPLES = {"speaker": "(?P<speaker>s[0-9]+)_", "episode": "(?P<episode>s[0-9]+e[0-9]+)"}
SECONDS = 2.0
"""CPU time for all names together; an ordinary expression needs some microseconds for each."""
NAMES_PER_SECOND = 20_000
"""One more second is allowed for each so many names."""


@dataclass(frozen=True, slots=True)
class PatternOption:
    """A regular expression for paths as it was given: by a flag, which wins, or by a setting."""

    flag: str | None
    setting: str


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A valid regular expression for paths, and the name of the group whose text is used."""

    text: str
    group: str
    error: type[AnnotateError]
    """Raised when the search fails: `UsageError` for a flag, `ConfigError` for a setting."""

    def search(self, files: Sequence[SourceFile]) -> dict[str, str]:
        """The text of the group for each file, by path; files without a match are left out.

        The path below the named folder is searched first, then the whole path, because a folder above may
        match by accident. An expression can backtrack practically forever, so a process of its own searches
        with a limit on CPU time. Raises `error`, which names the file, when that is used up.
        """
        seconds = SECONDS + len(files) / NAMES_PER_SECOND
        request = {
            "pattern": self.text, "group": self.group, "seconds": seconds,
            "names": [[file.relative, file.path] for file in files],
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-I", "-S", match_names.__file__],
            input=json.dumps(request), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            why = done.stderr.strip().rpartition("\n")[2] or "its process was stopped"
            raise self.error(f"the {self.group} pattern {self.text!r} cannot be searched for: {why}")
        answer = json.loads(done.stdout)
        if "slow" in answer:
            name = storable(files[answer["slow"]].relative)
            raise self.error(
                f"the {self.group} pattern {self.text!r} took more than {seconds:.3g} s, up to the file "
                f"{name}",
                hint="a repetition inside a repetition, such as (a+)+, can take for ever: write it without, "
                f"for example '{EXAMPLES[self.group]}'",
            )
        matches = zip(files, answer["matches"], strict=True)
        return {file.path: storable(match) for file, match in matches if match}


def compile_pattern(option: PatternOption, group: str) -> PathPattern | None:
    """The pattern that a flag or a setting gives, or None without one.

    Raises `UsageError` for a flag that cannot be used, `ConfigError` for such a setting.
    """
    text, error = (option.flag, UsageError) if option.flag is not None else (option.setting, ConfigError)
    if not text:
        return None
    hint = f"for example '{EXAMPLES[group]}'"
    try:
        groups = re.compile(text).groupindex
    except (re.error, OverflowError, RecursionError) as reason:
        raise error(
            f"the {group} pattern {text!r} is not a valid regular expression: {reason}", hint=hint
        ) from reason
    if group not in groups:
        raise error(f"the {group} pattern {text!r} has no group called `{group}`", hint=hint)
    return PathPattern(text, group, error)
