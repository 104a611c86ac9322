"""Spec 12.1, key metrics - decides which metric names the product owes, and whether the reader exports exactly these.

Not here: their values (`tests/store/test_metrics.py`).
"""

from __future__ import annotations

SPECIFIED = {
    "upgrade_cycles_total": "counter",
    "upgrade_cycle_duration_seconds": "summary",
    "upgrade_cycles_failed_total": "counter",
    "patterns_detected_total": "counter",
    "gaps_identified_total": "counter",
    "upgrade_opportunities_total": "counter",
    "upgrades_approved_total": "counter",
    "upgrades_rejected_total": "counter",
    "decision_confidence_avg": "gauge",
    "upgrades_deployed_total": "counter",
    "upgrades_rolled_back_total": "counter",
    "upgrade_deployment_duration_seconds": "gauge",
    "upgrade_performance_regression_detected_total": "counter",
    "upgrade_rollback_duration_seconds": "summary",
    "ab_experiments_created_total": "counter",
    "ab_experiments_completed_total": "counter",
    "ab_experiments_significant_results_total": "counter",
}
"""The names of 12.1."""

INTEGRATION = {
    "upgrade_cycles_completed": "counter",
    "upgrades_deployed": "counter",
    "upgrades_rolled_back": "counter",
    "upgrade_decision_confidence": "gauge",
}
"""The names of 10.2."""

OURS = {
    "upgrade_planned_duration_seconds": "gauge",
    "upgrades_needing_attention": "gauge",
}
"""Names that the alerting rules need beside them."""

EXPORTED = SPECIFIED | INTEGRATION | OURS
