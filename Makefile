# `make up` and `make test` do everything on a fresh Debian or Ubuntu machine.

BOJAGI := target/release/bojagi
export CARGO_TERM_COLOR ?= auto

.PHONY: help up build check test soak bench fmt clean

help:  ## Say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 16

up:  ## Set up, build, start, deploy and invoke a function; Ctrl-C stops everything
	@scripts/install run
	@scripts/up

build:  ## Build the release binary
	cargo build --release --locked

fmt:  ## Format the code
	cargo fmt --all

check:  ## The quick inner loop: formatting, clippy, unit tests without privileges
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --lib --bins --quiet -- --skip privileged_

test:  ## Everything
	@scripts/install test
	@scripts/test

soak:  ## What takes too long for every run
	@scripts/install test
	@SOAK=1 scripts/test

bench:  ## Measure against peers and floors
	@scripts/install test
	cargo build --release --locked
	@scripts/venv tests/requirements.txt
	.venv/bin/python benches/run.py

clean:  ## Remove what was built
	rm -rf target .venv .cache
