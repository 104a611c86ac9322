"""Spec 10.1, Windows service - decides what of the service can be known without Windows.

Not here: the service control manager itself, which only Windows has.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from worker.windows_service import COMMANDS, main, parse, service_arguments, worker_command, worker_environment


@pytest.mark.skipif(sys.platform == "win32", reason="says what happens elsewhere than on Windows")
@pytest.mark.parametrize("command", COMMANDS)
def test_elsewhere_every_command_says_that_it_is_for_windows(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2
    assert "systemd" in capsys.readouterr().err


def test_the_file_runs_by_its_path_from_any_folder_as_windows_starts_it(tmp_path: Path) -> None:
    file = service_arguments(tmp_path).split('"')[1]
    answer = subprocess.run([sys.executable, file, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    assert "install" in answer.stdout


def test_a_home_with_spaces_comes_back_whole_from_the_services_command_line() -> None:
    home = Path("C:/Program Data/the loop")
    arguments = service_arguments(home)

    assert arguments.endswith(f'run --home "{home}"')
    assert parse(["run", "--home", str(home)]).home == home


def test_the_child_is_the_worker_with_the_home_of_the_installation() -> None:
    assert worker_command() == [sys.executable, "-m", "worker.cli", "worker"]
    assert worker_environment(Path("/srv/loop"))["UPGRADE_LOOP_HOME"] == str(Path("/srv/loop"))
