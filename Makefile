# SPDX-License-Identifier: MIT
# The front door. The build itself is meson's; each target installs the Debian packages it needs.
PREFIX ?= /usr/local
DESTDIR ?=

help:
	@echo "make test      build and run the tests: this machine, musl, aarch64 and riscv64 under qemu, the fallback, Python"
	@echo "make demo      build and run the demonstration; it leaves a picture, build/demo.html"
	@echo "make bench     measure, beside pthreads and others; ARGS=--quick for a first look"
	@echo "make check     before a release: format, static analysis, sanitizers, full loss tests"
	@echo "make docs      build the documentation site, build-docs/html; its links are checked"
	@echo "make python    build the Python package, to be imported from build-python-*, and run its tests"
	@echo "make wheels    build a wheel for each Python that is found, and the source distribution, into dist/; try each"
	@echo "make deb       build the Debian packages into build-deb/, and look at what is in them"
	@echo "make newest    the same with 3.13, 3.14, 3.15, debug builds and a free-threaded one, in a newer Debian; needs root"
	@echo "make blocking  interrupt each blocking call of Python's library, and make the tables of docs/blocking.md"
	@echo "make install   PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"
	@echo "make format    lay out the C files as .clang-format says"
	@echo "make deps      install the Debian packages for all of this"
	@echo "make clean     remove what was built"

test:
	@tools/deps.sh build test python cpython
	@tools/legs.sh native hooks musl aarch64 riscv64-quick generic python cpython-quick

demo: build/build.ninja
	@ninja -C build examples/demo cli/bough >build/ninja.log 2>&1 || { cat build/ninja.log; exit 1; }
	@BOUGH_TRACE=build/demo.trace build/examples/demo
	@build/cli/bough picture build/demo.trace -o build/demo.html
	@echo "Its picture, for a browser: build/demo.html"

bench:
	@tools/deps.sh build bench
	@[ -f build-bench/build.ninja ] || meson setup build-bench --buildtype=release -Dbench=true -Dtests=false
	@bench/run build-bench $(ARGS)

check:
	@tools/deps.sh build test python cpython check docs
	@tools/check.sh

python:
	@tools/deps.sh build python cpython
	@tools/legs.sh python

docs:
	@tools/deps.sh build docs
	@tools/site/make.sh

wheels:
	@tools/deps.sh build wheels
	@PATH="/usr/bin:$$PATH" python3 tools/wheels.py $(ARGS)

deb:
	@tools/deps.sh build deb
	@tools/deb.sh

newest:
	@tools/newest.sh $(ARGS)

blocking:
	@tools/deps.sh build python
	@tools/blocking.sh $(ARGS)

install:
	@tools/deps.sh build
	@[ -f build-install/build.ninja ] || meson setup build-install --buildtype=release -Dtests=false -Dexamples=false
	@meson configure build-install --prefix='$(PREFIX)'
	@ninja -C build-install
	DESTDIR='$(DESTDIR)' meson install --no-rebuild -C build-install
	@[ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || ldconfig

build/build.ninja:
	@tools/deps.sh build
	@meson setup build -Dtest_library=shared >build.log 2>&1 || { cat build.log; rm -rf build build.log; exit 1; }
	@rm -f build.log

format:
	@tools/deps.sh check
	@tools/format.sh

deps:
	@tools/deps.sh build test python cpython bench check docs

clean:
	rm -rf build build-* build*.log dist

.PHONY: help test demo bench check python docs wheels deb newest blocking install format deps clean
