"""Regular expressions that users give for the paths of their videos, such as `--speaker-pattern`."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from annotate.corpus.paths import storable
from annotate.errors import AnnotateError, ConfigError, UsageError
from annotate.ingest import match_names as _match_names
from annotate.ingest.files import SourceFile

EXAMPLES = {"speaker": "(?P<speaker>s[0-9]+)_", "episode": "(?P<episode>s[0-9]+e[0-9]+)"}
SECONDS = 2.0
"""Of a processor, for all names together; a sound expression needs some millionths of a second for each."""
NAMES_PER_SECOND = 20_000
"""What is added to `SECONDS` for very many names."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression on the path: an option, which wins, or else a setting."""

    flag: str | None
    setting: str


@dataclass(frozen=True, slots=True)
class PathPattern:
    """An expression that can be searched for; its group of the same name holds what is wanted."""

    text: str
    group: str
    error: type[AnnotateError]
    """Of an option or of a setting."""

    def search(self, files: Sequence[SourceFile]) -> dict[str, str]:
        """What the group holds for each file, by path; files in which it holds nothing are left out.

        Each file is searched in its path below the named folder first, then in its whole path: a folder above
        may match by accident. An expression can backtrack for longer than anybody waits, so a process of its
        own searches, and stops. Then `UsageError`, or `ConfigError` for a setting, names the file.
        """
        seconds = SECONDS + len(files) / NAMES_PER_SECOND
        asked = {
            "pattern": self.text, "group": self.group, "seconds": seconds,
            "names": [[file.relative, file.path] for file in files],
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-I", "-S", _match_names.__file__],
            input=json.dumps(asked), capture_output=True, text=True, check=False,
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
        names = zip(files, answer["found"], strict=True)
        return {file.path: storable(name) for file, name in names if name}


def compiled(pattern: Pattern, group: str) -> PathPattern | None:
    """The expression that an option or a setting gives, None where neither does.

    Raises `UsageError` for an option that cannot be used, `ConfigError` for such a setting.
    """
    text, error = (pattern.flag, UsageError) if pattern.flag is not None else (pattern.setting, ConfigError)
    if not text:
        return None
    hint = f"for example '{EXAMPLES[group]}'"
    try:
        groups = re.compile(text).groupindex
    except (re.error, OverflowError, RecursionError) as reason:
        raise error(f"the {group} pattern {text!r} is no regular expression: {reason}", hint=hint) from reason
    if group not in groups:
        raise error(f"the {group} pattern {text!r} has no group called `{group}`", hint=hint)
    return PathPattern(text, group, error)
