"""The native engine's library: compiled at first use for this machine's CPU, kept in a cache, loaded."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from filelock import FileLock

from lstm_variants.engines.native_structures import Call

SOURCES = ("native.cpp", "native_products.h", "native_training.h", "native_vectors.h")
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-w")
# $GATES_CXXFLAGS adds to them, as in GATES_CXXFLAGS="-fsanitize=address,undefined".


def compiler() -> list[str]:
    """The C++ compiler and its arguments: ``$CXX``, or the first of c++, g++, clang++ that is installed; [] without."""
    wanted = _words("CXX")
    names = wanted[:1] or ["c++", "g++", "clang++"]
    return next(([path, *wanted[1:]] for name in names if (path := shutil.which(name))), [])


def _advice() -> str:
    wanted = os.environ.get("CXX", "").strip()
    return f"CXX={wanted} names none" if wanted else "set CXX, or install g++"


def _words(variable: str) -> list[str]:
    """The words of an environment variable, as a shell splits them."""
    text = os.environ.get(variable, "")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise OSError(f"{variable}={text}: {error}") from None


def cache_folder() -> Path:
    """Where compiled libraries stay: ``$GATES_CACHE``, else ``gates`` in the user's cache folder.

    Without a home that can be written it is a folder of this user's among the temporary files.

    Raises:
        OSError: if no folder can be had.
    """
    if chosen := os.environ.get("GATES_CACHE"):
        return _made(Path(chosen))
    try:
        return _made(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gates")
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where home is
        return _private(Path(tempfile.gettempdir()) / f"gates-{os.getuid()}")


def _made(folder: Path) -> Path:
    """The folder, once it is there and can be written; one that is full of libraries already may be read-only."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK) and not any(folder.glob("native-*.so")):
        raise PermissionError(f"{folder}: cannot be written")
    return folder


def _private(folder: Path) -> Path:
    """The folder, which is nobody else's: what lies in it is loaded as code."""
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o022:
        raise PermissionError(f"{folder}: others can write it; set GATES_CACHE")
    return folder


def _instruction_set() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), platform.machine())


def _sources() -> list[Path]:
    return [Path(__file__).with_name(name) for name in SOURCES]


def _key(cxx: Sequence[str], flags: Sequence[str]) -> str:
    """Libraries of unlike machines, compilers, torch versions or sources have unlike names."""
    programs = [Path(path).resolve() for word in cxx if (path := shutil.which(word))]  # of "ccache g++", both
    known = [fact for real in programs for fact in (str(real), str(real.stat().st_mtime_ns))]
    facts = [*known, _instruction_set(), torch.__version__, *cxx[1:], *flags]
    sources = [path.read_text(encoding="utf-8") for path in _sources()]
    return hashlib.sha256("\n".join(facts + sources).encode()).hexdigest()[:16]


def _openmp() -> tuple[list[str], list[str]]:
    """Flags to compile and to link with the OpenMP library that torch has loaded already, if there is one."""
    own = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    available = torch.backends.openmp.is_available()  # type: ignore[no-untyped-call]
    if not available or sys.platform == "darwin":
        return [], []
    return ["-fopenmp"], [str(own[0])] if own else ["-fopenmp"]


def _compile(cxx: Sequence[str], flags: Sequence[str], library: Path) -> None:
    """Compile into ``library``.

    Raises:
        subprocess.CalledProcessError: if the compiler fails.
    """
    compile_openmp, link_openmp = _openmp()
    part = library.with_suffix(f".{os.getpid()}")
    source = str(_sources()[0])
    for openmp in ((compile_openmp, link_openmp), ([], [])):
        commands = (
            [*cxx, *flags, *openmp[0], "-c", source, "-o", f"{part}.o"],
            [*cxx, *flags, "-shared", f"{part}.o", *openmp[1], "-o", f"{part}.so"],
        )
        try:
            for command in commands:
                subprocess.run(command, check=True, capture_output=True, text=True, errors="replace")
        except subprocess.CalledProcessError:
            if not openmp[0]:
                raise
            continue
        break
    Path(f"{part}.o").unlink(missing_ok=True)
    if not Path(f"{part}.so").exists():
        raise OSError(f"{shlex.join(cxx)} ended well and made no library")
    Path(f"{part}.so").replace(library)


@functools.cache
def load() -> ctypes.CDLL | str:
    """The compiled library, from the cache or compiled now, or the reason why there is none."""
    try:
        cxx, flags = compiler(), (*FLAGS, *_words("GATES_CXXFLAGS"))
        if not cxx:
            return f"no C++ compiler found ({_advice()})"
        library = cache_folder() / f"native-{_key(cxx, flags)}.so"
        if not library.exists():
            with FileLock(f"{library}.lock"):  # one process compiles, the others wait for it
                if not library.exists():
                    _compile_aloud(cxx, flags, library)
        return _opened(library)
    except subprocess.CalledProcessError as error:
        return f"{shlex.join(cxx)} failed: {_complaint(error)}"
    except OSError as error:
        return str(error)


def _compile_aloud(cxx: Sequence[str], flags: Sequence[str], library: Path) -> None:
    start = time.monotonic()
    say(f"compiling the native engine with {shlex.join(cxx)} (once on this machine) ...", end=" ")
    try:
        _compile(cxx, flags, library)
    except BaseException:
        say("it failed")
        raise
    say(f"{time.monotonic() - start:.0f} s")


def say(text: str, end: str = "\n") -> None:
    """Tell a person on the terminal; that nobody can be told is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(text, end=end, file=sys.stderr, flush=True)


def _complaint(error: subprocess.CalledProcessError) -> str:
    """What a compiler says is wrong: its first error, else its last words."""
    lines = [line.strip() for line in (error.stderr or "").splitlines() if line.strip()]
    wrong = [line for line in lines if "error" in line.lower()]
    return next(iter([*wrong, *reversed(lines)]), f"exit status {error.returncode}")


def _opened(library: Path) -> ctypes.CDLL:
    opened = ctypes.CDLL(str(library))
    opened.planes_needed.restype = opened.sizeof_call.restype = ctypes.c_int64
    opened.forward.restype = opened.backward.restype = opened.readout.restype = opened.update.restype = None
    if opened.sizeof_call() != ctypes.sizeof(Call):
        raise OSError(f"{library}: its structures are not those of this version")
    return opened


def missing() -> str | None:
    """Why there is no library, or None; compiles it at the first call."""
    library = load()
    return library if isinstance(library, str) else None


def library() -> ctypes.CDLL:
    """The compiled library, where there is one."""
    found = load()
    assert isinstance(found, ctypes.CDLL), found
    return found
