"""The cell of the tier wasm: built once, whole or not there, and looked at again before it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from config.home import Home
from config.settings import SecuritySettings
from domain.contracts import PluginContract
from domain.errors import PluginRegistrationFailed
from domain.isolation import Isolation
from domain.routing import PluginVersion
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.isolation import chosen_jail
from plugins.core.packages import PackageStore
from plugins.core.wasm import cells as cells_module
from plugins.core.wasm import compiler
from plugins.core.wasm import jail as jail_module
from plugins.core.wasm.cells import Cells, digest
from plugins.core.wasm.jail import WasmJail
from tests.plugins.conftest import Adder
from tests.plugins.factories import ADD, a_manifest

QUICK = """
import sys
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "cell.cwasm").write_bytes(b"machine code")
with (folder.parent / "builds").open("a") as builds:
    builds.write("x")
"""


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that is quick and counts."""
    quick = tmp_path / "quick.py"
    quick.write_text(QUICK, encoding="utf-8")
    monkeypatch.setattr(compiler, "__file__", str(quick))
    return tmp_path / "cells" / "builds"


def test_it_is_built_once_and_found_again(tmp_path: Path, builds: Path) -> None:
    code = Cells(tmp_path / "cells").code()
    assert code == tmp_path / "cells" / digest() / "cell.cwasm"
    assert code.read_bytes() == b"machine code"
    assert code.stat().st_mode & 0o222 == 0
    assert Cells(tmp_path / "cells").code() == code
    assert builds.read_text(encoding="utf-8") == "x"


def test_one_that_was_changed_is_built_anew(tmp_path: Path, builds: Path) -> None:
    code = Cells(tmp_path / "cells").code()
    code.chmod(0o644)
    code.write_bytes(b"other code")
    assert Cells(tmp_path / "cells").code().read_bytes() == b"machine code"
    assert builds.read_text(encoding="utf-8") == "xx"


def test_other_tools_make_another_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    monkeypatch.setattr(cells_module, "version", lambda _: "99.0")
    assert digest() != before


def test_a_newer_one_takes_the_place_of_the_older(
    tmp_path: Path, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Cells(tmp_path / "cells").code()
    monkeypatch.setattr(cells_module, "version", lambda _: "99.0")
    assert Cells(tmp_path / "cells").code().is_file()
    assert not old.exists()


def test_a_build_that_fails_leaves_nothing_and_says_what_the_compiler_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no space left')", encoding="utf-8")
    monkeypatch.setattr(compiler, "__file__", str(broken))
    with pytest.raises(PluginFailure) as caught:
        Cells(tmp_path / "cells").code()
    assert "no space left" in str(caught.value.details["compiler"])
    assert list((tmp_path / "cells").iterdir()) == []


def test_missing_tools_are_named_with_the_command_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jail_module, "find_spec", lambda _: None)
    offer = chosen_jail(Home(tmp_path), SecuritySettings()).machine.offer(Isolation.WASM)
    assert not offer.available
    assert "componentize-py and wasmtime" in offer.reason
    assert f"{sys.executable} -m pip install componentize-py wasmtime" in offer.fix


async def test_a_plugin_that_cannot_have_its_tier_is_not_loaded_in_another(
    packages: PackageStore, add: Adder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jail_module, "find_spec", lambda _: None)
    host = PluginHost(packages, jail=chosen_jail(Home(tmp_path), SecuritySettings()))
    with pytest.raises(PluginRegistrationFailed) as caught:
        await host.load(add(a_manifest(security_profile={"isolation": "wasm"})))
    assert "wasmtime" in caught.value.message
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize(
    "asked",
    [
        {"command": ["server"]},
        {"security_profile": {"subprocess": True}},
        {"security_profile": {"read_paths": ["data"]}},
        {"security_profile": {"write_paths": ["data"]}},
        {"security_profile": {"environment": ["HOME"]}},
    ],
)
def test_what_a_cell_does_not_have_cannot_be_asked_for(asked: dict[str, dict[str, object]]) -> None:
    profile = {**asked.get("security_profile", {}), "isolation": "wasm"}
    with pytest.raises(ValueError, match="which the tier wasm does not have"):
        PluginContract.model_validate(a_manifest(ADD, **{**asked, "security_profile": profile}))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_plugin_that_names_the_tier_is_served_in_it(
    packages: PackageStore, add: Adder, wasm_jail: WasmJail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = wasm_jail.cells.code()
    monkeypatch.setattr(Cells, "code", lambda _: code)
    host = PluginHost(packages, jail=chosen_jail(Home(tmp_path), SecuritySettings()))
    version: PluginVersion = add(a_manifest(security_profile={"isolation": "wasm"}))
    try:
        report = await host.load(version)
        assert (report.isolation, report.warm_up_calls) == (Isolation.WASM, 1)
        assert await host.call(version, "numbers", "add", {"a": 2, "b": 3}) == {"sum": 5}
    finally:
        await host.close()
