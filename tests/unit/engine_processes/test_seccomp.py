"""The filter as a program: run here by a small interpreter, for both architectures."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import yaml
from penstock_server.engines.duckdb.sandbox import seccomp
from penstock_server.engines.duckdb.sandbox.syscalls import AUDIT_ARCHITECTURE, NUMBERS, Architecture, number

VECTORS = Path(__file__).parents[2] / "vectors" / "engine_processes" / "system_calls.yaml"
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
OWN = 4242
ARCHITECTURES = list(Architecture)


def verdict(
    architecture: Architecture,
    call: int,
    *arguments: int,
    audit: int | None = None,
    may_query_paths: bool = True,
    may_write_descriptors: bool = False,
) -> int:
    """Interpret the filter for one system call; classic BPF, the four instructions that it uses."""
    code = seccomp.program(
        architecture, OWN, may_query_paths=may_query_paths, may_write_descriptors=may_write_descriptors
    )
    data = struct.pack(
        "=IIQ6Q",
        call & 0xFFFFFFFF,
        AUDIT_ARCHITECTURE[architecture] if audit is None else audit,
        0,
        *(argument & (2**64 - 1) for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]),
    )
    accumulator = place = 0
    while True:
        opcode, then, otherwise, operand = struct.unpack_from("=HBBI", code, place * 8)
        place += 1
        match opcode:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                place += then if accumulator == operand else otherwise
            case 0x25:
                place += then if accumulator > operand else otherwise
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(f"unknown instruction {opcode:#x}")


def of(name: str, architecture: Architecture) -> int:
    found = number(name, architecture)
    assert found is not None
    return found


def listed() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = yaml.safe_load(VECTORS.read_text())["numbers"]
    return rows


@pytest.mark.parametrize("row", listed(), ids=lambda row: str(row["id"]))
def test_numbers_are_those_of_the_kernel_s_headers(row: dict[str, object]) -> None:
    assert row.keys() == {"id", "x86_64", "aarch64"}
    assert NUMBERS[str(row["id"])] == (row["x86_64"], row["aarch64"])


def test_every_number_has_a_vector() -> None:
    assert {row["id"] for row in listed()} == set(NUMBERS)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("paths", "writes"), [(True, False), (False, False), (False, True)])
def test_only_listed_calls_pass(architecture: Architecture, paths: bool, writes: bool) -> None:
    names = seccomp.allowed(may_query_paths=paths, may_write_descriptors=writes)
    assert writes is bool(names & {"pwrite64", "pwritev", "ftruncate", "fsync", "fdatasync"})
    passing = {of(name, architecture) for name in names if number(name, architecture) is not None}
    conditions = seccomp.conditions(OWN, may_query_paths=paths, may_write_descriptors=writes)
    conditional = {of(name, architecture) for name in conditions}
    clone3 = of("clone3", architecture)
    for call in range(451):
        expected = ENOSYS if call == clone3 else ALLOW if call in passing else EPERM
        if call not in conditional:
            given = verdict(architecture, call, may_query_paths=paths, may_write_descriptors=writes)
            assert given == expected, call


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_sealed_child_asks_about_descriptors_alone(architecture: Architecture) -> None:
    stat, statx = of("newfstatat", architecture), of("statx", architecture)
    assert verdict(architecture, stat, 3, 0, 0, 0x1000, may_query_paths=False) == ALLOW
    assert verdict(architecture, stat, -100, 0, 0, 0, may_query_paths=False) == EPERM
    assert verdict(architecture, stat, -100, 0, 0, 0, may_query_paths=True) == ALLOW
    assert verdict(architecture, statx, 3, 0, 0x1000, may_query_paths=False) == ALLOW
    assert verdict(architecture, statx, -100, 0, 0, may_query_paths=False) == EPERM
    for name in ("faccessat", "faccessat2", "readlinkat", "statfs"):
        assert verdict(architecture, of(name, architecture), may_query_paths=False) == EPERM


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("flags", "passes"), [(0o2, True), (0o2000102, True), (0o1, False), (0o1002, False), (0o2002, False)]
)
def test_a_builder_opens_to_read_and_write_and_cuts_nothing(
    architecture: Architecture, flags: int, passes: bool
) -> None:
    call = of("openat", architecture)
    given = verdict(architecture, call, -100, 0, flags, may_query_paths=False, may_write_descriptors=True)
    assert given == (ALLOW if passes else EPERM)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_calls_of_another_architecture_end_the_process(architecture: Architecture) -> None:
    other = next(one for one in ARCHITECTURES if one is not architecture)
    read = of("read", architecture)
    assert verdict(architecture, read, audit=AUDIT_ARCHITECTURE[other]) == KILL
    assert verdict(architecture, read, audit=0x40000003) == KILL  # 32-bit x86


def test_x32_numbers_end_the_process() -> None:
    assert verdict(Architecture.X86_64, 0x40000000) == KILL
    assert verdict(Architecture.X86_64, 0x40000000 + 59) == KILL


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("call", [451, 467, 9999, 0x3FFFFFFF])
def test_calls_newer_than_the_list_look_absent(architecture: Architecture, call: int) -> None:
    assert verdict(architecture, call) == ENOSYS


HIGH = 1 << 32


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "arguments", "passes"),
    [
        ("clone", (0x3D0F00,), True),  # what glibc passes for a thread
        ("clone", (17,), False),
        ("clone", (0x01200011,), False),  # fork
        ("clone", (0x3D0F00 | 0x10000000,), False),  # a user namespace
        ("clone", (0x3D0F00 | 0x00020000,), False),  # a mount namespace
        ("tgkill", (OWN, 1, 6), True),
        ("tgkill", (OWN + 1, 1, 6), False),
        ("tgkill", (1, 1, 9), False),
        ("openat", (-100, 0, 0o2000000), True),
        ("openat", (-100, 0, 0o1), False),
        ("openat", (-100, 0, 0o2), False),
        ("openat", (-100, 0, 0o100), False),
        ("openat", (-100, 0, 0o1000), False),
        ("openat", (-100, 0, 0o2000), False),
        ("mmap", (0, 4096, 3), True),
        ("mmap", (0, 4096, 7), False),
        ("mmap", (0, 4096, 4), False),
        ("mprotect", (0, 4096, 1), True),
        ("mprotect", (0, 4096, 5), False),
        ("prctl", (15, 0), True),
        ("prctl", (22, 2), False),
        ("prctl", (4, 1), False),
        ("prctl", (38, 1), False),
        ("prlimit64", (0, 3, 0, 1), True),
        ("prlimit64", (0, 7, 1, 0), False),
        ("prlimit64", (0, 7, HIGH, 0), False),
        ("prlimit64", (1, 7, 0, 1), False),
    ],
)
def test_arguments_decide(architecture: Architecture, name: str, arguments: tuple[int, ...], passes: bool) -> None:
    assert verdict(architecture, of(name, architecture), *arguments) == (ALLOW if passes else EPERM)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_upper_half_of_an_argument_hides_nothing(architecture: Architecture) -> None:
    """The kernel looks at the lower half of these; what stands above must not change the verdict."""
    assert verdict(architecture, of("openat", architecture), -100, 0, HIGH | 0o1) == EPERM
    assert verdict(architecture, of("mmap", architecture), 0, 4096, HIGH | 4) == EPERM
    assert verdict(architecture, of("clone", architecture), HIGH | 17) == EPERM


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_fits_the_kernel_s_bound(architecture: Architecture) -> None:
    assert len(seccomp.program(architecture, OWN, may_query_paths=True)) // 8 <= 4096
