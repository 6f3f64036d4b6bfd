"""The native engine: ``native.cpp``, compiled at first use for this machine's CPU, for every cell of the gate algebra.

float32 on the CPU, with gradients of the first order. The library is a plain shared object with two calls, forward and
backward; this module compiles it, tells it by pointers where the tensors lie, and makes the two one autograd function.
"""

from __future__ import annotations

import contextlib
import copy
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock
from torch import Tensor

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.cell import Cell, GatedCell, State, Weights, state_type
from lstm_variants.spec import SLOTS, CellSpec

# The orders of native.cpp and native_vectors.h.
KINDS = ("absent", "learned", "constant", "complement", "same")
PARTS = ("x", "h", "b", "c", "bh", "input", "forget", "output")  # the last three: the matrices of previous gates
SEEN = ("input", "forget", "output")
SOURCES = ("native.cpp", "native_products.h", "native_training.h", "native_vectors.h")
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-w")
# $GATES_CXXFLAGS adds to them, as in GATES_CXXFLAGS="-fsanitize=address,undefined".


# ---- the structures of native.cpp ------------------------------------------------------------------------------------


class _Gate(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_int32)
            for name in ("kind", "of", "x", "h", "b", "peephole", "gates", "activation", "shared")
        ),
        ("value", ctypes.c_float),
        ("offset", ctypes.c_float),
    ]


class _Cell(ctypes.Structure):
    _fields_ = [
        ("gate", _Gate * len(SLOTS)),
        *((name, ctypes.c_int32) for name in ("squash", "normalise", "reset_before", "hidden_is_cell")),
        ("seen", ctypes.c_int32 * len(SEEN)),
    ]


_States = ctypes.c_void_p * (2 + len(SEEN))
_Weights = (ctypes.c_void_p * len(PARTS)) * len(SLOTS)
_SIZES = ("models", "steps", "batch", "inputs", "hidden", "threads", "keep")
_STRIDES = ("x_model", "x_step", "x_row", "dy_model", "dy_step", "dy_row")


class _Call(ctypes.Structure):
    _fields_ = [
        ("cell", _Cell),
        *((name, ctypes.c_int64) for name in _SIZES + _STRIDES),
        ("x", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("state", _States),
        ("weights", _Weights),
        ("y", ctypes.c_void_p),
        ("last", _States),
        ("planes", ctypes.c_void_p),
        ("dy", ctypes.c_void_p),
        ("dlast", _States),
        ("dx", ctypes.c_void_p),
        ("dstate", _States),
        ("dweights", _Weights),
    ]


@functools.cache
def _numbers() -> dict[str, int]:
    """The numbers of native_vectors.h for the squashings."""
    header = Path(__file__).with_name("native_vectors.h").read_text(encoding="utf-8")
    listed = header.partition("enum Activation {")[2].partition("}")[0]
    return {name.strip(): number for number, name in enumerate(listed.split(","))}


def _activation(name: str) -> int:
    return _numbers()[ACTIVATIONS[name].native]


def _describe(spec: CellSpec) -> _Cell:
    cell = _Cell(
        squash=_activation(spec.squash),
        normalise=spec.normalise,
        reset_before=spec.reset.kind != "absent" and not spec.reset_after,
        hidden_is_cell=spec.hidden_is_cell,
    )
    for number, slot in enumerate(SLOTS):
        gate = spec[slot]
        cell.gate[number] = _Gate(
            kind=KINDS.index(gate.kind),
            of=SLOTS.index(gate.of) if gate.of else -1,
            peephole=gate.peephole,
            gates=gate.gates,
            activation=_activation(gate.activation),
            shared=gate.block == "all",
            value=gate.value or 0.0,
            offset=gate.offset,
            **{source: gate.fed_by(source) for source in "xhb"},
        )
    for number, slot in enumerate(SEEN):
        cell.seen[number] = slot in spec.seen_gates
    return cell


# ---- compilation -----------------------------------------------------------------------------------------------------


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
    if opened.sizeof_call() != ctypes.sizeof(_Call):
        raise OSError(f"{library}: its structures are not those of this version")
    return opened


def unfit(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this engine is not made for a cell, or None."""
    if type(cell) is not GatedCell:
        return f"the cell {cell.spec.cell} has a step of its own"
    if cell.spec.noisy:
        return "a squashing adds noise"
    used = (cell.spec.squash, *(cell.spec[slot].activation for slot in cell.spec.learned))
    if lacking := sorted(name for name in {*used} if not ACTIVATIONS[name].native):
        return f"native has no activation {', '.join(lacking)}"
    if device.type != "cpu" or dtype != torch.float32:
        unknown = ", not measured on this hardware" if device.type == "cuda" else ""
        return f"{str(dtype).removeprefix('torch.')} on {device.type}{unknown}; native is float32 on the CPU"
    return None


def missing() -> str | None:
    """Why there is no library, or None; compiles it at the first call."""
    library = load()
    return library if isinstance(library, str) else None


# ---- planes: what the forward pass keeps for the backward pass -------------------------------------------------------


class _Planes:
    """Memory that goes back to the spare buffers with its owner; fresh memory costs as much as the arithmetic."""

    spare: list[Tensor] = []  # noqa: RUF012 (shared on purpose)
    most_spare = 8

    def __init__(self, floats: int) -> None:
        fitting = [b for b in self.spare if floats <= b.numel() <= 2 * floats + 4096]
        if fitting:
            self.buffer = min(fitting, key=torch.Tensor.numel)
            _Planes.spare = [b for b in self.spare if b is not self.buffer]
        else:
            _Planes.spare = self.spare[1:]  # sizes have changed: let the oldest go
            self.buffer = torch.empty(floats)

    def __del__(self) -> None:
        if len(_Planes.spare) < self.most_spare:
            _Planes.spare.append(self.buffer)


# ---- the autograd function -------------------------------------------------------------------------------------------


class _Plan:
    """A spec in the library's terms: its structure and the order in which its weights are passed."""

    def __init__(self, spec: CellSpec) -> None:
        self.cell = _describe(spec)
        self.fields = ("h", "c", *spec.seen_gates)
        self.state_at = (0, 1, *(2 + n for n in range(len(spec.seen_gates))))
        self.blocks = tuple(1 if spec[slot].block == "all" else int(spec[slot].block) for slot in SLOTS)

    def per_unit(self, places: Sequence[tuple[int, int]], weights: Sequence[Tensor]) -> list[Tensor]:
        """The weights with a row for every unit of a block: the library knows a gate per unit and one for all."""
        blocks = [self.blocks[slot] for slot, _ in places]
        return [w if n == 1 else w.repeat_interleave(n, dim=1) for n, w in zip(blocks, weights, strict=True)]

    def per_block(self, places: Sequence[tuple[int, int]], gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients on such weights as those on the weights of the blocks."""
        blocks = [self.blocks[slot] for slot, _ in places]
        return [g if g is None or n == 1 else _block_sums(g, n) for n, g in zip(blocks, gradients, strict=True)]


def _block_sums(gradient: Tensor, block: int) -> Tensor:
    """The sums over the rows of each block, (M, rows, ...), in one order whatever M."""
    models, rows, *rest = gradient.shape
    return functools.reduce(torch.add, gradient.reshape(models, rows // block, block, *rest).unbind(2))


@functools.cache
def _plan(spec: CellSpec) -> _Plan:
    return _Plan(spec)


def _leaves(weights: Weights) -> Iterator[tuple[int, int, Tensor]]:
    """Slot, part and tensor of every weight."""
    for slot, parts in weights.items():
        number = SLOTS.index(slot)
        for part, value in parts.items():
            if isinstance(value, Mapping):
                yield from ((number, PARTS.index(source), matrix) for source, matrix in value.items())
            else:
                yield number, PARTS.index(part), value


def _rows(x: Tensor) -> Tensor:
    """The same values with the last axis contiguous; the other strides may be any."""
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def _call(
    plan: _Plan,
    places: Sequence[tuple[int, int]],
    lengths: Tensor | None,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    y: Tensor,
) -> _Call:
    call = _Call(cell=plan.cell)
    _fill(call, lengths, x, state, y)
    for (slot, part), weight in zip(places, weights, strict=True):
        call.weights[slot][part] = weight.data_ptr()
    return call


def _fill(call: _Call, lengths: Tensor | None, x: Tensor, state: Sequence[Tensor], y: Tensor) -> None:
    """Sizes and addresses of one sequence."""
    call.models, call.steps, call.batch, call.inputs = x.shape
    call.hidden = y.shape[-1]
    call.threads = torch.get_num_threads()
    call.x_model, call.x_step, call.x_row, _ = x.stride()
    call.x, call.y = x.data_ptr(), y.data_ptr()
    call.lengths = None if lengths is None else lengths.data_ptr()
    for n, field in enumerate(state):
        call.state[n] = field.data_ptr()


def _fill_outside(call: _Call, dy: Tensor | None, dx: Tensor | None, planes: _Planes) -> None:
    """What a backward pass has besides."""
    call.keep, call.planes = 1, planes.buffer.data_ptr()
    if dy is not None:
        call.dy = dy.data_ptr()
        call.dy_model, call.dy_step, call.dy_row, _ = dy.stride()
    call.dx = None if dx is None else dx.data_ptr()


def library() -> ctypes.CDLL:
    """The compiled library, where there is one."""
    found = load()
    assert isinstance(found, ctypes.CDLL), found
    return found


def _forward(call: _Call, state: Sequence[Tensor], keep: bool) -> tuple[list[Tensor], _Planes | None]:
    """Fill y; the state after the last step and the planes."""
    last = [torch.empty_like(field) for field in state]
    for n, field in enumerate(last):
        call.last[n] = field.data_ptr()
    call.keep = keep
    planes = None
    if keep:
        planes = _Planes(library().planes_needed(ctypes.byref(call)))
        call.planes = planes.buffer.data_ptr()
    library().forward(ctypes.byref(call))
    return last, planes


class Pass:
    """One layer's forward pass with all that its backward pass needs.

    Attributes:
        y: (M, T, B, H).
        last: the state after the last step, fields (M, B, H).
    """

    def __init__(
        self, plan: _Plan, places: Sequence[tuple[int, int]], lengths: Tensor | None, x: Tensor, rest: Sequence[Tensor]
    ) -> None:
        self.plan, self.places, self.lengths = plan, places, lengths
        self.x, self.rest = _rows(x), [tensor.contiguous() for tensor in rest]
        state, weights = self.rest[: len(plan.fields)], plan.per_unit(places, self.rest[len(plan.fields) :])
        self.y = x.new_empty(*x.shape[:-1], state[0].shape[-1])
        call = _call(plan, places, lengths, self.x, state, weights, self.y)
        self.last, self.planes = _forward(call, state, keep=True)

    def backward(
        self, dy: Tensor | None, dlast: Sequence[Tensor | None], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """The gradients of x, the state's fields and the weights, as far as they are needed."""
        assert self.planes is not None
        fields = len(self.plan.fields)
        state, weights = self.rest[:fields], self.plan.per_unit(self.places, self.rest[fields:])
        call = _call(self.plan, self.places, self.lengths, self.x, state, weights, self.y)
        outside = [None if d is None else d.contiguous() for d in dlast]
        for n, field in enumerate(outside):
            call.dlast[n] = None if field is None else field.data_ptr()
        dx = torch.empty(self.x.shape) if needed[0] else None
        dy = None if dy is None else _rows(dy)
        _fill_outside(call, dy, dx, self.planes)
        known = zip([*state, *weights], needed[1:], strict=True)
        gradients = [torch.empty_like(tensor) if need else None for tensor, need in known]
        for n, gradient in enumerate(gradients):
            if gradient is None:
                continue
            if n < fields:
                call.dstate[n] = gradient.data_ptr()
            else:
                slot, part = self.places[n - fields]
                call.dweights[slot][part] = gradient.data_ptr()
        library().backward(ctypes.byref(call))
        return [dx, *gradients[:fields], *self.plan.per_block(self.places, gradients[fields:])]


class _Layer(torch.autograd.Function):
    """(x, state, weights) -> (y, last state); the planes serve any number of backward passes."""

    @staticmethod
    def forward(
        ctx: Any, plan: _Plan, places: Sequence[tuple[int, int]], lengths: Tensor | None, x: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        done = Pass(plan, places, lengths, x, rest)
        ctx.save_for_backward(done.x, done.y, *done.rest)  # torch watches over them
        y, last = done.y, done.last
        done.x = done.y = torch.empty(0)
        done.rest, done.last = [], []
        ctx.done = done
        ctx.set_materialize_grads(False)
        return (y, *last)

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("engine=native has first derivatives only; create_graph=True needs engine=reference")
        done = copy.copy(ctx.done)
        done.x, done.y, *done.rest = ctx.saved_tensors
        return None, None, None, *done.backward(dy, dlast, ctx.needs_input_grad[3:])


def _arguments(
    cell: Cell, weights: Weights, lengths: Tensor | None
) -> tuple[_Plan, list[tuple[int, int]], list[Tensor], Tensor | None]:
    leaves = list(_leaves(weights))
    places = [(slot, part) for slot, part, _ in leaves]
    if lengths is not None:
        lengths = lengths.to(torch.int64).contiguous()
    return _plan(cell.spec), places, [tensor for _, _, tensor in leaves], lengths


class _Sequence(NamedTuple):
    """A forward pass taken by hand, with all that its backward pass needs."""

    x: Tensor
    lengths: Tensor | None
    state: list[Tensor]
    y: Tensor
    last: list[Tensor]
    planes: _Planes


class _Spread:
    """A weight of blocks of units and its gradient, as the library has them: with a row for every unit."""

    def __init__(self, block: int, weight: Tensor, gradient: Tensor | None) -> None:
        self.block, self.weight, self.gradient = block, weight.detach(), gradient
        self.rows = self.weight if block == 1 else self.weight.repeat_interleave(block, dim=1)
        self.row_gradients = gradient if gradient is None or block == 1 else torch.empty_like(self.rows)

    def spread(self) -> None:
        """Take over what the weight is now."""
        if self.block > 1:
            self.rows.copy_(self.weight.repeat_interleave(self.block, dim=1))

    def gather(self) -> None:
        """Fill the gradient from those of the rows."""
        if self.block > 1 and self.gradient is not None and self.row_gradients is not None:
            self.gradient.copy_(_block_sums(self.row_gradients, self.block))


class ByHand:
    """A layer whose gradients are taken by hand, beside autograd; what stays from step to step is prepared once.

    Args:
        cell: a cell of the gate algebra.
        weights: its parameters, contiguous, each with a leading model axis.

    Attributes:
        gradients: of each weight, None where it is frozen; every backward pass overwrites them.
    """

    def __init__(self, cell: Cell, weights: Weights) -> None:
        plan = _plan(cell.spec)
        self._call = _Call(cell=plan.cell)
        self._spread: list[_Spread] = []
        self.weights: list[Tensor] = []
        self.gradients: list[Tensor | None] = []
        for slot, part, weight in _leaves(weights):
            assert weight.is_contiguous()
            gradient = torch.empty_like(weight) if weight.requires_grad else None
            own = _Spread(plan.blocks[slot], weight, gradient)
            self._call.weights[slot][part] = own.rows.data_ptr()
            self._call.dweights[slot][part] = None if own.row_gradients is None else own.row_gradients.data_ptr()
            self._spread.append(own)
            self.weights.append(weight)
            self.gradients.append(gradient)

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> _Sequence:
        """The forward pass; arguments as in :func:`run`."""
        x, fields = _rows(x), [field.contiguous() for field in state]
        lengths = None if lengths is None else lengths.to(torch.int64).contiguous()
        y = x.new_empty(*x.shape[:-1], fields[0].shape[-1])
        _fill(self._call, lengths, x, fields, y)
        for own in self._spread:
            own.spread()
        last, planes = _forward(self._call, fields, keep=True)
        assert planes is not None
        return _Sequence(x, lengths, fields, y, last, planes)

    def backward(self, sequence: _Sequence, dy: Tensor, needs_dx: bool) -> Tensor | None:
        """Fill the gradients for the gradient on y; gives that on x if it is needed."""
        x, dy = sequence.x, _rows(dy)
        dx = torch.empty(x.shape) if needs_dx else None
        _fill(self._call, sequence.lengths, x, sequence.state, sequence.y)
        _fill_outside(self._call, dy, dx, sequence.planes)
        library().backward(ctypes.byref(self._call))
        for own in self._spread:
            own.gather()
        return dx


def run(cell: Cell, weights: Weights, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    """One layer over a whole sequence, for M models side by side; see :func:`lstm_variants.engines.reference.run`.

    Args:
        cell: a cell of the gate algebra.
        weights: its parameters, each with a leading model axis.
        x: (M, T, B, I), any strides.
        state: fields (M, B, H).
        lengths: (M, B) steps of each sequence; past its end a sequence holds its state. None: all are T long.

    Returns:
        y (M, T, B, H) and the state after the last step, fields (M, B, H).
    """
    plan, places, tensors, lengths = _arguments(cell, weights, lengths)
    inputs = (x, *state, *tensors)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        y, *last = _Layer.apply(plan, places, lengths, *inputs)  # type: ignore[no-untyped-call]
    else:
        x, fields = _rows(x), [field.contiguous() for field in state]
        y = x.new_empty(*x.shape[:-1], state[0].shape[-1])
        held = plan.per_unit(places, [tensor.contiguous() for tensor in tensors])
        last, _ = _forward(_call(plan, places, lengths, x, fields, held, y), fields, keep=False)
    return y, state_type(plan.fields[2:])(*last)
