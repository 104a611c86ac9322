"""Spec 7.1, performance assessment - decides how a candidate is measured before it may serve anyone.

Rules:
- A replacement is measured beside the version it would replace, on the same calls; a new capability alone.
- Time is noisy on a busy host: a candidate that is only slower is measured once more, and is slower if both agree.
- Switched off in the settings, the step says so and passes.

Not here: the limits and the verdict (`engines/performance.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import activity

from activities import messages as m
from activities.context import Context, beating
from activities.replay import ReplayCall, calls_for, measure_alone, measure_pair
from domain.performance import PerformanceAssessment, PerformanceLimits
from domain.routing import PluginVersion
from domain.upgrades import UpgradePlan
from engines import performance as engine

REPEATS = 3


class PerformanceActivities:
    """Measures candidates."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    async def assess_performance(self, message: m.StepInput) -> m.StepReport:
        """Measure the candidate and hold it against the limits."""
        if not self._context.settings.performance.enabled:
            return m.StepReport(passed=True, summary="Performance assessment is switched off.")
        async with beating():
            assessment = await self._assess(message.plan)
        detail = assessment.model_dump(mode="json", exclude={"pairs"})
        return m.StepReport(passed=assessment.meets_criteria, summary=" ".join(assessment.reasons), detail=detail)

    async def _assess(self, plan: UpgradePlan) -> PerformanceAssessment:
        remedy = plan.opportunity.remedy
        assert remedy is not None
        samples = self._context.settings.ab_testing.replay_samples
        contract = self._context.packages.get((remedy.replaces or remedy.package).digest).contract
        calls = await calls_for(self._context, contract, remedy.capability, samples)
        if remedy.replaces is None:
            alone = await measure_alone(self._context, remedy.package, calls, REPEATS)
            return engine.compare(engine.metrics(alone.calls, alone.usage), None, self._limits())
        first = await self._compare(remedy.replaces, remedy.package, calls)
        return await self._compare(remedy.replaces, remedy.package, calls) if _only_slower(first) else first

    async def _compare(
        self, control: PluginVersion, candidate: PluginVersion, calls: Sequence[ReplayCall]
    ) -> PerformanceAssessment:
        measured = await measure_pair(self._context, control, candidate, calls, REPEATS)
        return engine.compare(
            engine.metrics(measured.candidate, measured.candidate_usage),
            engine.metrics(measured.control, measured.control_usage),
            self._limits(),
            measured.pairs,
        )

    def _limits(self) -> PerformanceLimits:
        settings = self._context.settings.performance
        return PerformanceLimits(
            max_latency_regression_percent=settings.max_latency_regression_percent,
            max_error_rate_regression_multiplier=settings.max_error_rate_regression_multiplier,
        )


def _only_slower(assessment: PerformanceAssessment) -> bool:
    """Say whether nothing but time speaks against a candidate."""
    worse = {regression.metric for regression in assessment.regressions}
    return bool(worse) and worse <= {"latency_p95", "cpu_usage"}
