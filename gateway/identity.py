"""Spec 4.1, variant assignment - decides who is calling, and what of them is placed on a version as a whole.

Rules:
- The caller is the first of: the bearer token's subject, the `X-Upgrade-Loop-User` header or `_meta.user`, the agent
  in the path, the MCP session, the installation.
- A token is known by its SHA-256 only; one that is presented and not known is refused, never ignored.
- The ledger sees a caller as a hash keyed by a secret of this home, so that two homes' ledgers cannot be joined.
- A unit that the request does not carry (no session, no agent) falls back to the caller.

Not here: which version the unit gets (`engines/routing.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.home import Home
from domain.errors import ConfigurationInvalid, PermissionDenied
from domain.routing import Unit

USER_HEADER = "x-upgrade-loop-user"
SESSION_HEADER = "mcp-session-id"
INSTALLATION = "installation"
MOST_REMEMBERED = 10_000
"""Callers whose hashes are kept at hand."""
_LONGEST_NAME = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class KnownCaller(BaseModel):
    """A caller who proves themselves by a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=_LONGEST_NAME)
    token_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class CallersFile(BaseModel):
    """`config/callers.json` of the home.

    Attributes:
        required: whether a call without a token is refused.
        callers: who holds a token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    required: bool = False
    callers: tuple[KnownCaller, ...] = ()


class Caller(NamedTuple):
    """Who calls, as far as the request tells.

    Attributes:
        name: as people write it, in an allow-list for example.
        hash: what the ledger keeps of the name.
        agent: name of the agent in the path, empty if there is none.
        session: MCP session id, None on the stateless protocol.
    """

    name: str
    hash: str
    agent: str = ""
    session: str | None = None

    def unit(self, kind: Unit, call_id: str) -> str:
        """Return what a route that assigns `kind` places for this call."""
        match kind:
            case Unit.CALLER:
                return self.name
            case Unit.AGENT:
                return self.agent or self.name
            case Unit.SESSION:
                return self.session or self.name
            case Unit.CALL:
                return call_id


class Identities:
    """Tells callers apart.

    Args:
        file: who holds a token.
        key: secret that keys the callers' hashes.

    Attributes:
        hash_of: returns what the ledger keeps of a caller's name.
    """

    def __init__(self, file: CallersFile, key: bytes) -> None:
        self._required = file.required
        self._by_token = {caller.token_sha256: caller.name for caller in file.callers}
        self._key = key
        self.hash_of = lru_cache(MOST_REMEMBERED)(self._hash_of)

    @classmethod
    def of(cls, home: Home) -> Identities:
        """Read the home's callers and its key, which is made at first use.

        Raises:
            ConfigurationInvalid: `config/callers.json` cannot be used.
        """
        return cls(read_callers(home), _key_of(home))

    def admit(self, authorization: str | None) -> str | None:
        """Return the subject of a request's bearer token, None for a request without one.

        Raises:
            PermissionDenied: the token is not known, or there is none and one is required.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and token:
            subject = self._by_token.get(hashlib.sha256(token.strip().encode()).hexdigest())
            if subject is None:
                raise PermissionDenied("The bearer token is not known here.", hint="Issue one for this caller first.")
            return subject
        if self._required:
            raise PermissionDenied("This gateway asks for a bearer token.", hint="Send one in `Authorization`.")
        return None

    def identify(self, headers: Mapping[str, str], agent: str, meta: Mapping[str, Any] | None) -> Caller:
        """Return who calls.

        Args:
            headers: of the request, names in any case.
            agent: name in the path, empty if there is none.
            meta: the request's `_meta`.

        Raises:
            PermissionDenied: as `admit`.
        """
        session = headers.get(SESSION_HEADER)
        stated = headers.get(USER_HEADER) or (meta or {}).get("user")
        name = self.admit(headers.get("authorization")) or _clean(stated)
        if not name:
            name = f"agent:{agent}" if agent else f"session:{session}" if session else INSTALLATION
        return Caller(name=name, hash=self.hash_of(name), agent=agent, session=session)

    def _hash_of(self, name: str) -> str:
        """Return what the ledger keeps of a caller's name: 32 hex digits of an HMAC-SHA-256."""
        return hmac.new(self._key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def read_callers(home: Home) -> CallersFile:
    """Return the home's callers, nobody if it has no such file.

    Raises:
        ConfigurationInvalid: the file is not what it should be.
    """
    path = _callers_path(home)
    try:
        return CallersFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return CallersFile()
    except ValidationError as error:
        raise ConfigurationInvalid(
            f"{path} cannot be used: {error.errors()[0]['msg']}.",
            hint='It holds {"required": false, "callers": [{"name": ..., "token_sha256": ...}]}.',
        ) from error


def issue_token(home: Home, name: str) -> str:
    """Give a caller a token in place of any earlier one, and return it; only its hash is kept."""
    token = secrets.token_urlsafe(32)
    file = read_callers(home)
    known = KnownCaller(name=name, token_sha256=hashlib.sha256(token.encode()).hexdigest())
    others = tuple(caller for caller in file.callers if caller.name != name)
    path = _callers_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    document = file.model_copy(update={"callers": (*others, known)}).model_dump(mode="json")
    draft.write_text(json.dumps(document, indent=2), encoding="utf-8")
    draft.replace(path)
    return token


def _callers_path(home: Home) -> Path:
    return home.config / "callers.json"


def _key_of(home: Home) -> bytes:
    path = home.root / "caller.key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        key = secrets.token_hex(32).encode("ascii")
        file.write(key)
    return key


def _clean(stated: object) -> str:
    """Return a name that a request stated about itself, without what would spoil a log."""
    return _UNPRINTABLE.sub("", stated)[:_LONGEST_NAME].strip() if isinstance(stated, str) else ""
