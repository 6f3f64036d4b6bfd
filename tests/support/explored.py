"""A small study that has been looked inside, its page, and a reader who works the page in a browser."""

import contextlib
import html
import io
import json
import re
from pathlib import Path
from typing import Any

from browsers import browse, console

import experiments
from analysis.explorer import __main__ as explorer
from experiments import inspect

SMALL = {
    "train.steps": 12,
    "train.batch_size": 8,
    "train.eval_size": 8,
    "train.lr": 0.03,
    "model.hidden_size": 5,
    "record.wandb.mode": "disabled",
}


def study(folder: Path) -> Path:
    """Symbols with a carried state, and values."""
    reber = {"variant": ["lstm", "no_forget_gate", "gru"], "seed": [0, 1]}
    experiments.sweep(reber, task="continual_reber", study=str(folder), **SMALL, **{"task.length": 2})
    values = {"variant": ["lstm", "full_gate_recurrence"]}
    experiments.sweep(values, task="adding", study=str(folder), **SMALL, **{"task.length": 12})
    for run in folder.glob("*/run.json"):
        assert inspect.look(run.parent, 4) == "done"
    return folder


def looked_at(folder: Path, **settings: Any) -> Path:
    """A study of one such LSTM that has been looked inside."""
    experiments.sweep({"seed": [0]}, study=str(folder), **SMALL, **settings)
    (run,) = folder.glob("*/run.json")
    assert inspect.look(run.parent, 4) == "done"
    return folder


def page(study: Path, out: Path) -> Path:
    """The page of a study."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert explorer.main([f"study={study}", f"out={out}"]) == 0
    return out


def worked(page: Path, folder: Path, script: str, *, address: str = "", width: int = 0) -> Any:
    """What a script, the body of an async function, returns on the page; nothing may be on the console.

    width: of the window in CSS pixels, below what a window may have; 0: a laptop's.
    """
    end = f"""<script>addEventListener("load", async () => {{
      const tell = (found) => (parent === window ? receive(found) : parent.postMessage(found, "*"));
      try {{ tell(await (async () => {{ {script} }})()); }} catch (error) {{ tell({{ error: String(error.stack) }}); }}
    }});
    function receive(found) {{ document.body.innerHTML = ""; const pre = document.createElement("pre");
      pre.id = "found"; pre.textContent = JSON.stringify(found); document.body.append(pre); }}</script>"""
    file = folder / "worked.html"
    file.write_text(page.read_text().replace("</body>", f"{end}</body>"))
    if width:
        outer = folder / "outer.html"
        frame = f'<iframe src="worked.html" style="width: {width}px; height: 800px; border: 0"></iframe>'
        receive = '<script>addEventListener("message", (told) => { document.body.innerHTML = "<pre id=found></pre>"; '
        receive += 'document.querySelector("pre").textContent = JSON.stringify(told.data); });</script>'
        outer.write_text(f"<body>{receive}{frame}</body>")
        file = outer
    done = browse(file, folder, "--virtual-time-budget=5000", "--dump-dom", address=address, width=1280)
    assert (said := console(done)) == [], said[0]
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
    assert not (isinstance(found, dict) and "error" in found), found["error"]
    return found
