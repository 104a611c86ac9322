"""Spec 11.1, UpgradeSecurityModel - decides whether a package may be installed, by five checks of one shape.

Rules:
- A check is a function (package, sources, policy) -> SecurityCheck and looks at nothing else.
- It passes when none of its findings is an error; a warning is for a person to read.
- What the manifest declares within the policy is allowed; what the code does beyond the manifest is an error.
- A file that cannot be parsed was not checked, and has therefore not passed.

These checks read what is written. They hold no hostile plugin back by themselves; that is the sandbox's part.

Not here: what code does (`engines/code_rules.py`), verifying a signature (`activities/security.py`), the sandbox
(`plugins/core/`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Final

from domain.contracts import PluginPackage
from domain.network import Destination
from domain.security import CheckName, SecurityCheck, SecurityFinding, SecurityPolicy, SecurityVerification
from engines.code_rules import NETWORK_MODULES, Use, imported, uses
from engines.syntax import parse

ERROR: Final = "error"
WARNING: Final = "warning"

Sources = Mapping[str, str]
"""Text of each Python file of the package, by its path within it."""

Check = Callable[[PluginPackage, Sources, SecurityPolicy], SecurityCheck]


def verify(package: PluginPackage, sources: Sources, policy: SecurityPolicy) -> SecurityVerification:
    """Run all checks on one package.

    Args:
        package: contract and digest.
        sources: its Python files.
        policy: what the house allows, and what it knows of the package's origin.

    Returns:
        The five checks in the spec's order, and one recommendation for each that did not pass.
    """
    checks = tuple(check(package, sources, policy) for check in CHECKS)
    failed = [check for check in checks if not check.passed]
    return SecurityVerification(
        passed=not failed,
        checks=checks,
        recommendations=tuple(f"{package.id}: {_ADVICE[check.name]}" for check in failed),
    )


def code_signing(package: PluginPackage, sources: Sources, policy: SecurityPolicy) -> SecurityCheck:
    """Pass a package whose digest is the one its registry lists, signed or expressly allowed to be unsigned."""
    del sources
    findings = []
    listed = policy.listed.get(package.id)
    if listed is None:
        findings.append(_finding("not_listed", f"The registry's index does not list {package.id}."))
    elif listed != package.digest:
        message = (
            f"The registry lists {package.id} with digest {listed[:12]}, but its files have {package.digest[:12]}."
        )
        findings.append(_finding("digest_differs", message))
    if package.digest not in policy.signed:
        message = f"NOBODY HAS SIGNED {package.id}: its digest is known, its author is not."
        severity = WARNING if policy.allow_unsigned else ERROR
        findings.append(_finding("unsigned", message, severity=severity))
    return _check(CheckName.CODE_SIGNING, findings)


def static_analysis(package: PluginPackage, sources: Sources, policy: SecurityPolicy) -> SecurityCheck:
    """Pass code that does nothing dangerous beyond what its manifest declares."""
    del policy
    profile = package.contract.security_profile
    declared = {
        "subprocess": profile.subprocess,
        "socket": bool(profile.network_hosts),
        "environment": bool(profile.environment),
        "file_write": bool(profile.write_paths),
    }
    findings = [
        _finding(use.rule, f"{use.what} is not declared in the manifest.", use)
        for use in _all_uses(sources)
        if not declared.get(use.rule, False)
    ]
    return _check(CheckName.STATIC_ANALYSIS, [*_unparsable(sources), *findings])


def dependency_scan(package: PluginPackage, sources: Sources, policy: SecurityPolicy) -> SecurityCheck:
    """Pass code that imports the standard library and its own files only; a plugin's process has nothing else.

    What a plugin with locked requirements imports beside these comes from them, or the plugin does not start.
    """
    del policy
    severity = WARNING if package.contract.requirements else ERROR
    own = {PurePosixPath(path).parts[0].removesuffix(".py") for path in sources}
    findings = [
        _finding(
            "undeclared_import",
            f"{use.what} is neither in the standard library nor in the package.",
            use,
            severity=severity,
        )
        for use in _all_imports(sources)
        if use.rule not in sys.stdlib_module_names and use.rule not in own
    ]
    return _check(CheckName.DEPENDENCY_SCAN, [*_unparsable(sources), *findings])


def permission_scope(package: PluginPackage, sources: Sources, policy: SecurityPolicy) -> SecurityCheck:
    """Pass a manifest that asks for nothing beyond the policy, and no path that is neither its own nor the policy's."""
    del sources
    profile = package.contract.security_profile
    findings = [
        _finding("permission", f"The policy does not grant {name!r}.")
        for name in profile.permissions
        if name not in policy.permissions
    ]
    if profile.subprocess and not policy.subprocess:
        findings.append(_finding("subprocess", "The policy does not let plugins start child processes."))
    findings += [
        _finding("path", f"The policy lets no plugin touch {path!r}.")
        for paths, allowed in ((profile.read_paths, policy.read_paths), (profile.write_paths, policy.write_paths))
        for path in paths
        if not _is_own(path) and not _within(path, allowed)
    ]
    findings += [
        _finding("environment", f"The policy does not give the variable {name!r}.")
        for name in profile.environment
        if name not in policy.environment
    ]
    return _check(CheckName.PERMISSION_SCOPE, findings)


def network_access(package: PluginPackage, sources: Sources, policy: SecurityPolicy) -> SecurityCheck:
    """Pass a package whose hosts are within the policy, and which touches no network when it names none."""
    hosts = package.contract.security_profile.network_hosts
    findings = [
        _finding("host", f"The policy does not allow {host!r}.")
        for host in hosts
        if not Destination.of(host).is_allowed(policy.network_hosts)
    ]
    if not hosts:
        findings += [
            _finding("undeclared_network", f"{use.what} needs hosts, and the manifest names none.", use)
            for use in _all_imports(sources)
            if use.rule in NETWORK_MODULES
        ]
    return _check(CheckName.NETWORK_ACCESS, [*_unparsable(sources), *findings])


CHECKS: Final[tuple[Check, ...]] = (code_signing, static_analysis, dependency_scan, permission_scope, network_access)

_ADVICE: Final[Mapping[CheckName, str]] = {
    CheckName.CODE_SIGNING: "publish it again through the registry, signed with a trusted key.",
    CheckName.STATIC_ANALYSIS: "declare what the code does in security_profile, or let the code do without.",
    CheckName.DEPENDENCY_SCAN: "put what it imports into the package, or use the standard library.",
    CheckName.PERMISSION_SCOPE: "ask for less, or let a person widen the policy.",
    CheckName.NETWORK_ACCESS: "name the hosts in security_profile.network_hosts and let a person allow them.",
}


def _check(name: CheckName, findings: list[SecurityFinding]) -> SecurityCheck:
    passed = all(finding.severity != ERROR for finding in findings)
    return SecurityCheck(name=name, passed=passed, findings=tuple(findings))


def _finding(rule: str, message: str, use: Use | None = None, *, severity: str = ERROR) -> SecurityFinding:
    file, line = (use.file, use.line) if use else ("", 0)
    return SecurityFinding(rule=rule, severity=severity, file=file, line=line, message=message)


def _unparsable(sources: Sources) -> list[SecurityFinding]:
    parsed = {path: parse(path, sources[path]) for path in sorted(sources)}
    return [
        SecurityFinding(rule="unparsable", severity=ERROR, file=path, message=f"It was not checked: {tree}.")
        for path, tree in parsed.items()
        if isinstance(tree, str)
    ]


def _all_uses(sources: Sources) -> Iterator[Use]:
    for path in sorted(sources):
        yield from uses(path, sources[path])


def _all_imports(sources: Sources) -> Iterator[Use]:
    for path in sorted(sources):
        yield from imported(path, sources[path])


def _is_own(path: str) -> bool:
    """Say whether a path stays in the plugin's own folders: on no system absolute, on a drive, a home's, or upwards."""
    windows = PureWindowsPath(path)
    outside = windows.anchor or PurePosixPath(path).is_absolute() or ".." in windows.parts or path.startswith("~")
    return not outside


def _within(path: str, allowed: Sequence[str]) -> bool:
    """Say whether a path lies in one of the folders, as far as it is written; links are the jail's to follow."""
    place = PurePath(path)
    return ".." not in place.parts and any(place.is_relative_to(PurePath(folder)) for folder in allowed)
