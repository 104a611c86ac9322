"""Spec 3.1, the built cell - decides when the cell of the tier wasm is built, and which one may run.

Rules:
- It is built when the first plugin needs it, in a minute or so, and kept under a digest of all it is made of: other
  sources, other tools or another kind of system make another cell.
- It is finished or not there; it is made read-only, and each process of the house reads it again before it first uses
  it. A newer one takes the place of the older.

Not here: how it is built (`compiler.py`).
"""

from __future__ import annotations

import hashlib
import logging
import platform
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Final

from domain.calls import ErrorKind
from plugins.core.environments import is_sealed, put_in_place
from plugins.core.failures import PluginFailure
from plugins.core.packages import remove_folder
from plugins.core.wasm import compiler

TOOLS: Final = ("componentize-py", "wasmtime")
BUILD_SECONDS: Final = 1_200.0
WORDS_LIMIT: Final = 2_000
_LOG = logging.getLogger("upgrade_loop.plugins")


class Cells:
    """Where the cell is kept.

    Args:
        root: a folder of its own.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entering = threading.Lock()
        self._code: Path | None = None

    @property
    def built(self) -> bool:
        """Whether the cell is there, and unchanged."""
        return is_sealed(self._root / digest())

    def code(self) -> Path:
        """Return the cell's file, built now if it is not there or was changed; may take a minute.

        Raises:
            PluginFailure: it cannot be built.
        """
        with self._entering:
            if self._code is None or not self._code.is_file():
                folder = self._root / digest()
                if not self.built:
                    self._build(folder)
                self._code = folder / compiler.CODE
            return self._code

    def _build(self, folder: Path) -> None:
        _LOG.warning("Building the cell of the tier wasm; this is done once and takes about a minute.")
        self._root.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=self._root))
        try:
            _compile(draft)
            put_in_place(draft, folder)
            for older in self._root.glob("[0-9a-f]" * 64):
                if older != folder:
                    remove_folder(older)
        except OSError as error:
            if not is_sealed(folder):  # else somebody else was quicker
                text = f"The cell of the tier wasm could not be put into {folder}: {error}."
                raise PluginFailure(ErrorKind.UNAVAILABLE, text) from error
        finally:
            remove_folder(draft)


def digest() -> str:
    """Return the digest of everything the cell is made of."""
    told = hashlib.sha256(f"{sys.platform} {platform.machine()}".encode())
    for tool in TOOLS:
        told.update(f" {tool} {version(tool)}".encode())
    for name in (*compiler.SOURCES, compiler.WIT, "wasm/compiler.py"):
        told.update((compiler.CORE / name).read_bytes())
    return told.hexdigest()


def _compile(folder: Path) -> None:
    argv = [sys.executable, "-I", compiler.__file__, str(folder)]
    try:
        subprocess.run(argv, check=True, capture_output=True, timeout=BUILD_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode("utf-8", "replace")[-WORDS_LIMIT:]
        text = "The cell of the tier wasm could not be built; the compiler's words are in the details."
        raise PluginFailure(ErrorKind.UNAVAILABLE, text, details={"compiler": said}) from error
