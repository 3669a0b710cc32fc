"""Metrics, parsed by Prometheus' own parser: of a real `scheduler up` and of a Scheduler in a program."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read

from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Kind, Outcome, Task
from scheduler.errors import StoreUnavailableError
from scheduler.metrics import DURATION_S, Metrics
from tests.scheduler.scripted_service import FAILURE, START, Service
from tests.scheduler.up_process import cli, command, curl, fetch, up
from tests.waiting import eventually

CLOUD = """
from scheduler.engine import Engine

engine = Engine()


@engine.define
def hello():
    print("hello")


@engine.define
def fails():
    raise ValueError
"""


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Every sample: its name, and the values of its labels in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in read(text)
        for sample in family.samples
    }


def scraped(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return samples(generate_latest(metrics.registry).decode())


@pytest.fixture
def metrics(service: Service) -> Metrics:
    """Metrics of the daemon of a service."""
    assert service.daemon is not None
    metrics = Metrics()
    service.daemon._recorder._listener = metrics
    metrics.watch(service.daemon, service.store)
    return metrics


def test_every_fire_time_is_counted_by_its_outcome(service: Service, metrics: Metrics) -> None:
    """Those that ran, those that were missed, and those that an open breaker short-circuited."""
    service.add("good", seconds=20)
    service.add("bad", seconds=20)
    service.executor.script = lambda task: FAILURE if task.timer == "bad" else (Outcome.SUCCEEDED, Verdict.GOOD)
    service.after(3600)
    for _ in range(5):
        service.after(20)
    scrape = scraped(metrics)
    total = {key[2]: value for key, value in scrape.items() if key[0] == "scheduler_runs_total"}
    assert total == {"succeeded": 6, "misfired": 358, "failed": 5, "short_circuited": 1}
    in_history = dict.fromkeys(total, 0)
    for _, count, outcome in service.rows():
        in_history[str(outcome)] += count
    assert total == in_history
    assert scrape["scheduler_timer_runs_total", "production", "failed", "bad"] == 5
    assert scrape["scheduler_breakers", "open"] == 1
    assert scrape["scheduler_timer_breaker_open", "production", "open", "bad"] == 1
    assert scrape["scheduler_run_lateness_seconds_count", "production"] == 11
    assert scrape["scheduler_timers", "true", "production"] == 2
    assert scrape["scheduler_timers_overdue",] == 2  # by the system's clock, which is not the service's
    assert scrape["scheduler_daemon_lease",] == scrape["scheduler_store_up",] == 1


def test_a_value_is_counted_in_every_bucket_that_it_does_not_exceed() -> None:
    """A run of exactly a bound's length counts below that bound."""
    metrics = Metrics()
    for seconds in (0.0, DURATION_S[3], DURATION_S[-1] * 2):
        metrics([(task("t"), ending(seconds))], [])
    scrape = scraped(metrics)
    counts = [scrape["scheduler_run_duration_seconds_bucket", "production", repr(bound)] for bound in DURATION_S]
    assert counts == [1.0] * 3 + [2.0] * (len(DURATION_S) - 3)
    assert scrape["scheduler_run_duration_seconds_bucket", "production", "+Inf"] == 3


def test_the_number_of_names_is_limited() -> None:
    """Timers and functions over the limit share an empty name, and so do functions that do not exist."""
    metrics = Metrics(names=2)
    for name in ("a", "b", "c", "d", "a"):
        metrics([(task(name), ending(0))], [])
        metrics.answered("function", name, 200, 0.01)
        metrics.answered("function", f"{name}-unknown", 404, 0.01)
    scrape = scraped(metrics)
    assert {key[3]: value for key, value in scrape.items() if key[0] == "scheduler_timer_runs_total"} == {
        "a": 2,
        "b": 1,
        "": 2,
    }
    assert {key[2:]: value for key, value in scrape.items() if key[0] == "scheduler_engine_calls_total"} == {
        ("a", "200"): 2,
        ("b", "200"): 1,
        ("", "200"): 2,
        ("", "404"): 5,
    }


def test_a_store_that_does_not_answer_is_a_metric(
    service: Service, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scrape is answered nevertheless."""

    def unavailable(_: object) -> NoReturn:
        raise StoreUnavailableError("the store is locked")

    monkeypatch.setattr(type(service.store), "reading", unavailable)
    assert service.daemon is not None
    service.daemon.turn()
    scrape = scraped(metrics)
    assert scrape["scheduler_store_up",] == 0
    assert scrape["scheduler_faults_total", "store"] == 1


def task(timer: str) -> Task:
    return Task(1, 1, timer, "f", "production", "{}", 15.0, Kind.SCHEDULED, START, 1, "r", False)


def ending(seconds: float) -> Ending:
    ended_at = START + timedelta(seconds=seconds)
    return Ending(outcome=Outcome.SUCCEEDED, verdict=Verdict.GOOD, started_at=START, ended_at=ended_at)


def test_the_manual_explains_every_metric(service: Service, metrics: Metrics) -> None:
    """Under its name in Prometheus."""
    service.add(seconds=20)
    service.after(20)
    metrics.answered("function", "hello", 200, 0.1)
    manual = Path(__file__).parents[2].joinpath("docs", "observation.md").read_text()
    families = list(read(generate_latest(metrics.registry).decode()))
    assert len(families) >= 15
    assert not [family.name for family in families if f"`{family.name}" not in manual]


@pytest.mark.slow
def test_up_serves_metrics_on_a_separate_port(tmp_path: Path) -> None:
    """In both formats of Prometheus; timers and calls are counted, and the engine's port has no metrics."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    command(tmp_path, "timers", "add", "tick", "--function", "hello", "--every", "1", "--enable")
    with up(tmp_path, "--metrics-port", "0") as running:
        assert curl(running.facts["call"])[0] == 200
        assert curl(running.facts["call"], instead="fails")[0] == 500
        assert curl(running.facts["call"], instead="fail")[0] == 404
        address = running.facts["metrics"]

        def ticks() -> bool:
            key = ("scheduler_timer_runs_total", "production", "succeeded", "tick")
            return samples(fetch(address)[1]).get(key, 0) >= 2

        def calls() -> dict[tuple[str, ...], float]:
            scrape = samples(fetch(address)[1])
            return {key[2:]: value for key, value in scrape.items() if key[0] == "scheduler_engine_calls_total"}

        eventually(ticks)
        # The process that answers calls reports them once a second to the one that serves metrics.
        eventually(calls, lambda seen: seen == {("hello", "200"): 1, ("fails", "500"): 1, ("", "404"): 1})
        scrape = samples(fetch(address)[1])
        assert scrape["scheduler_daemons",] == scrape["scheduler_daemon_lease",] == scrape["scheduler_store_up",] == 1
        assert scrape["process_resident_memory_bytes",] > 1e7
        accepted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        assert {family.name for family in read_open(fetch(address, accepted)[1])} >= {"scheduler_runs"}
        assert fetch(f"{running.url}/metrics")[0] == 404
        assert address.startswith("http://127.0.0.1:")
        status, stderr = running.stop()
    assert status == 0, stderr


@pytest.mark.slow
def test_a_metrics_port_in_use_is_named(tmp_path: Path) -> None:
    """With the option that sets another one."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = cli(tmp_path, "up", "--port", "0", "--metrics-port", str(port))
    assert refused.returncode == 2
    assert f"port {port} of 127.0.0.1 is in use" in refused.stderr
    assert f"--metrics-port {port + 1}" in refused.stderr
