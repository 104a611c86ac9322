"""The five phases of a registration: in order, every fault of the first that fails, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.registration import Desk, Occasion, register
from domain.errors import GatewayUnreachable
from domain.plugins import LoadReport, Standing, UnloadReport
from domain.registration import RegistrationPhase, RegistrationResult
from domain.routing import PluginVersion, Route
from domain.security import SecurityPolicy
from plugins.core.catalogue import Catalogue
from plugins.core.folders import PluginFolders
from plugins.core.host import PluginHost
from plugins.core.packages import PackageStore, read_package
from plugins.core.sandbox import PlainJail
from store.database import Store, open_store
from tests.children import own_children
from tests.plugins.factories import ADD, ADD_CODE, a_manifest, an_object, write_package

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OCCASION = Occasion(at=NOW, actor="ann", source="a test")


class LocalRunner:
    """A host of the test's own as the runner of a registration."""

    def __init__(self, host: PluginHost) -> None:
        self.host = host

    async def load(self, version: PluginVersion) -> LoadReport:
        return await self.host.load(version)

    async def unload(self, digest: str) -> UnloadReport:
        return await self.host.unload(digest, 0)


class NobodyThere(LocalRunner):
    """A gateway that does not answer."""

    async def load(self, version: PluginVersion) -> LoadReport:
        raise GatewayUnreachable(f"No gateway is running that could load {version.id}.")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    packages, folders = PackageStore(tmp_path / "packages"), PluginFolders(tmp_path / "plugins")
    store, host = open_store(f"sqlite:///{(tmp_path / 'loop.db').as_posix()}"), PluginHost(packages, jail=PlainJail())
    yield Desk(
        packages=packages,
        folders=folders,
        catalogue=Catalogue(tmp_path / "plugins", packages, folders),
        store=store,
        policy=SecurityPolicy(allow_unsigned=True),
        market=(),
        runner=LocalRunner(host),
    )
    await host.close()
    store.close()
    assert own_children() == []


async def registered(
    desk: Desk, folder: Path, occasion: Occasion = OCCASION, *, vouched: bool = True
) -> RegistrationResult:
    """Register a package, which a person vouches for by its digest."""
    if vouched:
        package = read_package(folder)
        desk = replace(desk, policy=desk.policy.model_copy(update={"listed": {package.id: package.digest}}))
    return await register(desk, folder, occasion)


def in_force(store: Store, result: RegistrationResult) -> None:
    """Route the callers of a registered version's capability to it."""
    route = Route(capability="numbers", control=result.version)
    store.routes.save(store.routes.load().with_route(route), NOW)


def rules(result: RegistrationResult) -> list[str]:
    return [fault.rule for fault in result.faults]


def actions(store: Store, subject: str) -> list[str]:
    return [entry.action for entry in store.audit.entries(subject=subject)]


async def test_a_sound_plugin_passes_all_five_phases_and_stands_everywhere(desk: Desk, tmp_path: Path) -> None:
    result = await registered(desk, write_package(tmp_path / "source"))
    assert result.passed, result.summary
    assert [report.phase for report in result.phases] == list(RegistrationPhase)
    assert (result.plugin_id, result.tools, result.failed_phase) == ("calculator@1.0.0", ("numbers__add",), None)
    assert result.version is not None
    assert desk.folders.standing_of(result.version) is Standing.EXPERIMENTAL
    metadata = desk.catalogue.metadata(result.version)
    assert metadata is not None
    assert (metadata.registered_by, metadata.source, metadata.registered_at) == ("ann", "a test", NOW)
    assert [row.id for row in desk.catalogue.entries()] == ["calculator@1.0.0"]
    assert desk.store.packages.find(result.version.digest) is not None
    assert actions(desk.store, "calculator@1.0.0") == ["plugin.registered"]
    assert any("NOBODY HAS SIGNED" in warning for warning in result.phases[1].warnings)


async def test_registering_the_same_again_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "source")
    first, second = await registered(desk, folder), await registered(desk, folder)
    assert (second.passed, second.version) == (True, first.version)
    assert actions(desk.store, "calculator@1.0.0") == ["plugin.registered"]


async def test_every_fault_of_a_contract_is_told_at_once(desk: Desk, tmp_path: Path) -> None:
    bad = {**ADD, "input_schema": {"type": "objekt"}, "side_effects": "some"}
    folder = write_package(tmp_path / "source", a_manifest(bad, version="1.0", surprise=1))
    result = await registered(desk, folder, vouched=False)
    assert result.failed_phase is RegistrationPhase.CONTRACT
    assert len(result.phases) == 1
    paths = {fault.path for fault in result.faults}
    assert {"$.version", "$.surprise", "$.provided_interfaces[0].methods[0].side_effects"} <= paths
    assert result.plugin_id is None
    assert actions(desk.store, str(folder)) == ["plugin.refused"]


async def test_a_version_that_breaks_the_callers_of_the_one_in_force_is_refused_with_examples(
    desk: Desk, tmp_path: Path
) -> None:
    in_force(desk.store, await registered(desk, write_package(tmp_path / "one")))
    narrowed = an_object(a={"type": "integer", "maximum": 9}, b={"type": "integer"}, unit={"type": "string"})
    breaking = {**ADD, "input_schema": narrowed, "examples": []}
    result = await registered(desk, write_package(tmp_path / "two", a_manifest(breaking, version="1.1.0")))
    assert result.failed_phase is RegistrationPhase.CONTRACT
    assert sorted(rules(result)) == ["compatibility.maximum", "compatibility.required"]
    assert all(isinstance(fault.example, dict) and "a" in fault.example for fault in result.faults)
    assert "numbers.add input $.a" in {fault.path for fault in result.faults}
    assert "new major version" in result.faults[0].message


async def test_a_new_major_version_of_the_interface_may_break_and_says_so(desk: Desk, tmp_path: Path) -> None:
    in_force(desk.store, await registered(desk, write_package(tmp_path / "one")))
    manifest = a_manifest({**ADD, "output_schema": {"type": "object"}, "examples": []}, version="2.0.0")
    manifest["provided_interfaces"][0]["version"] = "2.0.0"
    result = await registered(desk, write_package(tmp_path / "two", manifest))
    assert result.passed, result.summary
    assert any("may be given now" in warning for warning in result.phases[0].warnings)


async def test_what_cannot_be_proved_passes_only_with_a_persons_word(desk: Desk, tmp_path: Path) -> None:
    in_force(desk.store, await registered(desk, write_package(tmp_path / "one")))
    unproven = {**ADD, "input_schema": {**ADD["input_schema"], "x-limit": 9}}
    folder = write_package(tmp_path / "two", a_manifest(unproven, version="1.1.0"))
    assert rules(await registered(desk, folder)) == ["compatibility.x-limit"]
    accepted = await registered(desk, folder, replace(OCCASION, accept_unproven=True))
    assert accepted.passed
    assert any("x-limit" in warning for warning in accepted.phases[0].warnings)


async def test_a_version_once_given_does_not_change(desk: Desk, tmp_path: Path) -> None:
    await registered(desk, write_package(tmp_path / "one"))
    result = await registered(desk, write_package(tmp_path / "two", code=ADD_CODE + "\n# other\n"))
    assert (result.failed_phase, rules(result)) == (RegistrationPhase.CONTRACT, ["version"])


async def test_every_finding_of_the_security_checks_is_told(desk: Desk, tmp_path: Path) -> None:
    code = "import subprocess\nimport requests\n" + ADD_CODE.replace(
        "return {", "subprocess.run(['id']); open('/x', 'w'); return {"
    )
    profile = {"permissions": ["everything"], "network_hosts": ["evil.example"]}
    folder = write_package(tmp_path / "source", a_manifest(security_profile=profile), code)
    result = await registered(desk, folder, vouched=False)
    assert result.failed_phase is RegistrationPhase.SECURITY
    checks = {rule.partition(".")[0] for rule in rules(result)}
    assert checks == {"code_signing", "static_analysis", "dependency_scan", "permission_scope", "network_access"}
    assert any(fault.path == "plugin.py:2" for fault in result.faults)
    assert desk.packages.digests() == []


async def test_what_is_needed_and_nowhere_to_be_had_is_told(desk: Desk, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "source", a_manifest(dependencies={"abacus": "^1.0.0"}))
    result = await registered(desk, folder)
    assert result.failed_phase is RegistrationPhase.DEPENDENCIES
    assert "abacus" in result.faults[0].message
    offered = replace(desk, market=(read_package(write_package(tmp_path / "abacus", a_manifest(name="abacus"))),))
    assert (await registered(offered, folder)).passed
    unreadable = write_package(tmp_path / "other", a_manifest(version="1.0.1", dependencies={"abacus": "???"}))
    assert rules(await registered(offered, unreadable)) == ["constraint"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nowhere_to_be_found_" + ADD_CODE, "nowhere_to_be_found_"),
        (ADD_CODE.replace("a + b", "a - b"), "otherwise than its contract says"),
        (ADD_CODE.replace("def add", "def subtract"), "numbers__add is missing"),
    ],
)
async def test_a_plugin_that_does_not_do_what_it_says_is_refused_in_the_sandbox_and_leaves_nothing_running(
    desk: Desk, tmp_path: Path, code: str, told: str
) -> None:
    broken = code.replace("nowhere_to_be_found_\n", "json\nraise ImportError('nowhere_to_be_found_')\n")
    result = await registered(desk, write_package(tmp_path / "source", code=broken))
    assert result.failed_phase is RegistrationPhase.SANDBOX
    assert told in result.summary
    assert own_children() == []
    assert actions(desk.store, "calculator@1.0.0") == ["plugin.refused"]


async def test_a_registration_that_fails_at_the_end_puts_the_plugin_down_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise GatewayUnreachable("The store is away.")

    monkeypatch.setattr(desk.store.packages, "put", refuse)
    with pytest.raises(GatewayUnreachable):
        await registered(desk, write_package(tmp_path / "source"))
    assert isinstance(desk.runner, LocalRunner)
    assert desk.runner.host.loaded() == []


async def test_a_gateway_that_does_not_answer_is_no_fault_of_the_plugin(desk: Desk, tmp_path: Path) -> None:
    away = replace(desk, runner=NobodyThere(PluginHost(desk.packages, jail=PlainJail())))
    with pytest.raises(GatewayUnreachable):
        await registered(away, write_package(tmp_path / "source"))
    assert actions(desk.store, "calculator@1.0.0") == []


async def test_the_result_is_a_document(desk: Desk, tmp_path: Path) -> None:
    result = await registered(desk, write_package(tmp_path / "source"))
    assert RegistrationResult.model_validate(json.loads(result.model_dump_json())) == result
