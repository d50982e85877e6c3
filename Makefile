# What can be done here: `make` alone tells.
.DEFAULT_GOAL := help
.PHONY: help demo test test-guest bench fuzz check crds

help: ## Tell what can be done here
	@sed -n 's/^\([a-z-]*\):.* ## /  make \1	/p' Makefile

demo: ## Show a pod before and after its review
	@tests/prepare rust
	@tests/demo

test: ## Run all tests, with a real API server where one can be built
	@tests/prepare rust tools cluster programs
	@tests/all

test-guest: ## Run the tests that need AppArmor or SELinux, in an emulated machine; make test runs them too from then on
	@tests/prepare rust guest
	@tests/all guest

bench: ## Measure, beside floors and peers
	@tests/prepare rust cluster
	cargo build --release --package webhook --package node-installer
	cargo bench --workspace --bench '*'

fuzz: ## Feed what reads requests with what nobody should send
	@tests/prepare rust
	@tests/fuzz/run

check: ## Format, lints, documentation, licences, generated files
	@tests/prepare rust
	@tests/check

crds: ## Write charts/cinch/crds from the types in profile/
	cargo run --quiet --package profile --bin crds
