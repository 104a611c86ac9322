"""Spec 3.1, the plugin's side of the pipe - decides how a plugin's code is fed calls and how its answers leave it.

    python -I -S runtime.py PACKAGE_FOLDER [LIMITS]

Rules:
- Standard library only and short, so that one person can audit what runs beside foreign code.
- The wire is MCP 2026-07-28 over stdio: one JSON-RPC message a line. Any MCP client of that generation can talk to it.
- The channel is moved away before the plugin's code is imported: a stray `print` goes to stderr, `input` reads nothing.
- Synchronous methods run on the main thread, one at a time, in the order of arrival; asynchronous ones run side by
  side on one event loop of their own thread. A plugin that mixes both guards what they share.
- `ping` is answered by the reading thread even while a method runs; it says "alive", not "free".
- `tools/list` is answered by the threads that run the methods, one after the other: it says "free".
- An answer is a JSON object without NaN or Infinity, or it is refused here.
- A method that takes `progress` by keyword only is given a function `progress(done, total=None, message="")`; one that
  takes `ask`, a function that puts a question to the person (`asking.py`).
- `upgrade_loop/hook` runs one of the manifest's lifecycle hooks, on the thread that runs the methods.
- A manifest with a `command` is a foreign server's: the process becomes that server (`foreign.py`) once its limits are
  set.
- A request that is none is answered with an error; it stops neither the reading nor the plugin.
- At the end of input the running calls may finish, then `on_stop` runs, then the process ends; after
  `LAST_WORDS_SECONDS` it ends whatever still runs, so a plugin never outlives its host.

Not here: the host's side (`channel.py`, `process.py`), the walls around the process (`sandbox.py`).
"""

from __future__ import annotations

import importlib
import json
import marshal
import os
import queue
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs a fifth of the start-up time
    from collections.abc import Awaitable, Callable
    from typing import Any, BinaryIO

PROTOCOL_VERSION = "2026-07-28"
PROTOCOL_KEY = "io.modelcontextprotocol/protocolVersion"
LINE_LIMIT = 8 * 1024 * 1024
MESSAGE_LIMIT = 2_000
SITE = "_site"
PYC_HEAD = 16
LAST_WORDS_SECONDS = 5.0

INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS, INTERNAL_ERROR = -32600, -32601, -32602, -32603
UNSUPPORTED_VERSION = -32022


class Refused(Exception):
    """A request that is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


def take_channel() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipe to private descriptors; leave nothing to read on 0 and stderr on 1."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def read_json(*parts: str) -> Any:
    """Read one JSON file."""
    with open(os.path.join(*parts), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - pathlib doubles the start-up
        return json.load(file)


def describe_tool(folder: str, capability: str, method: dict[str, Any]) -> dict[str, Any]:
    """Return a method as `tools/list` shows it; schemas come from the manifest, else from `contracts/`."""
    name = f"{capability}__{method['name']}"
    schemas = {"input": method.get("input_schema"), "output": method.get("output_schema")}
    if None in schemas.values():
        stated = read_json(folder, "contracts", f"{name}.json")
        schemas = {key: stated[key] if value is None else value for key, value in schemas.items()}
    effects = method.get("side_effects", "unsafe")
    return {
        "name": name,
        "description": method["description"],
        "inputSchema": schemas["input"],
        "outputSchema": schemas["output"],
        "annotations": {"readOnlyHint": effects == "none", "idempotentHint": effects != "unsafe"},
    }


class Plugin:
    """The plugin's code, imported, and what of its manifest it really offers."""

    def __init__(self, folder: str, manifest: dict[str, Any]) -> None:
        self.manifest = manifest
        sys.path[:0] = [folder, f"{folder}{os.sep}{SITE}"]
        self.module = importlib.import_module(self.manifest.get("entry_point", "plugin.py").removesuffix(".py"))
        self.tools: list[dict[str, Any]] = []
        self.functions: dict[str, Callable[..., Any]] = {}
        for interface in self.manifest["provided_interfaces"]:
            provider = self.module.capabilities.get(interface["name"])
            for method in interface["methods"]:
                function = getattr(provider, method["name"], None)
                if callable(function):
                    tool = describe_tool(folder, interface["name"], method)
                    self.tools.append(tool)
                    self.functions[tool["name"]] = function
        asks = any(takes(function, "ask") for function in self.functions.values())
        self.asker: Any = beside("asking")["asker"] if asks else None

    def hook(self, name: str) -> Any:
        """Run a lifecycle hook if the manifest names one; the value may have to be awaited."""
        function = self.manifest.get("lifecycle_hooks", {}).get(name)
        return getattr(self.module, function)() if function else None


class Server:
    """Answers requests: one thread reads, the main thread works, coroutines have a loop of their own."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests = requests
        self.answers = answers
        self.writing = threading.Lock()
        self.inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.waiting: set[Any] = set()
        self.running: dict[Any, Any] = {}
        self.given_up: set[Any] = set()
        self.loop: Any = None

    def read(self) -> None:
        """Read until the end of input; then leave the main thread a little time, and end the process."""
        try:
            for line in self.requests:
                try:
                    self.accept(json.loads(line))
                except Exception as error:
                    self.reply_error(None, INVALID_REQUEST, shorten(error))
        finally:
            self.inbox.put(None)
            time.sleep(LAST_WORDS_SECONDS)
            os._exit(0)

    def accept(self, message: dict[str, Any]) -> None:
        """Answer what needs no plugin code at once, and queue the rest."""
        if message["method"] == "notifications/cancelled":
            self.cancel(message["params"]["requestId"])
        elif message["method"] == "ping":
            self.reply(message["id"], {"resultType": "complete"})
        elif "id" in message:
            self.waiting.add(message["id"])
            self.inbox.put(message)

    def cancel(self, identifier: Any) -> None:
        """Forget a call that waits, or cancel its coroutine; a running synchronous method cannot be stopped."""
        self.waiting.discard(identifier)
        if (future := self.running.pop(identifier, None)) is not None:
            self.given_up.add(identifier)
            future.cancel()

    def work(self, plugin: Plugin) -> None:
        """Serve until the end of input."""
        self.settle(plugin.hook("on_start"))
        while (message := self.inbox.get()) is not None:
            if message["id"] in self.waiting:
                self.waiting.discard(message["id"])
                self.serve(plugin, message)
        while self.running:
            time.sleep(0.01)
        self.settle(plugin.hook("on_stop"))

    def serve(self, plugin: Plugin, message: dict[str, Any]) -> None:
        """Answer one request."""
        params = message.get("params", {})
        try:
            check_version(params)
            if message["method"] == "server/discover":
                self.reply(message["id"], cacheable(discovery(plugin.manifest)))
            elif message["method"] == "tools/list":
                self.list(message["id"], {"tools": plugin.tools})
            elif message["method"] == "tools/call":
                self.call(plugin, message["id"], params)
            elif message["method"] == "upgrade_loop/hook":
                self.settle(plugin.hook(params["name"]))
                self.reply(message["id"], {"resultType": "complete"})
            else:
                raise Refused(UNKNOWN_METHOD, "Method not found", message["method"])
        except Refused as refusal:
            self.send({"jsonrpc": "2.0", "id": message["id"], "error": refusal.error})
        except Exception as error:
            self.reply_error(message["id"], INVALID_REQUEST, shorten(error))

    def list(self, identifier: Any, tools: dict[str, Any]) -> None:
        """Answer `tools/list` through the loop, if there is one, so that a blocked loop is silent."""
        if self.loop is None:
            self.reply(identifier, cacheable(tools))
        else:
            self.loop.call_soon_threadsafe(self.reply, identifier, cacheable(tools))

    def call(self, plugin: Plugin, identifier: Any, params: dict[str, Any]) -> None:
        """Call the plugin; a coroutine is handed to the loop and answered from there."""
        function = plugin.functions.get(params.get("name", ""))
        if function is None:
            raise Refused(INVALID_PARAMS, f"Unknown tool: {params.get('name')}")
        try:
            more = {"progress": self.progress_of(params)} if takes(function, "progress") else {}
            more |= {"ask": plugin.asker(params)} if takes(function, "ask") else {}
            value = function(**params.get("arguments", {}), **more)
        except BaseException as error:  # SystemExit, too, is one call's failure
            self.reply_failure(identifier, error)
            return
        if hasattr(value, "__await__"):
            self.await_and_reply(identifier, value)
        else:
            self.reply_result(identifier, value)

    def progress_of(self, params: dict[str, Any]) -> Callable[..., None]:
        """Return what a method calls to say how far it is; it says nothing when nobody asked."""
        token = params.get("_meta", {}).get("progressToken")

        def progress(done: float, total: float | None = None, message: str = "") -> None:
            if token is not None:
                more = {"total": total, "message": message}
                told = {"progressToken": token, "progress": done} | {key: more[key] for key in more if more[key]}
                self.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": told})

        return progress

    def await_and_reply(self, identifier: Any, value: Awaitable[Any]) -> None:
        """Let a coroutine run beside the others; its answer is sent when it has one."""

        async def finish() -> None:
            reply: Callable[[Any, Any], None] = self.reply_result
            try:
                outcome = await value
            except BaseException as error:  # SystemExit, too, would end the loop for all
                reply, outcome = self.reply_failure, error
            if identifier in self.given_up:
                self.given_up.discard(identifier)
            else:
                reply(identifier, outcome)

        future = self.schedule(finish())
        self.running[identifier] = future
        future.add_done_callback(lambda _: self.running.pop(identifier, None))

    def schedule(self, coroutine: Any) -> Any:
        """Hand a coroutine to the loop, which is made at first need: `asyncio` is slow to import."""
        import asyncio

        if self.loop is None:
            self.loop = asyncio.new_event_loop()
            threading.Thread(target=self.loop.run_forever, name="coroutines", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def settle(self, value: Any) -> None:
        """Wait for a hook that is a coroutine."""
        if hasattr(value, "__await__"):
            self.schedule(value).result()

    def reply(self, identifier: Any, result: dict[str, Any]) -> None:
        """Send a result."""
        self.send({"jsonrpc": "2.0", "id": identifier, "result": result})

    def reply_result(self, identifier: Any, value: Any) -> None:
        """Send what a method returned, as structured content and as text, or say why it cannot be sent."""
        try:
            if not isinstance(value, dict):
                raise TypeError(f"the method returned {type(value).__name__}, not a JSON object")
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
            content = json.dumps([{"type": "text", "text": text}], ensure_ascii=False)
            told = f'"resultType":"complete","isError":false,"content":{content},"structuredContent":{text}'
            self.write(f'{{"jsonrpc":"2.0","id":{json.dumps(identifier)},"result":{{{told}}}}}'.encode())
        except (TypeError, ValueError, RecursionError, MemoryError) as error:
            self.reply_error(identifier, INTERNAL_ERROR, shorten(error))

    def reply_error(self, identifier: Any, code: int, message: str) -> None:
        """Send an error of the protocol."""
        self.send({"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": message}})

    def reply_failure(self, identifier: Any, error: BaseException) -> None:
        """Send a method's own failure as MCP does, and leave the traceback on stderr; a question is no failure."""
        if (asked := getattr(error, "mcp_result", None)) is not None:
            self.reply(identifier, asked)
            return
        import traceback

        traceback.print_exception(error)
        content = [{"type": "text", "text": shorten(error)}]
        self.reply(identifier, {"resultType": "complete", "isError": True, "content": content})

    def send(self, message: dict[str, Any]) -> None:
        """Send a message of our own making."""
        self.write(json.dumps(message).encode())

    def write(self, line: bytes) -> None:
        """Write one line; two threads never mix theirs."""
        if len(line) > LINE_LIMIT:
            raise ValueError(f"the answer is {len(line)} bytes long, the limit is {LINE_LIMIT}")
        with self.writing:
            self.answers.write(line + b"\n")
            self.answers.flush()


def takes(function: Any, name: str) -> bool:
    """Say whether a method takes an argument by keyword only; `inspect` is slow to import."""
    code = getattr(function, "__code__", None)
    return code is not None and name in code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]


def beside(name: str) -> dict[str, Any]:
    """Return what a file that lies beside this one defines; the import system would open the whole folder to it."""
    folder, compiled = os.path.dirname(__file__), __file__.endswith(".pyc")  # noqa: PTH120 - pathlib doubles the start-up
    names: dict[str, Any] = {"__name__": name}
    with open(os.path.join(folder, name + (".pyc" if compiled else ".py")), "rb") as file:  # noqa: PTH118, PTH123
        code = marshal.loads(file.read()[PYC_HEAD:]) if compiled else compile(file.read(), f"{name}.py", "exec")  # noqa: S302 - our own
    exec(code, names)  # noqa: S102 - our own
    return names


def check_version(params: dict[str, Any]) -> None:
    """Refuse a request that names a protocol generation we do not speak."""
    wanted = params.get("_meta", {}).get(PROTOCOL_KEY, PROTOCOL_VERSION)
    if wanted != PROTOCOL_VERSION:
        data = {"supported": [PROTOCOL_VERSION], "requested": wanted}
        raise Refused(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def discovery(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to `server/discover`."""
    server = {"io.modelcontextprotocol/serverInfo": {"name": manifest["name"], "version": manifest["version"]}}
    return {"supportedVersions": [PROTOCOL_VERSION], "capabilities": {"tools": {}}, "_meta": server}


def cacheable(answer: dict[str, Any]) -> dict[str, Any]:
    """Add what every cacheable MCP result carries."""
    return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **answer}


def shorten(error: BaseException) -> str:
    """Return an error's message, or its type when it has none, fit to be sent."""
    text = str(error) or type(error).__name__
    return text[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()


def main(arguments: list[str]) -> None:
    """Serve the plugin of a package folder until the end of input."""
    folder = os.path.abspath(arguments[0])  # noqa: PTH100 - pathlib doubles the start-up
    manifest = read_json(folder, "manifest.json")
    command = manifest.get("command")
    if len(arguments) > 1:
        beside("walls")["contain"](json.loads(arguments[1]))
    if command:
        beside("foreign")["become"](command, folder, SITE)
    server = Server(*take_channel())
    threading.Thread(target=server.read, name="reader", daemon=True).start()
    try:
        server.work(Plugin(folder, manifest))
    except BaseException:  # whatever threads the plugin has left: without this one it is of no use
        sys.excepthook(*sys.exc_info())
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
