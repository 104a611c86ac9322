"""Spec 3.1, a plugin's answers - decides in which form what a plugin says leaves its process.

Rules:
- One JSON-RPC message a line, written whole: two threads never mix theirs.
- A result is a JSON object without NaN or Infinity, sent as structured content and as text; anything else is an error.
- A method's own failure is told as MCP does; its traceback stays on stderr. A question to the person is no failure.
- A line longer than `LINE_LIMIT` is not sent.

Standard library only: this is loaded beside foreign code, by `runtime.py`.

Not here: what is asked and who answers (`runtime.py`).
"""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

LINE_LIMIT = 8 * 1024 * 1024
MESSAGE_LIMIT = 2_000
INTERNAL_ERROR = -32603


class Answers:
    """The end of the pipe that the host reads.

    Args:
        stream: that end.
        dumps: returns a value as JSON text.
    """

    def __init__(self, stream: BinaryIO, dumps: Callable[..., str]) -> None:
        self.stream = stream
        self.dumps = dumps
        self.writing = _thread.allocate_lock()

    def reply(self, identifier: Any, result: dict[str, Any]) -> None:
        """Send a result."""
        self.send({"jsonrpc": "2.0", "id": identifier, "result": result})

    def reply_result(self, identifier: Any, value: Any) -> None:
        """Send what a method returned, or say why it cannot be sent."""
        try:
            if not isinstance(value, dict):
                raise TypeError(f"the method returned {type(value).__name__}, not a JSON object")
            text = self.dumps(value, strict=True)
            content = self.dumps([{"type": "text", "text": text}], strict=True)
            told = f'"resultType":"complete","isError":false,"content":{content},"structuredContent":{text}'
            self.write(f'{{"jsonrpc":"2.0","id":{self.dumps(identifier)},"result":{{{told}}}}}'.encode())
        except (TypeError, ValueError, RecursionError, MemoryError) as error:
            self.reply_error(identifier, INTERNAL_ERROR, shorten(error))

    def reply_error(self, identifier: Any, code: int, message: str, data: Any = None) -> None:
        """Send an error of the protocol."""
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        self.send({"jsonrpc": "2.0", "id": identifier, "error": error})

    def reply_failure(self, identifier: Any, error: BaseException) -> None:
        """Send how a method failed, or what it asks."""
        if (asked := getattr(error, "mcp_result", None)) is not None:
            self.reply(identifier, asked)
            return
        import traceback

        traceback.print_exception(error)
        content = [{"type": "text", "text": shorten(error)}]
        self.reply(identifier, {"resultType": "complete", "isError": True, "content": content})

    def progress_of(self, params: dict[str, Any]) -> Callable[..., None]:
        """Return what a method calls to say how far it is; it says nothing when nobody asked."""
        token = params.get("_meta", {}).get("progressToken")

        def progress(done: float, total: float | None = None, message: str = "") -> None:
            if token is not None:
                more = {"total": total, "message": message}
                told = {"progressToken": token, "progress": done} | {key: more[key] for key in more if more[key]}
                self.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": told})

        return progress

    def send(self, message: dict[str, Any]) -> None:
        """Send a message of our own making."""
        self.write(self.dumps(message).encode())

    def write(self, line: bytes) -> None:
        """Write one line."""
        if len(line) > LINE_LIMIT:
            raise ValueError(f"the answer is {len(line)} bytes long, the limit is {LINE_LIMIT}")
        with self.writing:
            self.stream.write(line + b"\n")
            self.stream.flush()


def shorten(error: BaseException) -> str:
    """Return an error's message, or its type when it has none, fit to be sent."""
    text = str(error) or type(error).__name__
    return text[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()
