"""What a registry offers, whatever became of its index."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from domain.errors import NotFound
from plugins.core.packages import read_package
from plugins.core.registry import PluginRegistry
from tests.plugins.factories import ADD_CODE, a_manifest, a_tool, write_package


def offer(root: Path, version: str, name: str = "calculator", code: str = ADD_CODE) -> Path:
    """Put a package on offer."""
    return write_package(root / "packages" / name / version, a_manifest(name=name, version=version), code)


def ids(root: Path) -> list[str]:
    return [package.id for package in PluginRegistry(root).entries()]


def test_an_empty_or_missing_registry_offers_nothing(tmp_path: Path) -> None:
    assert ids(tmp_path / "nowhere") == []
    assert not (tmp_path / "nowhere").exists()


def test_packages_are_offered_by_name_the_newest_version_first(tmp_path: Path) -> None:
    for name, version in (("b", "1.9.0"), ("a", "1.0.0"), ("b", "1.10.0"), ("b", "1.10.0-rc.1"), ("b", "1.2.0")):
        offer(tmp_path, version, name)
    assert ids(tmp_path) == ["a@1.0.0", "b@1.10.0", "b@1.10.0-rc.1", "b@1.9.0", "b@1.2.0"]


def test_candidates_are_those_that_provide_the_capability(tmp_path: Path) -> None:
    offer(tmp_path, "1.0.0")
    words = a_manifest(a_tool("count"), name="writer")
    words["provided_interfaces"][0]["name"] = "words"
    write_package(tmp_path / "packages" / "writer" / "1.0.0", words)
    registry = PluginRegistry(tmp_path)
    assert [package.id for package in registry.candidates("words")] == ["writer@1.0.0"]
    assert [package.id for package in registry.candidates("numbers")] == ["calculator@1.0.0"]
    assert registry.candidates("nothing") == []


def test_the_folder_of_a_package_on_offer_holds_that_package(tmp_path: Path) -> None:
    folder = offer(tmp_path, "1.0.0")
    registry = PluginRegistry(tmp_path)
    package = registry.entries()[0]
    assert registry.folder_of(package) == folder
    assert read_package(folder) == package
    with pytest.raises(NotFound, match=r"calculator@1\.0\.0"):
        registry.folder_of(package.model_copy(update={"digest": "0" * 64}))


@pytest.mark.parametrize("damage", [None, b"", b"{", b"\xff", b'{"entries": [{}]}', b'{"entries": [], "more": 1}'])
def test_an_index_that_is_lost_or_damaged_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    offer(tmp_path, "1.0.0")
    offered = PluginRegistry(tmp_path).entries()
    index = tmp_path / "index.json"
    whole = index.read_bytes()
    if damage is None:
        index.unlink()
    else:
        index.write_bytes(damage)
    assert PluginRegistry(tmp_path).entries() == offered
    assert index.read_bytes() == whole


def test_the_index_is_left_alone_while_it_is_right(tmp_path: Path) -> None:
    offer(tmp_path, "1.0.0")
    ids(tmp_path)
    before = (tmp_path / "index.json").stat()
    ids(tmp_path)
    after = (tmp_path / "index.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_package_changed_in_place_is_offered_as_it_is_now(tmp_path: Path) -> None:
    folder = offer(tmp_path, "1.0.0")
    assert ids(tmp_path) == ["calculator@1.0.0"]
    older = offer(tmp_path / "elsewhere", "1.0.0", code=ADD_CODE + "\n# an older text\n")
    shutil.copystat(folder / "manifest.json", older / "plugin.py")
    shutil.copy2(older / "plugin.py", folder / "plugin.py")
    assert PluginRegistry(tmp_path).entries() == [read_package(folder)]


def test_packages_that_come_and_go_are_noticed(tmp_path: Path) -> None:
    offer(tmp_path, "1.0.0")
    assert ids(tmp_path) == ["calculator@1.0.0"]
    offer(tmp_path, "1.1.0")
    assert ids(tmp_path) == ["calculator@1.1.0", "calculator@1.0.0"]
    shutil.rmtree(tmp_path / "packages" / "calculator" / "1.0.0")
    assert ids(tmp_path) == ["calculator@1.1.0"]


def break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{", encoding="utf-8")


def add_dangling_link(folder: Path) -> None:
    try:
        (folder / "link").symlink_to(folder / "missing")
    except OSError:
        pytest.skip("this account may not make links")


@pytest.mark.parametrize("broken", [break_manifest, add_dangling_link])
@pytest.mark.parametrize("known_before", [False, True])
def test_a_broken_package_is_told_and_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: object, known_before: bool
) -> None:
    offer(tmp_path, "1.0.0")
    worse = offer(tmp_path, "2.0.0")
    if known_before:
        assert len(ids(tmp_path)) == 2
    assert callable(broken)
    broken(worse)
    with caplog.at_level(logging.WARNING):
        assert ids(tmp_path) == ["calculator@1.0.0"]
    assert "packages/calculator/2.0.0 is not offered" in caplog.text


def test_a_registry_that_cannot_be_written_to_works_without_an_index(tmp_path: Path) -> None:
    offer(tmp_path, "1.0.0")
    (tmp_path / "index.json").mkdir()  # nothing can take its place, whoever asks
    assert ids(tmp_path) == ["calculator@1.0.0"]
    assert ids(tmp_path) == ["calculator@1.0.0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.json", "packages"]


def test_an_index_cannot_lead_out_of_the_registry(tmp_path: Path) -> None:
    offer(tmp_path / "inside", "1.0.0")
    offer(tmp_path / "outside", "6.6.6")
    ids(tmp_path / "inside")
    index = tmp_path / "inside" / "index.json"
    entries = json.loads(index.read_text(encoding="utf-8"))
    ids(tmp_path / "outside")
    foreign = json.loads((tmp_path / "outside" / "index.json").read_text(encoding="utf-8"))["entries"][0]
    entries["entries"].append({**foreign, "folder": "../outside/packages/calculator/6.6.6"})
    index.write_text(json.dumps(entries), encoding="utf-8")
    assert ids(tmp_path / "inside") == ["calculator@1.0.0"]
