# Needs Python 3.11 or later, git and make; uv is fetched when it is not there.
UV := $(shell command -v uv || echo .uv/bin/uv)
BIN := .venv/bin
# One more than there are cores, because now and then a test only waits.
JOBS = $(shell $(BIN)/python -c "import os; print(1 + (os.cpu_count() or 1))")
export PATH := $(CURDIR)/.uv/bin:$(PATH)

.PHONY: setup demo test lanes faults drill check format sync front-door pin pictures rendered services
setup: .venv/.done

demo: setup            ## render the default answers, migrate, seed, serve
	@$(BIN)/python tools/demo.py

test: check            ## every combination rendered, checked and run
	$(BIN)/pytest --numprocesses=$(JOBS) --maxschedchunk=1

lanes: setup           ## what is too dear for each make test; the newest and the lowest versions
	$(BIN)/pytest --numprocesses=$(JOBS) --maxschedchunk=1 -m lanes

faults: setup          ## plant known faults in projects; their own tests must notice each
	$(BIN)/python tools/faults.py

drill: setup           ## disturb a service and its database; only= sessions= runs= replication=
	@$(BIN)/python tools/drill.py $(foreach option,only sessions runs replication,$(if $($(option)),--$(option)=$($(option))))

bench: setup           ## how fast projects are, beside hand-written ceilings; QUICK=1 for less
	$(BIN)/python bench/run.py $(if $(QUICK),--quick)

check: setup           ## lint, types, the sync twins
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python hooks/generate_sync.py --check
	$(BIN)/python tools/front_door.py --check

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sync: setup            ## write the sync twins of the async overlays anew
	$(BIN)/python hooks/generate_sync.py

front-door: setup      ## write cookiecutter's questions anew, from copier.yml
	$(BIN)/python tools/front_door.py

pictures: setup        ## make the pictures of docs/ anew; needs Chromium
	@$(BIN)/python tools/pictures.py

rendered: setup        ## render the default answers into .rendered/, to be browsed
	@$(BIN)/python tools/rendered.py

pin: setup             ## write the pinned versions anew, from today's newest
	$(BIN)/python tools/pin.py

services:              ## install what some tests need beside Python: servers, a browser, Graphviz
	@tools/install_services

.venv/.done: pyproject.toml constraints.txt $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing
	$(UV) pip install --quiet --python $(BIN)/python --constraints constraints.txt --group dev --group rendered
	@touch $@

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
