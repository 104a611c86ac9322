"""The least that can stand between HTTP and a plugin: no identity, no checks, no routing, no ledger.

    python -m benchmarks.peers.bare_front PORT PACKAGE_FOLDER

An ASGI application under the same server and on the same pipe as the door. What the door costs beyond this is what it
does; what this costs is HTTP's.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

from config.settings import SecuritySettings
from plugins.core.isolation import ChosenJail
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess


async def main(port: int, folder: Path) -> None:
    """Serve until killed."""
    process = await PluginProcess.start(folder, read_package(folder).contract, jail=ChosenJail(SecuritySettings()))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        call = orjson.loads((await receive())["body"])
        capability, _, method = call["params"]["name"].partition("__")
        result = await process.call(capability, method, call["params"]["arguments"], 10)
        told = {"isError": False, "structuredContent": result}
        body = orjson.dumps({"jsonrpc": "2.0", "id": call["id"], "result": told})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(application, port=port, log_config=None, access_log=False, lifespan="off", ws="none")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
