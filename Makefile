# What a newcomer runs. Needs Rust (rustup), a C compiler and, for the tests, Node and Python 3; the rest is pinned and
# installed by the targets themselves.
.POSIX:
.PHONY: help run serve test lint deny tools

CARGO = cargo
DENY = 0.20.2

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

run: ## play a stack's life against stand-ins for AWS and print it
	@$(CARGO) build --bin bootstrap --example local
	@target/debug/examples/local run target/debug/bootstrap

serve: ## leave the function and the stand-ins up for events of your own
	@$(CARGO) build --bin bootstrap --example local
	@target/debug/examples/local serve target/debug/bootstrap

test: tools ## run all tests
	@RUST_BACKTRACE=0 $(CARGO) test --quiet -- --test-threads 16

lint: ## check format, lints and documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --quiet --no-deps

deny: ## check licences, bans and sources of the dependencies
	@command -v cargo-deny >/dev/null || $(CARGO) install --quiet --locked cargo-deny@$(DENY)
	$(CARGO) deny --log-level error check licenses bans sources

tools: examples/cdk/node_modules/.installed ## install what the tests need besides Rust, pinned, into this folder

examples/cdk/node_modules/.installed: examples/cdk/package-lock.json
	cd examples/cdk && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed
