"""What the services that run Spark jobs have in common: how they are called, and what is refused of their answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from penstock_server.aws.clients import AwsClients
from penstock_server.aws.errors import Failure, as_error
from penstock_server.model.spark import SparkRun, SparkStart, SparkState

CLOCKS: Final = timedelta(minutes=5)
"""How much our clock and that of AWS may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What a service calls its own: its name at boto3, its operations as AWS writes them, and its words for states."""

    service: str
    start: str
    get: str
    stop: str
    find: str
    states: Mapping[str, SparkState]


class SparkRuns(ABC):
    """Starts, looks at and stops runs at one service; each subclass makes its calls, which block."""

    operations: Operations

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    async def start(self, request: SparkStart) -> SparkRun:
        """Start a run.

        Raises:
            Unavailable: AWS is busy, away, refuses the broker, or answers nonsense.
            LimitExceeded: too many calls wait.
        """
        return await self._clients.run(lambda: self._start(request), operation=self.operations.start)

    async def state(self, run: SparkRun) -> SparkState:
        """Ask where a run stands. Raises as `start`."""
        return await self._clients.run(lambda: self._state(run), operation=self.operations.get)

    async def stop(self, run: SparkRun) -> None:
        """Ask that a run end at once; one that has ended already is no error. Raises as `start`."""
        await self._clients.run(lambda: self._stop(run), operation=self.operations.stop)

    async def find(self, *, region: str, application: str, name: str, since: datetime) -> SparkRun | None:
        """Find the run of a name that was started since an instant. Raises as `start`."""
        found = await self._clients.run(
            lambda: self._find(region, application, name, since), operation=self.operations.find
        )
        return None if found is None else SparkRun(region=region, application=application, run_id=found)

    def _client(self, region: str) -> Any:  # noqa: ANN401 - no stubs
        return self._clients.own(self.operations.service, region)

    def _read_state(self, answered: object) -> SparkState:
        state = self.operations.states.get(str(answered))
        if state is None:
            detail = f"{self.operations.get}: the answer has a state that is not known"
            raise as_error(Failure.UNREACHABLE, detail=detail)
        return state

    @abstractmethod
    def _start(self, request: SparkStart) -> SparkRun: ...

    @abstractmethod
    def _state(self, run: SparkRun) -> SparkState: ...

    @abstractmethod
    def _stop(self, run: SparkRun) -> None: ...

    @abstractmethod
    def _find(self, region: str, application: str, name: str, since: datetime) -> str | None:
        """Give the id of the run."""
