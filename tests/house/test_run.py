"""Spec 10.1, way in - decides whether `run.py` makes a whole environment once, for whoever comes first.

Rules:
- The real thing runs: a virtual environment, pip, and a package, in a project that needs nothing from outside.

Not here: what the commands do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import run

WHEEL = "tiny_dependency-1.0-py3-none-any.whl"


def make_wheel(folder: Path) -> Path:
    """Write a package that pip installs without asking anybody."""
    path = folder / WHEEL
    info = "tiny_dependency-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_dependency.py", "VALUE = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-dependency\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with one dependency and a command line that tells; its path has letters of two alphabets."""
    root = tmp_path / "a pr\u00f6ject \u0434"
    (root / "worker").mkdir(parents=True)
    wheel = make_wheel(tmp_path)
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "x"\nversion = "1"\ndependencies = []\n'
        f'[dependency-groups]\ndev = [{{include-group = "more"}}]\nmore = ["tiny-dependency @ {wheel.as_uri()}"]\n',
        encoding="utf-8",
    )
    (root / "constraints.txt").write_text("tiny-dependency==1.0\n", encoding="utf-8")
    (root / "worker" / "__init__.py").touch()
    (root / "worker" / "cli.py").write_text(
        "import sys, tiny_dependency\nprint(tiny_dependency.VALUE, sys.argv[1:])\nsys.exit(7)\n", encoding="utf-8"
    )
    shutil.copy(run.__file__, root / "run.py")
    return root


def start(root: Path, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `python run.py`, without uv, so that the plain way is tried."""
    bare = {**os.environ, "PATH": os.pathsep.join(["/usr/bin", "/bin"])} if sys.platform != "win32" else None
    command = [sys.executable, str(root / "run.py"), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd or root, env=bare
    )


def test_two_first_starts_make_one_environment_and_both_commands_run(project: Path, tmp_path: Path) -> None:
    both = [start(project, "demo", "--flag", cwd=tmp_path), start(project, "other")]
    said = [process.communicate(timeout=120) for process in both]

    assert [process.returncode for process in both] == [7, 7], said
    assert said[0][0] == "42 ['demo', '--flag']\n"
    assert said[1][0] == "42 ['other']\n"
    assert sum("the environment is ready after" in err for _, err in said) == 1

    again = start(project, "again")
    out, err = again.communicate(timeout=60)
    assert (again.returncode, out, err) == (7, "42 ['again']\n", "")

    shortcut = run.python_of(project / ".venv").parent / (
        "upgrade-loop.cmd" if sys.platform == "win32" else "upgrade-loop"
    )
    answer = subprocess.run([str(shortcut), "a b"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (answer.returncode, answer.stdout) == (7, "42 ['a b']\n")


def test_an_environment_without_its_last_mark_is_not_taken_for_whole(tmp_path: Path) -> None:
    environment = tmp_path / ".venv"
    python = run.python_of(environment)
    python.parent.mkdir(parents=True)
    python.touch()

    assert not run.is_whole(environment, "abc")
    run.write_mark(environment, run.UNFINISHED)
    assert not run.is_whole(environment, "abc")
    run.write_mark(environment, "abc")
    assert run.is_whole(environment, "abc")
    python.unlink()
    assert not run.is_whole(environment, "abc")


def test_what_was_cut_short_is_cleared_but_another_programs_environment_is_not(tmp_path: Path) -> None:
    environment = tmp_path / ".venv"
    (environment / "lib").mkdir(parents=True)
    (environment / "lib" / "half").touch()

    assert run.claim(environment), "no mark: somebody else's"
    assert (environment / "lib" / "half").exists()

    run.write_mark(environment, run.UNFINISHED)
    assert not run.claim(environment)
    assert [entry.name for entry in environment.iterdir()] == [run.MARK]
    assert run.read_mark(environment) == run.UNFINISHED


def test_a_changed_dependency_or_pin_asks_for_a_new_environment(tmp_path: Path) -> None:
    seen = set()
    for name, text in (("pyproject.toml", "a"), ("constraints.txt", ""), ("constraints.txt", "b")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        seen.add(run.fingerprint(tmp_path))

    assert len(seen) == 3


def test_a_failed_installation_says_why_and_leaves_no_mark(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n", encoding="utf-8")

    process = start(project, "demo")
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "pyproject.toml cannot be read" in err
    assert "Traceback" not in err
    assert not run.read_mark(project / ".venv")


def test_an_old_python_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "OLDEST", (99, 0))

    assert run.main(["demo"]) == 2
    assert capsys.readouterr().err.startswith("run.py: Python 99.0 or newer is needed; this is ")


@pytest.mark.parametrize("given", [["-n", "0"], ["-n4"], ["--numprocesses=1"], ["--pdb"], ["-p", "no:xdist"]])
def test_the_caller_may_choose_the_number_of_test_processes(given: list[str]) -> None:
    assert run.with_workers(given) == given


def test_tests_run_in_two_processes_when_nobody_says_otherwise() -> None:
    assert run.with_workers(["tests/house", "-k", "x"]) == ["-n", "2", "tests/house", "-k", "x"]
