"""The measured plugin as a user of FastMCP would write it: a server on standard streams, or over HTTP at a port.

python -m benchmarks.peers.fastmcp_server [PORT]
"""

from __future__ import annotations

import sys
from typing import Any

from fastmcp import FastMCP

from benchmarks.subject import CAPABILITY, METHOD


def add(a: int, b: int) -> dict[str, int]:
    """Add two whole numbers."""
    return {"sum": a + b}


def main() -> None:
    """Serve until the end of input."""
    server = FastMCP(CAPABILITY)
    server.tool(add, name=f"{CAPABILITY}__{METHOD}")
    quiet: dict[str, Any] = {"show_banner": False, "log_level": "ERROR"}
    if len(sys.argv) > 1:
        server.run(transport="http", port=int(sys.argv[1]), stateless_http=True, json_response=True, **quiet)
    else:
        server.run(transport="stdio", **quiet)


if __name__ == "__main__":
    main()
