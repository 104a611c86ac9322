"""Spec 10.1, deployment - decides where everything that the product writes lies on disk.

Rules:
- Everything is under one folder, the home; nothing is written elsewhere.
- The folder is `--home`, else `UPGRADE_LOOP_HOME`, else `~/.upgrade-loop`.

Not here: what is in the files.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from domain.errors import ConfigurationInvalid

HOME_VARIABLE = "UPGRADE_LOOP_HOME"
_HINT = f"Name a folder you may write in with --home DIR or {HOME_VARIABLE}."


@dataclass(frozen=True)
class Home:
    """The folder of one installation."""

    root: Path

    @classmethod
    def locate(cls, given: Path | None = None) -> Home:
        """Return the home that the arguments or the environment name; the folder need not exist yet."""
        named = given or (Path(value) if (value := os.environ.get(HOME_VARIABLE)) else None)
        return cls((named or Path.home() / ".upgrade-loop").expanduser().resolve())

    def checked(self) -> Home:
        """Return this home, if it is a folder or could become one.

        Raises:
            ConfigurationInvalid: a file stands where it, or a folder above it, should be.
        """
        for place in (self.root, *self.root.parents):
            if place.exists():
                if not place.is_dir():
                    raise ConfigurationInvalid(f"The home {self.root} cannot be used: {place} is a file.", hint=_HINT)
                break
        return self

    def create(self) -> Home:
        """Make the folders that are always there.

        Raises:
            ConfigurationInvalid: they cannot be made.
        """
        try:
            standing = (self.plugins / name for name in ("installed", "experimental", "deprecated", "registry"))
            for folder in (self.config, self.packages, *standing, self.snapshots, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationInvalid(f"The home {self.root} cannot be made: {error.strerror}.", hint=_HINT) from error
        return self

    @property
    def config(self) -> Path:
        """Folder of the configuration files."""
        return self.root / "config"

    @property
    def packages(self) -> Path:
        """Immutable plugin packages, one folder per digest."""
        return self.root / "packages"

    @property
    def cells(self) -> Path:
        """What plugins of the tier `wasm` run in, built for this system; made anew if it is gone."""
        return self.root / "cells"

    @property
    def plugins(self) -> Path:
        """The plugin folders of spec 3.3: installed, experimental, deprecated, registry."""
        return self.root / "plugins"

    @property
    def snapshots(self) -> Path:
        """Snapshot contents by digest."""
        return self.root / "snapshots"

    @property
    def logs(self) -> Path:
        """Logs of the processes that `up` starts."""
        return self.root / "logs"

    @property
    def database_url(self) -> str:
        """URL of the embedded database."""
        return f"sqlite:///{(self.root / 'loop.db').as_posix()}"

    @property
    def temporal_database(self) -> Path:
        """Database file of the embedded Temporal server."""
        return self.root / "temporal.db"

    @property
    def token_file(self) -> Path:
        """Where the admin token lies."""
        return self.root / "admin.token"

    def admin_token(self) -> str:
        """Return the secret of the admin port, made at first use and readable by the owner only."""
        if not self.token_file.exists():
            self._make_token()
        return self.token_file.read_text(encoding="ascii").strip()

    def _make_token(self) -> None:
        """Put a token in place, whole, unless another process was first."""
        draft = self.token_file.with_name(f"{self.token_file.name}.{secrets.token_hex(8)}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            if sys.platform == "win32":
                _for_its_owner_only(draft)
            file.write(secrets.token_urlsafe(32))
        try:
            with contextlib.suppress(FileExistsError):
                if sys.platform == "win32":
                    draft.rename(self.token_file)  # refuses to replace, unlike everywhere else
                else:
                    self.token_file.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)


if sys.platform == "win32":
    OWNER_AND_SYSTEM_ONLY = "D:P(A;;FA;;;OW)(A;;FA;;;BA)(A;;FA;;;SY)"

    def _for_its_owner_only(path: Path) -> None:
        """Take a file out of what its folder allows: one under ProgramData is read by every user of the machine."""
        import win32security

        kind, revision = win32security.DACL_SECURITY_INFORMATION, win32security.SDDL_REVISION_1
        rights = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(OWNER_AND_SYSTEM_ONLY, revision)
        win32security.SetFileSecurity(str(path), kind, rights)
