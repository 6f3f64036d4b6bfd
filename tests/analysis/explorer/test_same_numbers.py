"""What the page computes is what the reference engine computes: every variant of the algebra, two layers
of each, in a real browser.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browsers import CHROMIUM, browse, console
from family import GATED, SPECS, H, I, T
from torch import Tensor

from analysis.explorer import nets, page
from lstm_variants import CellSpec, GatedRNN
from lstm_variants.activations import ACTIVATIONS as BUILT_IN

MORE = {  # knobs that no file in conf/variant turns
    **{f"squash {name}": {"squash": name} for name in nets.ACTIVATIONS if name != "gumbel"},
    **{f"candidate {name}": {"candidate": {"activation": name}} for name in nets.ACTIVATIONS},
    **{
        f"feeds {feeds}": {slot: {"feeds": feeds} for slot in ("input", "forget", "candidate", "output")}
        for feeds in ("x", "h", "b", "xh", "xb", "hb")
    },
    "gates of one value": {slot: {"block": "all"} for slot in ("input", "forget", "output")},
    "gates of blocks": {"input": {"block": 2}, "forget": {"block": H}, "reset": {"kind": "learned", "block": 2}},
    "reset of forget": {"reset": {"kind": "same", "of": "forget"}},
    "reset before with peephole": {"reset": {"kind": "learned", "position": "before", "peephole": True}},
    "complement with offset": {"forget": {"kind": "complement", "offset": -0.7}},
    "constants": {"input": {"kind": "constant", "value": 0.3}, "output": {"kind": "constant", "value": -2.0}},
    "everything": {
        "forget": {"peephole": True, "gates": True},
        "output": {"gates": True},
        "input": {"gates": True},
        "reset": {"kind": "learned"},
    },
}
LAYERS = 2
CASES = {name: SPECS[name] for name in GATED} | {name: CellSpec.from_config(knobs) for name, knobs in MORE.items()}
PROBE = """<pre id="found"></pre><script>
document.querySelector("#found").textContent = JSON.stringify(CASES.map(recorded => {
  const net = readNet(recorded);
  const parts = (slot) => termsOf(net, slot).map((source) => [slot, source]);
  return {
    ...run(net, rowsOf(unpacked(net.x)), startOf(net, 0)),
    terms: net.equations.map(({ text }) => [text, pieces(text)]), summed: Object.keys(net.weights[0]).flatMap(parts),
  };
}));
</script>"""


def layer_of(spec: CellSpec, generator: torch.Generator) -> GatedRNN:
    layer = GatedRNN(spec, I, H, LAYERS, engine="reference").double()
    with torch.no_grad():
        for value in layer.state_dict().values():
            value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return layer.eval()


def packed(spec: CellSpec, layer: GatedRNN, readout: tuple[Tensor, Tensor], x: Tensor, start: Any) -> dict[str, Any]:
    arrays = {f"layer.{name}": value.numpy() for name, value in layer.state_dict().items()}
    return {
        "spec": spec.to_config(),
        "weights": [nets.weights(arrays, at) for at in range(layer.num_layers)],
        "equations": [{"text": line.text} for line in layer.cell.equations()],
        "readout": {"weight": nets.packed(readout[0].numpy()), "bias": nets.packed(readout[1].numpy())},
        "start": [
            {name: nets.packed(field[at].numpy()) for name, field in start._asdict().items()}
            for at in range(layer.num_layers)
        ],
        "x": nets.packed(x[:, 0].numpy()),
    }


def in_the_browser(cases: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    scripts = "".join(
        f"<script>{script}</script>" for script in page.scripts("cell", "network", "surgery", "equations")
    )
    file = folder / "probe.html"
    file.write_text(f"<body>{scripts}<script>const CASES = {json.dumps(cases)};</script>{PROBE}</body>")
    done = browse(file, folder, "--dump-dom")
    assert console(done) == []
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1]))


def computed_twice(folder: Path) -> dict[str, Any]:
    generator, given, expected = torch.Generator().manual_seed(0), [], []
    readout = tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, H), (3,)))
    for spec in CASES.values():
        layer = layer_of(spec, generator)
        x = torch.randn(T, 1, I, generator=generator, dtype=torch.float64)
        state = layer(x)[1]
        start = type(state)(*(0.3 * torch.randn(f.shape, generator=generator, dtype=f.dtype) for f in state))
        with torch.no_grad():
            y = layer(x, start)[0]
            trace = [layer.trace(x, start, layer=at)[2] for at in range(LAYERS)]
        given.append(packed(spec, layer, readout, x, start))
        expected.append((trace, torch.nn.functional.linear(y, *readout)))
    return dict(zip(CASES, zip(in_the_browser(given, folder), expected, strict=True), strict=True))


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """What the reference engine and what the page computes, of every case."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    return computed_twice(tmp_path_factory.mktemp("computed"))


def test_the_page_computes_what_the_reference_engine_computes(computed):
    for name, (found, (traces, outputs)) in computed.items():
        assert len(found["layers"]) == LAYERS
        for values, trace in zip(found["layers"], traces, strict=True):
            assert set(values) == set(trace), name
            for slot, expected in trace.items():
                np.testing.assert_allclose(values[slot], expected[:, 0], rtol=1e-9, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(found["outputs"], outputs[:, 0], rtol=1e-9, atol=1e-9, err_msg=name)


def test_every_term_that_a_net_has_can_be_marked_in_its_equations(computed):
    for name, (found, _) in computed.items():
        assert all("".join(piece for piece, _, _ in line) == text for text, line in found["terms"]), name
        marked = {(slot, source) for _, line in found["terms"] for _, slot, source in line if source}
        assert marked == {tuple(term) for term in found["summed"]}, name


def test_every_activation_of_ours_is_on_the_page():
    assert set(nets.ACTIVATIONS) == set(BUILT_IN) - {"arctan"}
