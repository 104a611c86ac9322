"""The measured plugin as a user of FastMCP would write it: a server on standard input and output.

python -m benchmarks.peers.fastmcp_server
"""

from __future__ import annotations

from fastmcp import FastMCP

from benchmarks.subject import CAPABILITY, METHOD


def add(a: int, b: int) -> dict[str, int]:
    """Add two whole numbers."""
    return {"sum": a + b}


def main() -> None:
    """Serve until the end of input."""
    server = FastMCP(CAPABILITY)
    server.tool(add, name=f"{CAPABILITY}__{METHOD}")
    server.run(transport="stdio", show_banner=False, log_level="ERROR")


if __name__ == "__main__":
    main()
