"""What the house lists of its plugins, whatever became of the list."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import NotFound
from domain.plugins import Standing
from domain.registration import PluginMetadata
from domain.routing import PluginVersion, Route, RoutingTable
from plugins.core.catalogue import Catalogue
from plugins.core.folders import PluginFolders
from plugins.core.packages import PackageStore
from tests.plugins.conftest import Adder
from tests.plugins.factories import a_manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def folders(tmp_path: Path) -> PluginFolders:
    return PluginFolders(tmp_path / "plugins")


@pytest.fixture
def catalogue(tmp_path: Path, packages: PackageStore, folders: PluginFolders) -> Catalogue:
    return Catalogue(tmp_path / "plugins", packages, folders)


def metadata(version: PluginVersion) -> PluginMetadata:
    return PluginMetadata(version=version, registered_at=NOW, registered_by="ann", tools=("numbers__add",))


def test_an_empty_house_lists_nothing(catalogue: Catalogue) -> None:
    assert catalogue.entries() == []


def test_versions_are_listed_by_name_the_newest_first_with_their_standing(
    catalogue: Catalogue, folders: PluginFolders, add: Adder
) -> None:
    old, new = add(a_manifest(version="1.9.0")), add(a_manifest(version="1.10.0"))
    other = add(a_manifest(name="abacus"))
    folders.deprecate(old)
    folders.install(new)
    assert [(row.id, row.standing) for row in catalogue.entries()] == [
        ("abacus@1.0.0", None),
        ("calculator@1.10.0", Standing.INSTALLED),
        ("calculator@1.9.0", Standing.DEPRECATED),
    ]
    assert catalogue.entries()[0].version == other


def test_lost_folders_are_made_again_from_the_routes(
    catalogue: Catalogue, folders: PluginFolders, add: Adder, tmp_path: Path
) -> None:
    serving, tried, retired, fetched = (add(a_manifest(version=f"1.{minor}.0")) for minor in range(4))
    folders.install(serving)
    folders.experiment(tried)
    folders.deprecate(retired)
    shutil.rmtree(tmp_path / "plugins")
    table = RoutingTable().with_route(Route(capability="numbers", control=serving, candidate=tried, share=0.1))
    registered = {serving.digest, tried.digest, retired.digest}
    assert set(catalogue.restore(table, registered)) == {serving, tried, retired}
    assert {row.version.digest: row.standing for row in catalogue.entries()} == {
        serving.digest: Standing.INSTALLED,
        tried.digest: Standing.EXPERIMENTAL,
        retired.digest: Standing.DEPRECATED,
        fetched.digest: None,
    }
    assert catalogue.index.exists()
    assert catalogue.restore(table, registered) == [], "nothing is left to do"


def test_a_change_of_standing_is_seen_at_the_next_look(
    catalogue: Catalogue, folders: PluginFolders, add: Adder
) -> None:
    version = add()
    folders.experiment(version)
    assert catalogue.entries()[0].standing is Standing.EXPERIMENTAL
    folders.install(version)
    assert catalogue.entries()[0].standing is Standing.INSTALLED


@pytest.mark.parametrize("damage", ["", "{", "[]", '[{"id": 1}]', "\x00"])
def test_a_lost_or_damaged_index_is_made_anew(catalogue: Catalogue, add: Adder, damage: str) -> None:
    version = add()
    catalogue.record(metadata(version))
    before = catalogue.index.read_bytes()
    if damage:
        catalogue.index.write_text(damage, encoding="utf-8")
    else:
        catalogue.index.unlink()
    assert [row.id for row in catalogue.entries()] == ["calculator@1.0.0"]
    assert catalogue.entries()[0].registered_at == NOW
    assert catalogue.index.read_bytes() == before


def test_an_unchanged_index_is_not_written_again(catalogue: Catalogue, add: Adder) -> None:
    add()
    catalogue.entries()
    before = catalogue.index.stat().st_mtime_ns
    catalogue.entries()
    assert catalogue.index.stat().st_mtime_ns == before


def test_metadata_is_kept_beside_the_index_and_goes_with_the_package(
    catalogue: Catalogue, packages: PackageStore, add: Adder
) -> None:
    version = add()
    catalogue.record(metadata(version))
    assert catalogue.metadata(version) == metadata(version)
    (file,) = (catalogue.index.parent / "metadata").iterdir()
    assert file.name == f"calculator-1.0.0-{version.digest[:12]}.json"
    packages.remove(version.digest)
    assert catalogue.entries() == []
    assert catalogue.metadata(version) is None


def test_damaged_metadata_hides_nothing(catalogue: Catalogue, add: Adder) -> None:
    version = add()
    catalogue.record(metadata(version))
    (file,) = (catalogue.index.parent / "metadata").iterdir()
    file.write_text("{", encoding="utf-8")
    assert catalogue.metadata(version) is None
    assert [row.id for row in catalogue.entries()] == ["calculator@1.0.0"]


def test_a_damaged_package_is_not_listed_and_hides_no_other(
    catalogue: Catalogue, packages: PackageStore, add: Adder
) -> None:
    broken, sound = add(a_manifest(version="1.0.0")), add(a_manifest(version="2.0.0"))
    (packages.path(broken.digest) / "plugin.py").write_text("changed", encoding="utf-8")
    assert [row.version for row in catalogue.entries()] == [sound]


def test_a_plugin_is_found_by_name_an_installed_version_first(
    catalogue: Catalogue, folders: PluginFolders, add: Adder
) -> None:
    old, new = add(a_manifest(version="1.0.0")), add(a_manifest(version="2.0.0"))
    assert catalogue.find("calculator").version == new
    folders.install(old)
    assert catalogue.find("calculator").version == old
    assert catalogue.find("calculator", "2.0.0").version == new
    for name, version in (("abacus", None), ("calculator", "3.0.0")):
        with pytest.raises(NotFound, match=f"no plugin {name}"):
            catalogue.find(name, version)
