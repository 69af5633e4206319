"""Spans, where the standard variables of OpenTelemetry ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from sqlalchemy import Engine

from ..db.settings import SettingsError

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
    return any(map(os.environ.get, ASKING)) and _names() != ["none"]


def exporters() -> list[EntryPoint]:
    """Return what sends the spans that are wanted; raises SettingsError for what is not there."""
    installed = {one.name: one for one in entry_points(group="opentelemetry_traces_exporter")}
    names = _names() if is_tracing() else []
    if missing := [name for name in names if name not in installed]:
        known = ", ".join(sorted({*EXPORTERS, *installed}))
        problem = f"names an exporter that is not installed: {', '.join(missing)} (known: {known})"
        raise SettingsError(f"OTEL_TRACES_EXPORTER: {problem}")
    return [installed[name] for name in names]


def trace(engines: Iterable[Engine]) -> None:
    """Make a span of each statement, and send all spans where the variables say.

    Raises SettingsError for an exporter that is not there.
    """
    # Here, because it takes a while, and most processes have no use for it.
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import get_tracer_provider, set_tracer_provider

    if not isinstance(get_tracer_provider(), TracerProvider):
        resource = Resource.create()
        # What the standard calls a service whose name no variable says.
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: __package__.partition(".")[0]}))
        provider = TracerProvider(resource=resource)
        for exporter in exporters():
            provider.add_span_processor(BatchSpanProcessor(exporter.load()()))
        set_tracer_provider(provider)
    instrumentor = SQLAlchemyInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        # It knows the events of this SQLAlchemy, whatever its metadata says.
        instrumentor.instrument(engines=list(engines), skip_dep_check=True)


def _names() -> list[str]:
    names = (os.environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")
    return [EXPORTERS.get(name.strip(), name.strip()) for name in names if name.strip()]
