"""Signs up and logs in as a browser does, to get tokens for scripted raters."""

import re

import httpx

from annotate.errors import LabelStudioError
from annotate.labelstudio.access import authorization, is_loopback

TIMEOUT_SECONDS = 60.0


def add_rater(url: str, token: str, email: str, password: str) -> str:
    """Sign up a new rater through the invitation link; returns the rater's own token.

    `token` is that of a member. A rater with an account is logged in instead. Raises `LabelStudioError` when
    the server refuses.
    """
    with _browser(url) as browser:
        invite = browser.get("/api/invite", headers=authorization(url, token, TIMEOUT_SECONDS))
        if invite.status_code != 200:
            raise LabelStudioError(
                f"{url} gives no invitation link: {invite.status_code}", hint="check the token"
            )
        _post_form(browser, invite.json()["invite_url"], email, password)
        signed_up = _own_token(browser)
    return signed_up or log_in(url, email, password)


def log_in(url: str, email: str, password: str) -> str:
    """The token of the user with this login.

    Raises `LabelStudioError` for a wrong email address or password.
    """
    with _browser(url) as browser:
        _post_form(browser, "/user/login/", email, password)
        token = _own_token(browser)
    if token is None:
        raise LabelStudioError(f"{url} does not let {email} in", hint="check email and password")
    return token


def _browser(url: str) -> httpx.Client:
    return httpx.Client(
        base_url=url, timeout=TIMEOUT_SECONDS, follow_redirects=True, trust_env=not is_loopback(url)
    )


def _post_form(browser: httpx.Client, path: str, email: str, password: str) -> None:
    page = browser.get(path)
    hidden = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    fields = {"email": email, "password": password, "csrfmiddlewaretoken": hidden.group(1) if hidden else ""}
    answer = browser.post(str(page.url), data=fields, headers={"Referer": str(page.url)})
    if answer.status_code >= 500:
        raise LabelStudioError(f"{page.url} answered {answer.status_code}", hint="look at Label Studio's log")


def _own_token(browser: httpx.Client) -> str | None:
    """The session's token; None if the login failed, since a wrong password only shows the page again."""
    answer = browser.get("/api/current-user/token")
    return str(answer.json()["token"]) if answer.status_code == 200 else None
