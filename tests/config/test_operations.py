"""Spec 12.2, operations - decides whether the files for Prometheus, Grafana and containers fit the product.

Prometheus' own `promtool` judges the rules; the container files are read as text, for no container is started here.

Not here: whether the metrics move (`tests/store/test_metrics.py`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import Settings
from tests.house.source import ROOT
from tests.house.test_metric_names import EXPORTED

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)
SPEC_ALERTS = {
    "UpgradeCycleFailureRate": "warning",
    "HighRollbackRate": "critical",
    "PerformanceRegression": "warning",
    "LongRunningUpgrade": "warning",
}
NOT_METRICS = frozenset({"increase", "absent", "unless", "on", "or", "upgrade", "quantile", "d", "h"})


def document(name: str) -> Any:
    """Return a YAML file of the repository."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def alerts() -> list[dict[str, Any]]:
    """Return the alerting rules."""
    return [rule for group in document("config/alerts.yaml")["groups"] for rule in group["rules"]]


def metrics_in(expression: str) -> set[str]:
    """Return the metric names of a PromQL expression."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    return set(re.findall(r"[a-z_]+", bare)) - NOT_METRICS


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "config/alerts.yaml"],
        ["check", "config", "config/prometheus.yml"],
        ["test", "rules", "tests/config/alerts_test.yaml"],
    ],
    ids=" ".join,
)
def test_promtool_accepts_the_rules_and_their_unit_tests(arguments: list[str]) -> None:
    answer = subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_four_alerts_of_the_specification_keep_name_and_severity() -> None:
    found = {rule["alert"]: rule["labels"]["severity"] for rule in alerts()}
    assert {name: found.get(name) for name in SPEC_ALERTS} == SPEC_ALERTS


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_only_for_metrics_that_are_exported(rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"]) <= set(EXPORTED)
    assert rule["annotations"]["summary"]


def test_a_counter_is_never_compared_bare() -> None:
    for rule in alerts():
        for name in re.findall(r"\b[a-z_]+_total\b", rule["expr"]):
            assert f"increase({name}[" in rule["expr"] or f"absent({name})" in rule["expr"]


def test_every_panel_of_the_dashboard_shows_something_that_is_exported() -> None:
    dashboard = json.loads((ROOT / "config/grafana/upgrade_loop.json").read_text(encoding="utf-8"))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert metrics_in(target["expr"]) <= set(EXPORTED), panel["title"]


def test_every_container_is_wired_to_something_that_is_there() -> None:
    compose = document("docker-compose.yml")
    services, volumes = compose["services"], set(compose["volumes"])

    assert services.keys() == {"postgresql", "temporal", "temporal-ui", "gateway", "worker", "prometheus"}
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in services[needed], f"{name} waits for the health of {needed}, which has no check"
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in volumes or (ROOT / source).is_file(), f"{name} mounts {source}"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} would listen to the whole network at {port}"
    assert volumes == {m.split(":")[0] for s in services.values() for m in s.get("volumes", []) if m[0] != "."}


def test_the_gateways_port_is_the_same_wherever_it_is_named() -> None:
    gateway = document("docker-compose.yml")["services"]["gateway"]
    port = gateway["environment"]["UPGRADE_LOOP_GATEWAY__PORT"]

    assert gateway["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/readyz" in " ".join(gateway["healthcheck"]["test"])
    targets = document("config/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"gateway:{port}"]
    assert f"EXPOSE {port}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_settings_understand_every_variable_of_the_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in document("docker-compose.yml")["services"]["worker"]["environment"].items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert settings.gateway.port == 8750
    assert settings.temporal.address == "temporal:7233"
    assert settings.store.url is not None
    assert settings.store.url.startswith("postgresql+psycopg://")


def test_the_admin_port_is_reached_without_leaving_the_loopback() -> None:
    assert document("docker-compose.yml")["services"]["worker"]["network_mode"] == "service:gateway"


def test_no_password_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for line in text.splitlines():
        if re.search(r"PASSWORD:|PWD:", line):
            assert "${POSTGRES_PASSWORD:?" in line


def test_the_image_copies_what_makes_its_environment_before_the_rest() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line.startswith("COPY"))
    assert {name for name in first.split() if Path(name).suffix} == {"run.py", "pyproject.toml", "constraints.txt"}
