"""The runs, commit and command behind a number of a report: `why=TABLE:ROW/COLUMN`.

why=scores:LSTM/adding                  a cell of the table of scores
why=claims:2/estimate                   a number of the second comparison of the claims, as in numbers.tex
why=claims:demo/2/estimate              likewise, of the study `demo` among several
why=solve_curves:LSTM/adding            what a figure draws for a variant on a task
why=factors:train.lr/adding             what a figure draws for an effect or a knob: all runs of the task
"""

import shlex
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from analysis import figures
from analysis.arms import counted_runs
from analysis.claims.claim import comparisons
from analysis.claims.finding import written
from analysis.claims.frozen_study_file import CHOICES, FILE, FrozenStudy
from analysis.claims.gathering import identities
from analysis.claims.verdicts import judge
from analysis.common.command_line import CommandError, nearest
from analysis.pages import tables
from analysis.pages.formats import text, texts
from analysis.pages.macros import numbered
from analysis.records.load import Records

Cell = tuple[str, str]  # (task, name)
TABLE, CLAIMS = "scores", "claims"
COLUMNS = ["record", "seed", "status", "score", "commit", "command"]
NUMBERS = ("estimate", "low", "high", "p_adjusted", "verdict")


def explain(records: Records, asked: str, frozen: Sequence[FrozenStudy] = ()) -> str:
    """What stands behind `TABLE:ROW/COLUMN`; raises CommandError naming what there is.

    frozen: what the studies of these runs have frozen, for the numbers of their claims.
    """
    table, colon, place = asked.partition(":")
    known = [TABLE, CLAIMS, *figures.discover()]
    if table not in known or not colon:
        raise CommandError(f"why={asked}: expected TABLE:ROW/COLUMN{nearest(table, known)}")
    if table == CLAIMS:
        return decided(records, frozen, asked, place)
    if table != TABLE:
        return drawn(records, table, asked, place)
    reported = counted_runs.reported(records.runs)
    return "\n\n".join(scored(reported, *cell) for cell in located(pairs(reported), asked, place))


def scored(reported: pd.DataFrame, task: str, name: str) -> str:
    """A cell of the table of scores."""
    runs = reported[(reported["task"] == task) & (reported["name"] == name)]
    (row,) = tables.scores(runs).to_dict("records")
    shown = " ".join(filter(None, tables.cell(pd.Series(row))))
    return f"{TABLE}, {name}, {task}: {shown}\n\n{behind(runs)}"


def decided(records: Records, frozen: Sequence[FrozenStudy], asked: str, place: str) -> str:
    """A number of a comparison, and the confirmation runs of what it compares."""
    found = [
        (study, comparison, verdict)
        for study in frozen
        for comparison, verdict in zip(
            comparisons(study.claims, list(study.tasks)),
            judge(records, study),
            strict=True,
        )
    ]
    row, _, column = place.rpartition("/")
    places = [at.replace("/claim/", "/") for at, _ in numbered([verdict for *_, verdict in found])]
    alone = len({study.study for study in frozen}) == 1
    rows = {str(number): entry for number, entry in enumerate(found, 1)} if alone else {}
    rows |= dict(zip(places, found, strict=True))
    if row not in rows:
        raise CommandError(f"why={asked}: there is no comparison {row or 'without a number'}{nearest(row, rows)}")
    if column not in NUMBERS:
        raise CommandError(f"why={asked}: a comparison has no {column or 'empty column'}{nearest(column, NUMBERS)}")
    study, comparison, verdict = rows[row]
    runs = records.runs[(records.runs["study"] == study.study) & (records.runs["phase"] == "confirm")]
    runs = runs[runs["seed"].isin(verdict.seeds)]
    values = {name: text(getattr(verdict, name)) for name in NUMBERS}
    values |= {"estimate": verdict.size, "low": written(verdict.low), "high": written(verdict.high)}
    numbers = "\n".join(f"{name}: {text}" for name, text in values.items())
    parts = zip([part.at for part in verdict.choices] or [""], CHOICES, strict=False)
    made_of = [(at, runs[runs["arm"].isin(identities(study.at(choice), comparison))]) for at, choice in parts]
    frozen_as = f"{verdict.frozen}, in {study.study}/{FILE}"
    head = f"{verdict.sentence} ({verdict.source})\n{verdict.comparison}: {verdict.unit}\n{frozen_as}"
    return f"{head}\n{numbers}\n{verdict.note}\n\n" + "\n\n".join(
        f"{at}\n{behind(part)}".lstrip() for at, part in made_of
    )


def drawn(records: Records, figure: str, asked: str, place: str) -> str:
    """The rows of a figure's numbers for one of its names on a task, and the runs that they come from."""
    numbers = figures.discover()[figure].numbers(records.runs, records.curves)
    numbers = numbers.assign(of=numbers.get("of", numbers["task"]))
    reported = counted_runs.reported(records.runs)
    in_figure = pairs(numbers.assign(task=numbers["of"]))
    cells = located([*in_figure, *pairs(reported)], asked, place)
    shown = [cell for cell in cells if cell in in_figure]
    if not shown:
        raise CommandError(f"why={figure}:{place}: the figure draws nothing for it")
    return "\n\n".join(panel(records, figure, numbers, *cell) for cell in shown)


def panel(records: Records, figure: str, numbers: pd.DataFrame, task: str, name: str) -> str:
    """What a figure draws for one of its names on a task."""
    rows = numbers[(numbers["of"] == task) & (numbers["name"] == name)]
    runs = counted_runs.reported(records.runs)
    if "run_id" in rows:
        runs = records.runs[records.runs["run_id"].isin(set(rows["run_id"]))]
    elif (task, name) in pairs(runs):
        runs = runs[(runs["task"] == task) & (runs["name"] == name)]
    else:  # an effect or a knob
        runs = runs[runs["task"] == task]
    if "pairs" in rows:  # paired differences, which a diverged run makes infinite: no scores, that diverge
        rows = rows.assign(**{column: rows[column].map(written) for column in ("effect", "low", "high")})
    table = tabulate(texts(rows), list(rows.columns), disable_numparse=True)
    return f"{figure}, {name}, {task}\n\n{table}\n\n{behind(runs)}"


def located(cells: Sequence[Cell], asked: str, place: str) -> list[Cell]:
    """Every cell that ROW/COLUMN says: row and column may have slashes in them."""
    found = [cell for cell in dict.fromkeys(cells) if place == f"{cell[1]}/{cell[0]}"]
    if not found:
        known = [f"{name}/{task}" for task, name in cells]
        raise CommandError(f"why={asked}: there is no {place or 'empty cell'}{nearest(place, known)}")
    return found


def pairs(runs: pd.DataFrame) -> list[Cell]:
    rows = runs[["task", "name"]].drop_duplicates().itertuples(index=False)
    return [(str(task), str(name)) for task, name in rows]


def behind(runs: pd.DataFrame) -> str:
    """Every run behind a number: its record, what it scored, the commit and the command that makes it again."""
    table = runs.assign(commit=[commit(run) for _, run in runs.iterrows()], command=runs["config.said"].map(command))
    rows = tabulate(texts(table.sort_values("seed")[COLUMNS]), COLUMNS, disable_numparse=True)
    ended = int(runs["status"].isin(counted_runs.COUNTED).sum())
    return f"{len(runs)} runs, {ended} of them counted\n\n{rows}"


def commit(run: "pd.Series[Any]") -> str:
    known = run.get("environment.commit")
    changed = " with uncommitted changes" if run.get("environment.dirty") is True else ""
    return f"{known}{changed}" if isinstance(known, str) else "unknown"


def command(recorded: object) -> str:
    """The command that makes the run again."""
    words = recorded if isinstance(recorded, list) else []
    return " ".join(["python -m experiments.run", *(shlex.quote(str(word)) for word in words)])
