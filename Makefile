PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8888
BROWSER ?= yes
BIN := .venv/bin

.PHONY: help lab test lint lessons cheatsheet exercises check grade bench bench-grading record traces conformance pictures lock clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) scripts/make_environment.py

lab: .venv/ready  ## open JupyterLab at the first lesson (HOST=, PORT=, BROWSER=no)
	$(BIN)/jupyter lab --ip=$(HOST) --port=$(PORT) $(if $(filter no,$(BROWSER)),--no-browser) $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

test: .venv/ready  ## run everything that CI runs
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python -m pytest -n 2 --dist loadfile --nbval tests notebooks

lint: .venv/ready  ## check style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

lessons: .venv/ready  ## run every lesson top to bottom and store its outputs
	$(BIN)/python scripts/run_lessons.py

cheatsheet: .venv/ready  ## write cheatsheet.html, the page to print
	$(BIN)/jupyter nbconvert --to lesson --output-dir . notebooks/cheatsheet.ipynb

exercises: .venv/ready  ## generate the learners' version of the problem sets from solutions/
	$(BIN)/python -m course_lib release

SAY_WHICH = $(if $(SET),,$(error say which problem set: make $@ SET=ps04-heap-regions))

check: .venv/ready  ## grade my own copy of a problem set: make check SET=ps04
	$(SAY_WHICH)$(BIN)/python -m course_lib check $(SET)

grade: .venv/ready  ## autograde what lies in submitted/: make grade SET=ps04-heap-regions
	$(SAY_WHICH)$(BIN)/python -m course_lib grade $(SET)

bench: .venv/ready  ## measure what is fast, beside what one would use instead
	$(BIN)/python -m benchmarks

bench-grading: .venv/ready  ## measure how fast a class is graded, beside nbgrader's own Autograde
	$(BIN)/python -m benchmarks grading classes

record: .venv/ready  ## record the measurements that lessons keep (on a quiet machine, five minutes)
	for script in scripts/record_*.py; do $(BIN)/python $$script || exit 1; done

traces: .venv/ready  ## record what the memory managers of Spark 2.1, 2.2 and 2.4 did (downloads 590 MB)
	$(BIN)/python scripts/trace_old_sparks.py

conformance: .venv/ready  ## compare the model with Spark 3.5, 4.1 and 4.3 (downloads 760 MB)
	$(BIN)/python scripts/conformance.py

pictures: .venv/ready  ## make the README's pictures (needs Chromium)
	$(BIN)/python scripts/make_pictures.py

lock:  ## choose new versions (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade --output-file requirements.lock

clean:  ## remove the environment; your work in my/ stays
	rm -rf .venv
