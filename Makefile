# A facade: every target is one call of setup.sh, CMake or a test script. `make` alone lists them.
PRESET ?= dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## install what is missing, build, run a web server in a container, show the times
	./setup.sh demo
deps: ## install the packages and prepare the machine
	./setup.sh deps
build: ## build the preset PRESET (dev, asan, release, fuzz; default dev)
	./setup.sh build $(PRESET)
release: ## build the optimised preset
	./setup.sh build release
install: ## build release and install to PREFIX
	./setup.sh install
sdks: ## make the SDK layers node and python in a layer source, build/sdks/source
	./setup.sh sdks

test: ## every test there is, as CI runs them
	./setup.sh test
unit: ## build PRESET, run its unit tests
	./setup.sh build $(PRESET)
	ctest --test-dir build/$(PRESET) -L 'unit|lint' --output-on-failure -j$$(nproc)
integration: ## the integration tests (release), as an unprivileged user
	./setup.sh test integration
e2e: ## the end-to-end tests; ARGS go to bats
	./test/test-e2e.sh $(ARGS)
vm: ## the tests of limits, in a virtual machine (QEMU)
	./setup.sh test vm
asan: ## build with ASan and UBSan, run unit and integration tests
	./setup.sh test asan
fuzz: ## each fuzz target for SQUISH_FUZZ_SECONDS (60)
	./setup.sh test fuzz
lint: ## include directions, format, clang-tidy, shell, man pages
	./test/lint/lint.sh
format: ## rewrite our C++ files with clang-format
	find src test bench examples \( -name '*.cpp' -o -name '*.h' \) -type f -exec clang-format-19 -i {} +

clean: ## remove build/
	rm -rf build

.PHONY: help demo deps build release install sdks test unit integration e2e vm asan fuzz lint format clean
