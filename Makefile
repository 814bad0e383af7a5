# make         build/battery-aggregator and build/battery-fleet
# make demo    install what is missing, build, and show it working on a private bus
# make test    install what is missing, build, and run every test
# make bench   what it costs and how fast it is, for 2, 16 and 64 packs
# make bench-control bench-wiring    charge control in simulated years, ours beside the reference's (SEEDS=5)
# make bench-wiring     a day of banks wired in series, unequal, cold or without a pack, beside the reference
# make bench-faults     seconds off the bus, until the alarm and until whole, for each fault
# make test-kill        the daemon killed at random instants (KILLS=150)
# make soak             a house in which something fails every second (SOAK_SECONDS=1800)
# make fuzz-core        random worlds for the rooms of core/ (WORLDS=1000000)
# make docs    docs/dbus.md and docs/settings.md, as the tables in the code have it
# make fuzz    random bytes for all that reads (FUZZ_SECONDS=600 each); make fuzz-keep keeps what is worth it
# make coverage    branches that the tests reach in core/, settings and state
# make check   format, walls between the rooms, clang-tidy, cppcheck
# make test-install     install.sh in a root that looks like Venus OS, with real daemontools (PARTS="upgrade pipe")
# make asan, make valgrind    the tests under the sanitizers, under valgrind

# All cores, for building and testing: JOBS=1 one after the other; your own -j counts too.

VERSION := 0.1.0
VERSION_DATE := 2026-11-21
VERSION_EPOCH_S := $(shell date -u -d $(VERSION_DATE) +%s)
BUILD ?= build
CC ?= cc
# The last line is what the tests said, not which folder was left.
MAKEFLAGS += --no-print-directory
# For the make within a target; none when there is a -j already.
ALL_CORES = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(or $(JOBS),$(shell nproc)))

# Debian packages: to build; to test and to run the demo; to check.
NEED_BUILD := libc6-dev pkg-config libdbus-1-dev libuv1-dev libinih-dev
NEED_TEST := $(NEED_BUILD) libcmocka-dev dbus dbus-daemon python3-dbus python3-gi systemd libglib2.0-bin tzdata
NEED_DEMO := $(NEED_BUILD) dbus dbus-daemon
NEED_CHECK := $(NEED_TEST) clang clang-format clang-tidy cppcheck shellcheck

PACKAGES := dbus-1 libuv inih
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla -Wformat=2 -Werror
# Of these, what this compiler knows for its target.
cc_knows = $(foreach flag,$(1),$(shell $(CC) -Werror $(flag) -x c -c /dev/null -o /dev/null 2>/dev/null && echo '$(flag)'))
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -Wformat -Werror=format-security -fPIE \
             $(call cc_knows,-fstack-clash-protection -fcf-protection)
# Code and tables that nobody uses take memory all the same, and -O2 measured no faster than -Os: what takes time is
# in libdbus and in the kernel. Debuggers have tables for unwinding of their own.
COMPACT := -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables
CFLAGS ?= -Os -g
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DVERSION_EPOCH_S=$(VERSION_EPOCH_S) -Isrc $(HARDENING) $(WARNINGS) $(COMPACT) $(CFLAGS) \
             $(SANITIZE) -MMD -MP $(PACKAGES_CFLAGS)
ALL_LDFLAGS = $(LDFLAGS) $(SANITIZE) -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed,--gc-sections
PACKAGES_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
LIBS = $(shell pkg-config --libs $(PACKAGES)) -lm

MAINS := src/main.c src/sim/fleet_main.c
SOURCES := $(filter-out $(MAINS),$(wildcard src/*.c src/*/*.c))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/%.o)
ARCHIVE := $(BUILD)/libaggregator.a
PROGRAMS := $(BUILD)/battery-aggregator $(BUILD)/battery-fleet

UNIT_TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
BUS_TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/bus/test_*.c))
TEST_HELPERS := $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(filter-out tests/bus/test_%,$(wildcard tests/bus/*.c)))

.PHONY: all test test-kill soak bench-faults demo bench bench-control fuzz-core check asan valgrind clean need-% run-tests run-demo run-check
.SECONDARY:
.DELETE_ON_ERROR:

all: $(PROGRAMS)

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) -c $< -o $@

$(ARCHIVE): $(OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^

# What the daemon never runs stands behind all that it does: the kernel maps a file in blocks of 64 KiB, and what
# lies between costs memory.
NOT_DAEMON := $(patsubst src/%.c,$(BUILD)/%.o,$(filter src/commands/% src/sim/% src/docs.c src/recording.c,$(SOURCES)))
DAEMON := $(filter-out $(NOT_DAEMON),$(OBJECTS))
$(BUILD)/battery-aggregator: $(DAEMON) $(BUILD)/main.o $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/battery-fleet: $(BUILD)/sim/fleet_main.o $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

# ---- tests ----

$(BUILD)/tests/%.o: tests/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) -Itests -DBUILD_DIR='"$(BUILD)"' $(shell pkg-config --cflags cmocka) -c $< -o $@

$(BUILD)/tests/test_worlds: $(BUILD)/tests/test_worlds.o $(BUILD)/tests/fuzz/worlds.o $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) $(shell pkg-config --libs cmocka) -o $@

# Random worlds, as many as you like; with the sanitizers.
WORLDS ?= 1000000
fuzz-core: need-test
	@$(MAKE) $(ALL_CORES) build/fuzz/tests/fuzz_core BUILD=build/fuzz WARNINGS= HARDENING=-fPIE CFLAGS="-O2 -g" \
	    SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
	@build/fuzz/tests/fuzz_core $(WORLDS)

$(BUILD)/tests/fuzz_core: $(BUILD)/tests/fuzz/fuzz_core.o $(BUILD)/tests/fuzz/worlds.o $(ARCHIVE)
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/tests/bus/test_%: $(BUILD)/tests/bus/test_%.o $(TEST_HELPERS) $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) $(shell pkg-config --libs cmocka) -o $@

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) $(shell pkg-config --libs cmocka) -o $@

# Counts what our own code allocates.
$(BUILD)/tests/test_no_allocation: ALL_LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

# A power cut in the middle of a write.
$(BUILD)/tests/test_state_cut: ALL_LDFLAGS += -Wl,--wrap=open,--wrap=write,--wrap=fsync,--wrap=close,--wrap=rename,--wrap=unlink

# Other clocks and a failing disk for the daemon under test; what is preloaded carries no sanitizer.
$(BUILD)/tests/world.so: tests/shim/world.c tests/shim/world.h
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) -std=c11 -D_GNU_SOURCE -U_FORTIFY_SOURCE -O2 -g $(WARNINGS) -Itests -fPIC -shared $< -o $@

# The daemon killed at random instants, and a house in which something fails every second: once with the
# sanitizers, and at the same time once without, where memory must not grow.
KILLS ?= 150
test-kill: need-test
	@$(MAKE) $(ALL_CORES) $(PROGRAMS) $(BUILD)/tests/bus/test_daemon_kill
	@KILLS=$(KILLS) $(BUILD)/tests/bus/test_daemon_kill

SOAK_SECONDS ?= 1800
soak: need-test
	@$(MAKE) $(ALL_CORES) all
	@$(MAKE) $(ALL_CORES) all BUILD=build/asan WARNINGS= \
	    SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" HARDENING=-fPIE CFLAGS="-O1 -g -fno-omit-frame-pointer"
	@tests/bus/soak.sh $(SOAK_SECONDS) build/battery-aggregator build/asan/battery-aggregator

bench-faults: need-test
	@$(MAKE) $(ALL_CORES) all
	@BUILD=$(BUILD) bench/faults.py

test: need-test
	@$(MAKE) $(ALL_CORES) run-tests

# What takes longest begins.
TESTS_IN_ORDER = $(filter %/test_faults %/test_house %/test_simulate,$(1)) \
                 $(filter-out %/test_faults %/test_house %/test_simulate,$(1))
run-tests: $(PROGRAMS) $(BUS_TESTS) $(UNIT_TESTS) $(BUILD)/tests/world.so
	@BUILD=$(BUILD) tests/run.sh $(RUNNER_FLAGS) $(call TESTS_IN_ORDER,$(BUS_TESTS) $(UNIT_TESTS))

# Without the warnings: gcc guesses worse at ranges in code that it instruments.
asan: need-test
	@$(MAKE) $(ALL_CORES) run-tests BUILD=build/asan WARNINGS= \
	    SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" HARDENING=-fPIE CFLAGS="-O1 -g -fno-omit-frame-pointer"

# The test programs and the daemon that they start, then a simulated day.
MEMCHECK := valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9

# A program that only starts the daemon runs as it is: what it does itself is no part of what we ship.
STARTERS = $(patsubst tests/%.c,$(BUILD)/tests/%,$(shell grep -lE 'include "(harness|own_control).h"' $(wildcard tests/bus/test_*.c)))

valgrind: need-test need-valgrind
	@HARNESS_WRAP="$(MEMCHECK)" $(MAKE) $(ALL_CORES) run-tests UNIT_TESTS= BUS_TESTS="$(STARTERS)"
	@$(MAKE) $(ALL_CORES) run-tests BUS_TESTS="$(filter-out $(STARTERS),$(BUS_TESTS))" \
	    RUNNER_FLAGS="--under '$(MEMCHECK)'"
	@BUILD=$(BUILD) tests/day.sh

# ---- any bytes: fuzzing, its corpus, and what the tests reach ----

NEED_FUZZ := $(NEED_BUILD) clang libclang-rt-14-dev llvm
NEED_COVERAGE := $(NEED_TEST) gcovr
FUZZ_TARGETS := settings state recording messages
FUZZ_SECONDS ?= 600
FUZZ_BUILD := build/libfuzzer
FUZZ_SHARED := $(BUILD)/tests/fuzz/outcome.o $(BUILD)/tests/fuzz/maker.o $(BUILD)/tests/fuzz/fake_bus.o

# FUZZ_SECONDS of each target, two at a time, from the corpus that is kept; what is new goes to the build
# folder. `make fuzz-keep` takes of it into the corpus what reaches a branch that nothing else there reaches.
fuzz: need-fuzz
	@$(MAKE) $(ALL_CORES) fuzz-build
	@printf '%s\n' $(FUZZ_TARGETS) | FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_BUILD=$(FUZZ_BUILD) \
	    xargs -n 1 -P 2 tests/fuzz/run.sh search

fuzz-keep: need-fuzz
	@$(MAKE) $(ALL_CORES) fuzz-build
	@printf '%s\n' $(FUZZ_TARGETS) | FUZZ_BUILD=$(FUZZ_BUILD) xargs -n 1 tests/fuzz/run.sh keep

fuzz-build:
	@$(MAKE) $(ALL_CORES) $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/fuzz_%) BUILD=$(FUZZ_BUILD) CC=clang HARDENING=-fPIE \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	    SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"

$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o tests/fuzz/entry.c $(FUZZ_SHARED) $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_CFLAGS) -Itests -DFUZZ_TARGET=fuzz_$* tests/fuzz/entry.c $(filter %.o %.a,$^) \
	    -fsanitize=fuzzer $(ALL_LDFLAGS) $(LIBS) -o $@

$(BUILD)/tests/test_corpus: $(BUILD)/tests/test_corpus.o $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/fuzz_%.o) \
    $(FUZZ_SHARED) $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) $(shell pkg-config --libs cmocka) -o $@

# Counts what our own code keeps; on a bus that is none.
$(BUILD)/tests/test_memory: $(BUILD)/tests/test_memory.o $(BUILD)/tests/fuzz/outcome.o $(BUILD)/tests/fuzz/fake_bus.o \
    $(ARCHIVE)
	@echo "  LINK  $@"
	@$(CC) $(ALL_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=free $^ $(LIBS) \
	    $(shell pkg-config --libs cmocka) -o $@

# Lets calls to the disk fail.
$(BUILD)/tests/test_disk: ALL_LDFLAGS += -Wl,--wrap=open,--wrap=write,--wrap=fsync,--wrap=close,--wrap=rename \
    -Wl,--wrap=read,--wrap=__read_chk,--wrap=fstat

# Branches that the tests reach in the rooms that decide and in those that read files. The corpus does not
# count: it runs code, and asserts little of what the code decides.
COVERAGE_BUILD := build/coverage
COVERAGE_TESTS := $(filter-out %/test_corpus %/test_worlds,$(UNIT_TESTS)) $(BUS_TESTS)
COVERAGE_LEAST := 95

coverage: need-coverage
	@$(MAKE) $(ALL_CORES) run-coverage BUILD=$(COVERAGE_BUILD) HARDENING=-fPIE CFLAGS="-O0 -g" \
	    SANITIZE=--coverage WARNINGS=

run-coverage: $(PROGRAMS) $(COVERAGE_TESTS) $(BUILD)/tests/world.so
	@find $(BUILD) -name '*.gcda' -delete
	@BUILD=$(BUILD) tests/run.sh $(COVERAGE_TESTS)
	gcovr --branches --exclude-unreachable-branches --fail-under-branch $(COVERAGE_LEAST) --root . \
	    --filter 'src/core/' --filter 'src/settings' --filter 'src/state' $(BUILD)

need-fuzz:
	@scripts/need.sh $(NEED_FUZZ)

need-coverage:
	@scripts/need.sh $(NEED_COVERAGE)

.PHONY: fuzz fuzz-keep fuzz-build coverage run-coverage

# ---- install.sh ----

# Whichever busybox is here will do.
NEED_INSTALL := $(NEED_BUILD) dbus dbus-daemon daemontools binutils dash $(if $(shell command -v busybox),,busybox-static)

.PHONY: test-install
test-install: need-install
	@$(MAKE) $(ALL_CORES) all
	@BUILD=$(BUILD) CC="$(CC)" tests/install/test_install.sh $(PARTS)

need-install:
	@scripts/need.sh $(NEED_INSTALL)

# ---- demo ----

demo: need-demo
	@$(MAKE) $(ALL_CORES) all
	@BUILD=$(BUILD) scripts/demo.sh

# ---- what it costs ----

bench: need-test
	@$(MAKE) $(ALL_CORES) all $(BUILD)/bench/floor
	@BUILD=$(BUILD) bench/measure.py $(PACKS)

# Charge control, ours beside the reference's, in simulated years.
bench-control: need-bench-control
	@$(MAKE) $(ALL_CORES) all
	@BUILD=$(BUILD) bench/control.py $(SEEDS:%=--seeds %)

# Banks as people wire them, the reference's merging beside ours.
bench-wiring: need-bench-control
	@$(MAKE) $(ALL_CORES) $(BUILD)/bench/wiring
	@$(BUILD)/bench/wiring

$(BUILD)/bench/%: bench/%.c $(ARCHIVE) Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $< $(ARCHIVE) $(ALL_LDFLAGS) $(LIBS) -o $@

# ---- docs: the parts that are made from the tables in the code (tests/test_docs.c compares) ----

.PHONY: docs
docs: $(BUILD)/docs/generate
	@$< paths <docs/dbus.md >$(BUILD)/docs/dbus.md && cp $(BUILD)/docs/dbus.md docs/dbus.md
	@$< settings <docs/settings.md >$(BUILD)/docs/settings.md && cp $(BUILD)/docs/settings.md docs/settings.md

$(BUILD)/docs/generate: docs/generate.c $(ARCHIVE)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $^ $(ALL_LDFLAGS) $(LIBS) -o $@

# ---- checks of the source ----

check: need-check
	@$(MAKE) $(ALL_CORES) run-check

C_FILES := $(wildcard src/*.[ch] src/*/*.[ch] tests/*.[ch] tests/*/*.[ch] bench/*.[ch] docs/*.c)

run-check:
	clang-format --dry-run -Werror $(C_FILES)
	scripts/walls.sh
	shellcheck -x $(wildcard *.sh scripts/*.sh tests/*.sh tests/install/*.sh service/run service/log/run .ci/run)
	cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem -D_GNU_SOURCE -Isrc src
	clang-tidy --quiet $(filter src/%.c,$(C_FILES)) -- -std=c11 -D_GNU_SOURCE -Isrc \
	    -DBUILD_DIR='"build"' $(shell pkg-config --cflags $(PACKAGES) cmocka)

# ---- release, installation, packages ----

# make dist      the release for Venus OS in build/dist/: three architectures, reproducible
# make test-dist, make test-arm    what it needs and holds; the bus tests with its ARM programs, under qemu
# make install, make uninstall     on Debian and Raspberry Pi OS (PREFIX=/usr/local, DESTDIR=)
# make test-system    that, the sandbox and the D-Bus policy
# make deb, make test-deb          a Debian package, and lintian

.PHONY: dist test-dist test-arm install uninstall test-system deb test-deb check-packaging

run-check: check-packaging
check-packaging:
	clang-format --dry-run -Werror packaging/libuv_unused.c
	shellcheck packaging/*.sh packaging/*/*.sh

# The time of all files in a release: the commit's.
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),$(VERSION_EPOCH_S))
NEED_DIST := gcc libc6-dev gcc-arm-linux-gnueabihf gcc-aarch64-linux-gnu binutils make git debian-archive-keyring
NEED_TEST_DIST := $(NEED_DIST) $(NEED_BUILD) qemu-user libc6-armhf-cross libc6-arm64-cross dbus dbus-daemon daemontools \
                  $(if $(shell command -v busybox),,busybox-static)

dist: need-dist
	@packaging/dist.sh $(VERSION) $(SOURCE_DATE_EPOCH)

test-dist: need-test-dist
	@packaging/dist.sh $(VERSION) $(SOURCE_DATE_EPOCH)
	@packaging/test_dist.sh $(VERSION)
	@$(MAKE) $(ALL_CORES) all
	@[ ! -f install.sh ] || BUILD="$(BUILD)" packaging/test_stick.sh $(VERSION)

# The daemons of the release in the bus tests, under qemu (TEST_ARCH=armv7 for one of them).
DAEMON_TESTS := $(filter $(BUILD)/tests/bus/test_daemon_%,$(BUS_TESTS))
test-arm: need-test-arm
	@packaging/dist.sh $(VERSION) $(SOURCE_DATE_EPOCH)
	@$(MAKE) $(ALL_CORES) all $(DAEMON_TESTS)
	@BUS_TESTS="$(DAEMON_TESTS)" packaging/test_arm.sh $(TEST_ARCH)

# On Debian and Raspberry Pi OS: make install PREFIX=/usr DESTDIR=/somewhere
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
install: all
	@BUILD="$(BUILD)" PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" DESTDIR="$(DESTDIR)" packaging/system.sh install

uninstall:
	@PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" DESTDIR="$(DESTDIR)" packaging/system.sh uninstall

deb: need-deb
	@packaging/deb.sh $(VERSION) $(SOURCE_DATE_EPOCH)

test-deb: need-deb need-lintian
	@packaging/deb.sh $(VERSION) $(SOURCE_DATE_EPOCH)
	@packaging/test_deb.sh $(VERSION)

need-deb:
	@scripts/need.sh $(NEED_BUILD) debhelper fakeroot libcmocka-dev build-essential

need-lintian:
	@scripts/need.sh lintian

test-system: need-test-system
	@$(MAKE) $(ALL_CORES) all
	@BUILD="$(BUILD)" packaging/test_system.sh

need-test-system:
	@scripts/need.sh $(NEED_BUILD) dbus dbus-daemon systemd libglib2.0-bin strace

need-test-arm:
	@scripts/need.sh $(NEED_TEST_DIST) $(NEED_TEST)

need-dist:
	@scripts/need.sh $(NEED_DIST)

need-test-dist:
	@scripts/need.sh $(NEED_TEST_DIST)

# ---- what the machine needs ----

need-test:
	@scripts/need.sh $(NEED_TEST)

need-demo:
	@scripts/need.sh $(NEED_DEMO)

need-bench-control:
	@scripts/need.sh $(NEED_BUILD) python3

need-check:
	@scripts/need.sh $(NEED_CHECK)

need-valgrind:
	@scripts/need.sh valgrind

clean:
	rm -rf build

-include $(OBJECTS:.o=.d) $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d $(BUILD)/tests/*.d $(BUILD)/tests/*/*.d)
