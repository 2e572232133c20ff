"""DVC, driven by its command line and its documented files alone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import FrameType

from saespec.errors import StageError, last_words
from saespec.plan.project import work_folder
from saespec.results.atomic import is_alive, write_bytes

from .lock import Notify, project_lock

PROGRAMS = Path(sys.executable).parent
"""Where the `saespec` that stage commands call is installed: beside this Python."""

_PAUSE = 0.1
"""Seconds between two looks at what another DVC holds."""

_CORE = {"analytics": "false", "check_update": "false", "autostage": "false"}
_IGNORED = (".saespec/", ".venv/", "__pycache__/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/")


def ensure_repo(root: Path, git: bool = True, notify: Notify = lambda message: None) -> None:
    """Make the project a DVC repository if it is none, and have DVC leave our work folder alone.

    A folder inside a git repository gets `--subdir`, one without git (or with `git` False) `--no-scm`. One process
    does it, others wait; what one that was killed left half done is done again. Raises StageError if DVC cannot.
    """
    begun = work_folder(root) / "dvc-init"
    with project_lock(root, "setup", f"setting up {root}", notify):
        if begun.exists() or not (root / ".dvc").is_dir():
            begun.touch()
            _initialise(root, [*(_scm_options(root) if git else ["--no-scm"]), "--force"])
            _set_core(root / ".dvc" / "config")
            begun.unlink()
        ignore = root / ".dvcignore"
        text = ignore.read_text(encoding="utf-8") if ignore.exists() else ""
        if missing := [line for line in _IGNORED if line not in text.split()]:
            if text and not text.endswith("\n"):
                text += "\n"
            write_bytes(ignore, (text + "\n".join(missing) + "\n").encode())


def _initialise(root: Path, options: Sequence[str]) -> None:
    command = [sys.executable, "-m", "dvc", "init", "--quiet", *options]
    done = subprocess.run(command, cwd=root, env=environment({}), capture_output=True, text=True)
    if done.returncode != 0:
        raise StageError(f"cannot make {root} a DVC repository: {last_words(done)}")


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment for DVC: finds our `saespec`, sends no analytics."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("DVC_ROOT", "DVC_STAGE")}
    path = os.pathsep.join([str(PROGRAMS), inherited.get("PATH", os.defpath)])
    return {**inherited, "DVC_NO_ANALYTICS": "true", "PATH": path, **extra}


def repro(
    root: Path,
    targets: Sequence[str],
    extra: Mapping[str, str],
    log: Path | None = None,
    held: int | None = None,
    started: Callable[[int], None] = lambda pid: None,
    quiet: bool = False,
) -> tuple[int, bool]:
    """Run `dvc repro`; return its exit code and whether the user asked to stop.

    DVC's chatter and the stages' standard output go to `log` (to standard error without one), all
    standard error passes through. `held` is a lock's descriptor that DVC is to hold too; `started` gets
    DVC's process id. SIGINT and SIGTERM are passed on as SIGINT, so that the running stage can save; a
    repeated SIGTERM as it is. `quiet` keeps DVC's own errors to itself; those of stages pass through.

    What a killed DVC left behind is dropped first, each time: the one that was waited for may have been killed, and
    until its parent looks after it DVC takes it for living.
    """
    drop_stale_locks(root)
    command = [
        sys.executable,
        "-m",
        "dvc",
        "--wait-for-lock",
        "repro",
        *(["--quiet"] if quiet else []),
        *targets,
    ]
    out = log.open("wb") if log else None
    with _passing_signals() as signals:
        try:
            process = subprocess.Popen(
                command,
                cwd=root,
                env=environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=out or sys.stderr.fileno(),
                pass_fds=() if held is None else (held,),
                start_new_session=True,  # Ctrl-C reaches the stage once, from us, not behind our back
            )
        finally:
            if out:
                out.close()
        signals.send_to(process.pid)
        started(process.pid)
        code = process.wait()
    return code, bool(signals.received)


def wait_for_others(root: Path, folder: PurePosixPath, what: str, notify: Notify) -> bool:
    """Wait while a DVC that saespec did not start works on a results folder; return whether there was one.

    A stage's outputs can be written, or read, by one DVC at a time: the second ends at once, without waiting.
    """
    found = blocker = _at_work(root, folder)
    while blocker is not None:
        if blocker == found:
            notify(f"{what}: DVC is at work on it (pid {blocker}); waiting for it")
            found = -1
        time.sleep(_PAUSE)
        blocker = _at_work(root, folder)
    return found is not None


def _at_work(root: Path, folder: PurePosixPath) -> int | None:
    """The process id of a living DVC that holds a path in a results folder."""
    try:
        locks = json.loads((root / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8"))
        held = {**locks.get("read", {}), **{path: [info] for path, info in locks.get("write", {}).items()}}
        own = str(root / folder)
        pids = [info["pid"] for path, infos in held.items() if path.startswith(f"{own}/") for info in infos]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return next((pid for pid in pids if _is_dvc(pid)), None)


def drop_stale_locks(root: Path) -> None:
    """Remove what a killed DVC left in `.dvc/tmp/rwlock` and would block the next one.

    DVC drops entries of dead processes itself, but not a half-written file, nor an entry whose process id
    now is some other program's. Its other locks die with it.
    """
    path = root / ".dvc" / "tmp" / "rwlock"
    if not path.exists():
        return
    with path.with_name("rwlock.lock").open("ab") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # a living DVC is writing it this very moment
        try:
            locks = json.loads(path.read_text(encoding="utf-8"))
            write = {p: info for p, info in locks.get("write", {}).items() if _is_dvc(info["pid"])}
            read = {p: [i for i in infos if _is_dvc(i["pid"])] for p, infos in locks.get("read", {}).items()}
            kept = {"write": write, "read": {p: infos for p, infos in read.items() if infos}}
        except (ValueError, TypeError, KeyError, AttributeError):
            kept = {"write": {}, "read": {}}
            locks = None
        if kept != locks:
            path.write_text(json.dumps(kept), encoding="utf-8")


def _is_dvc(pid: int) -> bool:
    if not is_alive(pid):
        return False
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return True  # no /proc, or not ours to read: take it for DVC
    return any(word.rpartition(b"/")[2] in (b"dvc", b"dvc.exe") for word in words)


def _set_core(path: Path) -> None:
    config = ConfigParser()
    config.read(path, encoding="utf-8")
    config.read_dict({"core": _CORE})
    with path.open("w", encoding="utf-8") as file:
        config.write(file)


def _scm_options(root: Path) -> list[str]:
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return [] if folder == root else ["--subdir"]
    return ["--no-scm"]


class _Signals:
    """SIGINT and SIGTERM as they came in, passed on to a process group once there is one."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._group: int | None = None

    def send_to(self, group: int) -> None:
        self._group = group
        if self.received:
            self._send(signal.SIGINT)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again = number == signal.SIGTERM and signal.SIGTERM in self.received
        self.received.append(number)
        self._send(signal.SIGTERM if again else signal.SIGINT)

    def _send(self, number: int) -> None:
        if self._group is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._group, number)


@contextmanager
def _passing_signals() -> Iterator[_Signals]:
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread only
        yield signals
        return
    before = {number: signal.signal(number, signals) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
