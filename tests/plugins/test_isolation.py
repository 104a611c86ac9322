"""In which tier a plugin runs: the strongest that will do, never a weaker one in silence."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.settings import SecuritySettings
from domain.calls import ErrorKind
from domain.contracts import PluginContract
from domain.isolation import Isolation
from domain.plugins import LifecycleEvent, PluginEvent
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.isolation import ChosenJail, Machine
from plugins.core.packages import PackageStore
from plugins.core.sandbox import Launch, PlainJail
from tests.plugins.conftest import Adder
from tests.plugins.factories import a_manifest

TRUSTED, CONTAINED, FENCED, SANDBOX, WASM = Isolation


class Walls:
    """Walls of a tier that only say which they are."""

    def __init__(self, tier: Isolation) -> None:
        self.tier = tier

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        del folder, contract
        return Launch((), {}, workspace, self.tier)


def broken() -> Walls:
    """Find that the walls cannot be built."""
    raise PluginFailure(ErrorKind.UNAVAILABLE, "Something is missing.", hint="Install something.")


def machine(*tiers: Isolation) -> Machine:
    """Return a machine that has exactly these tiers, and `trusted`; the others break."""
    there = {TRUSTED, *tiers}
    return Machine({tier: partial(Walls, tier) if tier in there else broken for tier in Isolation})


def a_contract(isolation: str | None = None) -> PluginContract:
    return PluginContract.model_validate(a_manifest(security_profile={"isolation": isolation}))


def chosen(asked: str | None, on: Machine, **security: Any) -> Isolation:
    jail = ChosenJail(SecuritySettings.model_validate(security), on)
    contract = a_contract(asked)
    tier = jail.tier_of(contract)
    assert jail.launch(Path(), contract, Path()).isolation is tier
    return tier


ANY = {"lowest_isolation": "trusted"}
FENCE = {"lowest_isolation": "fenced"}
APPROVED = {"lowest_isolation": "fenced", "trusted": ["calculator@1.0.0"]}


@pytest.mark.parametrize(
    ("asked", "there", "security", "tier"),
    [
        (None, (WASM, SANDBOX, FENCED), ANY, SANDBOX),
        (None, (FENCED,), ANY, FENCED),
        (None, (), ANY, TRUSTED),
        (None, (FENCED,), FENCE, FENCED),
        (None, (SANDBOX,), APPROVED, SANDBOX),
        (None, (), APPROVED, TRUSTED),
        (None, (), {"lowest_isolation": "sandbox", "trusted": ["calculator"]}, TRUSTED),
        ("fenced", (SANDBOX, FENCED), FENCE, FENCED),
        ("wasm", (WASM, SANDBOX), FENCE, WASM),
        ("trusted", (SANDBOX,), APPROVED, TRUSTED),
        ("trusted", (SANDBOX,), ANY, TRUSTED),
    ],
)
def test_a_plugin_runs_in_the_tier_it_asks_for_or_the_strongest_for_a_process(
    asked: str | None, there: tuple[Isolation, ...], security: dict[str, Any], tier: Isolation
) -> None:
    assert chosen(asked, machine(*there), **security) is tier


@pytest.mark.parametrize(
    ("asked", "there", "security", "told", "fix"),
    [
        (None, (), FENCE, "Something is missing.", "Install something."),
        (None, (), FENCE, "no tier to run in", "add calculator@1.0.0 to security.trusted"),
        (None, (FENCED,), {"lowest_isolation": "sandbox"}, "Something is missing.", "Install something."),
        (None, (), {**FENCE, "trusted": ["calculator@1.0.1", "other"]}, "no tier", "calculator@1.0.0"),
        ("sandbox", (FENCED,), ANY, "Something is missing.", "Install something."),
        ("sandbox", (FENCED,), APPROVED, "Something is missing.", "Install something."),
        ("wasm", (SANDBOX,), FENCE, "Something is missing.", "Install something."),
        ("trusted", (SANDBOX,), FENCE, "asks for the tier trusted", "add calculator@1.0.0 to security.trusted"),
        ("fenced", (FENCED,), {"lowest_isolation": "sandbox"}, "asks for the tier fenced", "security.trusted"),
    ],
)
def test_a_plugin_is_refused_rather_than_walled_in_less(
    asked: str | None, there: tuple[Isolation, ...], security: dict[str, Any], told: str, fix: str
) -> None:
    with pytest.raises(PluginFailure) as caught:
        chosen(asked, machine(*there), **security)
    assert told in caught.value.message
    assert fix in caught.value.hint


def test_a_tier_that_cannot_be_built_is_offered_with_what_would_mend_it() -> None:
    offer = machine(FENCED).offer(SANDBOX)
    assert (offer.available, offer.reason, offer.fix) == (False, "Something is missing.", "Install something.")
    assert machine(FENCED).offer(FENCED).available
    assert "no walls" in Machine({}).offer(WASM).reason


def test_what_a_machine_offers_is_found_out_once() -> None:
    tried: list[int] = []

    def builder() -> PlainJail:
        tried.append(1)
        return PlainJail()

    found = Machine({TRUSTED: builder})
    assert found.jail(TRUSTED) is found.jail(TRUSTED)
    assert tried == [1]


async def test_who_loads_a_plugin_is_told_its_tier(packages: PackageStore, add: Adder) -> None:
    told: list[PluginEvent] = []
    host = PluginHost(packages, jail=PlainJail(), told=told.append)
    try:
        report = await host.load(add())
        assert report.isolation is TRUSTED
        assert host.loaded()[0].isolation is TRUSTED
        assert [event.isolation for event in told if event.event is LifecycleEvent.LOADED] == [TRUSTED]
    finally:
        await host.close()


async def test_a_plugin_without_a_tier_is_not_registered_and_the_fix_is_told(
    packages: PackageStore, add: Adder
) -> None:
    security = SecuritySettings(lowest_isolation=Isolation.FENCED)
    host = PluginHost(packages, jail=ChosenJail(security, machine()))
    with pytest.raises(Exception, match="no tier to run in") as caught:
        await host.load(add())
    assert "Install something." in getattr(caught.value, "hint", "")
    assert host.loaded() == []


@pytest.mark.parametrize(
    ("profile", "security", "told"),
    [
        ({"read_paths": ["/etc"]}, {}, "to read /etc (read_paths)"),
        ({"write_paths": ["~/x"]}, {}, "to write ~/x (write_paths)"),
        ({"write_paths": ["../x"]}, {}, "to write ../x (write_paths)"),
        ({"environment": ["TOKEN"]}, {"environment": ["OTHER"]}, "TOKEN (environment)"),
        ({"subprocess": True}, {}, "processes (subprocess)"),
        ({"read_paths": ["data"], "write_paths": ["data/deep"]}, {}, ""),
        ({"read_paths": ["/usr/share/x"]}, {"read_paths": ["/usr/share"]}, ""),
        ({"read_paths": ["/usr/share/../../etc"]}, {"read_paths": ["/usr/share"]}, "to read"),
        ({"environment": ["TOKEN"], "subprocess": True}, {"environment": ["TOKEN"], "subprocess": True}, ""),
    ],
)
def test_a_plugin_gets_what_it_asks_for_if_the_settings_give_it(
    profile: dict[str, Any], security: dict[str, Any], told: str
) -> None:
    contract = PluginContract.model_validate(a_manifest(security_profile=profile))
    jail = ChosenJail(SecuritySettings.model_validate(security), machine(SANDBOX))
    if not told:
        assert jail.launch(Path(), contract, Path()).isolation is SANDBOX
        return
    with pytest.raises(PluginFailure) as caught:
        jail.launch(Path(), contract, Path())
    assert told in caught.value.message


def test_a_link_out_of_a_given_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "link").symlink_to(tmp_path)
    contract = PluginContract.model_validate(
        a_manifest(security_profile={"read_paths": [str(tmp_path / "given" / "link")]})
    )
    jail = ChosenJail(SecuritySettings(read_paths=(tmp_path / "given",)), machine(SANDBOX))
    with pytest.raises(PluginFailure, match="to read"):
        jail.launch(Path(), contract, Path())
