"""What `doctor` finds, what it says of it, and that looking changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.home import Home
from config.settings import SecuritySettings
from domain.calls import ErrorKind
from domain.isolation import Isolation
from domain.routing import PluginVersion
from plugins.core.failures import PluginFailure
from plugins.core.folders import PluginFolders
from plugins.core.isolation import ChosenJail, Machine
from plugins.core.sandbox import PlainJail
from store.database import open_store
from tests.gateway.factories import House, house, route
from worker import doctor as doctor_module
from worker.cli import main
from worker.commands.session import SESSION
from worker.doctor import examine

Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Return a function that runs `upgrade-loop doctor --json` with settings from the environment."""
    for variable in [name for name in os.environ if name.startswith("UPGRADE_LOOP_")]:
        monkeypatch.delenv(variable)

    def inside(home: Path = tmp_path / "home", **settings: str) -> tuple[int, dict[str, Any]]:
        for name, value in settings.items():
            monkeypatch.setenv(f"UPGRADE_LOOP_{name.upper()}", value)
        SESSION.as_json, SESSION.code = False, 0
        code = main(["--home", str(home), "doctor", "--json"])
        return code, json.loads(capsys.readouterr().out)

    return inside


def fact(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["facts"] if one["name"] == name)
    return found


def has_walls_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have no tier but `trusted`."""

    def broken() -> PlainJail:
        raise PluginFailure(ErrorKind.UNAVAILABLE, "Something is missing.", hint="Install something.")

    def poor(_: Home, security: SecuritySettings) -> ChosenJail:
        builders = {tier: PlainJail if tier is Isolation.TRUSTED else broken for tier in Isolation}
        return ChosenJail(security, Machine(builders))

    monkeypatch.setattr(doctor_module, "chosen_jail", poor)


def test_a_sound_machine_is_told_to_be_one_and_nothing_is_made(doctor: Doctor, tmp_path: Path) -> None:
    code, document = doctor()
    assert (code, document["ok"]) == (0, True)
    names = ["python", "settings", "home", "database", "temporal", "gateway", "isolation"]
    assert [one["name"] for one in document["facts"]] == names
    assert all(one["ok"] and not one["fix"] for one in document["facts"])
    assert not (tmp_path / "home").exists()


def test_each_tier_is_told_with_a_real_start_or_with_what_is_missing(doctor: Doctor) -> None:
    _, document = doctor()
    assert [one["tier"] for one in document["tiers"]] == [str(tier) for tier in reversed(Isolation)]
    for one in document["tiers"]:
        assert (one["start_ms"] or 0) > 1 if one["available"] else one["reason"] and one["fix"]
    assert document["tiers"][-1]["available"]


def test_a_person_reads_what_is_missing_and_what_mends_it(
    doctor: Doctor, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    has_walls_missing(monkeypatch)
    monkeypatch.setenv("UPGRADE_LOOP_SECURITY__LOWEST_ISOLATION", "sandbox")
    SESSION.as_json, SESSION.code = False, 0
    assert main(["--home", str(tmp_path / "home"), "doctor"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "MISSING" in said
    assert "isolation: Install something. Or approve the plugins you know under security.trusted" in said
    assert "Something that is needed is missing." in said


def test_a_machine_without_walls_is_well_once_somebody_approved_plugins(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_walls_missing(monkeypatch)
    code, document = doctor(security__lowest_isolation="fenced")
    assert (code, fact(document, "isolation")["ok"]) == (1, False)
    code, document = doctor(security__trusted='["calculator"]')
    assert (code, fact(document, "isolation")["ok"]) == (0, False)


@pytest.mark.parametrize(
    ("settings", "name", "told"),
    [
        ({"security__lowest_isolation": "steel"}, "settings", "lowest_isolation"),
        ({"temporal__address": "127.0.0.1:1"}, "temporal", "No Temporal Service answers at 127.0.0.1:1"),
        ({"store__url": "oracle://somewhere"}, "database", "no database that the store can use"),
        ({"store__url": "postgresql://nobody@127.0.0.1:1/nothing"}, "database", "does not answer"),
    ],
)
def test_what_is_wrong_is_told_with_a_fix_and_hides_nothing_else(
    doctor: Doctor, settings: dict[str, str], name: str, told: str
) -> None:
    code, document = doctor(**settings)
    assert (code, document["ok"]) == (1, False)
    wrong = [one["name"] for one in document["facts"] if not one["ok"]]
    assert wrong == [name]
    assert told in fact(document, name)["said"]
    assert fact(document, name)["fix"]


def test_a_damaged_database_is_told(doctor: Doctor, tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    (home.root / "loop.db").write_bytes(b"no database at all " * 100)
    code, document = doctor()
    assert code == 1
    assert "is damaged" in fact(document, "database")["said"]


def test_a_home_that_cannot_be_written_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, document = doctor()
    assert (code, "cannot be written" in fact(document, "home")["said"]) == (1, True)


def test_a_temporal_program_that_does_not_run_is_told(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_module, "find_temporal", lambda: tmp_path / "temporal")
    code, document = doctor()
    assert (code, "does not run" in fact(document, "temporal")["said"]) == (1, True)


def in_service(built: House) -> PluginVersion:
    """Return a plugin that stands among the installed ones."""
    version = built.install("1.0.0")
    PluginFolders(built.home.plugins).install(version)
    return version


def test_a_plugin_in_service_is_told_with_its_tier_and_why(doctor: Doctor, tmp_path: Path) -> None:
    built = house(tmp_path)
    plugin = in_service(built).id
    open_store(built.home.database_url).close()
    code, document = doctor(built.home.root)
    assert code == 0
    assert [(one["id"], one["tier"] is not None, one["running"]) for one in document["plugins"]] == [
        (plugin, True, None)
    ]
    assert "strongest" in document["plugins"][0]["why"]


def test_a_plugin_in_service_that_has_no_tier_is_missing(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_walls_missing(monkeypatch)
    built = house(tmp_path)
    plugin = in_service(built).id
    code, document = doctor(built.home.root, security__lowest_isolation="fenced", security__trusted='["other"]')
    assert code == 1
    found = document["plugins"][0]
    assert (found["id"], found["tier"]) == (plugin, None)
    assert f"add {plugin} to security.trusted" in found["fix"]


async def test_the_tier_that_the_gateway_gave_stands_beside_it(tmp_path: Path) -> None:
    built = house(tmp_path)
    version = in_service(built)
    async with built.running() as running:
        await running.admin.set_route(route(version))
        health = await examine(built.home)
        (status,) = (await running.admin.status()).versions
    assert [one.running for one in health.plugins] == [status.isolation]
    assert next(one.said for one in health.facts if one.name == "gateway") == "runs and is ready"
