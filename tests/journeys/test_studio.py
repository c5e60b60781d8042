"""A Label Studio of the project's own: started, used, stopped, and every way in which that goes wrong."""

import json
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from annotate.errors import LabelStudioError, UsageError
from annotate.labelling import connection as _studio
from annotate.labelstudio import access, install, raters, server
from annotate.labelstudio.credentials import (
    Credentials,
    credentials_file,
    read_credentials,
    save_credentials,
)
from annotate.labelstudio.install import Installation
from annotate.labelstudio.interface import labeling_config
from annotate.labelstudio.server import Running, StudioFolder
from annotate.project import Project
from annotate.steps import studio
from annotate.types import Modality
from tests.conftest import ROOT, MakeProject, RunAnnotate
from tests.support.studio import LabelStudio, free_port


@contextmanager
def answering(status: int, body: bytes = b"{}", seconds: float = 0) -> Iterator[str]:
    """A server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(seconds)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def fake_program(folder: Path, script: str) -> Installation:
    """An installation whose `label-studio` is a shell script."""
    program = Installation(folder)
    program.executable.parent.mkdir(parents=True)
    program.executable.write_text(f"#!/bin/sh\n{script}\n")
    program.executable.chmod(0o755)
    program.template.touch()
    return program


def with_url(monkeypatch: pytest.MonkeyPatch, project: Project, url: str, token: str = "") -> Project:
    monkeypatch.setenv("ANNOTATE_LABELSTUDIO__URL", url)
    monkeypatch.setenv("ANNOTATE_LABELSTUDIO__TOKEN", token)
    monkeypatch.setenv("ANNOTATE_LABELSTUDIO__TIMEOUT_SECONDS", "0.3")
    return Project.open(project.root)


# What answers, or does not


def test_a_project_whose_studio_does_not_run_says_what_to_type(project: Project) -> None:
    with pytest.raises(LabelStudioError, match="not running") as caught:
        _studio.connect(project)
    assert caught.value.hint == "annotate studio up"


@pytest.mark.parametrize(
    ("status", "body", "seconds", "said"),
    [
        (401, b"{}", 0, "refuses the token"),
        (403, b"{}", 0, "refuses the token"),
        (500, b"oh", 0, "answered 500"),
        (200, b"<html>", 0, "is not a Label Studio"),
        (404, b"{}", 0, "is not a Label Studio"),
        (200, b"{}", 1, "did not answer within"),
    ],
)
def test_a_server_that_does_not_serve_is_named_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, project: Project, status: int, body: bytes, seconds: float, said: str
) -> None:
    with answering(status, body, seconds) as url:
        remote = with_url(monkeypatch, project, url, token="f" * 40)
        with pytest.raises(LabelStudioError, match=said) as caught:
            _studio.connect(remote)
    assert caught.value.hint
    assert "f" * 40 not in str(caught.value) + caught.value.hint


def test_nothing_at_the_address_is_said_so(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    remote = with_url(monkeypatch, project, f"http://127.0.0.1:{free_port()}", token="f" * 40)
    with pytest.raises(LabelStudioError, match="no Label Studio answers at"):
        _studio.connect(remote)


def test_a_token_never_travels_unencrypted(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    remote = with_url(monkeypatch, project, "http://labels.example.org", token="f" * 40)
    with pytest.raises(LabelStudioError, match="unencrypted") as caught:
        _studio.connect(remote)
    assert "https" in caught.value.hint


@pytest.mark.parametrize("url", ["https://labels.example.org", "http://127.0.0.1:80", "http://localhost"])
def test_encrypted_and_loopback_addresses_are_private(url: str) -> None:
    access.require_private(url)


def test_another_server_without_a_token_asks_for_one(
    monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    remote = with_url(monkeypatch, project, "https://labels.example.org")
    with pytest.raises(LabelStudioError) as caught:
        _studio.connect(remote)
    assert "ANNOTATE_LABELSTUDIO__TOKEN" in caught.value.hint


def test_a_project_with_another_server_starts_none(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    with pytest.raises(UsageError, match=re.escape("https://labels.example.org")):
        studio.up(with_url(monkeypatch, project, "https://labels.example.org"))


# Starting and stopping goes wrong


def test_a_taken_port_is_an_error_with_a_free_one(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LabelStudioError, match=f"port {port} cannot be used") as caught:
            program = fake_program(tmp_path / "program", "true")
            server.start(StudioFolder(tmp_path / "s"), tmp_path / "m", port, Credentials.new(), program)
    assert re.fullmatch(r"annotate studio up --port \d+", caught.value.hint)


def test_a_crash_while_starting_shows_the_end_of_the_log(tmp_path: Path) -> None:
    folder = StudioFolder(tmp_path / "studio")
    program = fake_program(tmp_path / "program", "echo no such module; exit 3")
    with pytest.raises(LabelStudioError, match="no such module") as caught:
        server.start(folder, tmp_path / "media", free_port(), Credentials.new(), program)
    assert str(folder.log) in caught.value.hint
    assert folder.running() is None


def test_an_interrupted_start_leaves_no_process(tmp_path: Path) -> None:
    folder = StudioFolder(tmp_path / "studio")
    program = fake_program(tmp_path / "program", f"echo $$ > {tmp_path}/pid; sleep 60 & sleep 60")

    def interrupt(seconds: float) -> None:
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.start(folder, tmp_path / "media", free_port(), Credentials.new(), program, interrupt)
    assert folder.running() is None
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_process_that_only_got_the_same_number_is_left_alone(project: Project) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        project.studio.mkdir()
        note = {"pid": other.pid, "born": "another boot:12345", "port": 8080}
        StudioFolder(project.studio).note.write_text(json.dumps(note))
        assert StudioFolder(project.studio).running() is None
        server.stop(Running(**note))
        assert not studio.down(project).running
        assert other.poll() is None
        other.kill()


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")
@pytest.mark.parametrize("deleted", [False, True])
def test_a_server_without_its_note_is_known_by_the_folder_it_works_in(tmp_path: Path, deleted: bool) -> None:
    folder = StudioFolder(tmp_path / "studio")
    folder.path.mkdir()
    assert folder.running() is None
    command = [sys.executable, "-c", "import time; time.sleep(60)", "--port", "8099"]
    with subprocess.Popen(command, cwd=folder.path, start_new_session=True) as process:
        try:
            if deleted:
                folder.path.rmdir()
            running = folder.running()
            assert running is not None and (running.pid, running.port) == (process.pid, 8099)
        finally:
            process.kill()
    assert folder.running() is None


def test_stopping_what_does_not_run_is_no_error(project: Project) -> None:
    assert not studio.down(project).running
    assert not studio.status(project).running


# Installing goes wrong


def test_a_failed_installation_says_why_and_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANNOTATE_CACHE", str(tmp_path))
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(LabelStudioError, match="No matching distribution") as caught:
        install.ensure_installed()
    assert "network" in caught.value.hint
    assert not install.installation().complete


def test_a_cache_that_cannot_be_written_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANNOTATE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(LabelStudioError) as caught:
        install.ensure_installed()
    assert "ANNOTATE_CACHE" in caught.value.hint


def test_label_studio_sees_no_bare_names_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "DEBUG", "USERNAME", "LABEL_STUDIO_PORT", "PYTHONPATH", "DJANGO_DB"):
        monkeypatch.setenv(name, "1")
    assert not {"HOST", "PORT", "DEBUG", "USERNAME", "LABEL_STUDIO_PORT", "PYTHONPATH", "DJANGO_DB"} & set(
        install.server_environment(Path("/data"))
    )


# The login


def test_the_login_lies_outside_the_project_for_its_owner_only(project: Project) -> None:
    made = Credentials.new()
    path = save_credentials(project.root, made)
    assert read_credentials(project.root) == made
    assert project.root not in path.parents
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert made.password not in repr(made) and made.token not in repr(made)


def test_a_login_that_others_can_read_is_refused(project: Project) -> None:
    path = save_credentials(project.root, Credentials.new())
    path.chmod(0o644)
    with pytest.raises(LabelStudioError, match="others can read") as caught:
        read_credentials(project.root)
    assert caught.value.hint == f"chmod 600 '{path}'"


def test_a_damaged_login_says_what_to_delete(project: Project) -> None:
    path = save_credentials(project.root, Credentials.new())
    path.write_text("{")
    with pytest.raises(LabelStudioError) as caught:
        read_credentials(project.root)
    assert str(path) in caught.value.hint


# The real one


@pytest.fixture
def local(label_studio: LabelStudio, monkeypatch: pytest.MonkeyPatch, project: Project) -> Iterator[Project]:
    """A project that uses the installation of the tests; its own server is stopped afterwards."""
    monkeypatch.setenv("ANNOTATE_CACHE", str(label_studio.cache))
    yield project
    studio.down(project)


@pytest.mark.studio
def test_a_studio_goes_up_once_and_down_and_up_again_with_its_data(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    first = studio.up(local, port=free_port())
    again = studio.up(local, port=free_port())
    assert again.pid == first.pid and again.url == first.url
    assert studio.status(local).login == first.login
    url, token = _studio.address(local)
    with httpx.Client(base_url=url, headers={"Authorization": f"Token {token}"}, trust_env=False) as http:
        http.post("/api/projects", json={"title": "kept"}).raise_for_status()

    assert not studio.down(local).running
    assert not server.healthy(url)
    back = studio.up(local, port=free_port())
    assert [p["title"] for p in back.projects] == ["kept"]


@pytest.mark.studio
def test_a_start_that_was_killed_is_taken_up_by_the_next(local: Project) -> None:
    command = [sys.executable, ROOT / "cli.py", "studio", "up", "--port", str(free_port())]
    with subprocess.Popen(command, cwd=local.root, stderr=subprocess.DEVNULL) as start:
        while (begun := StudioFolder(local.studio).running()) is None:
            assert start.poll() is None
            time.sleep(0.01)
        start.kill()
    report = studio.up(local)
    assert report.pid == begun.pid
    assert report.url == begun.url


@pytest.mark.studio
def test_a_studio_whose_data_were_deleted_under_it_is_started_anew(local: Project) -> None:
    port = free_port()
    first = studio.up(local, port=port)
    shutil.rmtree(local.studio)
    again = studio.up(local, port=port)
    assert again.running and again.pid != first.pid and again.projects == ()
    assert _studio.address(local)[0] == again.url


@pytest.mark.studio
def test_a_lost_login_is_replaced_and_nothing_else_is_lost(local: Project) -> None:
    before = studio.up(local, port=free_port())
    url, old = _studio.address(local)
    httpx.post(
        f"{url}/api/projects", json={"title": "kept"}, headers=access.authorization(url, old, 9)
    ).raise_for_status()
    credentials_file(local.root).unlink()
    with pytest.raises(LabelStudioError, match="is lost") as caught:
        _studio.address(local)
    assert "studio down" in caught.value.hint

    after = studio.up(local, port=free_port())
    assert after.password != before.password
    assert [p["title"] for p in after.projects] == ["kept"]
    assert raters.log_in(after.url, after.login, after.password) == _studio.address(local)[1]
    with pytest.raises(LabelStudioError, match="does not let"):
        raters.log_in(after.url, before.login, before.password)


@pytest.mark.studio
def test_a_clip_can_be_sought_in_and_nothing_outside_the_passes_is_served(
    label_studio: LabelStudio, make_project: MakeProject
) -> None:
    """The shared server's documents are all folders of the tests; a storage opens one pass of one project."""
    project = make_project()
    clip = project.media / "M" / "ab" / "clip.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(bytes(range(256)) * 40)
    for name, target in (("file.mp4", project.root / "annotate.toml"), ("inside.mp4", clip)):
        (clip.parent / name).symlink_to(target)
    (project.media / "M" / "cd").symlink_to(project.root)
    (project.media / "M" / "ef").symlink_to(clip.parent)
    documents = label_studio.documents
    headers = {"Authorization": f"Token {label_studio.token}"}
    with httpx.Client(base_url=label_studio.url, headers=headers, trust_env=False) as http:
        made = http.post("/api/projects", json={"title": "serving"}).json()["id"]
        storage = {"project": made, "path": str(project.media / "M"), "title": "M"}
        http.post("/api/storages/localfiles", json=storage).raise_for_status()

        where = "/data/local-files/?d="
        part = http.get(f"{where}{clip.relative_to(documents)}", headers={"Range": "bytes=256-511"})
        assert part.status_code == 206
        assert part.content == bytes(range(256))
        assert part.headers["content-range"] == "bytes 256-511/10240"
        assert http.get(f"{where}{(project.root / 'annotate.db').relative_to(documents)}").status_code == 404
        assert http.get(f"{where}../../etc/passwd").status_code >= 400
        for name in ("ab/file.mp4", "ab/inside.mp4", "cd/annotate.toml", "ef/clip.mp4", "ab/../ef/clip.mp4"):
            path = f"{(project.media / 'M').relative_to(documents)}/{name}"
            assert http.get(f"{where}{path}").status_code == 404, name
            assert http.get(f"/elsewhere{where}{path}").status_code == 404, name
    nobody = httpx.get(f"{label_studio.url}{where}{clip.relative_to(documents)}", trust_env=False)
    assert nobody.status_code in (302, 401)


@pytest.mark.studio
def test_label_studio_takes_every_page(label_studio: LabelStudio, project: Project) -> None:
    headers = {"Authorization": f"Token {label_studio.token}"}
    for modality in Modality:
        page = labeling_config(modality, project.settings.dimension_list())
        sent = {"title": f"page {modality.word}", "label_config": page}
        made = httpx.post(f"{label_studio.url}/api/projects", json=sent, headers=headers, trust_env=False)
        assert made.status_code == 201, made.text


@pytest.mark.studio
def test_a_rater_signs_up_by_invitation_only(label_studio: LabelStudio) -> None:
    email, token = label_studio.add_rater()
    assert token != label_studio.token
    assert access.read(label_studio.url, token, "/api/current-user/whoami")["email"] == email
    assert label_studio.add_rater(email)[1] == token

    with httpx.Client(base_url=label_studio.url, trust_env=False) as http:
        http.get("/user/signup/")
        form = {"email": "uninvited@example.org", "password": "a long enough password"}
        form["csrfmiddlewaretoken"] = http.cookies["csrftoken"]
        assert http.post("/user/signup/", data=form).status_code == 403
        assert http.get("/api/current-user/whoami").status_code == 401


@pytest.mark.studio
def test_a_wrong_token_is_refused_with_a_way_out(
    label_studio: LabelStudio, monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    remote = with_url(monkeypatch, project, label_studio.url, token="0" * 40)
    with pytest.raises(LabelStudioError, match="refuses the token") as caught:
        _studio.connect(remote)
    assert "ANNOTATE_LABELSTUDIO__TOKEN" in caught.value.hint


@pytest.mark.studio
def test_the_command_line_never_shows_the_token(
    label_studio: LabelStudio, local: Project, annotate_process: RunAnnotate
) -> None:
    up = annotate_process("studio", "up", "--port", str(free_port()), "--json", cwd=local.root)
    assert up.returncode == 0, up.stderr
    report = json.loads(up.stdout)
    assert report["running"] and report["password"]
    token = _studio.address(local)[1]
    shown = annotate_process("studio", "status", cwd=local.root)
    assert report["url"] in shown.stdout and report["password"] in shown.stdout
    assert token not in up.stdout + up.stderr + shown.stdout + shown.stderr
    assert annotate_process("studio", "down", cwd=local.root).returncode == 0
    assert not server.healthy(report["url"])
