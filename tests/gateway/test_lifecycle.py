"""Spec 9.1, audit log - decides whether what happens to a version can be read there afterwards."""

from __future__ import annotations

from pathlib import Path

from domain.audit import AuditEntry
from store.database import open_store
from tests.gateway.factories import DEADLY, Agent, Running, house, route


def told_of(running: Running, subject: str) -> list[AuditEntry]:
    store = open_store(running.home.database_url)
    try:
        assert store.audit.verify().ok
        return store.audit.entries(subject=subject)
    finally:
        store.close()


async def test_a_versions_life_stands_in_the_audit_log(tmp_path: Path) -> None:
    built = house(tmp_path)
    async with built.running() as running, Agent(running.door) as agent:
        version = built.install("1.0.0")
        await running.admin.set_route(route(version))
        assert await agent.shout() == "1.0.0"
        await running.admin.remove_route("text")
        await running.admin.unload(version.digest)
        await running.admin.flush()
        entries = told_of(running, version.id)
    assert [entry.action for entry in entries] == [
        "plugin.loaded",
        "plugin.serving",
        "plugin.draining",
        "plugin.stopped",
    ]
    assert {entry.actor for entry in entries} == {"gateway"}
    assert {entry.detail["digest"] for entry in entries} == {version.digest}


async def test_an_instance_that_died_stands_there_too(tmp_path: Path) -> None:
    built = house(tmp_path)
    async with built.running() as running, Agent(running.door) as agent:
        version = built.install("1.0.0", body=DEADLY, side_effects="unsafe")
        await running.admin.set_route(route(version))
        assert "This was call" in (await agent.call("text__shout", {"text": "a"}))["content"][0]["text"]
        await agent.call("text__shout", {"text": "a"})
        await running.admin.flush()
        actions = [entry.action for entry in told_of(running, version.id)]
    assert actions[:2] == ["plugin.loaded", "plugin.serving"]
    assert "plugin.restarted" in actions
