"""Spec 9.1, failures - decides how the house says that something went wrong.

    UpgradeLoopError
    |-- InvalidInput                     exit 2: the person can mend it
    |   |-- ConfigurationInvalid
    |   |-- ManifestInvalid
    |   |-- NotFound
    |   |-- PermissionDenied
    |   `-- IllegalTransition
    |-- ServiceUnreachable               exit 3: something that should answer does not
    |   |-- TemporalUnreachable
    |   |-- GatewayUnreachable
    |   `-- StoreUnusable
    `-- UpgradeImplementationFailed      exit 1: the saga ends and is taken back
        |-- DependencyResolutionFailed
        |-- SecurityVerificationFailed
        |-- PerformanceCriteriaNotMet
        |-- ExperimentNotWon
        |-- PluginRegistrationFailed
        `-- RestoreFailed

Rules:
- Every message says what happened, to which id, and what to do next (`hint`).
- Names that the spec fixes keep its spelling, which is why they lack the suffix `Error`.
- An expected outcome (rejected, inconclusive, no data, rolled back) is a value, never one of these.

Not here: the wording of one failure; the place that raises it knows the ids.
"""

from __future__ import annotations

from typing import ClassVar

from domain.base import JsonObject


class UpgradeLoopError(Exception):
    """Anything the house reports to a person as a failure.

    Args:
        message: what happened, to which id.
        hint: what to do next; empty when nothing can be done.
        details: facts a program may want, JSON-ready.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: JsonObject = details or {}

    def document(self) -> JsonObject:
        """Return the error as the command line prints it with `--json`."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint, "details": self.details}}


class InvalidInput(UpgradeLoopError):
    """What the caller gave cannot be used."""

    code = "invalid_input"
    exit_code = 2


class ConfigurationInvalid(InvalidInput):
    """The configuration file or an override of it cannot be used."""

    code = "configuration_invalid"


class ManifestInvalid(InvalidInput):
    """A plugin package's manifest or contracts cannot be used."""

    code = "manifest_invalid"


class NotFound(InvalidInput):
    """No such id."""

    code = "not_found"


class PermissionDenied(InvalidInput):
    """The person's role does not include the command."""

    code = "permission_denied"


class IllegalTransition(InvalidInput):
    """A record was asked to move to a state that its table does not allow."""

    code = "illegal_transition"


class ServiceUnreachable(UpgradeLoopError):
    """A service that should answer does not."""

    code = "service_unreachable"
    exit_code = 3


class TemporalUnreachable(ServiceUnreachable):
    """The Temporal Service does not answer, or no `temporal` was found to start one."""

    code = "temporal_unreachable"


class GatewayUnreachable(ServiceUnreachable):
    """The gateway's admin port does not answer."""

    code = "gateway_unreachable"


class StoreUnusable(ServiceUnreachable):
    """The database cannot be opened, is damaged, or is of a newer version."""

    code = "store_unusable"


class UpgradeImplementationFailed(UpgradeLoopError):
    """A step of the saga failed for good; everything done so far is taken back."""

    code = "upgrade_implementation_failed"


class DependencyResolutionFailed(UpgradeImplementationFailed):
    """No set of versions satisfies the plugin's requirements."""

    code = "dependency_resolution_failed"


class SecurityVerificationFailed(UpgradeImplementationFailed):
    """One of the five security checks of spec 11.1 did not pass."""

    code = "security_verification_failed"


class PerformanceCriteriaNotMet(UpgradeImplementationFailed):
    """The candidate is slower or fails more than the configured limits allow."""

    code = "performance_criteria_not_met"


class ExperimentNotWon(UpgradeImplementationFailed):
    """The experiment's verdict was not to ship."""

    code = "experiment_not_won"


class PluginRegistrationFailed(UpgradeImplementationFailed):
    """The candidate could not be loaded, warmed up or registered."""

    code = "plugin_registration_failed"


class RestoreFailed(UpgradeImplementationFailed):
    """A snapshot could not be restored or did not verify."""

    code = "restore_failed"
