"""A plugin that asks its host for the network, and does with the answer what its tests want."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.network import NetworkRequest
from domain.routing import PluginVersion
from plugins.core.host import PluginHost
from plugins.core.network import Network
from plugins.core.packages import PackageStore
from plugins.core.sandbox import PlainJail
from tests.plugins.factories import HANDLE, a_manifest, a_tool, numbers_plugin

CODE = numbers_plugin(
    """
    def get(self, *, url, fetch, **more):
        answer = fetch(url, **more)
        return {"status": answer.status, "url": answer.url, "text": answer.text(), "headers": answer.headers}
    async def get_async(self, *, url, fetch):
        return {"status": (await fetch(url)).status}
    async def get_many(self, *, url, count, fetch):
        import asyncio
        answers = await asyncio.gather(*(fetch(url) for _ in range(count)), return_exceptions=True)
        return {"outcomes": [str(getattr(answer, "status", answer)) for answer in answers]}
    def error_of(self, *, url, fetch, **more):
        try:
            fetch(url, **more)
        except OSError as error:
            return {"type": type(error).__name__, "text": str(error)}
        return {}
    def later(self, *, url, fetch):
        def ask():
            try:
                kept.append(fetch(url).status)
            except OSError as error:
                kept.append(str(error))
        threading.Thread(target=ask, daemon=True).start()
        time.sleep(0.1)
        return {}
    def kept(self):
        return {"kept": kept}
    def without(self, *, url):
        return {"given": False}
    def ask_for(self, *, call, url):
        asked = {"method": "upgrade_loop/host.fetch", "params": {"call": call, "url": url}}
        say(json.dumps({"jsonrpc": "2.0", "id": "mine", **asked}).encode())
        return {}
    """,
    HANDLE + "kept = []\n",
)
TOOLS = ("get", "get_async", "get_many", "error_of", "later", "kept", "without", "ask_for")


class Asking:
    """A plugin that names hosts, behind a host with a policy."""

    def __init__(self, packages: PackageStore, add: Callable[..., PluginVersion]) -> None:
        self.told: list[NetworkRequest] = []
        self._packages, self._add = packages, add
        self.host: PluginHost | None = None
        self.version: PluginVersion | None = None

    async def start(self, hosts: list[str], policy: list[str] | None = None) -> None:
        network = Network(hosts if policy is None else policy, self.told.append)
        self.host = PluginHost(self._packages, jail=PlainJail(), network=network)
        tools = [a_tool(name, timeout_seconds=20) for name in TOOLS]
        manifest = a_manifest(*tools, security_profile={"network_hosts": hosts}, resource_requirements={"spares": 0})
        self.version = self._add(manifest, CODE)
        await self.host.load(self.version)

    async def call(self, tool: str, /, **arguments: Any) -> Any:
        assert self.host is not None
        assert self.version is not None
        return await self.host.call(self.version, "numbers", tool, arguments)

    async def refusal(self, url: str, **more: Any) -> str:
        answer = await self.call("error_of", url=url, **more)
        assert answer["type"] == "PermissionError", answer
        return str(answer["text"])
