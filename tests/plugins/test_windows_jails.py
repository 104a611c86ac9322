"""Behind which walls a plugin starts on Windows: what is told there, and, on Windows, that a plugin serves within."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from domain.contracts import PluginContract
from domain.isolation import Isolation
from plugins.core.sandbox import PlainJail
from plugins.core.windows_jails import behind, own_grants, shared_grants
from plugins.core.windows_rights import (
    ALL_APP_PACKAGES,
    CAPABILITY,
    Rights,
    capability_sid,
    container_name,
    container_sid,
)
from tests.plugins.factories import a_manifest

OURS = container_sid(container_name("numbers_plugin"))


def a_contract(**profile: Any) -> PluginContract:
    return PluginContract.model_validate(a_manifest(name="numbers_plugin", security_profile=profile))


def test_the_launcher_stands_in_front_and_is_told_who_the_plugin_is(tmp_path: Path) -> None:
    plain = PlainJail().launch(tmp_path, a_contract(), tmp_path)
    launch = behind(plain, 1, "numbers_plugin")
    split = len(launch.argv) - len(plain.argv)
    assert launch.argv[split:] == plain.argv
    assert launch.argv[split - 4 : split] == (launch.argv[split - 4], "1", OURS, capability_sid(CAPABILITY))
    assert Path(launch.argv[split - 4]).name == "windows_launcher.pyc"
    assert Path(launch.argv[split - 4]).is_file()
    assert (launch.isolation, launch.wrapped, launch.cwd) == (Isolation.SANDBOX, True, plain.cwd)


def test_without_a_container_it_is_the_weaker_tier(tmp_path: Path) -> None:
    launch = behind(PlainJail().launch(tmp_path, a_contract(), tmp_path), 3)
    assert launch.isolation is Isolation.CONTAINED
    assert launch.argv[launch.argv.index("3") :][:3] == ("3", "-", "-")


def test_the_plugin_sees_its_own_folder_where_programs_keep_what_is_local(tmp_path: Path) -> None:
    launch = behind(PlainJail().launch(tmp_path, a_contract(), tmp_path), 1)
    assert launch.environment["LOCALAPPDATA"] == str(tmp_path)


def test_every_plugin_may_read_the_interpreter_and_no_plugin_may_change_it() -> None:
    grants = shared_grants()
    assert Path(sys.base_prefix) in {grant.path for grant in grants}
    assert {(grant.rights, grant.sid, grant.others) for grant in grants} == {
        (Rights.READ, capability_sid(CAPABILITY), (ALL_APP_PACKAGES,))
    }


def test_a_plugin_reads_its_package_writes_to_its_folder_and_gets_what_it_was_given(tmp_path: Path) -> None:
    package, workspace, given, shared = (tmp_path / name for name in ("package", "work", "given", "shared"))
    for folder in (package, workspace, given, shared):
        folder.mkdir()
    contract = a_contract(read_paths=(str(given), "data", str(tmp_path / "gone")), write_paths=(str(shared),))
    assert [(grant.path, grant.rights) for grant in own_grants(package, contract, workspace)] == [
        (package, Rights.READ),
        (given, Rights.READ),
        (workspace, Rights.MODIFY),
        (shared, Rights.MODIFY),
    ]
    assert {grant.sid for grant in own_grants(package, contract, workspace)} == {OURS}


if sys.platform == "win32":
    from plugins.core.failures import PluginFailure
    from plugins.core.isolation import this_machine
    from plugins.core.packages import read_package
    from plugins.core.process import PluginProcess
    from plugins.core.windows_jails import ContainedJail
    from tests.plugins.factories import ADD, ADD_CODE, write_package
    from tests.plugins.windows import WINE

    @pytest.mark.parametrize("tier", [Isolation.SANDBOX, Isolation.CONTAINED])
    @pytest.mark.skipif(WINE, reason="wine has no AppContainers, and marks no folder as low")
    async def test_a_plugin_serves_behind_the_walls(tmp_path: Path, tier: Isolation) -> None:
        folder = write_package(tmp_path / "plugin", a_manifest(ADD), ADD_CODE)
        process = await PluginProcess.start(folder, read_package(folder).contract, jail=this_machine().jail(tier))
        try:
            assert await process.call("numbers", "add", {"a": 2, "b": 3}, 30) == {"sum": 5}
            assert process.isolation is tier
        finally:
            await process.stop(5)

    @pytest.mark.skipif(not WINE, reason="every Windows has what is missing here")
    def test_a_system_that_lacks_something_has_no_walls_and_says_what_would_mend_it() -> None:
        sandbox, contained = this_machine().offer(Isolation.SANDBOX), this_machine().offer(Isolation.CONTAINED)
        assert not sandbox.available
        assert not contained.available
        assert "no AppContainers" in sandbox.reason
        assert sandbox.fix == "Use Windows 10 or later."
        assert "cannot be marked as low" in contained.reason
        assert "NTFS" in contained.fix

    def test_the_weaker_tier_has_no_folder_but_its_own(tmp_path: Path) -> None:
        with pytest.raises(PluginFailure, match="folders that are not its own"):
            ContainedJail().launch(tmp_path, a_contract(write_paths=(str(tmp_path),)), tmp_path)
