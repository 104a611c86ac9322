"""With which program, environment and folder a plugin starts, and what its own limits hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.contracts import PluginContract
from plugins.core.host import PluginHost
from plugins.core.sandbox import MEMORY_FLOOR_MB, PlainJail, environment_for, memory_limit_mb
from tests.plugins.conftest import Adder
from tests.plugins.factories import HANDLE, a_manifest, a_tool, numbers_plugin

LOOK = numbers_plugin(
    """
    def look(self):
        import importlib.util
        houses = [name for name in ("domain", "plugins.core", "pydantic", "site") if find(name)]
        return {"environment": dict(os.environ), "cwd": os.getcwd(), "found": os.listdir(), "path": sys.path,
                "modules": houses, "flags": [sys.flags.isolated, sys.flags.no_site, sys.dont_write_bytecode]}
    """,
    head="""
    import os, sys
    def find(name):
        import importlib.util
        try:
            return importlib.util.find_spec(name) and name != "site"
        except ModuleNotFoundError:
            return None
    """,
)


def a_contract(**more: Any) -> PluginContract:
    return PluginContract.model_validate(a_manifest(**more))


async def look(host: PluginHost, add: Adder, **more: Any) -> dict[str, Any]:
    version = add(a_manifest(a_tool("look"), **more), LOOK)
    await host.load(version)
    return await host.call(version, "numbers", "look", {})


async def test_a_plugin_sees_no_environment_but_what_it_names(
    host: PluginHost, add: Adder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_SECRET", "keep")
    monkeypatch.setenv("CALCULATOR_KEY", "give")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    seen = await look(host, add, security_profile={"environment": ["CALCULATOR_KEY", "NOT_THERE"]})
    environment = seen["environment"]
    assert environment["CALCULATOR_KEY"] == "give"
    assert not {"HOUSE_SECRET", "PYTHONPATH", "PATH", "NOT_THERE"} & set(environment)
    assert "keep" not in environment.values()


async def test_a_plugin_sees_nothing_of_the_house_nor_of_its_libraries(host: PluginHost, add: Adder) -> None:
    seen = await look(host, add)
    assert seen["modules"] == []
    assert seen["flags"] == [1, 1, True]
    assert not any("site-packages" in place for place in seen["path"])


async def test_a_plugin_starts_in_an_empty_folder_of_its_own_that_is_gone_at_the_end(
    host: PluginHost, add: Adder
) -> None:
    seen = await look(host, add)
    workspace = Path(seen["cwd"])
    assert seen["found"] == []
    assert Path(seen["environment"]["HOME"]) == workspace
    assert Path(seen["environment"]["TMPDIR"]) == workspace
    (workspace / "left.txt").write_text("behind", encoding="utf-8")
    await host.close()
    assert not workspace.exists()


def test_the_memory_limit_is_the_contracts_but_enough_to_start() -> None:
    assert memory_limit_mb(a_contract(resource_requirements={"memory_mb": 300})) == 300
    assert memory_limit_mb(a_contract(resource_requirements={"memory_mb": 16})) == MEMORY_FLOOR_MB


def test_the_launch_names_the_package_and_its_limit(tmp_path: Path) -> None:
    launch = PlainJail().launch(tmp_path / "package", a_contract(), tmp_path / "work")
    assert launch.argv[1:3] == ("-I", "-S")
    assert launch.argv[-2] == str(tmp_path / "package")
    assert json.loads(launch.argv[-1]) == {"memory_mb": 256, "disk_mb": 64, "shared": True}
    assert launch.cwd == tmp_path / "work"
    assert dict(launch.environment) == environment_for(a_contract(), tmp_path / "work")


@pytest.mark.skipif(sys.platform != "linux", reason="limits are the process's own on Linux only")
async def test_the_process_bounds_itself_before_foreign_code_runs(host: PluginHost, add: Adder) -> None:
    code = numbers_plugin(
        "def limits(self): return AT_IMPORT",
        head="""
        import resource
        names = ("RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_DATA")
        AT_IMPORT = {name: resource.getrlimit(getattr(resource, name)) for name in names}
        """,
    )
    version = add(a_manifest(a_tool("limits"), resource_requirements={"memory_mb": 100}), code)
    await host.load(version)
    limits = await host.call(version, "numbers", "limits", {})
    assert limits == {"RLIMIT_CORE": [0, 0], "RLIMIT_NOFILE": [256, 256], "RLIMIT_DATA": [100 << 20, 100 << 20]}


@pytest.mark.skipif(sys.platform != "linux", reason="limits are the process's own on Linux only")
async def test_a_memory_hog_fails_at_its_limit_and_goes_on(host: PluginHost, add: Adder) -> None:
    code = numbers_plugin("def hog(self, mb): return {'size': len(bytearray(mb << 20))}")
    version = add(a_manifest(a_tool("hog"), resource_requirements={"memory_mb": 80}), code)
    await host.load(version)
    with pytest.raises(Exception, match="MemoryError"):
        await host.call(version, "numbers", "hog", {"mb": 500})
    assert await host.call(version, "numbers", "hog", {"mb": 20}) == {"size": 20 << 20}
    assert host.loaded()[0].restarts == 0


async def test_what_a_plugin_started_ends_with_it(host: PluginHost, add: Adder) -> None:
    code = numbers_plugin(
        """
        def spawn(self):
            import subprocess
            return {"pid": subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid}
        """,
        head=HANDLE,
    )
    version = add(a_manifest(a_tool("spawn")), code)
    await host.load(version)
    pid = (await host.call(version, "numbers", "spawn", {}))["pid"]
    assert isinstance(pid, int)
    grandchild = psutil.Process(pid)
    await host.close()
    psutil.wait_procs([grandchild], timeout=5)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
