"""An interceptor that counts calls: which, how they ended, how long they took."""

from __future__ import annotations

import asyncio
import bisect
from collections import Counter, defaultdict
from typing import Final

from penstock_server.model.clock import Clock
from penstock_server.service.calls import Call, Proceed
from penstock_server.service.interceptors.access_log import reason_of
from penstock_server.service.metrics.exposition import Family, Kind, Sample

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds; a last bucket holds what took longer."""


class CallCounts:
    """Counts every call of a served method. Methods and reasons are closed sets, so what is kept is bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ended: Counter[tuple[str, str]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._sent: Counter[str] = Counter()
        self._under_way = 0

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed, and count it."""
        started = self._clock.monotonic()
        ended = "cancelled"
        self._under_way += 1
        try:
            answer = await proceed()
            ended = reason_of(call.failure)
        except asyncio.CancelledError:
            raise
        except BaseException:
            ended = "INTERNAL"
            raise
        finally:
            self._under_way -= 1
            self._note(call, ended, self._clock.monotonic() - started)
        return answer

    def families(self) -> tuple[Family, ...]:
        """Give what was counted."""
        return (
            Family(
                name="penstock_calls",
                kind=Kind.COUNTER,
                about="Calls that ended, by method and by how.",
                samples=tuple(
                    Sample(suffix="_total", labels=(("method", method), ("ended", ended)), value=count)
                    for (method, ended), count in sorted(self._ended.items())
                ),
            ),
            Family(
                name="penstock_call_seconds",
                kind=Kind.HISTOGRAM,
                about="How long calls took, streams to their end.",
                samples=tuple(sample for method in sorted(self._buckets) for sample in self._histogram(method)),
            ),
            Family(
                name="penstock_call_sent_bytes",
                kind=Kind.COUNTER,
                about="Bytes of messages sent.",
                samples=tuple(
                    Sample(suffix="_total", labels=(("method", method),), value=count)
                    for method, count in sorted(self._sent.items())
                ),
            ),
            Family(
                name="penstock_calls_under_way",
                kind=Kind.GAUGE,
                about="Calls that have not ended.",
                samples=(Sample(value=self._under_way),),
            ),
        )

    def _note(self, call: Call, ended: str, seconds: float) -> None:
        self._ended[call.method, ended] += 1
        buckets = self._buckets.setdefault(call.method, [0] * (len(BOUNDS) + 1))
        buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
        self._seconds[call.method] += seconds
        self._sent[call.method] += call.bytes_sent

    def _histogram(self, method: str) -> list[Sample]:
        samples: list[Sample] = []
        counted = 0
        labels = (("method", method),)
        for bound, count in zip((*(f"{bound:g}" for bound in BOUNDS), "+Inf"), self._buckets[method], strict=True):
            counted += count
            samples.append(Sample(suffix="_bucket", labels=(*labels, ("le", bound)), value=counted))
        samples.append(Sample(suffix="_sum", labels=labels, value=self._seconds[method]))
        samples.append(Sample(suffix="_count", labels=labels, value=counted))
        return samples
