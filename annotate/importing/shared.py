"""What the readers of tables and of arrays share: the limit on memory, and the error for an unknown name."""

from collections.abc import Sequence
from difflib import get_close_matches

from annotate.errors import CorpusError

DEFAULT_MEMORY_GB = 8.0
"""Memory that reading a corpus may take unless the user sets another limit, in 1e9 bytes."""


def missing_name(kind: str, name: str, known: Sequence[str]) -> CorpusError:
    """The error for a column or an array (`kind`) that does not exist; its hint lists similar names."""
    similar = [k for k in known if k.casefold() == name.casefold()]
    similar += get_close_matches(name, known, n=3, cutoff=0.5)
    listed = " or ".join(repr(k) for k in dict.fromkeys(similar))
    return CorpusError(
        f"there is no {kind} {name!r}",
        hint=f"did you mean {listed}?" if listed else f"known: {', '.join(known) or 'none'}",
    )
