# Each target does its own set-up (scripts/set_up.py): .venv with the locked packages, and for demo and test,
# as root on Debian, the packages of the real counterparts. A second run finds all that done.
.DEFAULT_GOAL := help
BENCHES = inventory together feed creates
.PHONY: help demo test test-spark check fix bench bench-placement bench-connectors bench-chargeback bench-planner notebooks docs lock clean

PYTHON ?= python3
ARGS ?=
export UV_SYSTEM_CERTS ?= true
SET_UP = @command -v $(PYTHON) >/dev/null || { echo "set-up stopped: there is no $(PYTHON); install Python 3.11 or newer (Debian 12: apt-get install python3 python3-venv)"; exit 1; }; $(PYTHON) scripts/set_up.py
COMPILE = .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock"

help:  ## what can be made
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/make \1\t\2/p' Makefile | expand -t 22

demo:  ## quote, place, provision and bill an example estate on real counterparts (ARGS='...' goes to the command)
	$(SET_UP) --counterparts
	@rm -rf demo-output && .venv/bin/tierwise demo --output demo-output $(ARGS)

test:  ## all tests, with every counterpart that is here (ARGS='tests/unit -k quote' for some)
	$(SET_UP) --counterparts
	@.venv/bin/pytest $(if $(ARGS),$(ARGS),-n 2 --dist loadfile)

test-spark:  ## rating on Spark beside DuckDB and Polars: the same charges (needs Java; an environment of its own)
	$(SET_UP)
	@.venv/bin/uv venv --quiet --allow-existing .build/spark && .venv/bin/uv pip install --quiet --python .build/spark -c requirements/extras.txt -c requirements/dev.txt 'ibis-framework[pyspark,duckdb,polars]' pyspark pydantic pyyaml tzdata polars pytest hypothesis
	@PYTHONPATH=. .build/spark/bin/python -m pytest --noconftest -p no:cacheprovider -q tests/real/test_rating_engines.py

check:  ## format, lint, types, layers, spelling, dependencies, house rules
	$(SET_UP)
	@.venv/bin/python scripts/check.py

fix:  ## format, and put right what the linters can
	$(SET_UP)
	@.venv/bin/ruff format --quiet; .venv/bin/ruff check --fix; .venv/bin/codespell --write-changes

bench:  ## run the benchmarks and write their figures into docs/benchmarks.md (ARGS='rating' for some)
	$(SET_UP) --counterparts
	@.venv/bin/python tests/bench/run.py $(ARGS)

bench-placement:  ## the benchmarks of the placement engine alone
	$(SET_UP)
	@.venv/bin/python tests/bench/run.py place_

bench-connectors:  ## the benchmarks of the drivers alone (ARGS=500: with so many machines, and nothing is written)
	$(SET_UP) --counterparts
ifeq ($(ARGS),)
	@.venv/bin/python tests/bench/run.py connectors_ vsphere_inventory
else
	@for one in $(BENCHES); do .venv/bin/python tests/bench/bench_connectors_$$one.py $(ARGS) || exit 1; done
endif

bench-chargeback:  ## the benchmarks of metering and rating alone
	$(SET_UP)
	@.venv/bin/python tests/bench/run.py chargeback_ rating

bench-planner:  ## the benchmarks of estates, scenarios, rebalancing, forecasts and moves alone
	$(SET_UP)
	@.venv/bin/python tests/bench/run.py planner_

notebooks:  ## open the notebooks in a browser (ARGS='--headless' prints the address only)
	$(SET_UP)
	@.venv/bin/marimo edit $(ARGS) notebooks

docs:  ## write the generated pages of docs/reference again
	$(SET_UP)
	@.venv/bin/python scripts/docs.py

lock:  ## resolve the locks in requirements/ again (ARGS=--upgrade for newer versions)
	$(SET_UP)
	@$(COMPILE) $(ARGS) pyproject.toml --extra vsphere --extra hyperv --extra hyperv-pypsrp --extra xen --extra postgres --extra dask --extra notebooks --group dev -o requirements/dev.txt
	@$(COMPILE) -c requirements/dev.txt pyproject.toml -o requirements/base.txt
	@$(COMPILE) -c requirements/dev.txt pyproject.toml --extra vsphere --extra hyperv --extra hyperv-pypsrp --extra hyperv-kerberos --extra xen --extra postgres --extra spark --extra dask --extra notebooks -o requirements/extras.txt
	@printf 'libvirt-python>=9.0\npycdlib>=1.14\n' | $(COMPILE) $(ARGS) - -o requirements/libvirt.txt
	@printf 'pykerberos>=1.2.1\n' | $(COMPILE) -c requirements/extras.txt - -o requirements/kerberos.txt
	@printf 'setuptools\nuv\n' | $(COMPILE) -c requirements/dev.txt - -o requirements/bootstrap.txt

clean:  ## remove what make made, .venv included
	rm -rf .venv .build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-output
