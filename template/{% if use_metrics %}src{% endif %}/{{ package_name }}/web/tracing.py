"""Spans, where the standard variables of OpenTelemetry ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import entry_points

from sqlalchemy import Engine

# One of them is enough.
ASKING = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
# What is meant by the name that the standard has for it.
EXPORTERS = {"otlp": "otlp_proto_http"}


def is_tracing() -> bool:
    """Tell whether spans are wanted."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return any(map(os.environ.get, ASKING)) and _exporters() != ["none"]


def trace(engines: Iterable[Engine]) -> None:
    """Make a span of each statement, and send all spans where the variables say."""
    # Here, because it takes a while, and most processes have no use for it.
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import get_tracer_provider, set_tracer_provider

    if not isinstance(get_tracer_provider(), TracerProvider):
        os.environ.setdefault("OTEL_SERVICE_NAME", __package__.partition(".")[0])
        provider = TracerProvider()
        for name in _exporters():
            (found,) = entry_points(group="opentelemetry_traces_exporter", name=name)
            provider.add_span_processor(BatchSpanProcessor(found.load()()))
        set_tracer_provider(provider)
    instrumentor = SQLAlchemyInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        # It knows the events of this SQLAlchemy, whatever its metadata says.
        instrumentor.instrument(engines=list(engines), skip_dep_check=True)


def _exporters() -> list[str]:
    names = (os.environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")
    return [EXPORTERS.get(name.strip(), name.strip()) for name in names]
