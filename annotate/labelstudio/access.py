"""Checks whether a Label Studio answers and accepts a token."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import httpx

from annotate.errors import LabelStudioError


def is_loopback(url: str) -> bool:
    """Whether `url` stays on this machine."""
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def require_private(url: str) -> None:
    """Raise `LabelStudioError` for plain http to another machine, which would send the token unencrypted."""
    scheme = httpx.URL(url).scheme if "://" in url else ""
    if scheme not in ("http", "https"):
        raise LabelStudioError(
            f"{url!r} is not a URL", hint="labelstudio.url looks like https://labels.example.org"
        )
    if scheme == "http" and not is_loopback(url):
        raise LabelStudioError(
            f"{url} would get the token unencrypted",
            hint="use https://, or a tunnel: ssh -L 8080:127.0.0.1:8080 HOST, and labelstudio.url = http://127.0.0.1:8080",
        )


def authorization(url: str, token: str, timeout: float) -> Mapping[str, str]:
    """The header for a legacy token or a personal access token (a JWT).

    For the latter it is valid for five minutes. Raises `LabelStudioError` when the server cannot be reached
    or refuses the token."""
    if "." not in token:
        return {"Authorization": f"Token {token}"}
    answer = _ask("POST", url, "/api/token/refresh/", timeout, json={"refresh": token})
    return {"Authorization": f"Bearer {answer['access']}"}


def read(url: str, token: str, path: str, timeout: float = 60.0) -> Any:
    """GET a JSON answer.

    Raises `LabelStudioError` when Label Studio cannot be reached, refuses the token or gives an unexpected
    answer.
    """
    require_private(url)
    return _ask("GET", url, path, timeout, headers=authorization(url, token, timeout))


def _ask(method: str, url: str, path: str, timeout: float, **more: Any) -> Any:
    try:
        # A proxy set in the environment cannot reach this machine's loopback interface.
        with httpx.Client(base_url=url, timeout=timeout, trust_env=not is_loopback(url)) as client:
            answer = client.request(method, path, **more)
    except httpx.TimeoutException as error:
        raise LabelStudioError(
            f"{url} did not answer within {timeout:g} s",
            hint="try again, or raise labelstudio.timeout_seconds",
        ) from error
    except httpx.HTTPError as error:
        local = "annotate studio up" if is_loopback(url) else "check labelstudio.url in annotate.toml"
        raise LabelStudioError(f"no Label Studio answers at {url} ({error})", hint=local) from error
    if answer.status_code in (401, 403):
        raise LabelStudioError(
            f"{url} refuses the token ({answer.status_code})",
            hint="set ANNOTATE_LABELSTUDIO__TOKEN to one from Account & Settings > Access Token there",
        )
    if answer.status_code >= 500:
        raise LabelStudioError(f"{url} answered {answer.status_code}", hint="look at its log, then try again")
    try:
        answer.raise_for_status()
        return answer.json()
    except (httpx.HTTPStatusError, ValueError) as error:
        raise LabelStudioError(
            f"the server at {url} is not a Label Studio (status {answer.status_code})",
            hint="check the address",
        ) from error
