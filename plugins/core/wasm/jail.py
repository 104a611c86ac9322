"""Spec 3.1 and 11.1, the tier wasm - decides with which program a plugin starts that runs in a cell of its own.

Rules:
- The tier is equal on every system: what a plugin can reach is what the cell gives it, wherever that runs.
- Pure Python only: a package with compiled code in it is refused.

Not here: the cell (`cells.py`, `compiler.py`), the process around it (`runner.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from domain.calls import ErrorKind
from domain.contracts import PluginContract
from domain.isolation import Isolation
from plugins.core.failures import PluginFailure
from plugins.core.sandbox import Launch, environment_for, interpreter, memory_limit_mb
from plugins.core.wasm.cells import TOOLS, Cells

HOUSE: Final = Path(__file__).resolve().parents[3]
START: Final = "import sys; sys.path[:0] = sys.argv[1:3]; from plugins.core.wasm.runner import main; main(sys.argv[3:])"
COMPILED: Final = frozenset({".so", ".pyd", ".dll", ".dylib"})


class WasmJail:
    """The tier `wasm`: a WebAssembly machine in a process of its own.

    Args:
        cells: where the cell is kept.

    Raises:
        PluginFailure: the cell's tools are not installed.
    """

    def __init__(self, cells: Cells) -> None:
        missing = [tool for tool in TOOLS if find_spec(tool.replace("-", "_")) is None]
        if missing:
            raise PluginFailure(
                ErrorKind.UNAVAILABLE,
                f"The tier wasm needs {' and '.join(missing)}, which the house's Python does not have.",
                hint=f"Install what is missing: {sys.executable} -m pip install {' '.join(missing)}",
            )
        self.cells = cells

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        """Return how to start a cell over `folder`.

        Raises:
            PluginFailure: the plugin has code that does not run in a cell, or there is no cell.
        """
        for name in compiled_code(folder):
            text = f"{contract.name}@{contract.version} has compiled code, which does not run in the tier wasm: {name}."
            raise PluginFailure(ErrorKind.UNAVAILABLE, text, hint="Use pure Python, or another tier.")
        argv = (
            interpreter(),
            "-I",
            "-S",
            "-B",
            "-X",
            "utf8",
            "-c",
            START,
            str(HOUSE),
            str(site_of("wasmtime")),
            str(self.cells.code()),
            str(folder),
            str(memory_limit_mb(contract)),
        )
        return Launch(argv, environment_for(contract, workspace), workspace, Isolation.WASM)


def compiled_code(folder: Path) -> Iterator[str]:
    """Yield the files of a package that are no Python."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in COMPILED:
            yield path.relative_to(folder).as_posix()


def site_of(library: str) -> Path:
    """Return the folder that a library is imported from."""
    spec = find_spec(library)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parents[1]
