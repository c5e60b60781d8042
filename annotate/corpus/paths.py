"""Paths of files as the database keeps them."""

import hashlib

LONGEST_PATH = 2_000
"""Bytes of a path that the database keeps whole: Postgres takes no more than about 2,700 into an index."""


def storable(path: str) -> str:
    """`path` without lone surrogates, which no database and no terminal takes; unequal paths stay unequal."""
    return path.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()


def path_key(path: str) -> str:
    """`path` as the database keeps it: storable, and one that is too long for an index ends with its hash."""
    whole = storable(path).encode()
    if len(whole) <= LONGEST_PATH:
        return whole.decode()
    digest = hashlib.sha256(whole).hexdigest()
    return f"{whole[: LONGEST_PATH - 70].decode(errors='ignore')}...{digest}"
