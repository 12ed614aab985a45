# make run     prepares what is needed, founds a demonstration on an empty home, serves it on http://127.0.0.1:8600
# make test    the whole test suite
# make check   lint, types, import laws, docs
# make bench   the promises of speed beside their peers, into bench/out/latest.json
# make setup   the preparation alone
# make reference  docs/reference.md, from the code
# make messages   what is to be translated, into var/messages.pot, and from there into the catalogues that there are
# make clients  the client libraries of the Hub, each in .venv/clients/<version>, and olah, for the tests that run them
# make lock    pins and hashes of all dependencies, from pyproject.toml

PORT ?= 8600
HOME_DIR ?= var/home
PYTHON ?= python3
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade

.PHONY: run setup test check clients bench lock reference messages format clean

run: .venv/base.stamp
	$(BIN)/concord --home "$(HOME_DIR)" serve --demo --port "$(PORT)"

setup: .venv/dev.stamp

test: .venv/dev.stamp
	$(MAKE) clients || echo "the client libraries cannot be had: the tests that run them will say that they were skipped"
	$(BIN)/python -m pytest -q

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

CLIENTS := $(patsubst requirements/clients-%.in,%,$(wildcard requirements/clients-*.in))

clients: $(CLIENTS:%=.venv/clients/%.stamp) .venv/peers/olah.stamp

bench: .venv/bench.stamp
	$(MAKE) clients || echo "some clients or peers cannot be had: the figures will say so"
	$(BIN)/python -m bench

reference: .venv/dev.stamp
	$(BIN)/python docs/reference.py

TRANSLATIONS := src/concord/edges/web/translations

messages: .venv/dev.stamp
	mkdir -p var
	$(BIN)/pybabel -q extract -F $(TRANSLATIONS)/babel.cfg -k says -k word:1c,2 --no-location --sort-output --omit-header -o var/messages.pot .
	for catalogue in $(wildcard $(TRANSLATIONS)/*.po); do \
		$(BIN)/pybabel -q update --previous --no-wrap -l $$(basename $$catalogue .po) -i var/messages.pot -o $$catalogue; done

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/bin/python
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) pyproject.toml -o requirements/base.txt
	$(COMPILE) --extra dev -c requirements/base.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra bench -c requirements/base.txt -c requirements/dev.txt pyproject.toml -o requirements/bench.txt
	for version in $(CLIENTS); do \
		$(COMPILE) requirements/clients-$$version.in -o requirements/clients-$$version.txt || exit 1; done
	$(COMPILE) requirements/peers-olah.in -o requirements/peers-olah.txt

# uv where it can be had, plain pip where not. Byte code is compiled now, so that no later start pays for it.
.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q uv || echo "uv cannot be had; pip will do"

.venv/base.stamp: .venv/bin/python requirements/base.txt requirements/build.txt pyproject.toml src/concord/xet/native.c
	sh requirements/install.sh base
	touch $@

.venv/dev.stamp: .venv/base.stamp requirements/dev.txt
	sh requirements/install.sh dev
	touch $@

.venv/bench.stamp: .venv/dev.stamp requirements/bench.txt
	sh requirements/install.sh bench
	touch $@

.venv/clients/%.stamp: .venv/bin/python requirements/clients-%.txt requirements/clients.sh
	sh requirements/clients.sh $* clients
	touch $@

.venv/peers/%.stamp: .venv/bin/python requirements/peers-%.txt requirements/clients.sh
	sh requirements/clients.sh $* peers
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache bench/out
