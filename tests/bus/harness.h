/* A small Venus system for tests: a private dbus-daemon, services of another make (peer.py), the daemon
 * under test as a process, and a client that follows what it publishes as a GUI would.
 * Everything waits for events with one generous deadline; whoever fails shows the daemon's log and
 * the last values. What was started dies with the test program. */
#ifndef TESTS_BUS_HARNESS_H
#define TESTS_BUS_HARNESS_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>

struct harness;

#define HARNESS_AGGREGATE "com.victronenergy.battery.aggregate"
#define HARNESS_SETTINGS "com.victronenergy.settings"

enum { HARNESS_DEADLINE_S = 60, HARNESS_NO_ANSWER = -1000 };

/* A folder, a bus, a client on it and an empty peer.py. The program under test is $AGGREGATOR, else
 * battery-aggregator in the build folder; $HARNESS_WRAP (words) goes before it, for valgrind. Never NULL:
 * fails. */
struct harness *harness_new(void);
void harness_free(struct harness *h);

/* For cmocka: the group's system; between two tests nobody is on the bus and no file is left. */
int harness_group_setup(void **state);
int harness_group_teardown(void **state);
int harness_test_teardown(void **state); /* also checks that the daemon leaves on SIGTERM with status 0 */
#define harness_test(function) cmocka_unit_test_teardown(function, harness_test_teardown)
#define harness_run(tests) cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown)

/* -- the bus ------------------------------------------------------------------------------------- */

void harness_bus_stop(struct harness *h); /* the peers lose it too */
void harness_bus_start(struct harness *h);
void harness_bus_restart(struct harness *h); /* both, and the peers come back as they were */
const char *harness_address(const struct harness *h);

/* -- the daemon ---------------------------------------------------------------------------------- */

/* Starts it with this text in its settings file (NULL = an empty file), a data folder, and this bus. */
void harness_daemon_start(struct harness *h, const char *settings);
/* The same with its settings where it looks by itself: in the data folder. */
void harness_daemon_start_at_home(struct harness *h, const char *settings);
/* The same in a world whose clocks and disk are the test's: valid until the end of the test. */
struct world *harness_daemon_start_in_world(struct harness *h, const char *settings);
/* The same with a socket for its stdout, as journald and inetd have it: a write that nobody reads is a
 * SIGPIPE. */
void harness_daemon_start_on_socket(struct harness *h, const char *settings);
/* Starts it without waiting for anything, even with wrong settings. */
bool harness_daemon_runs(struct harness *h);
/* Sends the signal and waits for its end. Exit status, or 128 + the signal that killed it. */
int harness_daemon_stop(struct harness *h, int signal);
/* Sends the signal and waits for nothing. */
void harness_signal(struct harness *h, int signal);
/* Other text in its settings file, and the signal that has it read again. */
void harness_daemon_reload(struct harness *h, const char *settings);
/* Waits until it ends by itself. */
int harness_daemon_await_end(struct harness *h);
/* Waits until it has read all that was sent to it so far. What it made of it may come a gathering
 * time later. */
void harness_daemon_sync(struct harness *h);
/* Lets d seconds of events pass: only for what must NOT happen. */
void harness_watch(struct harness *h, double seconds);

const char *harness_data_directory(const struct harness *h);
/* Its data folder. A missing file reads as NULL; the text is the caller's to free. */
void harness_data_write(struct harness *h, const char *file, const char *text);
char *harness_data_read(struct harness *h, const char *file);

/* -- other services ------------------------------------------------------------------------------ */

/* One command of peer.py as JSON; ' stands for ". Waits until it took effect. The answer, valid until
 * the next. */
const char *harness_peer(struct harness *h, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Packs, named by the end of their service: com.victronenergy.battery.<name>. items is the inside of
 * a JSON object on top of the template ("'/Soc': 40, '/CustomName': null"), "" for none. */
void harness_pack_add(struct harness *h, const char *name, const char *items);
void harness_can_pack_add(struct harness *h, const char *name, const char *items);
void harness_pack_set(struct harness *h, const char *name, const char *items); /* one ItemsChanged */
void harness_pack_remove(struct harness *h, const char *name);
void harness_settings_add(struct harness *h, const char *items);

/* -- its log ------------------------------------------------------------------------------------- */

size_t harness_log_count(struct harness *h, const char *text); /* lines that contain it */
void harness_log_forget(struct harness *h);                    /* counting begins anew here */
/* How often the most frequent line was said; the line is copied. */
size_t harness_log_worst(struct harness *h, char *line, size_t size);
void harness_log_print(struct harness *h);
/* Nobody reads the log, and its pipe is full to the last byte; until it is read again. */
void harness_log_clog(struct harness *h);
void harness_log_unclog(struct harness *h);
/* Who reads the log ends, for good. */
void harness_log_close(struct harness *h);

/* -- what it publishes --------------------------------------------------------------------------- */

/* The last value, NAN when invalid, absent or a text. */
double harness_number(struct harness *h, const char *path);
/* The last Value of a text item / Text of any; NULL when invalid or absent. */
const char *harness_string(struct harness *h, const char *path);
const char *harness_text(struct harness *h, const char *path);
bool harness_has(struct harness *h, const char *path);
char harness_type(struct harness *h, const char *path); /* 'i', 'd', 's', 'a' invalid, 0 absent */
/* What was ever seen of a path since the test began: lowest number, and how often it changed. */
double harness_lowest_seen(struct harness *h, const char *path);
size_t harness_changes_seen(struct harness *h, const char *path);
size_t harness_updates_seen(struct harness *h); /* ItemsChanged messages of the aggregate */
/* The unique name of its owner, "" when it is not on the bus. */
const char *harness_owner(struct harness *h);
/* Every path it ever showed, from 0 on; NULL at the end. */
const char *harness_path(struct harness *h, size_t index);

/* SetValue, as a number in a D-Bus type ('i', 'd', ...), a text, or the bare invalid of Qt clients.
 * What it answered; HARNESS_NO_ANSWER on an error. */
int harness_set_number(struct harness *h, const char *path, char type, double number);
int harness_set_text(struct harness *h, const char *path, const char *text);
int harness_set_invalid(struct harness *h, const char *path);
/* The same on any service. */
int harness_set_text_of(struct harness *h, const char *service, const char *path, const char *text);
/* GetValue of a text or number of any service as text; "" when invalid, NULL on an error. */
const char *harness_get_of(struct harness *h, const char *service, const char *path);

/* The name of the error that a call without arguments meets; "" when it is answered. */
const char *harness_error_of(struct harness *h, const char *service, const char *path, const char *interface,
                             const char *member);

/* A shell command; $BUS is the address, $DATA the daemon's data folder. Its exit status; what it said (both
 * channels) is the caller's to free. */
int harness_shell(struct harness *h, const char *command, char **said);

/* -- awaiting ------------------------------------------------------------------------------------ */

void harness_fail(struct harness *h, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn));

void harness_await_name_at(struct harness *h, const char *name, bool present, const char *file, int line);
void harness_await_number_at(struct harness *h, const char *path, double expected, double tolerance,
                             const char *file, int line);
void harness_await_string_at(struct harness *h, const char *path, const char *expected, const char *file,
                             int line);
void harness_await_invalid_at(struct harness *h, const char *path, const char *file, int line);
void harness_await_log_at(struct harness *h, const char *text, const char *file, int line);

/* The name is on the bus, or is not; for the aggregate "present" includes that its items are known. */
#define harness_await_name(h, name, present) harness_await_name_at(h, name, present, __FILE__, __LINE__)
#define harness_await_aggregate(h) harness_await_name(h, HARNESS_AGGREGATE, true)
#define harness_await_number(h, path, expected, tolerance) \
    harness_await_number_at(h, path, expected, tolerance, __FILE__, __LINE__)
/* To the published digit. */
#define harness_await_exactly(h, path, expected) harness_await_number(h, path, expected, 1e-9)
#define harness_await_string(h, path, expected) harness_await_string_at(h, path, expected, __FILE__, __LINE__)
#define harness_await_invalid(h, path) harness_await_invalid_at(h, path, __FILE__, __LINE__)
#define harness_await_log(h, text) harness_await_log_at(h, text, __FILE__, __LINE__)

#endif
