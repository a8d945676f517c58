# Meson and ninja do the work; these are the names a newcomer knows. `make help` lists them.

BUILD = build
PREFIX = /usr/local
DESTDIR =

.PHONY: all install uninstall quickstart check check-full bench bench-full fuzz cloud format clean help

all: # the release build, into build/
	@scripts/build "$(BUILD)" --buildtype release -Dwerror=false -Dtests=false --prefix "$(abspath $(PREFIX))"

install: all # install below DESTDIR/PREFIX (default /usr/local)
	@DESTDIR="$(abspath $(DESTDIR))" meson install -C "$(BUILD)" --no-rebuild --quiet
	@echo "installed below $(DESTDIR)$(abspath $(PREFIX))"

uninstall: # remove what install put there (without PREFIX: from where it was last built for)
	@DESTDIR="$(abspath $(DESTDIR))" scripts/uninstall "$(BUILD)" \
		"$(if $(filter file,$(origin PREFIX)),,$(abspath $(PREFIX)))"

quickstart: # install what is needed, build, and show a real project compiling
	@scripts/quickstart

check: # everything that must hold, in under 40 minutes on two cores
	@scripts/check

check-full: # the same with every compilation of the large projects and longer fuzzing
	@scripts/check --full

bench: # the table of measurements, with peers in the same run
	@scripts/bench

bench-full: # the same with more runs and units
	@scripts/bench --full

fuzz: # run every fuzz target for FUZZ_SECONDS (default 60) and keep what it learns
	@scripts/fuzz --keep --seconds "$${FUZZ_SECONDS:-60}"

cloud: # an S3 and a Lambda on loopback, until Ctrl-C; CLOUD_OPTIONS=--help lists what can be ordered
	@scripts/cloud $(CLOUD_OPTIONS)

format: # lay out the C sources
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: # remove the build directories and the fetched projects
	rm -rf "$(BUILD)" build-check build-fuzz build-bench build-cloud build-corpora

help:
	@sed -n 's/^\([a-z-]*\):[^#]*# \(.*\)/make \1\t\2/p' Makefile | expand -t 20
