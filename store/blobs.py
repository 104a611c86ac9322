"""Spec 8.2, snapshot content - decides how the bytes of a snapshot are kept and checked.

Rules:
- A blob is named by the SHA-256 of its content, written to a temporary file first, and never changed.
- Reading checks the hash; a damaged blob is an error that names it, never an answer.

Not here: which blobs make a snapshot (`domain/snapshots.py`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from domain.errors import NotFound, RestoreFailed


class BlobStore:
    """A folder of immutable files named by their hash."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, content: bytes) -> str:
        """Keep the content and return its digest; keeping it twice keeps it once."""
        digest = hashlib.sha256(content).hexdigest()
        target = self._path(digest)
        if target.exists():
            return digest
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the content.

        Raises:
            NotFound: there is no such blob.
            RestoreFailed: its content is not what its name says.
        """
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"There is no blob {digest[:12]} in {self._root}.") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise RestoreFailed(f"Blob {digest[:12]} in {self._root} is damaged.", hint="Restore an older snapshot.")
        return content

    def remove(self, digest: str) -> None:
        """Forget a blob; harmless when it is gone already."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest
