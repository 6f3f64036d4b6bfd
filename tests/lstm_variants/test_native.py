"""The native engine against the reference engine: as right, and a model's bits are those it has alone.

Errors are measured against the reference engine in float64. Two engines that round in different orders differ by luck
of single numbers, so an error is the root mean square over a tensor, and ratios are means over a few seeds.
"""

# ruff: noqa: E741 (I is the number of inputs)

import ctypes
import gc
import math
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from family import GATED, SPECS, legal_specs, spec_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstm_variants import CellSpec, GatedRNN, engines
from lstm_variants.activations import ACTIVATIONS
from lstm_variants.engines import native_library, native_structures
from lstm_variants.engines.native_passes import Planes

PLAIN = [name for name in GATED if not SPECS[name].noisy]
# How many times the reference engine's own float32 error; other compiler flags, other roundings.
RIGHT = 4.0 if os.environ.get("GATES_CXXFLAGS") else 2.0
ROUNDING = 1e-7  # an error that is no error, relative to the tensor's root mean square

Result = dict[str, torch.Tensor]

LIBRARY = native_library.load()
pytestmark = pytest.mark.skipif(isinstance(LIBRARY, str), reason=f"no native engine: {LIBRARY}")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_engine_numbers_the_squashings_of_the_one_table() -> None:
    ours = {name: entry.native for name, entry in ACTIVATIONS.items()}
    assert set(native_structures._numbers()) == set(ours.values())
    assert [native_structures._activation(name) for name in ours] == [
        *range(len(ours) - 1),
        native_structures._activation("sigmoid"),
    ]  # gumbel


# ---- a layer's numbers ------------------------------------------------------------------------------------------


def drawn(layer: GatedRNN, batch: int, steps: int, seed: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Input and state unlike zero, after filling the layer with weights unlike zero, from one seed."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        for tensor in [*layer.parameters(), *layer.buffers()]:
            matrix = tensor.dim() > (2 if layer.models else 1)
            tensor.copy_(normal(*tensor.shape) / (math.sqrt(tensor.shape[-1]) if matrix else 2))
    lead = (layer.models,) if layer.models else ()
    fields = 2 + len(layer.spec.seen_gates)
    state = [0.5 * normal(*lead, layer.num_layers, batch, layer.hidden_size) for _ in range(fields)]
    return normal(*lead, steps, batch, layer.input_size), state


def numbers(layer: GatedRNN, x: torch.Tensor, state: Any, lengths: torch.Tensor | None = None, seed: int = 0) -> Result:
    """Outputs, last state and every gradient of a random weighting of both."""
    dtype = next(iter([*layer.parameters(), *layer.buffers()])).dtype
    x = x.to(dtype).requires_grad_()
    state = [field.to(dtype).requires_grad_() for field in state]
    y, last = layer(x, state, lengths)
    generator = torch.Generator().manual_seed(seed + 1)
    pairs = [(out, torch.randn(out.shape, generator=generator).to(dtype)) for out in (y, *last)]
    pairs = [(out, weight) for out, weight in pairs if out.requires_grad]  # a gate may be constant
    torch.autograd.backward(*zip(*pairs, strict=True))
    result = {"y": y.detach(), "dx": gradient(x)}
    result |= {f"last {name}": field.detach() for name, field in zip(last._fields, last, strict=True)}
    result |= {f"first d{name}": gradient(field) for name, field in zip(last._fields, state, strict=True)}
    result |= {f"d {name}": gradient(parameter) for name, parameter in layer.named_parameters()}
    return result


def gradient(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def three(spec: CellSpec, seed: int, M: int, T: int, B: int, I: int, H: int, L: int = 1, ragged: bool = False) -> Any:
    """The numbers in float64, in float32 on the reference engine, and on the native one."""
    results = []
    for engine, dtype in (("reference", torch.float64), ("reference", torch.float32), ("native", torch.float32)):
        layer = GatedRNN(spec, I, H, num_layers=L, models=M, engine=engine)
        x, state = drawn(layer, B, T, seed)
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(0, T + 1, (M, B), generator=generator) if ragged else None
        results.append(numbers(layer.to(dtype), x, state, lengths, seed))
    return results


def rms(tensor: torch.Tensor) -> float:
    return float(tensor.double().square().mean().sqrt())


def ratios(runs: list[Any]) -> dict[str, float]:
    """By tensor: how many times the reference engine's float32 error the native engine's is, geometric mean of runs."""
    logs: dict[str, list[float]] = {}
    for exact, theirs, ours in runs:
        assert exact.keys() == theirs.keys() == ours.keys()
        for name, value in exact.items():
            least = ROUNDING * rms(value) + 1e-30
            ratio = max(rms(ours[name] - value), least) / max(rms(theirs[name] - value), least)
            logs.setdefault(name, []).append(math.log(ratio))
    return {name: math.exp(sum(own) / len(own)) for name, own in logs.items()}


def check(found: dict[str, float], times: float = RIGHT) -> None:
    wrong = {name: round(ratio, 2) for name, ratio in found.items() if not ratio <= times}
    assert not wrong, f"times the reference engine's error: {wrong}"


# ---- right ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", PLAIN)
def test_every_variant_is_as_exact_as_the_reference(variant: str) -> None:
    check(ratios([three(SPECS[variant], seed, M=2, T=12, B=4, I=3, H=19, L=1) for seed in range(10)]))


@pytest.mark.parametrize("variant", PLAIN)
def test_every_variant_with_lengths_and_two_layers(variant: str) -> None:
    check(ratios([three(SPECS[variant], seed, M=2, T=9, B=3, I=2, H=5, L=2, ragged=True) for seed in range(8)]))


@pytest.mark.parametrize(
    ("T", "B", "I", "H"), [(1, 1, 1, 1), (3, 1, 2, 67), (1, 40, 3, 5), (140, 1, 1, 5), (5, 70, 20, 33)]
)
@pytest.mark.parametrize("variant", ["lstm", "gru", "peephole", "full_gate_recurrence", "gru_reset_before", "minlstm"])
def test_odd_sizes(variant: str, T: int, B: int, I: int, H: int) -> None:
    seeds = 8 if min(B * T, H) > 1 else 100  # the error of a single number is luck: many numbers
    check(ratios([three(SPECS[variant], seed, 1, T, B, I, H) for seed in range(seeds)]))


@pytest.mark.parametrize("variant", PLAIN)
def test_every_number_is_made(variant: str) -> None:
    """Every path through the library once, at sizes off and on the width of its vectors: what its checkers watch."""
    for number, (T, B, I, H) in enumerate([(1, 1, 1, 1), (3, 1, 2, 67), (2, 40, 3, 5), (40, 1, 1, 5), (3, 35, 20, 33)]):
        layer = GatedRNN(SPECS[variant], I, H, num_layers=2, models=2, engine="native")
        x, state = drawn(layer, B, T, seed=number)
        lengths = torch.arange(2 * B).reshape(2, B) % (T + 1) if number % 2 else None
        assert all(torch.isfinite(value).all() for value in numbers(layer, x, state, lengths).values())


def follows(exact: Result, theirs: Result, name: str) -> bool:
    """Whether float32 can follow at all."""
    size = rms(exact[name])
    return size < 1e6 and rms(theirs[name] - exact[name]) < 1e-2 * (size + 1e-3)


@given(
    spec=legal_specs(),
    sizes=st.tuples(*(st.integers(1, 6) for _ in range(4))),
    ragged=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_legal_spec(spec: CellSpec, sizes: tuple[int, int, int, int], ragged: bool, seed: int) -> None:
    """Four seeds and all tensors together are held to the bar. A small tensor of one seed has an error of luck: it gets
    more room, and a wrong term is off by far more. Small sizes keep a spec that grows without bound finite."""
    if spec.noisy:
        return
    *others, units = sizes
    runs = [three(spec, seed + 100 * k, 2, *others, units * spec.unit_step, ragged=ragged) for k in range(4)]
    if spec.squash == "binary":  # a cell that float64 rounds to 0 is 1e-34 in the library, past the threshold at 0
        runs = [run for run in runs if (run[0]["last c"] != 0).all()]
    for exact, theirs, ours in runs:
        for name, value in exact.items():
            if follows(exact, theirs, name):
                alike = [rms(v) for v in exact.values() if v.shape == value.shape and rms(v) < 1e6]
                room = 8 * rms(theirs[name] - value) + 1e-5 * (rms(value) + max(alike))
                assert rms(ours[name] - value) <= room, name
    steady = [(exact, theirs, ours) for exact, theirs, ours in runs if all(follows(exact, theirs, n) for n in exact)]
    if runs and len(steady) == len(runs):  # where most seeds overflow, the error of the one that is left is luck too
        logs = [math.log(ratio) for ratio in ratios(steady).values()]
        check({"all tensors": math.exp(sum(logs) / len(logs))})


def test_gradcheck_like_sum_reaches_every_parameter() -> None:
    for variant in PLAIN:
        layer = GatedRNN(SPECS[variant], 2, 3, engine="native")
        layer(torch.randn(4, 2, 2))[0].sum().backward()
        assert all(parameter.grad is not None for parameter in layer.parameters()), variant


# ---- a model's bits are its own ---------------------------------------------------------------------------------


def one_of(layer: GatedRNN, m: int) -> GatedRNN:
    """Model m of a stack, alone."""
    alone = GatedRNN(layer.spec, layer.input_size, layer.hidden_size, num_layers=layer.num_layers, engine=layer.engine)
    mine = [*layer.parameters(), *layer.buffers()]
    with torch.no_grad():
        for own, stacked in zip([*alone.parameters(), *alone.buffers()], mine, strict=True):
            own.copy_(stacked[m])
    return alone


def same_bits(one: Result, other: Result) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def seeded(layer: GatedRNN, x: torch.Tensor, state: Any, weights: list[torch.Tensor], **options: Any) -> Result:
    """As `numbers`, for given weights on the outputs."""
    x, state = x.clone().requires_grad_(), [field.clone().requires_grad_() for field in state]
    y, last = layer(x, state, **options)
    torch.autograd.backward([y, *last], weights)
    result = {"y": y.detach(), "dx": gradient(x)} | {f"last {n}": field.detach() for n, field in enumerate(last)}
    result |= {f"first {n}": gradient(field) for n, field in enumerate(state)}
    result |= {name: gradient(parameter) for name, parameter in layer.named_parameters()}
    layer.zero_grad()
    return result


def check_stack(variant: str, M: int, T: int, B: int, I: int, H: int) -> None:
    """All models at once, on one and two threads, and some of them alone."""
    layer = GatedRNN(SPECS[variant], I, H, models=M, engine="native")
    x, state = drawn(layer, B, T, seed=1)
    y, last = layer(x, state)
    weights = [torch.randn_like(out) for out in (y, *last)]
    whole = seeded(layer, x, state, weights)
    torch.set_num_threads(2)
    same_bits(whole, seeded(layer, x, state, weights))
    for m in (0, 4, 6):
        alone = seeded(one_of(layer, m), x[m], [field[m] for field in state], [w[m] for w in weights])
        same_bits(alone, {name: value[m] for name, value in whole.items()})


@pytest.mark.parametrize("variant", PLAIN)
def test_a_stack_changes_no_bit(variant: str) -> None:
    check_stack(variant, M=7, T=11, B=19, I=3, H=13)


@pytest.mark.parametrize("variant", ["lstm", "gru_reset_before", "full_gate_recurrence"])
def test_a_stack_too_large_for_the_cache_changes_no_bit(variant: str) -> None:
    check_stack(variant, M=7, T=60, B=32, I=2, H=72)  # planes of more than 16 MB


@pytest.mark.parametrize("variant", ["lstm", "gru_reset_before", "full_gate_recurrence"])
def test_order_and_a_nan_neighbour_change_no_bit(variant: str) -> None:
    M, T, B, I, H = 5, 9, 4, 2, 17
    layer = GatedRNN(SPECS[variant], I, H, models=M, engine="native")
    x, state = drawn(layer, B, T, seed=2)
    weights = [torch.randn_like(out) for out in (lambda y, last: (y, *last))(*layer(x, state))]
    whole = seeded(layer, x, state, weights)
    order = [3, 0, 4, 1, 2]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(parameter[order].clone())
    moved = seeded(layer, x[order], [s[order] for s in state], [w[order] for w in weights])
    same_bits({name: value[order] for name, value in whole.items()}, moved)
    with torch.no_grad():
        next(layer.parameters())[2].fill_(math.nan)
    sick = seeded(layer, x[order], [s[order] for s in state], [w[order] for w in weights])
    keep = [0, 1, 3, 4]
    assert sick["y"][2].isnan().any()
    same_bits({name: value[keep] for name, value in moved.items()}, {name: value[keep] for name, value in sick.items()})


@pytest.mark.parametrize("variant", ["lstm", "gru", "mgu", "full_gate_recurrence", "minlstm"])
def test_padding_changes_no_bit_and_may_hold_nan(variant: str) -> None:
    T, B, I, H, more = 9, 5, 2, 7, 150
    layer = GatedRNN(SPECS[variant], I, H, engine="native")
    x, state = drawn(layer, B, T, seed=3)
    lengths = torch.tensor([9, 1, 0, 4, 9])
    y, last = layer(x, state, lengths)
    weights = [torch.randn_like(out) for out in (y, *last)]
    short = seeded(layer, x, state, weights, lengths=lengths)
    padded = torch.cat([x, torch.full((more, B, I), math.nan)])
    for b, length in enumerate(lengths):
        padded[length:, b] = math.nan
    longer = [torch.cat([weights[0], torch.zeros(more, B, H)]), *weights[1:]]
    long = seeded(layer, padded, state, longer, lengths=lengths)
    assert torch.equal(long["y"][T:], long["y"][T - 1].expand(more, B, H))
    same_bits(short, long | {"y": long["y"][:T], "dx": long["dx"][:T]})


def test_layout_changes_no_bit() -> None:
    layer = GatedRNN(spec_of("lstm"), 3, 6, models=2, engine="native")
    first = GatedRNN(spec_of("lstm"), 3, 6, models=2, engine="native", batch_first=True)
    first.load_state_dict(layer.state_dict())
    x, state = drawn(layer, 4, 5, seed=4)
    first.load_state_dict(layer.state_dict())
    y, last = layer(x, state)
    y_first, last_first = first(x.transpose(1, 2).contiguous(), state)
    assert torch.equal(y, y_first.transpose(1, 2))
    (y.sum() + last.c.sum()).backward()
    (y_first.sum() + last_first.c.sum()).backward()
    for one, other in zip(layer.parameters(), first.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)  # type: ignore[arg-type]


def test_without_gradients_the_bits_are_the_same() -> None:
    layer = GatedRNN(spec_of("gru_reset_before"), 3, 6, models=3, engine="native")
    x, state = drawn(layer, 40, 5, seed=5)
    y, last = layer(x, state)
    with torch.no_grad():
        y_plain, last_plain = layer(x, state)
    assert torch.equal(y, y_plain)
    assert torch.equal(last.h, last_plain.h)


# ---- autograd's rules -------------------------------------------------------------------------------------------


def test_two_graphs_alive_and_a_second_backward_are_right() -> None:
    layer = GatedRNN(spec_of("lstm"), 3, 6, engine="native")
    one, other = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    alone = torch.autograd.grad(layer(one)[0].sum(), list(layer.parameters()))
    first, second = layer(one)[0], layer(other)[0]
    second.sum().backward()
    for _ in range(2):
        both = torch.autograd.grad(first.sum(), list(layer.parameters()), retain_graph=True)
        assert all(torch.equal(a, b) for a, b in zip(alone, both, strict=True))


def test_a_graph_that_is_used_up_or_changed_says_so() -> None:
    layer = GatedRNN(spec_of("lstm"), 3, 6, engine="native")
    y, _ = layer(torch.randn(5, 2, 3))
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    y, _ = layer(torch.randn(5, 2, 3))
    with torch.no_grad():
        next(layer.parameters()).add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_second_derivatives_are_refused() -> None:
    layer = GatedRNN(spec_of("lstm"), 3, 6, engine="native")
    x = torch.randn(5, 2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)


def test_planes_are_used_again() -> None:
    layer = GatedRNN(spec_of("lstm"), 3, 6, engine="native")
    for _ in range(2):
        layer(torch.randn(50, 2, 3))[0].sum().backward()
    gc.collect()
    spare = {buffer.data_ptr() for buffer in Planes.spare}
    layer(torch.randn(50, 2, 3))[0].sum().backward()
    gc.collect()
    assert {buffer.data_ptr() for buffer in Planes.spare} == spare


# ---- the choice of an engine ------------------------------------------------------------------------------------


def test_the_layer_says_which_engine_runs() -> None:
    assert GatedRNN(spec_of("lstm"), 2, 3).engine == "native"
    assert GatedRNN(spec_of("lstm"), 2, 3).double().engine == "reference"
    for name in ("mut1", "forget_gumbel"):
        layer = GatedRNN(spec_of(name), 2, 3)
        assert layer.engine == "reference"
        assert layer.engine_reason.startswith("native cannot run here: ")
    with pytest.raises(ValueError, match="engine=native cannot run here"):
        GatedRNN(spec_of("mut1"), 2, 3, engine="native")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Nothing compiled, nothing said yet; the cache folder."""
    monkeypatch.setenv("GATES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(engines.TOLD, "")
    native_library.load.cache_clear()
    yield tmp_path / "cache"
    native_library.load.cache_clear()


@pytest.mark.parametrize(
    ("cxx", "why"),
    {
        "no-such-compiler -x": "no C++ compiler found (CXX=no-such-compiler -x names none)",
        "false": "/false failed: exit status 1",
        "env sh -c 'echo oh, an error; exit 3' >&2": "failed: exit status 3",
        "true": "made no library",
        "g++ '": "CXX=g++ ': No closing quotation",
    }.items(),
)
def test_without_a_working_compiler_the_reference_runs_and_the_terminal_says_why_once(
    cxx: str, why: str, fresh: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", cxx)
    layers = [GatedRNN(spec_of("lstm"), 2, 3) for _ in range(2)]
    assert [layer.engine for layer in layers] == ["reference"] * 2
    assert why in layers[0].engine_reason
    assert layers[0](torch.randn(4, 1, 2))[0].shape == (4, 1, 3)
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert why in warnings[0]
    with pytest.raises(ValueError, match="engine=native cannot run here"):
        GatedRNN(spec_of("lstm"), 2, 3, engine="native")


def compiler_that_copies(library: str, script: Path) -> list[str]:
    """A program that writes down its arguments and "makes" a library that is there already."""
    text = f'echo "$@" >> {script}.log; while [ "$1" != -o ]; do shift; done; cp {library} "$2"'
    script.write_text(text)
    return ["sh", str(script)]


def test_the_compiler_may_have_arguments(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(LIBRARY, ctypes.CDLL)
    words = [*compiler_that_copies(LIBRARY._name, tmp_path / "script"), "-pipe", "-DNAME=two words"]
    monkeypatch.setenv("CXX", shlex.join(words))
    assert GatedRNN(spec_of("lstm"), 2, 3).engine == "native"
    lines = (tmp_path / "script.log").read_text().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("-pipe -DNAME=two words -std=c++20") for line in lines)
    monkeypatch.setenv("CXX", shlex.join([*words, "-g"]))
    native_library.load.cache_clear()
    native_library.load()
    assert len(list(fresh.glob("*.so"))) == 2


def test_without_a_home_libraries_lie_in_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATES_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = tmp_path / f"gates-{os.getuid()}"
    monkeypatch.setenv("HOME", "/proc/no/home")
    assert native_library.cache_folder() == own
    assert own.stat().st_mode & 0o777 == 0o700

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert native_library.cache_folder() == own
    own.chmod(0o777)
    with pytest.raises(PermissionError, match="others can write it"):
        native_library.cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert native_library.cache_folder() == tmp_path / "cache" / "gates"


def python(code: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_processes_that_start_at_once_compile_once(tmp_path: Path) -> None:
    code = "from lstm_variants.engines.native_library import load; print('library:', not isinstance(load(), str))"
    outputs = [p.communicate()[0] for p in [python(code, GATES_CACHE=str(tmp_path)) for _ in range(3)]]
    assert all("library: True" in output for output in outputs), outputs
    assert sum("compiling" in output for output in outputs) == 1
    assert len(list(tmp_path.glob("*.so"))) == 1


def run_again(tests: str, cache: Path, **environment: str) -> None:
    """The quick tests whose names contain one of `tests`, with a library of its own."""
    command = [sys.executable, "-m", "pytest", __file__, "-k", tests, "-m", "not slow", "-p", "no:cacheprovider", "-s"]
    own = os.environ | {"GATES_CACHE": str(cache)} | environment
    done = subprocess.run(command, env=own, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="instruction sets of x86-64")
@pytest.mark.parametrize(
    ("instructions", "tests"),
    [
        ("haswell", "odd_sizes or changes_no_bit or any_legal_spec"),
        ("x86-64", "changes_no_bit or any_legal_spec"),  # without fused multiply-adds it rounds more often
    ],
)
def test_lesser_instruction_sets(instructions: str, tests: str, tmp_path: Path, full: bool) -> None:
    if not full and instructions == "haswell":
        pytest.skip("between the machine's own and the least: --slow")
    few = "any_legal_spec or every_number_is_made or layout_changes_no_bit"
    run_again(tests if full else few, tmp_path, GATES_CXXFLAGS=f"-march={instructions}")


@pytest.mark.slow
def test_no_sanitizer_complains(tmp_path: Path, full: bool) -> None:
    """The tests above with a library compiled for address and undefined-behaviour checks."""
    cxx = native_library.compiler()
    assert cxx
    asan = subprocess.run(
        [*cxx, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    if not Path(asan).is_absolute():
        pytest.skip("the compiler has no address sanitizer")
    run_again(
        "odd_sizes or any_legal_spec or padding or two_layers" if full else "every_number_is_made or padding",
        tmp_path,
        LD_PRELOAD=asan,
        ASAN_OPTIONS="detect_leaks=0",
        UBSAN_OPTIONS="print_stacktrace=1",
        GATES_CXXFLAGS="-O0 -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined",
    )
