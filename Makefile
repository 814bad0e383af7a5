# make         build/battery-aggregator and build/battery-fleet
# make demo    install what is missing, build, and show it working on a private bus
# make test    install what is missing, build, and run every test
# make bench   what it costs and how fast it is, for 2, 16 and 64 packs
# make bench-control    charge control in simulated years, ours beside the reference's (SEEDS=5)
# make fuzz-core        random worlds for the rooms of core/ (WORLDS=1000000)
# make check   format, walls between the rooms, clang-tidy, cppcheck
# make asan, make valgrind    the tests under the sanitizers, under valgrind

VERSION := 0.1.0
VERSION_DATE := 2026-11-21
VERSION_EPOCH_S := $(shell date -u -d $(VERSION_DATE) +%s)
BUILD ?= build
CC ?= cc

# Debian packages: to build; to test and to run the demo; to check.
NEED_BUILD := pkg-config libdbus-1-dev libuv1-dev libinih-dev
NEED_TEST := $(NEED_BUILD) libcmocka-dev dbus dbus-daemon python3-dbus python3-gi systemd libglib2.0-bin
NEED_DEMO := $(NEED_BUILD) dbus dbus-daemon
NEED_CHECK := $(NEED_TEST) clang clang-format clang-tidy cppcheck shellcheck

PACKAGES := dbus-1 libuv inih
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla -Wformat=2 -Werror
# Of these, what this compiler knows for its target.
cc_knows = $(foreach flag,$(1),$(shell $(CC) -Werror $(flag) -x c -c /dev/null -o /dev/null 2>/dev/null && echo '$(flag)'))
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -Wformat -Werror=format-security -fPIE \
             $(call cc_knows,-fstack-clash-protection -fcf-protection)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DVERSION_EPOCH_S=$(VERSION_EPOCH_S) -Isrc $(HARDENING) $(WARNINGS) $(CFLAGS) \
             $(SANITIZE) -MMD -MP $(PACKAGES_CFLAGS)
ALL_LDFLAGS = $(LDFLAGS) $(SANITIZE) -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
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

.PHONY: all test demo bench bench-control fuzz-core check asan valgrind clean need-% run-tests run-demo run-check
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

$(BUILD)/battery-aggregator: $(BUILD)/main.o $(ARCHIVE)
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
	@$(MAKE) build/fuzz/tests/fuzz_core BUILD=build/fuzz WARNINGS= HARDENING=-fPIE CFLAGS="-O2 -g" \
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

test: need-test
	@$(MAKE) run-tests

run-tests: $(PROGRAMS) $(UNIT_TESTS) $(BUS_TESTS)
	@BUILD=$(BUILD) tests/run.sh $(RUNNER_FLAGS) $(UNIT_TESTS) $(BUS_TESTS)

# Without the warnings: gcc guesses worse at ranges in code that it instruments.
asan: need-test
	@$(MAKE) run-tests BUILD=build/asan WARNINGS= SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" \
	    HARDENING=-fPIE CFLAGS="-O1 -g -fno-omit-frame-pointer"

# The test programs and the daemon that they start, then a simulated day.
MEMCHECK := valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9

valgrind: need-test need-valgrind
	@HARNESS_WRAP="$(MEMCHECK)" $(MAKE) run-tests RUNNER_FLAGS="--under '$(MEMCHECK)'"
	@BUILD=$(BUILD) tests/day.sh

# ---- demo ----

demo: need-demo
	@$(MAKE) all
	@BUILD=$(BUILD) scripts/demo.sh

# ---- what it costs ----

bench: need-test
	@$(MAKE) all $(BUILD)/bench/floor
	@BUILD=$(BUILD) bench/measure.py $(PACKS)

# Charge control, ours beside the reference's, in simulated years.
bench-control: need-bench-control
	@$(MAKE) all
	@BUILD=$(BUILD) bench/control.py $(SEEDS:%=--seeds %)

$(BUILD)/bench/%: bench/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $< $(ALL_LDFLAGS) $(LIBS) -o $@

# ---- checks of the source ----

check: need-check
	@$(MAKE) run-check

C_FILES := $(wildcard src/*.[ch] src/*/*.[ch] tests/*.[ch] tests/*/*.[ch] bench/*.[ch])

run-check:
	clang-format --dry-run -Werror $(C_FILES)
	scripts/walls.sh
	shellcheck $(wildcard scripts/*.sh tests/*.sh service/run service/log/run .ci/run)
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
	clang-format --dry-run -Werror packaging/no_dl.c
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
	@$(MAKE) all
	@[ ! -f install.sh ] || BUILD="$(BUILD)" packaging/test_stick.sh $(VERSION)

# The daemons of the release in the bus tests, under qemu (TEST_ARCH=armv7 for one of them).
DAEMON_TESTS := $(filter $(BUILD)/tests/bus/test_daemon_%,$(BUS_TESTS))
test-arm: need-test-arm
	@packaging/dist.sh $(VERSION) $(SOURCE_DATE_EPOCH)
	@$(MAKE) all $(DAEMON_TESTS)
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
	@$(MAKE) all
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
