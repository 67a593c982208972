"""What was granted and not yet redeemed: codes, device sign-ins, refresh tokens. In memory, gone with the process."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

from penstock_server.dev.issuer.tokens import SignIn
from penstock_server.model.clock import Clock

T = TypeVar("T")

CODE_SECONDS: Final = 60
DEVICE_SECONDS: Final = 600
REFRESH_SECONDS: Final = 8 * 3600
POLL_SECONDS: Final = 1
_MAX_OPEN: Final = 1000
_USER_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What a client asked for at the authorization endpoint."""

    client_id: str
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    nonce: str
    code_challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemableCode:
    """An authorization code: what was asked, and who was chosen."""

    request: AuthorizationRequest
    sign_in: SignIn


class Polled(Enum):
    """Why a device has no tokens yet; the values are those of RFC 8628 section 3.5."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"


@dataclass(slots=True, kw_only=True)
class DeviceSignIn:
    """A device that waits. `sign_in` is None until somebody was chosen."""

    client_id: str
    scopes: tuple[str, ...]
    user_code: str
    sign_in: SignIn | None = None
    denied: bool = False
    polled_at: float = float("-inf")


class ExpiringStore(Generic[T]):
    """Values under unguessable names, each for a time, a thousand at most; safe to use from many threads."""

    def __init__(self, clock: Clock, *, seconds: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._values: dict[str, tuple[T, float]] = {}

    def add(self, value: T) -> str:
        """Keep a value and give its name; the oldest makes room."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._values) >= _MAX_OPEN:
                del self._values[next(iter(self._values))]
            self._values[name] = (value, self._clock.monotonic() + self._seconds)
        return name

    def get(self, name: str) -> T | None:
        """Give the value and keep it."""
        with self._lock:
            value, ends = self._values.get(name, (None, 0.0))
            return value if self._clock.monotonic() < ends else None

    def take(self, name: str) -> T | None:
        """Give the value once: it is gone afterwards, in time or not."""
        with self._lock:
            value, ends = self._values.pop(name, (None, 0.0))
            return value if self._clock.monotonic() < ends else None

    def values(self) -> tuple[T, ...]:
        """Give all values whose time has not come."""
        with self._lock:
            now = self._clock.monotonic()
            return tuple(value for value, ends in self._values.values() if now < ends)


class DeviceSignIns:
    """Devices that wait for somebody to be chosen in a browser (RFC 8628)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: ExpiringStore[DeviceSignIn] = ExpiringStore(clock, seconds=DEVICE_SECONDS)
        self._lock = threading.Lock()

    def begin(self, *, client_id: str, scopes: tuple[str, ...]) -> tuple[str, str]:
        """Give a device code and the code that the user types."""
        letters = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(8))
        user_code = f"{letters[:4]}-{letters[4:]}"
        device = DeviceSignIn(client_id=client_id, scopes=scopes, user_code=user_code)
        return self._waiting.add(device), user_code

    def find(self, user_code: str) -> DeviceSignIn | None:
        """Give the device that shows this code and still waits."""
        wanted = user_code.upper().replace("-", "").strip()
        return next(
            (
                device
                for device in self._waiting.values()
                if device.user_code.replace("-", "") == wanted and device.sign_in is None and not device.denied
            ),
            None,
        )

    def decide(self, device: DeviceSignIn, sign_in: SignIn | None) -> None:
        """Record who was chosen, or with None that nobody was."""
        with self._lock:
            device.sign_in = sign_in
            device.denied = sign_in is None

    def poll(self, device_code: str, client_id: str) -> SignIn | Polled:
        """Give the sign-in, once, or why there is none yet."""
        device = self._waiting.get(device_code)
        if device is None or device.client_id != client_id:
            return Polled.EXPIRED
        with self._lock:
            too_soon = self._clock.monotonic() - device.polled_at < POLL_SECONDS
            device.polled_at = self._clock.monotonic()
            if device.denied:
                return Polled.DENIED
            if device.sign_in is None:
                return Polled.SLOW_DOWN if too_soon else Polled.PENDING
        taken = self._waiting.take(device_code)
        return taken.sign_in if taken is not None and taken.sign_in is not None else Polled.EXPIRED
