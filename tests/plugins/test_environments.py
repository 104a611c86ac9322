"""A plugin's own libraries: from locked wheels only, read-only, made whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from domain.errors import ManifestInvalid, PluginRegistrationFailed
from plugins.core.environments import Environments, install_command, is_sealed
from plugins.core.host import PluginHost
from plugins.core.locks import Locked, read_lock
from plugins.core.packages import PackageStore
from tests.plugins.factories import a_manifest, a_tool, add_package, numbers_plugin, write_package

HASH = "a" * 64


def a_wheel(folder: Path, name: str = "shapes", body: str = "SIDES = 3\n") -> Path:
    """Write a wheel by hand, as the packaging specification says, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for path, text in files.items()
    ]
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]) + "\n")
    return wheel


def with_library(folder: Path, lock: str | None = None, **more: Any) -> Path:
    """Write a plugin that imports a library from a wheel it brings along."""
    code = numbers_plugin(
        "def sides(self):\n    return {'sides': shapes.SIDES, 'file': shapes.__file__}", head="import shapes"
    )
    write_package(folder, a_manifest(a_tool("sides"), requirements="requirements.lock", **more), code)
    wheel = a_wheel(folder / "wheels")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "requirements.lock").write_text(
        f"shapes==1.0 --hash=sha256:{digest}\n" if lock is None else lock, encoding="utf-8"
    )
    return folder


async def test_a_plugin_imports_what_its_lock_names_from_a_folder_of_its_own(
    host: PluginHost, packages: PackageStore, tmp_path: Path
) -> None:
    version = add_package(packages, with_library(tmp_path / "source"))
    await host.load(version)
    seen = await host.call(version, "numbers", "sides", {})
    program = packages.programs / version.digest
    assert seen == {"sides": 3, "file": str(program / "_site" / "shapes.py")}
    assert packages.digests() == [version.digest]
    assert packages.verify(version.digest)
    assert list(packages.work.glob("program-*")) == []


async def test_the_folder_is_read_only_and_made_once(packages: PackageStore, tmp_path: Path) -> None:
    version = add_package(packages, with_library(tmp_path / "source"))
    environments = Environments(packages)
    folder = await environments.folder_of(packages.get(version.digest))
    made = (folder / "_site" / "shapes.py").stat()
    assert stat.S_IMODE(made.st_mode) & 0o222 == 0
    assert await environments.folder_of(packages.get(version.digest)) == folder
    assert (folder / "_site" / "shapes.py").stat().st_mtime_ns == made.st_mtime_ns


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
async def test_a_folder_that_was_changed_is_made_anew(packages: PackageStore, tmp_path: Path, change: str) -> None:
    version = add_package(packages, with_library(tmp_path / "source"))
    environments = Environments(packages)
    folder = await environments.folder_of(packages.get(version.digest))
    library = folder / "_site" / "shapes.py"
    (folder / "_site").chmod(0o755)
    library.chmod(0o644)
    if change == "edit":
        library.write_text("SIDES = 4\n", encoding="utf-8")
    elif change == "add":
        (folder / "_site" / "sitecustomize.py").write_text("", encoding="utf-8")
    else:
        library.unlink()
    assert not is_sealed(folder)
    await environments.folder_of(packages.get(version.digest))
    assert is_sealed(folder)
    assert library.read_text(encoding="utf-8") == "SIDES = 3\n"


async def test_a_wheel_that_is_not_the_one_of_the_lock_is_not_installed(
    host: PluginHost, packages: PackageStore, tmp_path: Path
) -> None:
    version = add_package(packages, with_library(tmp_path / "source", f"shapes==1.0 --hash=sha256:{HASH}\n"))
    with pytest.raises(PluginRegistrationFailed) as caught:
        await host.load(version)
    assert "could not be installed" in caught.value.message
    assert HASH[:10] in str(caught.value.details["installer"])
    assert list(packages.programs.glob("*")) == []
    assert list(packages.work.glob("program-*")) == []


async def test_a_package_without_requirements_runs_from_where_it_is_kept(
    packages: PackageStore, tmp_path: Path
) -> None:
    version = add_package(packages, write_package(tmp_path / "source"))
    assert await Environments(packages).folder_of(packages.get(version.digest)) == packages.path(version.digest)


async def test_what_was_made_goes_when_the_version_is_uninstalled(
    host: PluginHost, packages: PackageStore, tmp_path: Path
) -> None:
    version = add_package(packages, with_library(tmp_path / "source"))
    await host.load(version)
    await host.uninstall(version, drain_seconds=1)
    assert not (packages.programs / version.digest).exists()
    assert packages.verify(version.digest)


def test_only_wheels_only_by_hash_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for uv in (None, "/opt/uv"):
        monkeypatch.setattr(shutil, "which", lambda _, uv=uv: uv)
        command = install_command(tmp_path, "r.lock")
        for option in ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--target"):
            assert option in command
        assert "--no-index" not in command
    assert command[:3] == ["/opt/uv", "pip", "install"]
    assert command[command.index("--link-mode") + 1] == "copy"
    (tmp_path / "wheels").mkdir()
    assert "--no-index" in install_command(tmp_path, "r.lock")


@pytest.mark.parametrize(
    ("line", "sound"),
    [
        (f"numpy==2.1.0 --hash=sha256:{HASH}", True),
        (f"numpy==2.1.0 --hash=sha256:{HASH} --hash=sha256:{HASH}", True),
        (f"ruamel.yaml[x]==0.18 ; python_version < '3.14' --hash=sha256:{HASH}", True),
        (f"numpy==2.1.0 \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{HASH}\n    # via pandas", True),
        ("# only a comment\n\n", True),
        ("numpy==2.1.0", False),
        ("numpy>=2", False),
        (f"numpy --hash=sha256:{HASH}", False),
        ("numpy==2.1.0 --hash=md5:abc", False),
        (f"numpy @ https://example.org/numpy.whl --hash=sha256:{HASH}", False),
        ("-r other.txt", False),
        ("--index-url https://example.org", False),
        ("-e .", False),
        ("./wheel.whl", False),
        (f"numpy==2.1.0 --hash=sha256:{HASH}\nNumPy==2.2.0 --hash=sha256:{HASH}", False),
    ],
)
def test_a_lock_pins_every_package_by_version_and_hash(line: str, sound: bool) -> None:
    _, faults = read_lock(line)
    assert (faults == []) is sound


def test_a_lock_is_read_by_normalised_names() -> None:
    assert read_lock(f"Ruamel_Yaml==0.18 --hash=sha256:{HASH}")[0] == [Locked("ruamel-yaml", "0.18")]


@pytest.mark.parametrize(
    ("lock", "told"),
    [("shapes>=1\n", "line 1 is not `name==version --hash=sha256:...`: shapes>=1"), (None, "names other.lock")],
)
def test_a_package_with_a_lock_that_locks_nothing_is_none(
    packages: PackageStore, tmp_path: Path, lock: str | None, told: str
) -> None:
    folder = with_library(tmp_path / "source", lock)
    if lock is None:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        (folder / "manifest.json").write_text(json.dumps({**manifest, "requirements": "other.lock"}), encoding="utf-8")
    with pytest.raises(ManifestInvalid) as caught:
        packages.add(folder)
    assert told in caught.value.message
