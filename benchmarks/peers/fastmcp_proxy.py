"""FastMCP's proxy in front of one stdio server.

    python -m benchmarks.peers.fastmcp_proxy PORT COMMAND...

Made as FastMCP's documentation makes one. Of its settings the two are chosen that are fastest for a client that sends
independent calls: no sessions, and plain JSON in place of event streams.
"""

from __future__ import annotations

import sys

from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy


def main(port: int, command: list[str]) -> None:
    """Serve until killed."""
    proxy = create_proxy(StdioTransport(command=command[0], args=command[1:]))
    proxy.run(
        transport="http",
        host="127.0.0.1",
        port=port,
        show_banner=False,
        log_level="error",
        stateless_http=True,
        json_response=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
