# make run    set up everything, then simulate, reconstruct, train, score and report (about 12 minutes on 2 cores)
# make test   set up everything, then run the fast tests
# make setup  set up everything, and say whether it works on this machine
#
# All need Python >= 3.11, make and a package index, and nothing else. Choose another interpreter with PYTHON=...,
# another configuration with CONFIG=mine.yaml, the number of cores with CORES=4.

PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A name may have spaces and quotes in it.
QUOTED := '$(subst ','\'',$(CONFIG))'
# With the Snakefile of the checkout, which reads config/config.yaml.
RUN := $(BIN)/tashower run --snakefile Snakefile --cores $(CORES)

.PHONY: run test setup test-all mutants smoke chaos bench calibration-table config api docs pictures sample samples lint lock clean help
.DEFAULT_GOAL := help

# Set up everything, and say what there is.
setup: $(READY)
	@$(BIN)/tashower doctor

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6
	@echo "others: test-all mutants smoke chaos bench calibration-table config api docs pictures sample samples lint lock clean"

run: $(READY)
	@$(RUN) $(if $(CONFIG),--config $(QUOTED))

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not slow" -q

test-all: $(READY)
	$(BIN)/python -m pytest -n 2 -q

# Break one line of the package at a time: does a fast test notice? ONLY=network chooses a folder, or a word.
mutants: $(READY)
	$(BIN)/python tests/mutants.py $(ONLY)

smoke: $(READY)
	$(RUN) --config tests/config/smoke.yaml

# Kill, change, flip, mutate: all figures of docs/reliability.md, which it writes. KILLS=3 scales all of them down.
chaos: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=tests KILLS=$(or $(KILLS),40) $(BIN)/python -m chaos

# Speed against what a user would take instead, as ratios in one run.
bench: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/simulation.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/fit.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/wrong_minima.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/layers.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/network.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/convert.py

# Simulated against published numbers.
calibration-table: $(READY)
	$(BIN)/python benchmarks/calibration_table.py | tee docs/calibration_table.md

# The files that restate the models of the configuration.
config: $(READY)
	$(BIN)/tashower config --yaml > config/config.yaml
	$(BIN)/tashower config --schema > config/config.schema.json
	{ cat config/introduction.md; echo; $(BIN)/tashower config; } > config/README.md

# The page of the Python names.
api: $(READY)
	$(BIN)/python docs/make_api.py

# The documentation as a site, build/site, that needs no network to be read; a link that leads nowhere ends it.
docs: $(READY)
	@$(BIN)/python -c 'import material, nbconvert' 2>/dev/null || \
	    $(BIN)/pip install --quiet --disable-pip-version-check -e ".[docs]"
	$(BIN)/python docs/make_api.py
	OMP_NUM_THREADS=1 $(BIN)/python docs/make_site.py --run-notebooks

# Pictures of the documentation that are taken in a browser.
pictures: $(READY)
	tests/browser.sh
	$(BIN)/python docs/make_pictures.py

# The sample event file in data/, and the calibration that comes with the package.
sample: $(READY)
	$(BIN)/tashower simulate --config config/sample.yaml --split test --output data/sample.h5
	mkdir -p build
	$(BIN)/tashower simulate --split calibration --output build/calibration.h5
	$(BIN)/tashower calibrate build/calibration.h5 --output tashower/calibration/default_calibration.json
	$(BIN)/tashower station-likelihood --config '{"seed": 5}' --output tashower/calibration/default_station_likelihood.json

# Small files of every foreign format, from the sample.
samples: $(READY)
	$(BIN)/python data/samples/make.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile tashower/workflow
	$(BIN)/snakemake --lint

# The lock holds no build of torch for a graphics card: where the build that the index gives needs such libraries, they are
# added afterwards, so that a machine without a card is not made to fetch them.
$(READY): requirements.lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "tashower needs Python >= 3.11; choose one with PYTHON=..." >&2; exit 2; }
	@echo "setting up $(VENV) (once; a minute or two)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import torch' 2>/dev/null || \
	    $(BIN)/pip install --disable-pip-version-check "$$(grep '^torch==' requirements.lock.txt)"
	@touch $@

# Newest versions within the ranges of pyproject.toml, resolved in an empty environment.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet "$$(grep '^torch==' requirements.lock.txt)" setuptools -e ".[test]"
	{ grep '^#' requirements.lock.txt; build/lock/bin/pip list --format=freeze --exclude-editable \
	    | grep -v '^pip==' | sed 's/^\(torch==[0-9.]*\)+.*/\1/'; } > build/requirements.lock.txt
	mv build/requirements.lock.txt requirements.lock.txt

clean:
	rm -rf results .snakemake build
