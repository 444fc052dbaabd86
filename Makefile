# Start here. `make doctor` says what each target needs, and what this machine lacks. The targets
# install the rest, pinned, in this folder.
.POSIX:
.PHONY: help doctor run serve test lint deny advisories tools deploy-tools serve-tools test-tools \
	package local cdk-test deploy-tests release verify-aws bench bench-tools soak measure guard \
	hello fuzz mutants check-build check-serve check-local

CARGO = cargo
DENY = 0.20.2
CARGO_FUZZ = 0.13.2
CARGO_MUTANTS = 27.1.0
FUZZ_SECONDS = 60
PYTHON = python3
PACKAGE = .aws-sam/build/Function/bootstrap
# The ports of `make serve`.
PORT = 4566
STAND_INS_PORT = 9010
LOCAL_CREDENTIALS = AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local \
	AWS_EC2_METADATA_DISABLED=true SAM_CLI_TELEMETRY=0

# A target's help is after `##`, and after `###` where only contributors need it.
help: ## show this list
	@echo 'To try, build and deploy it:'
	@sed -n 's/^\([a-z-]*\):.*[^#]## /\1 /p' Makefile | \
		while read -r target text; do printf '  make %-13s %s\n' "$$target" "$$text"; done
	@echo 'To work on it:'
	@sed -n 's/^\([a-z-]*\):.*### /\1 /p' Makefile | \
		while read -r target text; do printf '  make %-13s %s\n' "$$target" "$$text"; done

doctor: ## say what each target needs, and what this machine lacks
	@$(PYTHON) tools/doctor.py

# Both at once, with the features that the tests use: else their dependencies are built twice.
BUILD = $(CARGO) build --package mitigation-action-provider --package stand-ins

run: check-build ## run the function on stand-ins for AWS, print what happens
	@$(BUILD)
	@target/debug/stand-ins run target/debug/bootstrap

serve: check-serve package serve-tools ## run an emulated AWS with the provider (PORT=4566)
	@$(BUILD)
	@.tools/aws/bin/python tools/serve.py --port $(PORT) --stand-ins-port $(STAND_INS_PORT)

test: ### run all tests
	@$(PYTHON) tools/test.py

lint: ### check format, lints and documentation
	$(CARGO) fmt --all --check
	@for crate in fuzz bench/hello bench/straightforward; do \
		$(CARGO) fmt --check --manifest-path $$crate/Cargo.toml || exit 1; \
	done
	$(CARGO) clippy --quiet --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --quiet --workspace --no-deps

# No sanitizer: what is fuzzed is safe Rust, whose overflows and assertions are checked, and a
# sanitizer would double the time. One thread and one core each. An input that takes more than five
# seconds or a gigabyte is a failure, as a panic is.
fuzz: ### fuzz the parsers, FUZZ_SECONDS each (Rust nightly, C++)
	@$(CARGO) +nightly --version >/dev/null || \
		{ echo 'no nightly: rustup toolchain install nightly --profile minimal'; exit 1; }
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --quiet --locked cargo-fuzz@$(CARGO_FUZZ)
	@for target in invocation response_url response growth; do \
		echo "fuzz $$target: past failures, then $(FUZZ_SECONDS) seconds of new input" && \
		mkdir -p fuzz/corpus/$$target && \
		seeds=events && if [ -d fuzz/seeds/$$target ]; then seeds=fuzz/seeds/$$target; fi && \
		$(CARGO) +nightly fuzz run --sanitizer none $$target fuzz/regressions/$$target/* -- \
			-timeout=60 -verbosity=0 && \
		$(CARGO) +nightly fuzz run --sanitizer none $$target fuzz/corpus/$$target $$seeds -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -max_len=16384 \
			-dict=fuzz/dict/$$target.dict -verbosity=0 -print_funcs=0 -print_final_stats=1 || exit 1; \
	done

mutants: ### check that tests catch small changes (ONLY=a file; hours)
	@command -v cargo-mutants >/dev/null || \
		$(CARGO) install --quiet --locked cargo-mutants@$(CARGO_MUTANTS)
	CARGO_TARGET_DIR="$$PWD/target" $(CARGO) mutants $(if $(ONLY),--re "$(ONLY)")

deny: ### check licenses and sources of the dependencies
	@command -v cargo-deny >/dev/null || $(CARGO) install --quiet --locked cargo-deny@$(DENY)
	$(CARGO) deny --log-level error check licenses bans sources

advisories: ### check the dependencies for known vulnerabilities
	@$(PYTHON) tools/advisories.py

tools: deploy-tools serve-tools test-tools ### install all tools, pinned, into this folder

deploy-tools: .tools/sam/.installed ## install the SAM CLI and cargo-lambda

serve-tools: .tools/aws/.installed .tools/ministack/.installed

test-tools: .tools/checkov/.installed examples/cdk/node_modules/.installed \
	tools/node_modules/.installed

# Each set of Python packages has a virtual environment of its own, as they pin different versions.
# The files list every package, so that pip looks for no other; `pip check` says if one is missing.
INSTALL = name=$$(basename "$$(dirname $@)") && venv=.tools/$$name && \
	echo "installing tools/$$name.txt into $$venv" && $(PYTHON) -m venv $$venv && \
	export PIP_DISABLE_PIP_VERSION_CHECK=1 && \
	$$venv/bin/pip install --quiet --no-compile --require-hashes --no-deps \
		--requirement tools/$$name.txt && \
	$$venv/bin/pip check && touch $@

.tools/sam/.installed: tools/sam.txt
	@$(INSTALL)
.tools/aws/.installed: tools/aws.txt
	@$(INSTALL)
.tools/checkov/.installed: tools/checkov.txt
	@$(INSTALL)
.tools/ministack/.installed: tools/ministack.txt
	@$(INSTALL)

cdk/node_modules/.installed: cdk/package-lock.json
	cd cdk && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

# The example installs the construct as it is packed.
examples/cdk/node_modules/.installed: examples/cdk/package-lock.json cdk/node_modules/.installed \
	cdk/src/index.ts
	cd cdk && npm run --silent build
	cd examples/cdk && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

tools/node_modules/.installed: tools/package-lock.json
	cd tools && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

# Makes the package the same in every folder and for every user.
package release: export CARGO_BUILD_RUSTFLAGS = \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
SOURCES = src Cargo.toml custom-resource/src custom-resource/Cargo.toml
# `sam build` shows no progress, so the same build runs before it. A package that is up to date, but
# for another architecture, is built again.
package: check-build .tools/sam/.installed ## build the package as it is deployed, with sam build
	@if [ -z "$$(find $(PACKAGE) -newer Cargo.lock -newer template.yaml 2>/dev/null)" ] || \
		[ -n "$$(find $(SOURCES) -newer $(PACKAGE))" ] || ! $(PYTHON) tools/doctor.py package; \
	then \
		export PATH="$$PWD/.tools/sam/bin:$$PATH" SAM_CLI_TELEMETRY=0 && \
		echo 'cargo lambda build (five to seven minutes the first time)' && \
		CARGO_TARGET_DIR="$$PWD/target" cargo-lambda lambda build --release && \
		echo 'sam build' && \
		case $$(uname -m) in aarch64) set -- --parameter-overrides Architecture=arm64; esac && \
		sam build --region eu-west-1 "$$@"; \
	fi

local: check-local package ## run EVENT=events/... in a container, while make serve runs
	@tools/base-image
	@sed 's/9010/$(STAND_INS_PORT)/' local/env.json >.aws-sam/local-env.json
	@sed 's/127\.0\.0\.1:9010/host.docker.internal:$(STAND_INS_PORT)/' $(EVENT) | \
		PATH="$$PWD/.tools/sam/bin:$$PATH" $(LOCAL_CREDENTIALS) \
		sam local invoke Function --region eu-west-1 --event - --skip-pull-image \
		--env-vars .aws-sam/local-env.json \
		--add-host host.docker.internal:172.17.0.1 && echo

check-build:
	@$(PYTHON) tools/doctor.py rust compiler python

check-serve:
	@$(PYTHON) tools/doctor.py ports=$(PORT),$(STAND_INS_PORT)

check-local:
	@$(PYTHON) tools/doctor.py "event=$(EVENT)" docker stand-ins=$(STAND_INS_PORT)

cdk-test: cdk/node_modules/.installed
	@cd cdk && npm test --silent

deploy-tests: package tools
	@$(BUILD) --quiet
	@.tools/aws/bin/python tests/deploy $(TESTS)

.PHONY: package-x86_64 package-arm64 arm-test
package-x86_64: TARGET = x86_64-unknown-linux-gnu
package-arm64: TARGET = aarch64-unknown-linux-gnu
package-x86_64 package-arm64: export CARGO_BUILD_RUSTFLAGS = \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
package-x86_64 package-arm64: check-build .tools/sam/.installed
	@[ -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)" ] || rustup target add $(TARGET)
	@PATH="$$PWD/.tools/sam/bin:$$PATH" CARGO_TARGET_DIR="$$PWD/target" \
		cargo-lambda lambda build --release --target $(TARGET) \
		--lambda-dir target/lambda-$(@:package-%=%)

# The first build for arm64 takes as long as that of the package.
release: package-x86_64 package-arm64 cdk/node_modules/.installed ## write the files of a release to dist/
	@rm -rf dist && $(PYTHON) tools/release.py --out dist \
		x86_64=target/lambda-x86_64/bootstrap/bootstrap \
		arm64=target/lambda-arm64/bootstrap/bootstrap

arm-test: package-arm64 .tools/aws/.installed cdk/node_modules/.installed ### run the arm64 package with every sample event (qemu-user)
	@$(CARGO) build --quiet --package stand-ins
	@.tools/aws/bin/python tests/deploy arm64

# The first time it builds for ten minutes; it runs for six.
bench: package hello bench-tools ### compare the package with others of its kind (valgrind)
	@$(CARGO) build --quiet --release --manifest-path bench/straightforward/Cargo.toml \
		--target-dir target/bench
	@$(CARGO) build --quiet --package bench
	@grep -m 1 'model name' /proc/cpuinfo; nproc; . /etc/os-release; echo "$$PRETTY_NAME"
	@rustc --version; .tools/bench/bin/python --version; node --version; echo
	@target/debug/bench compare $(PACKAGE) target/bench/release/hello \
		target/bench/release/straightforward .tools/bench/bin/python "$$(command -v node)"
	@echo
	@target/debug/bench queue $(PACKAGE)

soak: package ### run 100,000 invocations with faults (minutes)
	@$(CARGO) build --quiet --package bench
	@target/debug/bench soak $(PACKAGE) 100000

measure: package ### count the package's instructions and memory (valgrind)
	@$(CARGO) build --quiet --package bench
	@target/debug/bench measure $(PACKAGE)

guard: package hello ### fail if the package is past its limits (valgrind)
	@$(CARGO) build --quiet --package bench
	@target/debug/bench guard target/bench/release/hello $(PACKAGE)

hello:
	@$(CARGO) build --quiet --release --manifest-path bench/hello/Cargo.toml --target-dir target/bench

bench-tools: bench/node/node_modules/.installed .tools/bench/.installed

.tools/bench/.installed: bench/python/requirements.txt
	@$(PYTHON) -m venv .tools/bench && rm -rf .tools/bench/package && \
		.tools/bench/bin/pip install --quiet --disable-pip-version-check --no-compile \
		--target .tools/bench/package --requirement bench/python/requirements.txt && touch $@

bench/node/node_modules/.installed: bench/node/package-lock.json
	cd bench/node && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

verify-aws: package .tools/aws/.installed ## verify the assumptions in an account (REGION, ROLE)
	@test -n "$(REGION)" && test -n "$(ROLE)" || \
		{ echo 'usage: make verify-aws REGION=eu-west-1 ROLE=arn:aws:iam::...'; \
		.tools/aws/bin/python tools/verify_aws --help; exit 1; }
	@PATH="$$PWD/.tools/sam/bin:$$PATH" .tools/aws/bin/python tools/verify_aws \
		--region $(REGION) --role $(ROLE) \
		$(if $(FILL_QUOTA),--fill-quota)
