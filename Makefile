# What can be done here: `make` alone tells.
.DEFAULT_GOAL := help
.PHONY: help demo test test-guest test-e2e bench fuzz check crds docs images
# Of what is built as a whole; make images PROFILE=debug is quicker, for trying something out.
PROFILE ?= release
# Of what pods of make test-e2e run; the figures of release are what counts, debug is what other tests have built already.
E2E_PROFILE ?= debug

help: ## Tell what can be done here
	@sed -n 's/^\([a-z0-9-]*\):.* ## /  make \1	/p' Makefile

demo: ## Show a pod before and after its review
	@tests/prepare rust
	@tests/demo

test: ## Run all tests, with a real API server where one can be built
	@tests/prepare rust tools cluster helm programs browser
	@tests/all

test-guest: ## Run the tests that need AppArmor or SELinux, in an emulated machine; make test runs them too from then on
	@tests/prepare rust guest
	@tests/all guest

test-e2e: ## Run a whole cluster with a real node, and use it as its users do
	@tests/prepare rust tools programs node helm
	@$(MAKE) --no-print-directory images PROFILE=$(E2E_PROFILE) || echo "prepare: no images: the tests that need them are skipped"
	@E2E_PROFILE=$(E2E_PROFILE) tests/all e2e

bench: ## Measure, beside floors and peers
	@tests/prepare rust cluster
	cargo build --release --package webhook --package node-installer --package recorder --bins
	cargo bench --workspace --bench '*'

fuzz: ## Feed what reads requests with what nobody should send
	@tests/prepare rust
	@tests/fuzz/run

check: ## Format, lints, documentation, licences, generated files
	@tests/prepare rust
	@tests/check

crds: ## Write charts/cinch/crds from the types in profile/
	cargo run --quiet --package profile --bin crds

docs: ## Write the tables of metrics in docs/operations.md from the code
	UPDATE_DOCS=1 cargo test --quiet --package webhook --package node-installer --package recorder --lib --bins the_documentation_has

images: ## Build container images under build/images, without a network and without a container engine
	@tests/prepare rust tools
	cargo build --locked --profile $(PROFILE:debug=dev) --bin cinch-webhook --bin cinch-node-installer --bin cinch-recorder
	cargo run --quiet --locked --package images -- --profile $(PROFILE)
