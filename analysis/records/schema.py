"""The one definition of run.json: experiments/store writes it by these classes, analysis reads and checks by them.

The table in docs/record.md is made from them (pydantic_in_words.py). A key that is not here is kept as it is.
"""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, InstanceOf, ValidationError, model_validator

from analysis.common.pydantic_in_words import fault

VERSION = 1  # of run.json; a reader stops at a newer one

Text = InstanceOf[str]  # any text: also one with a file name in it that is not UTF-8, which str refuses
Number = int | float
Mapping = dict[Text, Any]
Status = Literal["finished", "diverged", "failed", "interrupted", "running", "stale"]
STATUSES: tuple[str, ...] = get_args(Status)


def _folder_name(text: str) -> str:
    if not re.fullmatch(r"[^/\x00-\x1f]+", text):
        raise ValueError("the name of a folder")
    return text


class Part(BaseModel):
    """A part of run.json. A number is no text, and true is no number."""

    model_config = ConfigDict(strict=True, extra="allow")


class Reference(Part):
    """What a named shortcut reaches."""

    score: Number | None = None
    loss: Number | None = None


class Task(Part):
    """The task and its measure."""

    name: Text = Field(description="a file of `conf/task`")
    length: int | None = Field(description="steps of a sequence")
    lengths: list[int] | None = Field(None, description="all lengths of the evaluation")
    metric: Text = Field(description="the measure that the score is")
    direction: Literal["min", "max"] = Field(description="which scores are better")
    chance: Number | None = Field(description="score of the best constant answer")
    chance_loss: Number | None = Field(None, description="its loss")
    references: dict[Text, Reference] | None = Field(
        None, description='what named shortcuts reach, `{name: {"score", "loss"}}`; older records lack it'
    )
    solved: Number | None = Field(description="score from which the task counts as solved, in the metric's unit")
    unit: Text | None = Field(description="unit of the score")
    content: dict[Text, Text] = Field({}, description="of each file that a setting names, 16 hex digits of its content")


class ResolvedTask(Part):
    """The settings of the task, of which others are its own."""

    name: Text | None = None
    length: int | None = None


class ResolvedTrain(Part):
    """The settings of the training."""

    steps: int | None = None
    batch_size: int | None = None
    optimizer: Text | None = None
    lr: Number | None = None
    momentum: Number | None = None
    weight_decay: Number | None = None
    schedule: Text | None = None
    warmup: int | None = None
    clip: Number | None = None
    eval_every: int | None = None
    eval_size: int | None = None
    stop_at_solved: bool | None = None


class Resolved(Part):
    """Every setting of a run."""

    variant: Mapping | None = None
    init: Mapping | None = None
    task: ResolvedTask | None = None
    model: Mapping | None = None
    train: ResolvedTrain | None = None
    seed: int | None = None


class Config(Part):
    """What was asked for, and what it means."""

    said: list[Text] | None = Field(None, description='the words of the command line, `["variant=gru", ...]`')
    resolved: Resolved = Field(
        description="every setting with its value, `variant`, `init`, `task`, `model`, `train`, `seed`"
    )
    extensions: list[Text] | None = Field(None, description="folders of your own that were in use")


class Parameters(Part):
    """How many parameters there are."""

    layer: int | None = Field(description="of the recurrent layers")
    total: int | None = Field(description="with the read-out")
    hidden_size: int | None = Field(description="the size used")
    reference: int | None = Field(None, description="of the complete LSTM at `model.hidden_size`")


class Results(Part):
    """The deterministic results."""

    score: Number | None = Field(None, description="final value of the task's metric; `null` for a diverged run")
    steps: int | None = Field(None, description="steps trained")
    steps_to_solve: int | None = Field(None, description="the first of two evaluations in a row that solve the task")
    solved: bool | None = Field(None, description="whether there are such two")
    final: dict[Text, Number | None] | None = Field(
        None,
        description="every metric of the last evaluation; with `train.steps=0` also `memory/median`, `memory/low` and "
        "`memory/high`: dc_T / dc_0, its median and quartiles over units and sequences",
    )


class Timing(Part):
    """When, and how long."""

    started: Text | None = Field(description="ISO time")
    finished: Text | None = Field(None, description="ISO time")
    seconds: Number | None = Field(None, description="seconds of training")
    steps_per_second: Number | None = Field(None, description="training steps a second")


class Environment(Part):
    """Where, and with what."""

    python: Text | None = Field(None, description="version")
    torch: Text | None = Field(None, description="version")
    numpy: Text | None = Field(None, description="version")
    gates: Text | None = Field(None, description="installed version; `null` for a checkout that is only on the path")
    platform: Text | None = Field(None, description="operating system")
    instruction_set: Text | None = Field(None, description="of the CPU, as torch names it")
    host: Text | None = Field(None, description="name of the machine")
    commit: Text | None = Field(None, description="of the checkout; `null` for an installation")
    dirty: bool | None = Field(None, description="whether files differ from the commit")
    device: Text | None = Field(None, description="`cpu` or `cuda`")
    threads: int | None = Field(None, description="of torch")
    engine: Text | None = Field(None, description="`native` or `reference`")
    engine_reason: Text | None = Field(None, description="why it is this one")


class Semantics(Part):
    """The versions of the code that made the numbers."""

    cell: int | Text = Field(description="of the cell; of your own, 8 hex digits of its files")
    task: int | Text = Field(description="of the task, likewise")
    trainer: int = Field(description="of the training loop")


class RunJson(Part):
    """The content of a run.json, in the order in which it is written."""

    version: int = Field(alias="schema", description=f"`{VERSION}`; a reader stops at a newer one")
    run_id: Annotated[Text, AfterValidator(_folder_name)] = Field(description="`<task>-<variant>-s<seed>-<8 hex>`")
    arm: Text = Field(description="8 hex: the same hash without the seed; **only runs of one arm are replicates**")
    study: Text = Field(description="the name of the folder above")
    phase: Text | None = Field(description="`tune`, `confirm`, or `null`")
    variant: Text = Field(
        description="the file in `conf/variant` whose spec this is, else the difference, `lstm[forget.feeds=xb]`"
    )
    label: Text = Field(description="how figures name the variant")
    cite: Text | None = Field(description="the variant's source")
    task: Task = Field(description="the task and its measure")
    seed: int = Field(description="of the data and the initial weights")
    config: Config = Field(description="what was asked for")
    status: Status = Field(
        description="what became of the run; `stale` is found out by readers, see below, and `running` may have been "
        "killed"
    )
    error: Text | None = Field(description="one line")
    results: Results = Field(description="the deterministic results; empty until the run ends")
    timing: Timing = Field(description="when it ran")
    parameters: Parameters = Field(description="how many there are")
    state: Text | None = Field(
        None,
        description="`new for every batch`, or `carried from batch to batch, its gradient cut between them`",
    )
    notes: list[Text] | None = Field(None, description="sentences, such as: an initial bias was skipped")
    sources: dict[Text, Text] = Field(
        {}, description="`cell` and `task`: which of their files are your own, a path a line"
    )
    semantics: Semantics = Field(
        description="the versions in `analysis/records/code_versions.py` that made the numbers; an activation's or an "
        "init's of your own counts with its cell's"
    )
    environment: Environment = Field(description="where it ran, and with what")
    data_digest: Text | None = Field(
        description="hash of the first training batches and the evaluation set: runs are paired only if it is equal"
    )

    @model_validator(mode="after")
    def _finished_with_a_score(self) -> Self:
        if self.status == "finished" and self.results.score is None:
            raise ValueError("the run is finished but results.score is None")
        return self


def written(content: dict[str, Any]) -> dict[str, Any]:
    """A content as run.json has it: checked, its known keys in order.

    Raises:
        ValueError: naming the key, what came and what is legal.
    """
    try:
        return RunJson.model_validate(content).model_dump(by_alias=True, exclude_unset=True)
    except ValidationError as error:
        raise ValueError(fault(RunJson, content, error)) from None


def check(content: dict[str, Any]) -> None:
    """Raise ValueError unless this is the content of a run.json, as :func:`written`."""
    try:
        RunJson.model_validate(content)
    except ValidationError as error:
        raise ValueError(fault(RunJson, content, error)) from None
