"""What a child cannot do, tried from inside: the probe stands behind the same barriers, put up by the same code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.control import ZygoteControl
from penstock_server.engines.duckdb.pool import open_child
from penstock_server.engines.duckdb.wire import frames
from penstock_server.engines.duckdb.wire.frames import FrameKind
from penstock_server.engines.duckdb.wire.messages import ChildKind, Opening, ParseRequest
from support import engine_processes as processes

MEMORY = 256 << 20
KINDS = [ChildKind.SEALED_WORKER, ChildKind.SOURCE_READER, ChildKind.EXTRACT_BUILDER]
REFUSED = ("PermissionError: EPERM", "PermissionError: EACCES", "FileNotFoundError: ENOENT")
"""By seccomp, by Landlock, or because it is not there and must not be made."""


class Probe:
    """A child that does what it is told and says how it went."""

    def __init__(self, child: Child) -> None:
        self.child = child

    async def attempt(self, code: str) -> str:
        await self.child.channel.send(FrameKind.PARSE, ParseRequest(sql=code))
        header, payload = await self.child.channel.receive()
        assert header.kind is FrameKind.SCHEMA
        return payload.decode()


@pytest.fixture
async def control(probe_zygote: processes.Zygote) -> AsyncIterator[ZygoteControl]:
    made = ZygoteControl(patience_seconds=10)
    made.attach(probe_zygote.control.dup())
    yield made
    made.detach()


async def probe(control: ZygoteControl, kind: ChildKind, *readable: Path) -> Probe:
    return Probe(await open_child(control, kind, Opening(memory_bytes=MEMORY, threads=1, readable=readable)))


@pytest.fixture(params=KINDS)
async def child(control: ZygoteControl, request: pytest.FixtureRequest) -> AsyncIterator[Probe]:
    made = await probe(control, request.param)
    yield made
    made.child.discard()


@pytest.fixture
async def sealed(control: ZygoteControl) -> AsyncIterator[Probe]:
    made = await probe(control, ChildKind.SEALED_WORKER)
    yield made
    made.child.discard()


async def test_the_probe_itself_works(child: Probe) -> None:
    """Else every refusal below could be a broken probe."""
    assert await child.attempt("1 + 1") == "passed: 2"
    assert (await child.attempt("len(os.listdir('/sys/fs/cgroup')) > 0")) == "passed: True"
    assert "Threads:\t1\n" in processes.proc(child.child.process, "status")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/self/root/etc/passwd",
        "/proc/1/environ",
        "/proc/self/../1/status",
        "/dev/null",
        "/dev/shm",
        "/tmp",
        "/sys/kernel",
    ],
)
async def test_a_child_opens_no_path_that_it_was_not_given(child: Probe, path: str) -> None:
    assert await child.attempt(f"os.open({path!r}, os.O_RDONLY)") == "PermissionError: EACCES"


@pytest.mark.parametrize(
    "question",
    ["os.stat({0!r})", "os.lstat({0!r})", "os.access({0!r}, 0)", "os.readlink({0!r})", "os.statvfs({0!r})"],
)
async def test_a_sealed_child_learns_nothing_about_a_path(sealed: Probe, secret_file: Path, question: str) -> None:
    """Size and time of a source file are functions of hidden rows, and Landlock does not govern asking for them."""
    there = await sealed.attempt(question.format(str(secret_file)))
    away = await sealed.attempt(question.format(str(secret_file.with_name("absent"))))
    assert there == away
    assert "EPERM" in there or there == "passed: False"


async def test_a_child_opens_no_file_of_its_front(child: Probe, secret_file: Path) -> None:
    assert await child.attempt(f"open({str(secret_file)!r}).read()") == "PermissionError: EACCES"
    front = f"/proc/{os.getpid()}"
    assert await child.attempt(f"open('{front}/environ').read()") == "PermissionError: EACCES"
    assert await child.attempt(f"open('{front}/mem', 'rb').read(1)") == "PermissionError: EACCES"
    assert await child.attempt(f"os.listdir('{front}/fd')") == "PermissionError: EACCES"


@pytest.mark.parametrize("flags", ["O_WRONLY | os.O_CREAT", "O_RDWR", "O_RDONLY | os.O_CREAT", "O_WRONLY | os.O_TRUNC"])
async def test_a_child_opens_nothing_for_writing(child: Probe, tmp_path: Path, flags: str) -> None:
    (tmp_path / "there").write_text("kept")
    for name in ("there", "new"):
        assert await child.attempt(f"os.open('{tmp_path}/{name}', os.{flags}, 0o600)") in REFUSED
    assert processes.names_in(tmp_path) == ["there"]
    assert (tmp_path / "there").read_text() == "kept"


@pytest.mark.parametrize(
    "change",
    [
        "os.mkdir('{0}/made')",
        "os.unlink('{0}/there')",
        "os.rename('{0}/there', '{0}/moved')",
        "os.link('{0}/there', '{0}/linked')",
        "os.symlink('{0}/there', '{0}/linked')",
        "os.truncate('{0}/there', 0)",
        "os.chmod('{0}/there', 0o777)",
        "os.mkfifo('{0}/pipe')",
        "os.chdir('/')",
        "os.chroot('{0}')",
        "os.memfd_create('m')",
    ],
)
async def test_a_child_changes_nothing_on_disk(child: Probe, tmp_path: Path, change: str) -> None:
    (tmp_path / "there").write_text("kept")
    assert await child.attempt(change.format(tmp_path)) == "PermissionError: EPERM"
    assert processes.names_in(tmp_path) == ["there"]


@pytest.mark.parametrize(
    "family", ["AF_INET, socket.SOCK_STREAM", "AF_INET6, socket.SOCK_DGRAM", "AF_UNIX", "AF_NETLINK, socket.SOCK_RAW"]
)
async def test_a_child_makes_no_socket(child: Probe, family: str) -> None:
    assert await child.attempt(f"socket.socket(socket.{family})") == "PermissionError: EPERM"


async def test_a_child_makes_no_pair_of_sockets(child: Probe) -> None:
    assert await child.attempt("socket.socketpair()") == "PermissionError: EPERM"


async def test_a_child_reaches_no_server_on_a_socket_that_it_inherits(child: Probe) -> None:
    """The descriptor of the conversation is the only socket that it holds."""
    assert await child.attempt("len(open_descriptors())") == "passed: 4"
    assert await child.attempt("connection.family.name") == "passed: 'AF_UNIX'"
    assert await child.attempt("connection.connect('/run/other')") == "PermissionError: EPERM"


async def test_a_child_cannot_fork(child: Probe) -> None:
    assert await child.attempt("os.fork()") == "PermissionError: EPERM"
    assert (await child.attempt("os.forkpty()")).startswith("PermissionError")


async def test_a_child_executes_no_program(child: Probe) -> None:
    assert await child.attempt("os.execv('/bin/true', ['true'])") == "PermissionError: EPERM"
    assert "passed" not in await child.attempt("subprocess.run(['/bin/true'])")
    assert "passed" not in await child.attempt("os.posix_spawn('/bin/true', ['true'], {})")


@pytest.mark.parametrize(
    ("name", "number", "arguments"),
    [
        ("ptrace", 101, "16, {parent}, 0, 0"),
        ("process_vm_readv", 310, "{parent}, 0, 0, 0, 0, 0"),
        ("process_vm_writev", 311, "{parent}, 0, 0, 0, 0, 0"),
        ("pidfd_open", 434, "{parent}, 0"),
        ("pidfd_getfd", 438, "0, 0, 0"),
        ("kill", 62, "{parent}, 0"),
        ("tgkill", 234, "{parent}, {parent}, 0"),
        ("mount", 165, "0, 0, 0, 0, 0"),
        ("unshare", 272, "0x10000000"),
        ("setns", 308, "0, 0"),
        ("bpf", 321, "0, 0, 0"),
        ("perf_event_open", 298, "0, 0, 0, 0, 0"),
        ("io_uring_setup", 425, "8, 0"),
        ("keyctl", 250, "0, 0, 0, 0, 0"),
        ("userfaultfd", 323, "0"),
        ("open_by_handle_at", 304, "0, 0, 0"),
        ("init_module", 175, "0, 0, 0"),
        ("shmget", 29, "0, 4096, 0x1b6"),
        ("msgget", 68, "0, 0x1b6"),
        ("setuid", 105, "0"),
        ("prctl: a new filter", 157, "22, 2, 0, 0, 0"),
        ("prctl: dumpable", 157, "4, 1, 0, 0, 0"),
        ("prlimit64 of another process", 302, "{parent}, 7, 0, 0"),
        ("clone as a process", 56, "17, 0, 0, 0, 0"),
        ("clone into a namespace", 56, "0x10010000, 0, 0, 0, 0"),
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
async def test_a_child_is_refused_the_system_call(child: Probe, name: str, number: int, arguments: str) -> None:
    call = f"kernel.syscall({number}, {arguments.format(parent=os.getpid())})"
    assert await child.attempt(call) == "PermissionError: EPERM", name


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
async def test_clone3_looks_absent_so_that_threads_use_clone(child: Probe) -> None:
    assert await child.attempt("kernel.syscall(435, 0, 0)") == "OSError: ENOSYS"
    started = "(lambda t: (t.start(), t.join(), 'ran')[2])(threading.Thread(target=lambda: None))"
    assert await child.attempt(started) == "passed: 'ran'"


async def test_an_unknown_system_call_looks_absent(child: Probe) -> None:
    assert await child.attempt("kernel.syscall(9999)") == "OSError: ENOSYS"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is of x86_64")
async def test_an_x32_number_ends_the_child(sealed: Probe) -> None:
    with pytest.raises(Exception, match="gone"):
        await sealed.attempt("kernel.syscall(0x40000000 + 59, 0, 0, 0)")


async def test_a_child_makes_no_memory_executable(child: Probe) -> None:
    assert await child.attempt("mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)") == "PermissionError: EPERM"


async def test_a_sealed_child_holds_no_capability(sealed: Probe) -> None:
    status = processes.proc(sealed.child.process, "status")
    for line in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert f"{line}:\t0000000000000000" in status


async def test_a_reader_keeps_one_capability_at_most(control: ZygoteControl) -> None:
    reading = await probe(control, ChildKind.SOURCE_READER)
    status = processes.proc(reading.child.process, "status")
    reading.child.discard()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff"))
    assert effective & ~(1 << 2) == 0


async def test_barriers_show_in_the_process_s_status(child: Probe) -> None:
    status = processes.proc(child.child.process, "status")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


async def test_resources_are_bounded(child: Probe) -> None:
    limits = processes.proc(child.child.process, "limits").splitlines()

    def bounds(name: str) -> list[str]:
        return next(line for line in limits if line.startswith(name)).removeprefix(name).split()[:2]

    assert bounds("Max address space") == [str(MEMORY + (2 << 30))] * 2
    assert bounds("Max core file size") == ["0", "0"]
    assert bounds("Max file size") == ["0", "0"]
    assert int(bounds("Max open files")[1]) <= 4096


async def test_only_a_builder_is_given_a_file_to_write(control: ZygoteControl) -> None:
    opening = Opening(memory_bytes=MEMORY, threads=1, readable=(), file_bytes=4096)
    for kind in (ChildKind.SEALED_WORKER, ChildKind.SOURCE_READER):
        with pytest.raises(Exception, match="lost"):
            await open_child(control, kind, opening)
    builder = Probe(await open_child(control, ChildKind.EXTRACT_BUILDER, opening))
    limits = processes.proc(builder.child.process, "limits")
    assert next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max file size")) == ["4096"] * 2
    builder.child.discard()


async def test_a_sealed_child_refuses_to_be_given_a_path(control: ZygoteControl, secret_file: Path) -> None:
    with pytest.raises(Exception, match="lost"):
        await probe(control, ChildKind.SEALED_WORKER, secret_file)


async def test_a_reader_reads_its_files_and_nothing_beside_them(control: ZygoteControl, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.write_text("permitted")
    other.write_text("not permitted")
    reading = await probe(control, ChildKind.SOURCE_READER, mine)
    assert await reading.attempt(f"open({str(mine)!r}).read()") == "passed: 'permitted'"
    assert await reading.attempt(f"open({str(other)!r}).read()") == "PermissionError: EACCES"
    assert await reading.attempt(f"os.listdir({str(tmp_path)!r})") == "PermissionError: EACCES"
    reading.child.discard()


async def test_a_reader_narrowed_to_one_table_loses_the_others(control: ZygoteControl, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    reading = await probe(control, ChildKind.SOURCE_READER, tmp_path)
    assert await reading.attempt(f"open('{tmp_path}/two').read()") == "passed: 'two'"
    assert await reading.attempt(f"confinement.narrow((Path('{tmp_path}/one'),))") == "passed: None"
    assert await reading.attempt(f"open('{tmp_path}/one').read()") == "passed: 'one'"
    assert await reading.attempt(f"open('{tmp_path}/two').read()") == "PermissionError: EACCES"
    reading.child.discard()


async def test_a_reader_with_a_second_thread_cannot_be_narrowed(control: ZygoteControl, tmp_path: Path) -> None:
    """Landlock binds the calling thread: another would keep the wider rights."""
    reading = await probe(control, ChildKind.SOURCE_READER, tmp_path)
    await reading.attempt("threading.Thread(target=threading.Event().wait, daemon=True).start()")
    assert (await reading.attempt(f"confinement.narrow((Path('{tmp_path}'),))")).startswith("SandboxUnavailable")
    reading.child.discard()


async def test_a_child_sees_no_variable_of_the_service(
    child: Probe, monkeypatch: pytest.MonkeyPatch, probe_zygote: processes.Zygote
) -> None:
    seen = await child.attempt("sorted(os.environ)")
    assert seen == "passed: ['JE_ARROW_MALLOC_CONF', 'LC_ALL', 'OPENBLAS_NUM_THREADS', 'TZ']"
    raw = processes.proc(probe_zygote.pid, "environ")
    names = {entry.split("=")[0] for entry in raw.split("\0") if entry}
    assert names == {"JE_ARROW_MALLOC_CONF", "LC_ALL", "OPENBLAS_NUM_THREADS", "TZ"}


async def test_a_child_has_no_module_of_the_service(child: Probe) -> None:
    loaded = "sorted({'grpc', 'boto3', 'botocore', 'jose', 'asyncio', 'ssl', 'google'} & sys.modules.keys())"
    assert await child.attempt(loaded) == "passed: []"


@pytest.mark.parametrize("module", ["pandas", "sqlite3", "xml.dom.minidom"])
async def test_a_module_that_is_not_loaded_does_not_exist_in_a_child(child: Probe, module: str) -> None:
    """Libraries look for optional modules, and expect ImportError where there is none."""
    assert (await child.attempt(f"__import__({module!r})")).startswith("ModuleNotFoundError")


async def test_a_child_prints_to_nowhere(child: Probe) -> None:
    targets = [os.readlink(f"/proc/{child.child.process}/fd/{number}") for number in (0, 1, 2)]
    assert targets == ["/dev/null"] * 3


async def test_a_descriptor_sent_by_a_child_never_reaches_the_front(child: Probe) -> None:
    before = len(os.listdir("/proc/self/fd"))
    frame = frames.close_header(FrameKind.SCHEMA, 2, 0) + b"ok"
    send = f"socket.send_fds(connection, [{frame!r}], [0, 1, 2])"
    await child.child.channel.send(FrameKind.PARSE, ParseRequest(sql=send))
    header, payload = await child.child.channel.receive()
    assert (header.kind, payload) == (FrameKind.SCHEMA, b"ok")
    header, payload = await child.child.channel.receive()
    assert payload == f"passed: {len(frame)}".encode()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_child_of_an_ordinary_user_hides_its_memory_from_that_user() -> None:
    """The kernel gives the files of a process that is not dumpable to root; here it starts as somebody else."""
    code = (
        "import os, sys; from pathlib import Path; "
        "from penstock_server.engines.duckdb.sandbox import confinement, kernel; "
        "os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534), kernel.prctl(4, 1)); "
        "before = os.stat('/proc/self/environ').st_uid == os.getuid(); "
        "confinement.confine(readable=(), memory_bytes=1 << 30, open_files=64, kept_capabilities=frozenset(), "
        "may_query_paths=True); "
        "os.write(1, f'{before} {os.stat(\"/proc/self/environ\").st_uid}'.encode()); os._exit(0)"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr) == ("True 0", "")
