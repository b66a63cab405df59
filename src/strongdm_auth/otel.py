"""OpenTelemetry: `on_event=OpenTelemetry()`, or `STRONGDM_ON_EVENT=strongdm_auth.otel:OpenTelemetry`. Needs the extra `otel`.

A counter of decisions, `strongdm_auth.decisions`, by outcome, reason and scheme: few values each, and none that a client
chooses. A span for each exchange with the issuer, and none for a request, which the framework's own instrumentation has. No
subject and no token goes into either: who did what is for the audit trail. Without an SDK all of it does nothing.
"""

from typing import Any

from ._version import __version__
from .errors import ConfigurationError
from .events import Decision, Event, Exchange

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ImportError as fault:
    raise ConfigurationError(
        "OpenTelemetry needs the package opentelemetry-api: pip install 'strongdm-auth[otel]'"
    ) from fault

_NAME = "strongdm_auth"
_NANO = 1_000_000_000


class OpenTelemetry:
    """An observer for the setting `on_event`. The providers are the global ones, unless others are given."""

    def __init__(self, *, meter_provider: Any = None, tracer_provider: Any = None) -> None:
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._decisions = meter.create_counter(
            f"{_NAME}.decisions",
            unit="{decision}",
            description="Requests that were let in, refused, or could not be judged",
        )
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)

    def __call__(self, event: Event) -> None:
        """Count a decision, or tell of an exchange."""
        if isinstance(event, Decision):
            self._count(event)
        elif isinstance(event, Exchange):
            self._trace(event)

    def _count(self, decision: Decision) -> None:
        attributes = {"outcome": decision.outcome, "reason": decision.reason, "scheme": decision.scheme or "none"}
        if decision.error is not None:
            attributes["error.type"] = decision.error
        self._decisions.add(1, attributes)

    def _trace(self, exchange: Exchange) -> None:
        """A span in the current context, with the times of the exchange, which is over."""
        attributes: dict[str, str | int] = {"http.request.method": exchange.method, "url.full": exchange.url}
        if exchange.status is not None:
            attributes["http.response.status_code"] = exchange.status
        began = int(exchange.time * _NANO)
        name = f"{_NAME}.fetch {exchange.purpose}"
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes, start_time=began)
        if exchange.failure is not None or exchange.status != 200:
            span.set_attribute("error.type", exchange.failure or str(exchange.status))
            span.set_status(Status(StatusCode.ERROR))
        span.end(began + int(exchange.duration * _NANO))
