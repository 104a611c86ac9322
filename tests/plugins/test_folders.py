"""In which of the plugin folders a version stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.plugins import Standing
from domain.routing import PluginVersion
from plugins.core.folders import PluginFolders

VERSION = PluginVersion(plugin="calculator", version="1.0.0", digest="a" * 64)
NEXT = PluginVersion(plugin="calculator", version="1.1.0", digest="b" * 64)


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_version_stands_nowhere_before_it_is_put_somewhere(tmp_path: Path) -> None:
    folders = PluginFolders(tmp_path)
    assert folders.standing_of(VERSION) is None
    assert [folders.versions(standing) for standing in Standing] == [[], [], []]


def test_a_version_stands_in_one_folder_only(tmp_path: Path) -> None:
    folders = PluginFolders(tmp_path)
    for move, standing in (
        (folders.experiment, Standing.EXPERIMENTAL),
        (folders.install, Standing.INSTALLED),
        (folders.deprecate, Standing.DEPRECATED),
        (folders.install, Standing.INSTALLED),
    ):
        move(VERSION)
        assert folders.standing_of(VERSION) is standing
        assert [one for one in Standing if folders.versions(one)] == [standing]
        assert folders.versions(standing) == [VERSION]


def test_repeating_a_change_changes_nothing(tmp_path: Path) -> None:
    folders = PluginFolders(tmp_path)
    folders.install(VERSION)
    before = files(tmp_path)
    folders.install(VERSION)
    assert files(tmp_path) == before == [f"installed/calculator-1.0.0-{'a' * 12}.json"]


def test_installing_another_version_leaves_the_first_where_it_stands(tmp_path: Path) -> None:
    folders = PluginFolders(tmp_path)
    folders.install(VERSION)
    folders.install(NEXT)
    assert folders.versions(Standing.INSTALLED) == [VERSION, NEXT]


def test_two_packages_of_one_version_number_stand_apart(tmp_path: Path) -> None:
    folders = PluginFolders(tmp_path)
    rebuilt = VERSION.model_copy(update={"digest": "c" * 64})
    folders.install(VERSION)
    folders.experiment(rebuilt)
    assert folders.standing_of(VERSION) is Standing.INSTALLED
    assert folders.standing_of(rebuilt) is Standing.EXPERIMENTAL


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b'{"plugin": "calculator"}', b"[]"])
def test_a_damaged_pointer_is_left_out_and_mended_by_the_next_change(tmp_path: Path, damage: bytes) -> None:
    folders = PluginFolders(tmp_path)
    folders.install(VERSION)
    folders.install(NEXT)
    (tmp_path / files(tmp_path)[0]).write_bytes(damage)
    assert folders.versions(Standing.INSTALLED) == [NEXT]
    folders.install(VERSION)
    assert folders.versions(Standing.INSTALLED) == [VERSION, NEXT]


def test_a_change_that_was_cut_off_is_completed_when_it_is_repeated(tmp_path: Path) -> None:
    folders = PluginFolders(tmp_path)
    folders.install(VERSION)
    pointer = tmp_path / files(tmp_path)[0]
    (tmp_path / "deprecated").mkdir()
    (tmp_path / "deprecated" / pointer.name).write_bytes(pointer.read_bytes())
    folders.deprecate(VERSION)
    assert files(tmp_path) == [f"deprecated/{pointer.name}"]


def test_the_folders_outlive_the_object(tmp_path: Path) -> None:
    PluginFolders(tmp_path).experiment(VERSION)
    assert PluginFolders(tmp_path).standing_of(VERSION) is Standing.EXPERIMENTAL
