"""The form in which the database stores paths of files."""

import hashlib

LONGEST_PATH = 2_000
"""Longest path, in bytes, that is stored whole; an index of Postgres holds at most about 2,700 bytes."""


def storable(path: str) -> str:
    """`path` with lone surrogates escaped, which databases and terminals refuse; unequal paths stay
    unequal."""
    return path.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()


def path_key(path: str) -> str:
    """`path` in storable form; if it is too long for an index, its end is replaced by a hash."""
    whole = storable(path).encode()
    if len(whole) <= LONGEST_PATH:
        return whole.decode()
    digest = hashlib.sha256(whole).hexdigest()
    return f"{whole[: LONGEST_PATH - 70].decode(errors='ignore')}...{digest}"
