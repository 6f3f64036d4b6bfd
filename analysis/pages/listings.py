"""What a report lists beside figures and scores: how runs ended, what was tuned, what is missing, what differs."""

from typing import Any

import pandas as pd

from analysis.arms import arms, order
from analysis.arms.counted_runs import current, reported, scored, stale
from analysis.common.escaping import tidy
from analysis.pages import tables
from analysis.pages.formats import texts
from analysis.records.load import Records
from analysis.records.schema import STATUSES

MISSING = ("failed", "interrupted", "running")
SAME_IN_A_STUDY = ["environment.commit", "environment.dirty", "environment.engine", "environment.torch"]

TUNED = "Each variant has its own value, chosen among those tried on other seeds than the ones reported."
UNFINISHED = (
    "A diverged run is in the figures, as worse than every other. A failed, interrupted or still running one is "
    "missing from them until it has been run again; so is a stale one, whose numbers another version of cell, task or "
    "trainer made (retry=stale makes it again)."
)
ABSENT = "Other variants have run these seeds of the task."
SKIPPED = "These are in no figure and no table."
UNPAIRED = "These runs did not see the same data per task and seed, and must not be compared seed by seed."
PROVENANCE = "Runs of one study differ in these."


def listings(records: Records) -> list[dict[str, Any]]:
    """The lists at the end of a report: what was measured, what is missing, what differs."""
    chosen = reported(records.runs)
    skipped = pd.DataFrame(records.skipped, columns=["record", "reason"])
    sections = [
        ("Tasks", "", tasks(chosen), ""),
        ("Variants", "", variants(chosen), ""),
        ("Tuned settings", TUNED, tuned(records.runs), "No setting was tuned per variant."),
        ("Runs that did not finish", UNFINISHED, unfinished(records.runs), "Every recorded run finished."),
        ("Runs without a record", ABSENT, absent(records.runs), "Every variant has the seeds of its task."),
        ("Skipped records", SKIPPED, skipped, "Every record could be read."),
        ("Data", UNPAIRED, unpaired(records.runs), "Paired: per task and seed, all variants saw the same data."),
        ("Provenance", PROVENANCE, provenance(records.runs), "Commit, engine, torch and semantics agree."),
    ]
    return [
        {"title": title, "text": text if len(table) else empty, "head": list(table), "rows": texts(table)}
        for title, text, table, empty in sections
    ]


def counts(runs: pd.DataFrame) -> str:
    """One line per study: how many runs, and how they ended; and one about stale runs."""
    lines = []
    for study, group in runs.groupby("study"):
        statuses = group["status"].value_counts()
        ended = ", ".join(f"{statuses[status]} {status}" for status in STATUSES if status in statuses)
        lines.append(f"{tidy(str(study))}: {len(group)} runs: {ended}")
    return "\n".join([*lines, *filter(None, [stale(runs)])])


def tasks(runs: pd.DataFrame) -> pd.DataFrame:
    """What each task of a report measures."""
    columns = ["task", "length", "metric", "unit", "direction", "chance", "solved_from"]
    table = tables.scores(runs).drop_duplicates("task").set_index("task", drop=False).loc[order.tasks(runs), columns]
    table = table.assign(metric=table["metric"].map(arms.metric_label))
    return table.rename(columns={"length": "length (steps)", "direction": "better", "solved_from": "solved from"})


def variants(runs: pd.DataFrame) -> pd.DataFrame:
    """Each row of a report: the variant it is and its source."""
    table = runs.drop_duplicates("name").set_index("name").loc[order.rows(runs)].reset_index()
    return table[["name", "variant", "cite"]].rename(columns={"cite": "source"})


def tuned(runs: pd.DataFrame) -> pd.DataFrame:
    """What was tuned for each row of a report: its value, those that were tried, whether it is one of their ends."""
    tuning = runs[(runs["phase"] == "tune") & current(runs)]
    firsts, rows = tuning.drop_duplicates("arm"), []
    cells = firsts.groupby(["task.name", "variant"])
    settings = [key for key in arms.settings(firsts) if len(arms.present(firsts[key])) > 1]
    tried = {key: cells[key].agg(arms.present) for key in settings}
    for _, run in reported(runs).drop_duplicates(["task", "name"]).iterrows():
        place = (run["task.name"], run["variant"])
        for key in [key for key in settings if run["phase"] == "confirm" and len(tried[key].get(place, ())) > 1]:
            values = sorted(tried[key][place], key=arms.natural)
            value = arms.spelled(run[key])
            edge = "at the edge of the grid" if value in (values[0], values[-1]) else ""
            rows.append((run["task"], run["name"], key.removeprefix(arms.RESOLVED), value, ", ".join(values), edge))
    return pd.DataFrame(rows, columns=["task", "name", "setting", "value", "tried", "note"])


def unfinished(runs: pd.DataFrame) -> pd.DataFrame:
    """Every run that diverged, failed, did not end, or is stale, worst first."""
    ranks = ["diverged", *MISSING, "stale"]
    listed = runs[runs["status"].isin(ranks)].copy()
    listed["error"] = listed["error"].where(listed["stale"] == "", "another version of: " + listed["stale"])
    listed["rank"] = listed["status"].map(ranks.index)
    listed = listed.sort_values(["rank", "study", "run_id"])
    listed = listed.rename(columns={"results.steps": "steps"})
    return listed[["status", "record", "name", "task", "seed", "steps", "error"]].reset_index(drop=True)


def absent(runs: pd.DataFrame) -> pd.DataFrame:
    """(task, name, seeds) of the runs that others of the same task have and this one has no record of."""
    rows = []
    for task, panel in reported(runs).groupby("task"):
        seeds = set(panel["seed"])
        for name, cell in panel.groupby("name"):
            lacking = sorted(seeds - set(cell["seed"]))
            if lacking:
                rows.append((task, name, ", ".join(str(seed) for seed in lacking)))
    return pd.DataFrame(rows, columns=["task", "name", "seeds"])


def unpaired(runs: pd.DataFrame) -> pd.DataFrame:
    """(task, seed, digests) where runs of one task and seed saw different data; a run without a digest is one too."""
    rows = []
    for (task, seed), group in scored(runs).groupby(["task", "seed"]):
        digests = sorted({str(digest) if isinstance(digest, str) else "none" for digest in group["data_digest"]})
        if len(digests) > 1 or (len(group) > 1 and digests == ["none"]):
            rows.append((task, seed, ", ".join(digests)))
    return pd.DataFrame(rows, columns=["task", "seed", "digests"])


def provenance(runs: pd.DataFrame) -> pd.DataFrame:
    """(study, what, value, runs) of everything that should be one thing in a study and is not."""
    semantics = [column for column in runs.columns if column.startswith("semantics.")]
    rows: list[tuple[Any, ...]] = []
    for study, group in reported(runs).groupby("study"):
        for column in [column for column in SAME_IN_A_STUDY + semantics if column in runs.columns]:
            values = group[column].map(lambda value: "unknown" if pd.isna(value) else str(value)).value_counts()
            if len(values) > 1:
                rows += [(study, column.split(".", 1)[1], value, values[value]) for value in sorted(values.index)]
    return pd.DataFrame(rows, columns=["study", "what", "value", "runs"])
