"""Figures of the broker as families of metrics."""

from __future__ import annotations

from collections.abc import Iterable

from penstock_server.broker.figures import BrokerFigures
from penstock_server.engines.duckdb.sandbox.confinement import Barrier
from penstock_server.service.metrics.exposition import Family, Kind, Sample, counter, gauge


def families(figures: BrokerFigures) -> tuple[Family, ...]:
    """Give the families of these figures."""
    extracts = figures.extracts
    active = () if figures.barriers is None else figures.barriers.active
    version = 0 if figures.barriers is None else figures.barriers.landlock_version
    return (
        gauge("penstock_serving", "Whether the service serves.", figures.serving),
        gauge("penstock_policy_current", "Whether what decides is what the policy files say.", figures.policy_current),
        _by_label(
            "penstock_barrier_active",
            Kind.GAUGE,
            "Barriers around processes that hold data, which held when they were tried at the start.",
            "barrier",
            ((barrier.value, int(barrier in active)) for barrier in Barrier),
        ),
        gauge("penstock_landlock_version", "The kernel's interface version of Landlock.", version),
        _by_label("penstock_statements", Kind.GAUGE, "Statements under way, by phase.", "phase", figures.statements),
        _by_label(
            "penstock_statements_ended",
            Kind.COUNTER,
            "Statements that were ended from outside, by cause.",
            "cause",
            figures.ended,
        ),
        counter("penstock_extract_hits", "Extracts that were served as they were kept.", extracts.hits),
        counter("penstock_extract_misses", "Extracts that were not there when asked for.", extracts.misses),
        counter("penstock_extract_unkept", "Extracts for which there was no room.", extracts.unkept),
        counter("penstock_extract_builds", "Extracts that were made.", extracts.built),
        counter("penstock_extract_build_seconds", "Time in which extracts were made.", extracts.build_seconds),
        counter("penstock_extract_evictions", "Extracts that were let go for others.", extracts.evicted),
        gauge("penstock_extracts", "Extracts that are kept.", figures.extracts_kept),
        gauge("penstock_extract_bytes", "Bytes of permitted cells that are kept.", figures.extract_bytes),
        gauge("penstock_extract_lent_bytes", "Bytes that statements hold besides.", figures.extract_bytes_lent),
    )


def _by_label(name: str, kind: Kind, about: str, label: str, values: Iterable[tuple[str, int]]) -> Family:
    suffix = "_total" if kind is Kind.COUNTER else ""
    samples = tuple(Sample(suffix=suffix, labels=((label, value),), value=count) for value, count in values)
    return Family(name=name, kind=kind, about=about, samples=samples)
