"""The console script: ``gates COMMAND ...`` is ``python -m MODULE ...``."""

from __future__ import annotations

import os
import runpy
import sys

from analysis.common import terminal

COMMANDS = {
    "run": ("experiments.run", "run one variant on one task, or with -m a sweep of them"),
    "plan": ("experiments.plan", "what a sweep would do: new, done, not applicable; stacks, hours, bytes"),
    "status": ("experiments.status", "what the runs of a study are doing"),
    "study": ("experiments.study", "tune, freeze, confirm, report"),
    "runs": ("analysis.runs", "the runs of a study as a table"),
    "replicate": ("experiments.replicate", "published numbers, run again, with a verdict on each"),
    "report": ("analysis.report", "redraw figures and tables from the records"),
    "inspect": ("experiments.inspect", "what trained nets do, and what is lost when they are touched"),
    "archive": ("experiments.archive", "what reports need of a study, small enough to publish"),
    "explorer": ("analysis.explorer", "a page in which trained nets run live and can be operated on"),
    "push": ("experiments.push", "records to wandb, at any time"),
    "workspace": ("analysis.workspace", "wandb's views of a study, as code"),
    "show": ("experiments.show", "what a variant computes, what a task asks"),
    "benchmark": ("experiments.benchmark", "how fast it is here, against the usual ways"),
}


def main() -> None:
    """Run one command."""
    terminal.prepare()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name not in COMMANDS:
        print("gates COMMAND ...; gates COMMAND --help explains one\n")
        print("\n".join(f"  {command:<10} {text}" for command, (_, text) in COMMANDS.items()))
        sys.exit(terminal.finished("gates", 0 if name in ("-h", "--help") else 2))
    os.environ[terminal.GATES] = name
    del sys.argv[1]
    sys.argv[0] = f"gates {name}"
    runpy.run_module(COMMANDS[name][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
