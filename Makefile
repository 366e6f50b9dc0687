# Two commands for a newcomer: `make demo` shows what it does, `make test` makes every check. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup demo test lint style fast docs dist wheelhouse dist-check nightly campaign clean

setup: $(BIN)/reg-yolo

# Plain torch and torchvision bring matching builds, which also run on a CPU. Python compiles what it imports when it
# does; to compile all that lies there takes pip a minute.
$(BIN)/reg-yolo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile torch torchvision
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	touch $@

# Scenes, training, measuring, prediction: eight to twenty minutes on two cores. `make demo SHORT=1` takes one or two.
demo: setup
	$(BIN)/reg-yolo demo $(if $(SHORT),--short) $(if $(OUT),--out $(OUT))

lint: style
	$(BIN)/mypy reg_yolo

style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A process for each core, whole files to each; more threads in them would only wait for each other. Mypy is one of the
# tests, as it takes a minute of one core. In pytest-xdist's order the files with one long test come last, and a core
# waits for the last. A test that ends its process ends the run: pytest-xdist can wait for ever for the tests of a
# process that it replaced.
test: style
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# Without what trains or builds: under a minute, for the edit loop.
fast: setup
	$(BIN)/python -m pytest -q -m "not slow"

# The documentation site in site/; a warning is an error.
docs: setup
	$(BIN)/python -m mkdocs build --strict

# The wheel, in dist/.
dist: setup
	rm -rf dist/*.whl
	$(BIN)/python -m build --wheel --no-isolation --outdir dist

# The wheel and all that it needs, in dist/wheelhouse: to install where there is no network. 3 GB with CUDA libraries.
EXTRAS ?= data,inventory,review,track
wheelhouse: dist
	$(BIN)/python -m pip wheel --wheel-dir dist/wheelhouse "$$(ls dist/*.whl)[$(EXTRAS)]"

# Installs from the wheelhouse alone and runs the demo, in an environment of its own and without a network where OFFLINE
# takes it away: make dist-check OFFLINE='unshare -rn'.
dist-check:
	rm -rf dist/check dist/demo
	$(PYTHON) -m venv dist/check
	$(OFFLINE) dist/check/bin/python -m pip install --quiet --no-index --find-links dist/wheelhouse 'reg-yolo[$(EXTRAS)]'
	cd dist && $(OFFLINE) check/bin/reg-yolo demo --short --out demo

# Kills, signals, full disks, mutated and hostile inputs; ends with an error where something was lost. Ten minutes for
# every night, with other moments each time; the whole campaign takes about an hour of a quiet core.
nightly: setup
	nice -n 19 $(BIN)/python scripts/campaign.py --minutes 10 --seed $$(date +%j)
	REG_YOLO_NIGHTLY=1 $(BIN)/python -m pytest -q tests/yolo/commands/test_train_several.py

campaign: setup
	nice -n 19 $(BIN)/python scripts/campaign.py $(if $(SEED),--seed $(SEED))

clean:
	rm -rf $(VENV) build dist site runs demo .pytest_cache .mypy_cache .ruff_cache
