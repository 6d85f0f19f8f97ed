"""Metrics of deliveries, lanes and rules.

Those of deliveries are taken from the spans that every delivery leaves, so that a number and a
trace never disagree and nothing is measured twice. Those of lanes are asked of the ledger when
somebody collects. Names are OpenTelemetry's messaging metrics where there is one, else `leaf.`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from sqlalchemy.exc import SQLAlchemyError

from contracts.states import State
from fleet.errors import FleetError
from fleet.ledger.rows import LaneRow
from fleet.telemetry import names

_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
_NANO = 1e9

_log = logging.getLogger(__name__)


class DeliveryMeasures(SpanProcessor):
    """Counts attempts, outcomes, lost leases and what was declined; measures how long each took."""

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="From claim to settlement of a delivery.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._attempts = meter.create_counter(
            "leaf.attempts", unit="{attempt}", description="Attempts that ended, by outcome."
        )
        self._retries = meter.create_counter(
            "leaf.retries", unit="{attempt}", description="Attempts that were not the first."
        )
        self._lost = meter.create_counter(
            "leaf.lease.losses",
            unit="{lease}",
            description="Attempts whose result was not recorded, for another held the lease.",
        )
        self._declined = meter.create_counter(
            "leaf.deliveries.declined",
            unit="{delivery}",
            description="Deliveries that were completed unrun, by why.",
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Measure the span of a delivery; others are left alone."""
        attributes = span.attributes or {}
        if attributes.get(names.OPERATION) != "process":
            return
        of_lane = {names.LANE: attributes.get(names.LANE, "")}
        if why := attributes.get(names.DECLINED):
            self._declined.add(1, of_lane | {names.DECLINED: why})
            return
        if attributes.get(names.LEASE_LOST):
            self._lost.add(1, of_lane)
            return
        outcome = {names.OUTCOME: attributes.get(names.OUTCOME, "error")}
        self._attempts.add(1, of_lane | outcome)
        if attributes.get(names.ATTEMPT) not in (None, 1):
            self._retries.add(1, of_lane)
        self._duration.record(
            ((span.end_time or 0) - (span.start_time or 0)) / _NANO,
            {name: attributes[name] for name in _OF_QUEUE if name in attributes} | outcome,
        )


_OF_QUEUE = (names.SYSTEM, names.OPERATION, names.OPERATION_TYPE, names.DESTINATION, names.LANE)


def measure_lanes(
    meter: Meter, lanes: Callable[[], Iterable[LaneRow]], now: Callable[[], datetime]
) -> None:
    """Gauges of each lane's open tasks and of how long the oldest has waited. `lanes` asks the
    ledger, from the collecting thread; while the ledger is away there are no numbers."""

    def rows() -> Iterable[LaneRow]:
        try:
            return list(lanes())
        except (FleetError, SQLAlchemyError) as fault:
            _log.warning("the lanes could not be measured: %s", fault)
            return ()

    def tasks(_: CallbackOptions) -> Iterator[Observation]:
        for row in rows():
            for state, count in row.states.items():
                yield Observation(count, {names.LANE: row.lane, names.STATE: state.value})

    def runnable(_: CallbackOptions) -> Iterator[Observation]:
        for row in rows():
            yield Observation(row.states.get(State.QUEUED, 0), {names.LANE: row.lane})

    def oldest(_: CallbackOptions) -> Iterator[Observation]:
        for row in rows():
            waited = (
                0.0 if row.oldest_queued is None else (now() - row.oldest_queued).total_seconds()
            )
            yield Observation(max(waited, 0.0), {names.LANE: row.lane})

    meter.create_observable_gauge(
        "leaf.lane.tasks", [tasks], unit="{task}", description="Open tasks of a lane, by state."
    )
    meter.create_observable_gauge(
        "leaf.lane.runnable", [runnable], unit="{task}", description="Tasks that wait for a worker."
    )
    meter.create_observable_gauge(
        "leaf.lane.oldest.age", [oldest], unit="s", description="How long the oldest has waited."
    )


def measure_rules(
    meter: Meter, generation: Callable[[], int], refused: Callable[[], Sequence[str]]
) -> None:
    """Gauges of the rules that a process decides by, and of the faults for which newer ones were
    refused: while there are any, the process decides by its last good rules."""
    meter.create_observable_gauge(
        "leaf.policy.generation",
        [lambda _: [Observation(generation())]],
        unit="{version}",
        description="Version of the rules in force.",
    )
    meter.create_observable_gauge(
        "leaf.policy.faults",
        [lambda _: [Observation(len(refused()))]],
        unit="{fault}",
        description="Faults for which changed rules are refused.",
    )
