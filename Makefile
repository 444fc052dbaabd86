# What a newcomer runs. Needs Rust (rustup) and a C compiler; the rest is in Cargo.lock.
.POSIX:
.PHONY: help run serve test lint deny

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

test: ## run all tests
	@RUST_BACKTRACE=0 $(CARGO) test --quiet -- --test-threads 16

lint: ## check format, lints and documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --quiet --no-deps

deny: ## check licences, bans and sources of the dependencies
	@command -v cargo-deny >/dev/null || $(CARGO) install --quiet --locked cargo-deny@$(DENY)
	$(CARGO) deny --log-level error check licenses bans sources
