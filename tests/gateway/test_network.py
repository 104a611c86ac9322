"""What a plugin asks of the network: what the gateway's settings allow, and where it can be read afterwards."""

from __future__ import annotations

from pathlib import Path

from config.settings import SecuritySettings
from plugins.core.packages import PackageStore
from store.database import open_store
from tests.gateway.factories import Agent, Running, house, route
from tests.gateway.test_app import numbers
from tests.plugins.factories import a_manifest, a_tool, add_package, numbers_plugin, write_package
from tests.plugins.web import web_server

CODE = numbers_plugin("def get(self, *, url, fetch): return {'status': fetch(url).status}")


async def ask(running: Running, url: str) -> str:
    async with Agent(running.door) as agent:
        result = await agent.call("numbers__get", {"url": url})
    return str(result.get("structuredContent") or result["content"][0]["text"])


async def test_requests_are_counted_and_refused_ones_stand_in_the_audit_log_once(tmp_path: Path) -> None:
    async with web_server() as web:
        built = house(tmp_path)
        security = SecuritySettings(network_hosts=(web.here,))
        built.settings = built.settings.model_copy(update={"security": security})
        hosts = {"network_hosts": [web.here, "127.0.0.1:1"]}
        folder = write_package(tmp_path / "plugin", a_manifest(a_tool("get"), security_profile=hosts), CODE)
        version = add_package(PackageStore(built.home.packages), folder)
        async with built.running() as running:
            await running.admin.set_route(route(version, capability="numbers"))
            assert await ask(running, f"http://{web.here}/echo") == "{'status': 200}"
            for _ in range(3):
                assert "security.network_hosts does not allow" in await ask(running, "http://127.0.0.1:1/")
            counted = await numbers(running)
            await running.admin.flush()
    name = "upgrade_loop_gateway_plugin_requests_total"
    assert counted[name, "outcome=answered,version=calculator@1.0.0"] == 1
    assert counted[name, "outcome=refused,version=calculator@1.0.0"] == 3
    store = open_store(built.home.database_url)
    entries = [entry for entry in store.audit.entries(subject=version.id) if entry.action == "plugin.network_refused"]
    store.close()
    assert len(entries) == 1
    assert "127.0.0.1:1" in str(entries[0].detail)
