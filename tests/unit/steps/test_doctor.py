"""`annotate doctor` finds what is wrong and says what to type."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from annotate.doctor import installation, storage, studio
from annotate.doctor.findings import Finding, State
from annotate.labelstudio.security import security_problems
from annotate.project import Project
from annotate.steps import doctor as step
from annotate.steps.doctor import doctor
from db.engine import writing
from db.models import Label
from tests.conftest import RunAnnotate
from tests.support.factories import add_sample, add_video


def states(project: Project | None) -> dict[str, str]:
    return {row["check"]: row["state"] for row in doctor(project).checks}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 6, 23), State.OK), ((3, 7, 0), State.WARN), ((3, 40, 1), State.WARN), ((3, 44, 5), State.WARN),
        ((3, 44, 6), State.OK), ((3, 45, 0), State.WARN), ((3, 50, 6), State.WARN), ((3, 50, 7), State.OK),
        ((3, 51, 2), State.WARN), ((3, 51, 3), State.OK), ((3, 52, 0), State.WARN), ((3, 53, 0), State.OK),
    ],
)  # fmt: skip
def test_a_sqlite_with_the_wal_reset_bug_is_told(version: tuple[int, ...], expected: State) -> None:
    assert installation.sqlite(version).state is expected


def test_a_foreign_owner_of_our_package_names_is_named() -> None:
    finding = installation.packages({"db": ["other-tool", "annotate-clips"], "cli": ["annotate_clips"]})
    assert finding.state is State.FAIL
    assert finding.detail == "db also belongs to other-tool"
    assert "pipx" in finding.do


def test_a_scikit_learn_with_which_modals_teach_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import modAL.models.learners

    def refused(*_: object, **__: object) -> None:
        raise TypeError("unexpected keyword argument")

    monkeypatch.setattr(modAL.models.learners, "check_X_y", refused)
    finding = installation.scikit_learn()
    assert finding.state is State.WARN
    assert "`teach` fails: unexpected keyword argument" in finding.detail
    assert "scikit-learn<" in finding.do


def test_a_part_that_cannot_be_loaded_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding:
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(step, "INSTALLATION", {"face detector": broken})
    report = doctor(None)
    assert not report.healthy
    assert "libGL" in report.checks[0]["detail"]


def test_what_belongs_to_another_user_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Finding:
        raise PermissionError(13, "Permission denied", "/corpus/.annotate.lock")

    monkeypatch.setattr(step, "INSTALLATION", {"writer lock": refused})
    assert doctor(None).checks[0]["do"] == "see who owns /corpus/.annotate.lock"


def test_this_installation_is_healthy_without_a_project() -> None:
    report = doctor(None)
    assert report.healthy, report.checks
    assert {"ffmpeg", "codecs", "speech detector", "gpu", "disk"} <= {row["check"] for row in report.checks}


def test_a_fresh_project_is_healthy_on_either_database(
    each_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "INSTALLATION", {})
    found = states(each_project)
    assert set(found.values()) == {"ok"}, found


def test_a_full_disk_fails_and_a_filling_one_warns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for free, expected in ((10**6, State.FAIL), (10**9, State.WARN), (10**11, State.OK)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(storage.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert storage.disk(tmp_path).state is expected


def test_a_database_of_another_version_fails_with_the_way_out(
    project: Project, annotate: RunAnnotate
) -> None:
    with project.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    done = annotate("doctor", cwd=project.root)
    assert done.returncode == 1
    assert "newer" in done.stdout


def test_another_writing_command_is_only_a_warning(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "INSTALLATION", {})
    monkeypatch.setattr(step, "PROJECT", {"writer lock": storage.lock})
    done, held = threading.Event(), threading.Event()

    def hold() -> None:
        with Project(project.root, project.settings).writing():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        report = doctor(project)
    finally:
        done.set()
        thread.join()
    assert report.healthy
    assert {row["check"]: row["state"] for row in report.checks}["writer lock"] == "warn"


def test_a_password_that_others_can_read_fails(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotate.labelstudio.credentials import Credentials, save_credentials

    monkeypatch.setenv("ANNOTATE_STATE", str(tmp_path / "state"))
    path = save_credentials(project.root, Credentials.new())
    assert studio.login(project).state is State.OK
    path.chmod(0o644)
    monkeypatch.setattr(step, "INSTALLATION", {})
    report = doctor(project)
    row = next(row for row in report.checks if row["check"] == "login")
    assert not report.healthy
    assert row["do"] == f"chmod 600 '{path}'"


Fake = Callable[..., str]


@pytest.fixture
def fake_studio() -> Iterator[Fake]:
    """Make a server that answers as Label Studio does: its release, and whether strangers can sign up."""
    servers: list[HTTPServer] = []

    def make(release: str, open_sign_up: bool, host: str = "127.0.0.1") -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(200, f'{{"release": "{release}"}}' if "version" in self.path else "<form>")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(200 if open_sign_up else 403, "")

            def answer(self, status: int, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer((host, 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_safe_label_studio_gives_no_warning(fake_studio: Fake) -> None:
    assert security_problems(fake_studio("1.23.2", open_sign_up=False), "token") == []


def test_an_old_label_studio_with_open_sign_up_gives_both_warnings(fake_studio: Fake) -> None:
    told = [what for what, _ in security_problems(fake_studio("1.9.0", open_sign_up=True), "token")]
    assert len(told) == 2
    assert "1.9.0" in told[0]
    assert "sign up" in told[1]


def test_a_label_studio_that_other_machines_reach_is_told(fake_studio: Fake) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        if probe.getsockname()[0].startswith("127."):
            pytest.skip("this machine has no address but loopback")
    told = security_problems(fake_studio("1.23.2", open_sign_up=False, host=""), "token")
    assert told == [("other machines can reach it", "start it with --internal-host 127.0.0.1")]


def test_a_label_studio_that_is_down_fails_with_the_way_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATE_LABELSTUDIO__URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANNOTATE_LABELSTUDIO__TOKEN", "0" * 40)
    monkeypatch.setattr(step, "INSTALLATION", {})
    other = Project.open(project.root)
    rows = {row["check"]: row for row in doctor(other).checks}
    other.engine.dispose()
    assert rows["label studio"]["state"] == "fail"
    assert rows["label studio"]["do"]


def label_finding(project: Project) -> Mapping[str, str]:
    return next(check for check in doctor(project).checks if check["check"] == "labels")


def test_labels_that_the_annotations_do_not_make_are_told(each_project: Project) -> None:
    project = each_project
    assert label_finding(project)["state"] == State.OK
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "talk"))
        session.add(Label(
            sample_id=sample.id, task_id="sentiment.T", origin="human", number=1.0, category=None,
            distribution={"1": 1.0}, confidence=1.0, raters=1,
        ))  # fmt: skip
        sample_id = sample.id
    told = label_finding(project)
    assert told["state"] == State.FAIL and sample_id in told["detail"]
    assert "annotate pull --full" in told["do"]
