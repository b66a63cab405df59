"""OpenTelemetry, with its own SDK: what is counted, what is traced, and that no name that a client chose is in either."""

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from strongdm_auth.otel import OpenTelemetry
from strongdm_auth.testing import SigningKey

from .world import ALPHA, DISCOVERY, Answer, World, async_status_of, status_of


class Telescope:
    """An observer and what it gave to the SDK."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._meters = MeterProvider(metric_readers=[self._reader])
        self.observer = OpenTelemetry(meter_provider=self._meters, tracer_provider=self.tracers)

    @property
    def counted(self) -> dict[tuple[str, str, str], int]:
        """(outcome, reason, scheme) -> decisions."""
        data: Any = self._reader.get_metrics_data()
        metrics = [
            each for resource in data.resource_metrics for scope in resource.scope_metrics for each in scope.metrics
        ]
        assert [each.name for each in metrics] == ["strongdm_auth.decisions"]
        points = metrics[0].data.data_points
        return {(p.attributes["outcome"], p.attributes["reason"], p.attributes["scheme"]): p.value for p in points}

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def close(self) -> None:
        self._meters.shutdown()
        self.tracers.shutdown()


@pytest.fixture
def telescope() -> Any:
    telescope = Telescope()
    yield telescope
    telescope.close()


def test_decisions_are_counted_by_outcome_reason_and_scheme(
    world: World, key: SigningKey, telescope: Telescope
) -> None:
    world.publish(key)
    verifier = world.verifier(on_event=telescope.observer)
    for number in range(3):
        assert status_of(verifier, world.token(key, sub=f"agent-{number}")) == 200
    assert status_of(verifier, world.token(key, exp=world.clock() - 100, iat=world.clock() - 200)) == 401
    assert status_of(verifier, world.token(key)[:-8] + "AAAAAAAA") == 401
    assert telescope.counted == {
        ("admitted", "ok", "Bearer"): 3,
        ("refused", "token.expired", "Bearer"): 1,
        ("refused", "token.signature", "Bearer"): 1,
    }


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_exchange_is_a_span_in_the_trace_of_the_request_that_needed_it(
    world: World, key: SigningKey, telescope: Telescope, kind: str
) -> None:
    world.publish(key)
    with telescope.tracers.get_tracer("test").start_as_current_span("request"):
        if kind == "sync":
            assert status_of(world.verifier(on_event=telescope.observer), world.token(key)) == 200
        else:
            verifier = world.async_verifier(on_event=telescope.observer)
            assert asyncio.run(async_status_of(verifier, world.token(key))) == 200
    *fetches, request = telescope.spans
    assert [span.name for span in fetches] == ["strongdm_auth.fetch discovery", "strongdm_auth.fetch jwks"]
    assert [dict(span.attributes or {}) for span in fetches] == [
        {"http.request.method": "GET", "url.full": url, "http.response.status_code": 200}
        for url in (ALPHA + DISCOVERY, f"{ALPHA}/jwks")
    ]
    for span in fetches:
        assert span.kind is trace.SpanKind.CLIENT
        assert span.parent is not None
        assert span.parent.span_id == request.get_span_context().span_id  # type: ignore[union-attr]
        assert span.start_time == int(world.clock() * 1_000_000_000)
        assert (span.end_time or 0) >= (span.start_time or 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Answer(status=500), "500"), (Answer(fault=ConnectionError("x")), "ConnectionError")],
)
def test_an_exchange_that_came_to_nothing_is_an_error(
    world: World, key: SigningKey, telescope: Telescope, answer: Answer, error: str
) -> None:
    world.outage = answer
    assert status_of(world.verifier(on_event=telescope.observer), world.token(key)) == 503
    (span,) = telescope.spans
    assert (span.attributes or {})["error.type"] == error
    assert span.status.status_code is trace.StatusCode.ERROR
    assert telescope.counted == {("unavailable", "keys.unavailable", "Bearer"): 1}


def test_a_warm_request_has_no_span(world: World, key: SigningKey, telescope: Telescope) -> None:
    world.publish(key)
    verifier = world.verifier(on_event=telescope.observer)
    for _ in range(5):
        assert status_of(verifier, world.token(key)) == 200
    assert len(telescope.spans) == 2


def test_a_setting_may_name_it_and_without_an_sdk_it_does_nothing(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier(on_event="strongdm_auth.otel:OpenTelemetry")
    assert isinstance(verifier.settings.on_event[0], OpenTelemetry)
    assert status_of(verifier, world.token(key)) == 200
