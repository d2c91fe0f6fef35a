# make setup    everything a checkout needs (Debian 12; asks for root where packages are missing)
# make demo     the main job, on a real VM
# make test     all tests, on real VMs, two files at a time
# make test-all all tests, and those that take long or need the registries of this host
# make test-firecracker-nested FIRECRACKER=FILE  a real Firecracker (a release's archive, or its program), in a guest with KVM
# make test-clients  coding agents from npm as MCP clients, each with a fake model, and the MCP Inspector; installs 1.4 GB
# make check    what every commit passes: format, lint, types, imports
# make reference  docs/reference, from the source
# make bench    figures, each beside its floor; some of them: make bench BENCHES='forks exec'

SHELL := /bin/sh
NODE = node_modules/.bin/node --disable-warning=ExperimentalWarning
# Tests keep kernel and image between runs; state of the VMs is fresh for each.
FIREBREAK_TEST_HOME ?= $(HOME)/.cache/firebreak-test
export FIREBREAK_TEST_HOME

.PHONY: setup demo test check bench bench-page reference unit agent-test integration e2e e2e-firecracker conformance dashboard vm-test slow test-all test-firecracker-nested test-clients fmt dist clean

setup:
	@scripts/setup.sh

demo: setup
	@$(NODE) scripts/demo.ts

check: setup
	@node_modules/.bin/biome check --error-on-warnings .
	@node_modules/.bin/tsc -p tsconfig.json
	@node_modules/.bin/tsc -p dashboard/tsconfig.json
	@$(NODE) node_modules/dependency-cruiser/bin/dependency-cruise.mjs --config .dependency-cruiser.mjs --output-type err src test scripts bench
	@cd guest-agent && cargo fmt --check && cargo clippy --release --all-targets --locked --quiet -- -D warnings

fmt:
	@node_modules/.bin/biome check --write .
	@cd guest-agent && cargo fmt

unit: setup
	@$(NODE) scripts/run-tests.ts 'src/**/*.test.ts' 'dashboard/src/**/*.test.ts' 'test/*.test.ts'

agent-test: setup
	@cd guest-agent && cargo test --release --locked --quiet

integration: setup
	@$(NODE) scripts/run-tests.ts --concurrency=1 'test/integration/*.test.ts'

e2e: setup
	@$(NODE) scripts/run-tests.ts --concurrency=1 'test/e2e/*.test.ts' 'test/security/*.test.ts'

# The protocol's own suite against our MCP endpoint.
conformance: setup
	@$(NODE) scripts/run-tests.ts --concurrency=1 'test/conformance/*.test.ts'

# The dashboard in a real browser; its screenshots are in test-output/dashboard.
dashboard: setup
	@$(NODE) scripts/run-tests.ts --concurrency=1 'test/dashboard/*.test.ts'

# Other people's clients, as users have them. Not part of `test`: they are large, and their makers change them.
test-clients: setup
	@scripts/setup-clients.sh
	@$(NODE) scripts/run-tests.ts --concurrency=1 'test/clients/*.test.ts'

# The four above, two files at a time but for those that build the image that all share.
vm-test: setup
	@$(NODE) scripts/run-tests.ts --concurrency=2 '--alone=test/*/images.test.ts' 'test/integration/*.test.ts' 'test/e2e/*.test.ts' 'test/security/*.test.ts' 'test/conformance/*.test.ts' 'test/dashboard/*.test.ts'

# The end-to-end suite once more, with Firecracker where it works; elsewhere its files are skipped by name.
e2e-firecracker: setup
	@$(NODE) scripts/e2e-firecracker.ts

test: check unit agent-test e2e-firecracker vm-test

# What is large or comes from outside: not part of `test`. Installing a dozen packages under emulation takes its time.
slow: setup
	@scripts/setup-vsock-device.sh
	@$(NODE) scripts/run-tests.ts --concurrency=1 --minutes=120 'test/slow/*.test.ts' test/integration/firecracker-guest.test.ts

test-all: test slow

# How a release is checked without KVM: QEMU emulates a processor that has it, in which firebreak and Firecracker run.
test-firecracker-nested: dist
	@FIREBREAK_NESTED_FIRECRACKER='$(FIRECRACKER)' $(NODE) scripts/run-tests.ts --concurrency=1 --minutes=60 test/nested/firecracker.test.ts

bench: setup
	@$(NODE) bench/main.ts $(BENCHES)

reference: setup
	@$(NODE) scripts/write-reference.ts

bench-page: setup
	@$(NODE) bench/main.ts --page

# The published package holds JavaScript (Node does not strip types under node_modules), the agent's binary and the dashboard as it is built.
dist: setup
	@rm -rf dist
	@node_modules/.bin/tsc -p tsconfig.dist.json
	@cp guest-agent/target/*-unknown-linux-gnu/release/firebreak-agent dist/firebreak-agent
	@cp -R dashboard/dist dist/dashboard

clean:
	rm -rf dist dashboard/dist node_modules guest-agent/target
