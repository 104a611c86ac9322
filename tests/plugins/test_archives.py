"""A packed plugin: the same bytes for the same files, and nothing unpacked that would do harm."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from domain.errors import ManifestInvalid
from plugins.core.archives import pack, unpack
from plugins.core.packages import FILE_LIMIT_BYTES, read_package
from tests.plugins.factories import write_package


def a_package(folder: Path) -> Path:
    write_package(folder)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_it.py").write_text("assert True\n", encoding="utf-8")
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text("# It\n", encoding="utf-8")
    return folder


def written(target: Path, content: bytes) -> Path:
    target.write_bytes(content)
    return target


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = a_package(tmp_path / "one"), tmp_path / "other"
    other.mkdir()
    for path in sorted(one.rglob("*"), reverse=True):
        copy = other / path.relative_to(one)
        if path.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            os.utime(copy, (1, 1))
            copy.chmod(0o600)
    (other / "__pycache__").mkdir()
    (other / "__pycache__" / "plugin.pyc").write_bytes(b"compiled")
    (other / ".hidden").write_text("mine", encoding="utf-8")
    assert pack(one).content == pack(other).content
    assert pack(one).sha256 == pack(other).sha256


def test_what_is_packed_comes_out_whole(tmp_path: Path) -> None:
    source = a_package(tmp_path / "source")
    packed = pack(source)
    assert (packed.name, packed.files) == ("calculator-1.0.0.plugin", 4)
    package = unpack(written(tmp_path / "it.plugin", packed.content), tmp_path / "out")
    assert package == read_package(source) == packed.package
    assert (tmp_path / "out" / "tests" / "test_it.py").read_text(encoding="utf-8") == "assert True\n"
    assert pack(tmp_path / "out").content == packed.content


def test_a_folder_that_is_no_package_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestInvalid, match=r"manifest\.json"):
        pack(tmp_path / "empty")
    odd = a_package(tmp_path / "odd")
    (odd / "docs" / "a?b.md").write_text("", encoding="utf-8")
    with pytest.raises(ManifestInvalid, match=r"a\?b\.md"):
        pack(odd)


def an_archive(target: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return target


def a_link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("plugin.py")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    return entry


@pytest.mark.parametrize(
    "name",
    [
        "../outside.py",
        "/absolute.py",
        "a/../../outside.py",
        "C:/windows.py",
        "a\\..\\outside.py",
        "nul.py",
        ".hidden",
        "a//b.py",
        "trailing.",
        "x" * 10 + "/" + "/".join("d" * 20) + "/deep.py",
    ],
)
def test_a_name_that_leads_out_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    archive = an_archive(tmp_path / "bad.plugin", ("manifest.json", b"{}"), (name, b"evil"))
    with pytest.raises(ManifestInvalid, match="cannot be used"):
        unpack(archive, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"bad.plugin"}


def test_links_folders_doubles_and_giants_are_refused(tmp_path: Path) -> None:
    bad = {
        "link": an_archive(tmp_path / "link.plugin", (a_link(), b"/etc/passwd")),
        "folder": an_archive(tmp_path / "folder.plugin", ("contracts/", b"")),
        "double": an_archive(tmp_path / "double.plugin", ("a.py", b""), ("A.py", b"")),
        "many": an_archive(tmp_path / "many.plugin", *((f"f{number}.py", b"") for number in range(1_001))),
    }
    with zipfile.ZipFile(tmp_path / "bomb.plugin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plugin.py", b"0" * (FILE_LIMIT_BYTES + 1))
    bad["bomb"] = tmp_path / "bomb.plugin"
    bad["text"] = written(tmp_path / "text.plugin", b"no archive at all")
    for archive_path in bad.values():
        with pytest.raises(ManifestInvalid):
            unpack(archive_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(pack(a_package(tmp_path / "source")).content)
    place = content.index(b"capabilities = ")
    content[place] ^= 1
    with pytest.raises(ManifestInvalid, match="CRC"):
        unpack(written(tmp_path / "it.plugin", bytes(content)), tmp_path / "out")
