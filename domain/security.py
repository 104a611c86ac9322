"""Spec 11.1, SecurityVerification - decides what the five checks report.

Rules:
- A check passes or lists findings; a check that could not run has not passed.
- The whole passes only if every check does.

Not here: the checks (`engines/security.py` and `activities/security.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model


class CheckName(StrEnum):
    """The five checks of 11.1."""

    CODE_SIGNING = "code_signing"
    STATIC_ANALYSIS = "static_analysis"
    DEPENDENCY_SCAN = "dependency_scan"
    PERMISSION_SCOPE = "permission_scope"
    NETWORK_ACCESS = "network_access"


class SecurityFinding(Model):
    """One thing a check objects to."""

    rule: str
    severity: str
    file: str = ""
    line: int = 0
    message: str


class SecurityCheck(Model):
    """One check and what it found."""

    name: CheckName
    passed: bool
    findings: tuple[SecurityFinding, ...] = ()


class SecurityPolicy(Model):
    """What the house allows, and what it knows of a package's origin.

    Attributes:
        listed: digest of each package, by `name@version`, as the registry's index states it.
        signed: digests whose signature was verified against a trusted key.
        allow_unsigned: whether a package without a verified signature may pass.
        permissions: names a plugin may ask for.
        network_hosts: patterns such as `api.example.org` or `*.example.org:8443` of the hosts it may ask for.
        subprocess: whether a plugin may ask to start child processes.
        read_paths, write_paths: folders outside its own that a plugin may ask for.
        environment: variables it may ask for.
    """

    listed: dict[str, str] = Field(default_factory=dict)
    signed: tuple[str, ...] = ()
    allow_unsigned: bool = False
    permissions: tuple[str, ...] = ()
    network_hosts: tuple[str, ...] = ()
    subprocess: bool = False
    read_paths: tuple[str, ...] = ()
    write_paths: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


class SecurityVerification(Model):
    """All checks of one package."""

    passed: bool
    checks: tuple[SecurityCheck, ...]
    recommendations: tuple[str, ...] = ()
