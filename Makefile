VENV ?= .venv
PY := $(VENV)/bin/python
.DEFAULT_GOAL := help
HOSTILE := fuzz fuzz_files composer words python_words arrays damage labels divergence identity code_versions sharing
HOSTILE += extensions frozen_study_file verdicts terminal resources wandb_variables workers faults
HOSTILE += native measures launcher

.PHONY: help setup demo findings answer test check changed torture hostile learnable lint format

help:  ## print this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.stamp  ## install everything into .venv from the exact pins in constraints.txt

$(VENV)/.stamp: pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(PY) -m pip install -q -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(PY) -m pip install -q -c constraints.txt -e ".[dev]"
	@touch $@

demo: setup  ## run the demo sweep (30 small nets) and draw its report
	$(PY) -m experiments.run experiment=demo
	$(PY) -m analysis.report study=outputs/demo out=reports/demo

findings: setup  ## write docs/findings.md and its pictures from the archived studies in results/
	$(PY) -m analysis.findings

answer: setup  ## write docs/answer.md and the head of the README from them; stops at a sentence that no longer holds
	$(PY) -m analysis.answer

test: setup  ## run the tests
	$(PY) -m pytest -n auto --dist worksteal

check: setup  ## check formatting, lint and types, and run the tests of what changed since main (a minute)
	$(MAKE) -j2 lint changed

changed: setup
	$(PY) tests/support/changed.py main

torture: setup  ## kill a sweep fifty times (half an hour)
	$(PY) -m pytest tests/experiments/sweep/test_torture.py --slow --timeout 3600

hostile: setup  ## bad input, damaged files and strange surroundings at length (an hour)
	$(PY) -m pytest $(foreach name,$(HOSTILE),$(wildcard tests/test_$(name).py tests/*/test_$(name).py tests/*/*/test_$(name).py)) --slow --timeout 3600

learnable: setup  ## train every synthetic task at its smallest useful size (many minutes)
	$(PY) tests/support/learnable.py

lint: setup  ## check formatting, lint and types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: setup  ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
