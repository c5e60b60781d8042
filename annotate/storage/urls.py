"""Opens fsspec URLs, and explains to the user why one cannot be used."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from annotate.errors import AnnotateError, StorageError

_SCHEME = re.compile(r"(\w+::)*[a-zA-Z][a-zA-Z0-9+.-]*://")
_LOCAL = ("file://", "local://")
_EXTRAS = {"s3": "s3", "s3a": "s3"}
_BAD_BUCKET = ("InvalidBucketName", "NoSuchBucket", "Invalid bucket name")
_CREDENTIALS = "give credentials in the environment (for s3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"


def is_url(address: str) -> bool:
    """Whether `address` is the URL of a store; a path of this machine and a ``file://`` URL are not."""
    return bool(_SCHEME.match(address)) and not address.lower().startswith(_LOCAL)


def local_path(address: str) -> Path:
    """The path that a path or a ``file://`` URL names."""
    if address.lower().startswith(_LOCAL):
        return Path(unquote(urlsplit(address).path))
    return Path(address).expanduser()


def connect(url: str) -> tuple[Any, str]:
    """The file system behind `url`, and the path on it without a trailing slash.

    Credentials and endpoints come from the environment alone. Nothing is sent yet.
    Raises `StorageError` for a URL that cannot be used, or whose driver is not installed.
    """
    parts = urlsplit(url)
    if "::" in url or parts.password:
        why = "holds a password" if parts.password else "chains file systems"
        without_login = re.sub(r"//[^/@]*@", "//...@", url)
        raise StorageError(f"the URL {without_login} {why}", hint=_CREDENTIALS if parts.password else _FORM)
    if not parts.netloc and parts.scheme.lower() in _EXTRAS:
        raise StorageError(f"{url} names no bucket", hint=_FORM)
    if parts.scheme.lower() in ("http", "https", "data"):
        raise StorageError(f"{url} cannot be listed or written", hint="download it first; " + _FORM)
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(parts.scheme.lower())
        install = f"pip install '.[{extra}]'" if extra else str(error)
        raise StorageError(f"{url} needs a package that is not installed", hint=install) from error
    except Exception as error:
        raise StorageError(f"{url} cannot be used: {error}", hint=_FORM) from error
    return fs, str(path).rstrip("/")


_FORM = "a root looks like s3://bucket/prefix; any other fsspec URL whose package is installed will do"


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn whatever a driver raises inside the block into a `StorageError` that names `url`.

    Each driver has exceptions of its own, so all are caught: only calls of the driver belong inside.
    Errors of this program pass through.
    """
    try:
        yield
    except AnnotateError:
        raise
    except Exception as error:
        raise explain_error(url, error) from error


def explain_error(url: str, error: Exception) -> StorageError:
    """The error to show the user for an exception of the driver of `url`."""
    message = str(error).strip() or type(error).__name__
    # The driver shortens the message of the store, which is in the cause.
    whole = f"{message} {error.__cause__}"
    if isinstance(error, FileNotFoundError) or any(name in whole for name in _BAD_BUCKET):
        return StorageError(f"{url} does not exist: {message}", hint="make the bucket, or correct the URL")
    if isinstance(error, PermissionError) or "credentials" in message.lower():
        return StorageError(f"{url} denies access: {message}", hint=_CREDENTIALS)
    return StorageError(
        f"{url} does not answer: {message}",
        hint="check that it is up; for s3, AWS_ENDPOINT_URL says where",
    )
