"""A new plugin: whole from the first moment, tested by its own tests, and served as it is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.isolation import Isolation
from domain.security import SecurityPolicy
from engines.security import verify
from plugins.core.authoring import TEMPLATE, method_name, write_foreign, write_template
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.packages import PackageStore, read_package
from plugins.core.sandbox import PlainJail
from tests.plugins.factories import add_package
from tests.plugins.test_dialects import TOOLS, server


def test_a_new_plugin_is_a_package_under_its_own_name(tmp_path: Path) -> None:
    written = write_template(tmp_path / "weather", "weather_report")
    assert written == [
        "contracts/weather_report__greet.json",
        "docs/README.md",
        "manifest.json",
        "plugin.py",
        "tests/test_plugin.py",
    ]
    contract = read_package(tmp_path / "weather").contract
    assert (contract.name, contract.capabilities) == ("weather_report", ("weather_report",))
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "weather").rglob("*") if path.is_file())
    assert "my_plugin" not in text
    assert "class WeatherReport:" in text


def test_a_new_plugin_may_name_the_tier_it_is_to_run_in(tmp_path: Path) -> None:
    write_template(tmp_path / "weather", "weather", Isolation.WASM)
    assert read_package(tmp_path / "weather").contract.security_profile.isolation is Isolation.WASM


def test_a_new_plugin_passes_the_security_checks(tmp_path: Path) -> None:
    write_template(tmp_path / "weather", "weather")
    package = read_package(tmp_path / "weather")
    sources = {"plugin.py": (tmp_path / "weather" / "plugin.py").read_text(encoding="utf-8")}
    policy = SecurityPolicy(listed={package.id: package.digest}, allow_unsigned=True)
    assert verify(package, sources, policy).passed


async def test_a_new_plugin_serves_as_it_is(host: PluginHost, packages: PackageStore, tmp_path: Path) -> None:
    write_template(tmp_path / "weather", "weather")
    version = add_package(packages, tmp_path / "weather")
    report = await host.load(version)
    assert report.warm_up_calls == 2
    assert await host.call(version, "weather", "greet", {"name": "Bob"}) == {"greeting": "Hello, Bob!"}


async def test_a_new_plugins_own_tests_pass_and_find_a_broken_plugin(tmp_path: Path) -> None:
    folder = tmp_path / "weather"
    write_template(folder, "weather")
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "-p", "no:cacheprovider", str(folder)]

    def tested() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)

    passed = await asyncio.to_thread(tested)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    code = folder / "plugin.py"
    code.write_text(code.read_text(encoding="utf-8").replace("Hello", "Goodbye"), encoding="utf-8")
    assert (await asyncio.to_thread(tested)).returncode == 1


@pytest.mark.parametrize("name", ["", "Weather", "two words", "1st", "a__b", "class", "a" * 41, "../out", "a-b"])
def test_what_is_no_name_is_refused_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="no name for a plugin"):
        write_template(tmp_path / "new", name)
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write_template(tmp_path / "weather", "weather")
    with pytest.raises(InvalidInput, match="is there already"):
        write_template(tmp_path / "weather", "weather")


def test_the_template_holds_no_compiled_code() -> None:
    assert read_package(TEMPLATE).contract.name == "my_plugin"


def annotated(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    hints = {"Add": {"readOnlyHint": True}, "say": {"idempotentHint": True}}
    odd = {"name": "odd", "inputSchema": {"type": "string"}}
    return [*({**tool, "annotations": hints.get(tool["name"])} for tool in tools), odd]


@pytest.mark.parametrize("generation", ["2026-07-28", "2025-06-18"])
async def test_a_foreign_server_is_asked_for_its_tools_and_becomes_a_plugin(
    host: PluginHost, packages: PackageStore, tmp_path: Path, generation: str
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "server.py").write_text(server(generation, tools=annotated(TOOLS)), encoding="utf-8")
    command = ["{python}", "{package}/server.py"]
    written, left_out = await write_foreign(tmp_path / "new", "tools", command, PlainJail(), tmp_path / "files")
    assert "contracts/tools__add.json" in written
    assert left_out == ["odd: input must say type: object"]
    contract = read_package(tmp_path / "new").contract
    effects = {method.name: str(method.side_effects) for method in contract.provided_interfaces[0].methods}
    assert effects == {"add": "none", "say": "idempotent", "draw": "unsafe", "fail": "unsafe", "hidden": "unsafe"}
    assert contract.protocol == ("2026-07-28" if generation == "2026-07-28" else "2025-11-25")
    version = add_package(packages, tmp_path / "new")
    await host.load(version)
    assert await host.call(version, "tools", "add", {"a": 2, "b": 3}) == {"sum": 5}
    assert await host.call(version, "tools", "say", {}) == {"text": "one\ntwo"}


async def test_a_server_that_does_not_start_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PluginFailure) as caught:
        await write_foreign(tmp_path / "new", "tools", ["no-such-program"], PlainJail())
    assert "there is no program" in str(caught.value.details["stderr"])
    assert not (tmp_path / "new").exists()


async def test_a_server_without_tools_is_no_plugin(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "server.py").write_text(server("2025-11-25", tools=[]), encoding="utf-8")
    with pytest.raises(InvalidInput, match="no tool that can be used"):
        await write_foreign(
            tmp_path / "new", "tools", ["{python}", "{package}/server.py"], PlainJail(), tmp_path / "files"
        )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("searchWeb", "search_web"),
        ("search-web.now", "search_web_now"),
        ("ALL_CAPS", "all_caps"),
        ("2fast", "tool_2fast"),
        ("größe", "gr_e"),
        ("___", "tool"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_method_is_named_after_its_tool(tool: str, name: str) -> None:
    assert method_name(tool, {}) == name


def test_two_tools_never_have_one_name() -> None:
    assert method_name("A-b", {"a_b": 1, "a_b_2": 1}) == "a_b_3"
