"""What a package is, what its digest covers, and how a store keeps it."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from domain.errors import ManifestInvalid, NotFound
from plugins.core.packages import DEPTH_LIMIT, FILE_LIMIT_BYTES, FILES_LIMIT, PackageStore, read_package, write_whole
from tests.plugins.factories import ADD, a_manifest, a_method, a_tool, an_object, write_package


def faults_of(folder: Path) -> dict[str, str]:
    """Return what is wrong with a package, by place."""
    with pytest.raises(ManifestInvalid) as caught:
        read_package(folder)
    errors = caught.value.details["errors"]
    assert isinstance(errors, list)
    found: dict[str, str] = {}
    for error in errors:
        assert isinstance(error, dict)
        assert str(error["path"]) in caught.value.message
        found[str(error["path"])] = str(error["message"])
    return found


def kept_files(store: PackageStore, digest: str) -> set[str]:
    folder = store.path(digest)
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# The digest


def test_the_same_files_give_the_same_digest_wherever_they_lie(tmp_path: Path) -> None:
    first = read_package(write_package(tmp_path / "first"))
    second = read_package(write_package(tmp_path / "deeper" / "second"))
    assert first == second
    assert first.id == "calculator@1.0.0"


def test_the_digest_does_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    for name, order in (("one", ("a.py", "b.py")), ("two", ("b.py", "a.py"))):
        folder = write_package(tmp_path / name)
        for file in order:
            (folder / file).write_text("", encoding="utf-8")
    assert read_package(tmp_path / "one").digest == read_package(tmp_path / "two").digest


@pytest.mark.parametrize("extra", ["tests/test_it.py", "docs/page.md", "__pycache__/plugin.pyc", ".git/config"])
def test_what_does_not_run_does_not_change_the_digest(tmp_path: Path, extra: str) -> None:
    folder = write_package(tmp_path / "plugin")
    before = read_package(folder).digest
    (folder / extra).parent.mkdir()
    (folder / extra).write_text("anything", encoding="utf-8")
    assert read_package(folder).digest == before


@pytest.mark.parametrize("extra", ["helper.py", "data/table.csv", "lib/tests/inner.py", "lib/docs/inner.py"])
def test_what_may_run_changes_the_digest(tmp_path: Path, extra: str) -> None:
    folder = write_package(tmp_path / "plugin")
    before = read_package(folder)
    (folder / extra).parent.mkdir(parents=True, exist_ok=True)
    (folder / extra).write_text("anything", encoding="utf-8")
    after = read_package(folder)
    assert after.digest != before.digest
    assert after.size_bytes == before.size_bytes + len("anything")


def test_a_file_that_moves_changes_the_digest(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    (folder / "a.txt").write_text("same", encoding="utf-8")
    before = read_package(folder).digest
    (folder / "a.txt").rename(folder / "b.txt")
    assert read_package(folder).digest != before


# What is refused


def test_a_link_is_refused_and_not_followed(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    try:
        (folder / "leak.txt").symlink_to(secret)
        (folder / "away").symlink_to(tmp_path, target_is_directory=True)
        (folder / "nowhere.txt").symlink_to(tmp_path / "missing")
    except OSError:
        pytest.skip("this account may not make links")
    faults = faults_of(folder)
    assert set(faults) == {"leak.txt", "away", "nowhere.txt"}
    assert all("link" in fault for fault in faults.values())


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders here")
def test_a_named_pipe_is_refused_without_being_opened(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    if sys.platform != "win32":
        os.mkfifo(folder / "pipe")
    assert set(faults_of(folder)) == {"pipe"}


def test_a_file_that_is_too_big_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    for name, size in (("fits.bin", FILE_LIMIT_BYTES), ("big.bin", FILE_LIMIT_BYTES + 1)):
        with (folder / name).open("wb") as file:
            file.truncate(size)
    assert set(faults_of(folder)) == {"big.bin"}


def test_a_package_of_too_many_files_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    (folder / "many").mkdir()
    for number in range(FILES_LIMIT - 2):
        (folder / "many" / f"{number}.txt").touch()
    read_package(folder)
    (folder / "one_more.txt").touch()
    faults = faults_of(folder)
    assert len(faults) == 1
    assert "one file too many" in next(iter(faults.values()))


def test_a_package_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    deep = folder.joinpath(*("d" for _ in range(DEPTH_LIMIT)))
    deep.mkdir(parents=True)
    (deep / "file.txt").touch()
    assert "deeper" in next(iter(faults_of(folder).values()))


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot hold these names")
@pytest.mark.parametrize("name", ["nul.txt", "COM1", "a:b", "back\\slash", "end.", "end ", "two..dots", "é.py", "a\nb"])
def test_a_name_that_not_every_system_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_package(tmp_path / "plugin")
    (folder / name).touch()
    assert set(faults_of(folder)) == {name}


@pytest.mark.parametrize(("one", "other"), [("Data.txt", "data.txt"), ("lib/a.py", "Lib/b.py")])
def test_names_that_differ_by_capitals_only_are_refused(tmp_path: Path, one: str, other: str) -> None:
    folder = write_package(tmp_path / "plugin")
    for name in (one, other):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    if len({path.name for path in folder.iterdir()}) < 4:
        pytest.skip("this file system does not tell capitals apart")
    assert all("capitals" in fault for fault in faults_of(folder).values())


@pytest.mark.parametrize("manifest", [b"", b"{", b"\xff\xfe", b'{"name": NaN}', b"[" * 100_000])
def test_a_manifest_that_is_not_json_is_told(tmp_path: Path, manifest: bytes) -> None:
    folder = write_package(tmp_path / "plugin")
    (folder / "manifest.json").write_bytes(manifest)
    assert "is not JSON" in faults_of(folder)["manifest.json"]


@pytest.mark.parametrize("manifest", [[], "text", None, 5, {"provided_interfaces": "none"}, {"entry_point": ["x"]}])
def test_a_manifest_of_another_shape_is_told(tmp_path: Path, manifest: Any) -> None:
    folder = write_package(tmp_path / "plugin")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert all(place.startswith("$") for place in faults_of(folder))


def test_a_manifest_nested_without_end_is_told(tmp_path: Path) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"a": schema}}
    folder = write_package(tmp_path / "plugin", a_manifest(a_method("deep", schema, schema)))
    assert set(faults_of(folder)) == {"$"}


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    (tmp_path / "plugin").mkdir()
    assert faults_of(tmp_path / "plugin") == {"manifest.json": "is missing"}
    with pytest.raises(ManifestInvalid, match="There is no folder"):
        read_package(tmp_path / "nowhere")


def test_all_that_is_wrong_is_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    lacking = {"name": "lacking", "description": "Has no contract file."}
    broken = {"name": "broken", "description": "Has half a contract file.", "output_schema": {"type": "array"}}
    wrong = a_manifest(
        ADD,
        lacking,
        broken,
        {**ADD, "name": "misjudged", "examples": [{"arguments": {"a": "x", "b": 1}}]},
        entry_point="../plugin.py",
        health_check={"capability": "numbers", "method": "nothing"},
    )
    folder = write_package(tmp_path / "plugin", wrong)
    (folder / "contracts").mkdir()
    (folder / "contracts" / "numbers__broken.json").write_text("{}", encoding="utf-8")
    assert set(faults_of(folder)) == {
        "contracts/numbers__lacking.json",
        "contracts/numbers__broken.json",
        "$.provided_interfaces[0].methods[2].output_schema",
        "$.provided_interfaces[0].methods[3].examples[0]",
        "$.entry_point",
        "$.health_check",
    }


def test_wrong_values_are_told_together_with_wrong_files(tmp_path: Path) -> None:
    wrong = a_manifest(ADD, name="Not A Name", version="1.0", entry_point="other.py", surprise=1)
    faults = faults_of(write_package(tmp_path / "plugin", wrong))
    assert set(faults) == {"$.name", "$.version", "$.entry_point", "$.surprise"}


def test_schemas_left_out_are_read_from_the_contract_file(tmp_path: Path) -> None:
    bare = {key: value for key, value in ADD.items() if key not in {"input_schema", "output_schema"}}
    folder = write_package(tmp_path / "plugin", a_manifest(bare))
    stated = {"input": ADD["input_schema"], "output": ADD["output_schema"]}
    (folder / "contracts").mkdir()
    (folder / "contracts" / "numbers__add.json").write_text(json.dumps(stated), encoding="utf-8")
    method = read_package(folder).contract.provided_interfaces[0].methods[0]
    assert (method.input_schema, method.output_schema) == (ADD["input_schema"], ADD["output_schema"])


def test_the_manifest_goes_before_the_contract_file(tmp_path: Path) -> None:
    half = {key: value for key, value in a_tool("half").items() if key != "output_schema"}
    folder = write_package(tmp_path / "plugin", a_manifest(half))
    stated = {"input": an_object(), "output": an_object()}
    (folder / "contracts").mkdir()
    (folder / "contracts" / "numbers__half.json").write_text(json.dumps(stated), encoding="utf-8")
    method = read_package(folder).contract.provided_interfaces[0].methods[0]
    assert (method.input_schema, method.output_schema) == ({"type": "object"}, an_object())


# The store


def test_the_store_keeps_exactly_what_was_counted(packages: PackageStore, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    for extra in ("tests/test_it.py", "docs/page.md", "__pycache__/plugin.pyc", ".hidden", "lib/helper.py"):
        (folder / extra).parent.mkdir(exist_ok=True)
        (folder / extra).touch()
    package = packages.add(folder)
    assert kept_files(packages, package.digest) == {"manifest.json", "plugin.py", "lib/helper.py"}
    assert packages.get(package.digest) == package
    assert packages.digests() == [package.digest]


def test_adding_twice_leaves_the_first_copy_alone(packages: PackageStore, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    package = packages.add(folder)
    before = (packages.path(package.digest) / "plugin.py").stat()
    assert packages.add(folder) == package
    after = (packages.path(package.digest) / "plugin.py").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def damage_code(folder: Path) -> None:
    (folder / "plugin.py").write_text("capabilities = {}", encoding="utf-8")


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{", encoding="utf-8")


def lose_code(folder: Path) -> None:
    (folder / "plugin.py").unlink()


def slip_in_compiled_code(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "plugin.cpython-311.pyc").touch()


@pytest.mark.parametrize("damage", [damage_code, damage_manifest, lose_code, slip_in_compiled_code])
def test_a_damaged_copy_is_noticed_and_replaced(packages: PackageStore, tmp_path: Path, damage: Any) -> None:
    folder = write_package(tmp_path / "plugin")
    digest = packages.add(folder).digest
    damage(packages.path(digest))
    assert not packages.verify(digest)
    with pytest.raises(ManifestInvalid):
        packages.get(digest)
    packages.add(folder)
    assert packages.verify(digest)


def test_nothing_of_a_refused_package_stays(packages: PackageStore, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin", a_manifest(version="none"))
    with pytest.raises(ManifestInvalid):
        packages.add(folder)
    assert packages.digests() == []
    assert not packages.work.exists()


def test_no_half_copy_stays_when_the_disk_fails_in_between(
    packages: PackageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, destination: Path) -> None:
        raise OSError(28, "No space left on device", str(destination))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        packages.add(write_package(tmp_path / "plugin"))
    assert packages.digests() == []
    assert list(packages.work.iterdir()) == []


def add_again_and_again(root: Path, folder: Path) -> None:
    store = PackageStore(root)
    for _ in range(20):
        digest = store.add(folder).digest
        assert store.verify(digest)


def test_processes_that_add_at_once_agree(packages: PackageStore, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    context = multiprocessing.get_context("spawn")
    adders = [context.Process(target=add_again_and_again, args=(packages.root, folder)) for _ in range(2)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join(60)
    assert [adder.exitcode for adder in adders] == [0, 0]
    assert packages.verify(read_package(folder).digest)
    assert list(packages.work.iterdir()) == []


def test_a_removed_package_is_gone_and_removing_again_is_harmless(packages: PackageStore, tmp_path: Path) -> None:
    digest = packages.add(write_package(tmp_path / "plugin")).digest
    packages.remove(digest)
    packages.remove(digest)
    assert packages.digests() == []
    with pytest.raises(NotFound, match=digest):
        packages.get(digest)


@pytest.mark.parametrize("digest", ["", "..", "../outside", "A" * 64, "a" * 63])
def test_a_digest_that_is_none_leads_nowhere(packages: PackageStore, tmp_path: Path, digest: str) -> None:
    write_package(tmp_path / "outside")
    with pytest.raises(NotFound):
        packages.path(digest)
    packages.remove(digest)
    assert (tmp_path / "outside" / "manifest.json").exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.json"
    write_whole(target, b"first")
    write_whole(target, b"second")
    assert target.read_bytes() == b"second"
    assert [path.name for path in target.parent.iterdir()] == ["file.json"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"folder"):
        write_whole(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "folder"]
