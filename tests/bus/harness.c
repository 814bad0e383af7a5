#include "harness.h"

#include <dbus/dbus.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/world.h"

#define ITEM_INTERFACE "com.victronenergy.BusItem"
#define BATTERY_PREFIX "com.victronenergy.battery."

#ifndef BUILD_DIR
#define BUILD_DIR "build"
#endif

enum {
    ITEMS_MAX = 2048,
    PATH_MAX_LENGTH = 128,
    TEXT_MAX_LENGTH = 192,
    LINE_MAX_LENGTH = 16384,
    DIRECTORY_LENGTH = 64,
    POLL_SLICE_MS = 50,
};

struct seen_item {
    char path[PATH_MAX_LENGTH];
    bool present;
    char type; /* of the last value; 'a' invalid */
    double number;
    char string[TEXT_MAX_LENGTH];
    char text[TEXT_MAX_LENGTH];
    double lowest;
    size_t changes;
};

struct harness {
    char directory[DIRECTORY_LENGTH];
    char data[2 * DIRECTORY_LENGTH];
    char address[DIRECTORY_LENGTH + 32];
    pid_t bus;

    DBusConnection *client;
    char owner[TEXT_MAX_LENGTH]; /* unique name of the aggregate, "" = not on the bus */
    bool known;                  /* its GetItems was answered */
    dbus_uint32_t asked;         /* serial of that call */
    struct seen_item item[ITEMS_MAX];
    size_t items;
    size_t updates;

    bool at_home;        /* the settings are in the data folder */
    struct world *world; /* shared with the daemon; NULL while none is needed */
    pid_t daemon;
    int daemon_status;
    int log_fd;
    bool log_clogged; /* nobody reads it */
    bool log_socket;  /* the next daemon has no pipe */
    char *log;
    size_t log_length, log_size, log_from;

    pid_t peer;
    int peer_in, peer_out;
    char answer[LINE_MAX_LENGTH];
    size_t answer_length;
    char value[TEXT_MAX_LENGTH];
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double deadline(void)
{
    return now_s() + HARNESS_DEADLINE_S;
}

/* -- failing ------------------------------------------------------------------------------------- */

static void print_items(const struct harness *h)
{
    print_error("---- last values (%s)\n", h->owner[0] ? "on the bus" : "not on the bus");
    for (size_t i = 0; i < h->items; i++) {
        const struct seen_item *item = &h->item[i];

        if (item->present && item->type != 'a')
            print_error("%s = %s\n", item->path, item->text);
    }
}

void harness_log_print(struct harness *h)
{
    print_error("---- log of the daemon (%s)\n", h->daemon > 0 ? "running" : "ended");
    print_error("%s", h->log ? h->log : "");
    print_error("----\n");
}

void harness_fail(struct harness *h, const char *file, int line, const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_items(h);
    harness_log_print(h);
    print_error("%s:%d: %s\n", file, line, message);
    _fail(file, line);
    abort();
}

#define FAIL(h, ...) harness_fail(h, __FILE__, __LINE__, __VA_ARGS__)

/* -- processes ----------------------------------------------------------------------------------- */

/* In the child: dies with us, reads and writes where we want. A negative descriptor is /dev/null. */
static void become(int in, int out, pid_t parent, char *const argv[])
{
    int null = open("/dev/null", O_RDWR);

    signal(SIGPIPE, SIG_DFL); /* that we ignore it would help it */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    dup2(in >= 0 ? in : null, STDIN_FILENO);
    dup2(out >= 0 ? out : null, STDOUT_FILENO);
    dup2(out >= 0 ? out : null, STDERR_FILENO);
    for (int fd = STDERR_FILENO + 1; fd < 256; fd++)
        close(fd);
    unsetenv("DBUS_SESSION_BUS_ADDRESS");
    unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
    execvp(argv[0], argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static pid_t spawn(int in, int out, char *const argv[])
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0)
        become(in, out, parent, argv);
    assert_true(pid > 0);
    return pid;
}

static int status_of(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

static void kill_and_wait(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

/* -- what the aggregate says --------------------------------------------------------------------- */

static struct seen_item *find_item(struct harness *h, const char *path)
{
    for (size_t i = 0; i < h->items; i++) {
        if (strcmp(h->item[i].path, path) == 0)
            return &h->item[i];
    }
    return NULL;
}

static struct seen_item *find_or_add_item(struct harness *h, const char *path)
{
    struct seen_item *item = find_item(h, path);

    if (item)
        return item;
    assert_true(h->items < ITEMS_MAX);
    item = &h->item[h->items++];
    memset(item, 0, sizeof *item);
    snprintf(item->path, sizeof item->path, "%s", path);
    item->type = 'a';
    item->number = NAN;
    item->lowest = NAN;
    return item;
}

/* Reads through variants into type, number and string. */
static void read_value(DBusMessageIter *iter, char *type, double *number, char *string)
{
    DBusBasicValue basic;
    DBusMessageIter inner = *iter;

    while (dbus_message_iter_get_arg_type(&inner) == DBUS_TYPE_VARIANT) {
        DBusMessageIter outer = inner;

        dbus_message_iter_recurse(&outer, &inner);
    }
    *type = (char)dbus_message_iter_get_arg_type(&inner);
    *number = NAN;
    string[0] = '\0';
    if (!dbus_type_is_basic(*type))
        return;
    memset(&basic, 0, sizeof basic);
    dbus_message_iter_get_basic(&inner, &basic);
    switch (*type) {
    case DBUS_TYPE_STRING:
        snprintf(string, TEXT_MAX_LENGTH, "%s", basic.str);
        return;
    case DBUS_TYPE_DOUBLE:
        *number = basic.dbl;
        break;
    case DBUS_TYPE_INT32:
        *number = basic.i32;
        break;
    case DBUS_TYPE_UINT32:
        *number = basic.u32;
        break;
    default:
        return;
    }
    snprintf(string, TEXT_MAX_LENGTH, "%.15g", *number);
}

/* One entry of a{sa{sv}}: the path and its Value and Text. */
static void read_item(struct harness *h, DBusMessageIter *entry)
{
    DBusMessageIter dict, pair;
    const char *path;
    const char *key;
    struct seen_item *item;
    char type, string[TEXT_MAX_LENGTH];
    double number;

    dbus_message_iter_get_basic(entry, &path);
    item = find_or_add_item(h, path);
    item->present = true;
    item->changes++;
    dbus_message_iter_next(entry);
    for (dbus_message_iter_recurse(entry, &dict);
         dbus_message_iter_get_arg_type(&dict) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&dict)) {
        dbus_message_iter_recurse(&dict, &pair);
        dbus_message_iter_get_basic(&pair, &key);
        dbus_message_iter_next(&pair);
        read_value(&pair, &type, &number, string);
        if (strcmp(key, "Text") == 0) {
            snprintf(item->text, sizeof item->text, "%s", string);
        } else if (strcmp(key, "Value") == 0) {
            item->type = type;
            item->number = number;
            snprintf(item->string, sizeof item->string, "%s", string);
            item->lowest = fmin(item->lowest, number);
        }
    }
}

static void read_items(struct harness *h, DBusMessage *message)
{
    DBusMessageIter args, list, entry;

    if (!dbus_message_has_signature(message, "a{sa{sv}}"))
        FAIL(h, "%s has the signature %s", dbus_message_get_member(message),
             dbus_message_get_signature(message));
    dbus_message_iter_init(message, &args);
    for (dbus_message_iter_recurse(&args, &list);
         dbus_message_iter_get_arg_type(&list) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&list)) {
        dbus_message_iter_recurse(&list, &entry);
        read_item(h, &entry);
    }
}

static void ask_items(struct harness *h)
{
    DBusMessage *call = dbus_message_new_method_call(h->owner, "/", ITEM_INTERFACE, "GetItems");

    assert_non_null(call);
    dbus_connection_send(h->client, call, &h->asked);
    dbus_message_unref(call);
}

static void owner_changed(struct harness *h, const char *owner)
{
    h->known = false;
    h->asked = 0;
    for (size_t i = 0; i < h->items; i++)
        h->item[i].present = false;
    snprintf(h->owner, sizeof h->owner, "%s", owner);
    if (*owner)
        ask_items(h);
}

static void take_message(struct harness *h, DBusMessage *message)
{
    const char *sender = dbus_message_get_sender(message);
    const char *name, *before, *after;

    if (dbus_message_is_signal(message, DBUS_INTERFACE_DBUS, "NameOwnerChanged")) {
        if (dbus_message_get_args(message, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before,
                                  DBUS_TYPE_STRING, &after, DBUS_TYPE_INVALID) &&
            strcmp(name, HARNESS_AGGREGATE) == 0)
            owner_changed(h, after);
        return;
    }
    if (!sender || strcmp(sender, h->owner) != 0)
        return;
    if (dbus_message_is_signal(message, ITEM_INTERFACE, "ItemsChanged")) {
        h->updates++;
        read_items(h, message);
    } else if (dbus_message_get_type(message) == DBUS_MESSAGE_TYPE_METHOD_RETURN && h->asked &&
               dbus_message_get_reply_serial(message) == h->asked) {
        read_items(h, message);
        h->known = true;
    } else if (dbus_message_is_signal(message, ITEM_INTERFACE, "PropertiesChanged")) {
        FAIL(h, "the aggregate sends PropertiesChanged; one ItemsChanged is enough");
    }
}

/* -- the log ------------------------------------------------------------------------------------- */

static void read_log(struct harness *h)
{
    ssize_t got;

    if (h->log_fd < 0 || h->log_clogged)
        return;
    do {
        if (h->log_length + 4096 > h->log_size) {
            h->log_size = 2 * h->log_size + 8192;
            h->log = realloc(h->log, h->log_size);
            assert_non_null(h->log);
        }
        got = read(h->log_fd, h->log + h->log_length, h->log_size - h->log_length - 1);
        if (got > 0)
            h->log_length += (size_t)got;
        h->log[h->log_length] = '\0';
    } while (got > 0);
    if (got == 0) {
        close(h->log_fd);
        h->log_fd = -1;
    }
}

static void reap_daemon(struct harness *h)
{
    int status;

    if (h->daemon > 0 && waitpid(h->daemon, &status, WNOHANG) == h->daemon) {
        h->daemon = 0;
        h->daemon_status = status_of(status);
        read_log(h);
    }
}

/* -- events -------------------------------------------------------------------------------------- */

static void take_messages(struct harness *h)
{
    DBusMessage *message;

    while (h->client && (message = dbus_connection_pop_message(h->client))) {
        take_message(h, message);
        dbus_message_unref(message);
    }
}

/* Takes what is there; if nothing is, waits for the first event, at most a slice of time. */
static void pump(struct harness *h)
{
    struct pollfd polls[2] = {{.fd = -1, .events = POLLIN},
                              {.fd = h->log_clogged ? -1 : h->log_fd, .events = POLLIN}};

    if (h->client) {
        dbus_connection_read_write(h->client, 0);
        dbus_connection_get_unix_fd(h->client, &polls[0].fd);
    }
    if (h->client && dbus_connection_get_dispatch_status(h->client) == DBUS_DISPATCH_DATA_REMAINS)
        take_messages(h);
    else
        poll(polls, 2, POLL_SLICE_MS);
    read_log(h);
    reap_daemon(h);
}

void harness_watch(struct harness *h, double seconds)
{
    double end = now_s() + seconds;

    while (now_s() < end)
        pump(h);
}

static DBusMessage *call_blocking(struct harness *h, DBusMessage *call)
{
    DBusMessage *reply;
    DBusError error = DBUS_ERROR_INIT;

    assert_non_null(call);
    reply = dbus_connection_send_with_reply_and_block(h->client, call, HARNESS_DEADLINE_S * 1000, &error);
    if (!reply)
        print_message("%s %s: %s: %s\n", dbus_message_get_path(call), dbus_message_get_member(call),
                      error.name, error.message);
    dbus_error_free(&error);
    dbus_message_unref(call);
    return reply;
}

/* -- the bus ------------------------------------------------------------------------------------- */

static const char bus_config[] =
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
    " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
    "<busconfig><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
    "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\n"
    "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>\n"
    "<limit name=\"max_completed_connections\">1000</limit>\n"
    "<limit name=\"max_connections_per_user\">1000</limit>\n"
    "<limit name=\"max_incoming_bytes\">100000000</limit>\n"
    "<limit name=\"max_outgoing_bytes\">100000000</limit>\n"
    "<limit name=\"max_match_rules_per_connection\">10000</limit></busconfig>\n";

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

const char *harness_address(const struct harness *h)
{
    return h->address;
}

static void connect_client(struct harness *h)
{
    double end = deadline();

    while (!(h->client = dbus_connection_open_private(h->address, NULL))) {
        const struct timespec pause = {.tv_nsec = 2000000}; /* its socket is not there yet */

        assert_true(now_s() < end);
        nanosleep(&pause, NULL);
    }
    dbus_connection_set_exit_on_disconnect(h->client, FALSE);
    assert_true(dbus_bus_register(h->client, NULL));
    dbus_bus_add_match(h->client,
                       "type='signal',interface='" ITEM_INTERFACE "',sender='" HARNESS_AGGREGATE "'", NULL);
    dbus_bus_add_match(
        h->client,
        "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" HARNESS_AGGREGATE "'",
        NULL);
    dbus_connection_flush(h->client);
}

void harness_bus_start(struct harness *h)
{
    char config[DIRECTORY_LENGTH + 32], text[2048];
    char *argv[] = {"dbus-daemon", "--nofork", "--nopidfile", "--config-file", config, NULL};

    snprintf(config, sizeof config, "%s/bus.conf", h->directory);
    snprintf(text, sizeof text, bus_config, h->directory);
    write_file(config, text);
    h->bus = spawn(-1, -1, argv);
    connect_client(h);
}

static void drop_client(struct harness *h)
{
    if (!h->client)
        return;
    dbus_connection_close(h->client);
    dbus_connection_unref(h->client);
    h->client = NULL;
    owner_changed(h, "");
}

void harness_bus_stop(struct harness *h)
{
    char socket[DIRECTORY_LENGTH + 32];

    if (h->peer > 0)
        harness_peer(h, "{'cmd': 'bus_lost'}");
    drop_client(h);
    kill_and_wait(&h->bus);
    snprintf(socket, sizeof socket, "%s/bus", h->directory);
    unlink(socket);
}

void harness_bus_restart(struct harness *h)
{
    harness_bus_stop(h);
    harness_bus_start(h);
    harness_peer(h, "{'cmd': 'bus_back'}");
}

/* -- the daemon ---------------------------------------------------------------------------------- */

const char *harness_data_directory(const struct harness *h)
{
    return h->data;
}

static void data_path(const struct harness *h, const char *file, char *path, size_t size)
{
    snprintf(path, size, "%s/data/%s", h->directory, file);
}

void harness_data_write(struct harness *h, const char *file, const char *text)
{
    char path[2 * DIRECTORY_LENGTH];

    data_path(h, file, path, sizeof path);
    write_file(path, text);
}

char *harness_data_read(struct harness *h, const char *file)
{
    char path[2 * DIRECTORY_LENGTH];
    char *text = calloc(1, LINE_MAX_LENGTH);
    FILE *stream;

    data_path(h, file, path, sizeof path);
    stream = fopen(path, "r");
    assert_non_null(text);
    if (!stream) {
        free(text);
        return NULL;
    }
    assert_true(fread(text, 1, LINE_MAX_LENGTH - 1, stream) < LINE_MAX_LENGTH - 1);
    fclose(stream);
    return text;
}

static void settings_path_of(const struct harness *h, char *path, size_t size)
{
    snprintf(path, size, "%s%s/settings.ini", h->directory, h->at_home ? "/data" : "");
}

static void start_daemon(struct harness *h, const char *settings, const char *const environment[])
{
    const char *program = getenv("AGGREGATOR");
    const char *wrap = getenv("HARNESS_WRAP");
    char settings_path[2 * DIRECTORY_LENGTH], data[2 * DIRECTORY_LENGTH];
    char words[512];
    char *argv[40];
    int count = 0, ends[2];

    assert_int_equal(h->daemon, 0);
    settings_path_of(h, settings_path, sizeof settings_path);
    data_path(h, "", data, sizeof data);
    write_file(settings_path, settings ? settings : "");

    snprintf(words, sizeof words, "%s", wrap ? wrap : "");
    if (environment) {
        argv[count++] = (char *)(uintptr_t) "env";
        for (; *environment; environment++)
            argv[count++] = (char *)(uintptr_t)*environment;
    }
    for (char *rest = words, *word; (word = strtok_r(rest, " ", &rest)) && count < 30;)
        argv[count++] = word;
    argv[count++] = (char *)(uintptr_t)(program ? program : BUILD_DIR "/battery-aggregator");
    argv[count++] = "--bus";
    argv[count++] = h->address;
    if (!h->at_home) {
        argv[count++] = "--settings";
        argv[count++] = settings_path;
    }
    argv[count++] = "--data";
    argv[count++] = data;
    argv[count] = NULL;

    read_log(h);
    if (h->log_fd >= 0)
        close(h->log_fd);
    assert_int_equal(
        h->log_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : pipe2(ends, O_CLOEXEC), 0);
    h->log_socket = false;
    h->daemon = spawn(-1, ends[1], argv);
    close(ends[1]);
    h->log_fd = ends[0];
    fcntl(h->log_fd, F_SETFL, O_NONBLOCK);
}

void harness_daemon_start(struct harness *h, const char *settings)
{
    start_daemon(h, settings, NULL);
}

void harness_daemon_start_at_home(struct harness *h, const char *settings)
{
    h->at_home = true;
    start_daemon(h, settings, NULL);
}

void harness_daemon_start_on_socket(struct harness *h, const char *settings)
{
    h->log_socket = true;
    start_daemon(h, settings, NULL);
}

struct world *harness_daemon_start_in_world(struct harness *h, const char *settings)
{
    char path[2 * DIRECTORY_LENGTH], world[4 * DIRECTORY_LENGTH], preload[512], folder[256];
    /* a sanitizer's library wants to be the first; this one has nothing of it */
    const char *const with[] = {world, preload, "ASAN_OPTIONS=verify_asan_link_order=0", NULL};
    int fd;

    assert_non_null(getcwd(folder, sizeof folder));
    snprintf(path, sizeof path, "%s/world", h->directory);
    snprintf(world, sizeof world, "WORLD=%s", path);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s%s" BUILD_DIR "/tests/world.so",
             BUILD_DIR[0] == '/' ? "" : folder, BUILD_DIR[0] == '/' ? "" : "/");
    if (!h->world) {
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && ftruncate(fd, sizeof *h->world) == 0);
        h->world = mmap(NULL, sizeof *h->world, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        assert_true(h->world != MAP_FAILED);
    }
    start_daemon(h, settings, with);
    return h->world;
}

bool harness_daemon_runs(struct harness *h)
{
    reap_daemon(h);
    return h->daemon > 0;
}

int harness_daemon_await_end(struct harness *h)
{
    double end = deadline();
    int status;

    while (h->daemon > 0) {
        if (now_s() > end)
            FAIL(h, "the daemon does not end");
        pump(h);
    }
    status = h->daemon_status;
    h->daemon_status = 0; /* it was expected: nobody shall fail for it later */
    return status;
}

void harness_daemon_reload(struct harness *h, const char *settings)
{
    char settings_path[2 * DIRECTORY_LENGTH];

    settings_path_of(h, settings_path, sizeof settings_path);
    write_file(settings_path, settings);
    kill(h->daemon, SIGHUP);
}

void harness_signal(struct harness *h, int signal)
{
    assert_true(harness_daemon_runs(h));
    kill(h->daemon, signal);
}

int harness_daemon_stop(struct harness *h, int signal)
{
    if (harness_daemon_runs(h))
        kill(h->daemon, signal);
    return harness_daemon_await_end(h);
}

/* The unique name of the connection that the daemon has, whether or not it owns a name. */
static bool find_daemon(struct harness *h, char *unique, size_t size)
{
    DBusMessage *reply = call_blocking(
        h, dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "ListNames"));
    char **names = NULL;
    int count = 0;
    bool found = false;

    if (!reply)
        return false;
    dbus_message_get_args(reply, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_STRING, &names, &count, DBUS_TYPE_INVALID);
    for (int i = 0; i < count && !found; i++) {
        DBusMessage *call = dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS,
                                                         DBUS_INTERFACE_DBUS, "GetConnectionUnixProcessID");
        DBusMessage *answer;
        dbus_uint32_t pid = 0;

        dbus_message_append_args(call, DBUS_TYPE_STRING, &names[i], DBUS_TYPE_INVALID);
        answer = names[i][0] == ':' ? call_blocking(h, call) : NULL;
        if (names[i][0] != ':')
            dbus_message_unref(call);
        if (!answer)
            continue;
        dbus_message_get_args(answer, NULL, DBUS_TYPE_UINT32, &pid, DBUS_TYPE_INVALID);
        dbus_message_unref(answer);
        found = (pid_t)pid == h->daemon;
        if (found)
            snprintf(unique, size, "%s", names[i]);
    }
    dbus_free_string_array(names);
    dbus_message_unref(reply);
    return found;
}

void harness_daemon_sync(struct harness *h)
{
    char unique[TEXT_MAX_LENGTH];
    double end = deadline();
    DBusMessage *reply;

    while (!find_daemon(h, unique, sizeof unique)) {
        if (h->daemon <= 0 || now_s() > end)
            FAIL(h, "the daemon is not on the bus");
        pump(h);
    }
    reply = call_blocking(h, dbus_message_new_method_call(unique, "/", DBUS_INTERFACE_PEER, "Ping"));
    if (!reply)
        FAIL(h, "the daemon does not answer a ping");
    dbus_message_unref(reply);
}

/* -- other services ------------------------------------------------------------------------------ */

static void peer_answer(struct harness *h)
{
    double end = deadline();
    char *line_end;

    h->answer_length = 0;
    do {
        struct pollfd poll_out = {.fd = h->peer_out, .events = POLLIN};
        ssize_t got;

        poll(&poll_out, 1, POLL_SLICE_MS);
        if (now_s() > end)
            FAIL(h, "peer.py does not answer");
        if (!poll_out.revents)
            continue;
        got = read(h->peer_out, h->answer + h->answer_length, sizeof h->answer - h->answer_length - 1);
        if (got <= 0)
            FAIL(h, "peer.py has ended: %.*s", (int)h->answer_length, h->answer);
        h->answer_length += (size_t)got;
        h->answer[h->answer_length] = '\0';
    } while (!h->answer_length || !(line_end = strchr(h->answer, '\n')));
    *line_end = '\0';
}

const char *harness_peer(struct harness *h, const char *format, ...)
{
    char command[LINE_MAX_LENGTH];
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(command, sizeof command - 1, format, args);
    va_end(args);
    assert_true(length > 0 && (size_t)length < sizeof command - 1);
    for (char *c = command; *c; c++) {
        if (*c == '\'')
            *c = '"';
        else if (*c == '\n')
            *c = ' ';
    }
    command[length] = '\n';
    if (write(h->peer_in, command, (size_t)length + 1) != length + 1)
        FAIL(h, "peer.py does not read");
    peer_answer(h);
    if (!strstr(h->answer, "\"ok\": true"))
        FAIL(h, "peer.py: %s\n%.*s", h->answer, length, command);
    return h->answer;
}

static void start_peer(struct harness *h)
{
    const char *script = getenv("PEER");
    char *argv[] = {"/usr/bin/python3", (char *)(uintptr_t)(script ? script : "tests/bus/peer.py"),
                    h->address, NULL};
    int to[2], from[2];

    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    h->peer = spawn(to[0], from[1], argv);
    close(to[0]);
    close(from[1]);
    h->peer_in = to[1];
    h->peer_out = from[0];
    peer_answer(h);
}

static void add_pack(struct harness *h, const char *template, const char *name, const char *items)
{
    harness_peer(h, "{'cmd': 'add', 'service': '" BATTERY_PREFIX "%s', 'like': '%s', 'items': {%s}}", name,
                 template, items);
}

void harness_pack_add(struct harness *h, const char *name, const char *items)
{
    add_pack(h, "pack", name, items);
}

void harness_can_pack_add(struct harness *h, const char *name, const char *items)
{
    add_pack(h, "can", name, items);
}

void harness_pack_set(struct harness *h, const char *name, const char *items)
{
    harness_peer(h, "{'cmd': 'set', 'service': '" BATTERY_PREFIX "%s', 'items': {%s}}", name, items);
}

void harness_pack_remove(struct harness *h, const char *name)
{
    harness_peer(h, "{'cmd': 'remove', 'service': '" BATTERY_PREFIX "%s'}", name);
}

void harness_settings_add(struct harness *h, const char *items)
{
    harness_peer(h, "{'cmd': 'settings', 'items': {%s}}", items);
}

/* -- reading the log ----------------------------------------------------------------------------- */

size_t harness_log_count(struct harness *h, const char *text)
{
    size_t count = 0;
    const char *at;

    read_log(h);
    at = h->log ? h->log + h->log_from : "";
    while ((at = strstr(at, text))) {
        count++;
        at += strcspn(at, "\n");
    }
    return count;
}

void harness_log_forget(struct harness *h)
{
    read_log(h);
    h->log_from = h->log_length;
}

void harness_log_clog(struct harness *h)
{
    static const char nothing[4096] = "";
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/self/fd/%d", h->log_fd);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    fcntl(fd, F_SETPIPE_SZ, (int)sizeof nothing); /* little is read when it opens: what was there stays */
    read_log(h);
    h->log_clogged = true;
    while (write(fd, nothing, sizeof nothing) > 0 || write(fd, nothing, 1) > 0)
        ;
    close(fd);
}

void harness_log_unclog(struct harness *h)
{
    char byte;

    while (read(h->log_fd, &byte, 1) == 1 && !byte)
        ; /* what it was filled with */
    h->log_clogged = false;
    read_log(h);
}

void harness_log_close(struct harness *h)
{
    read_log(h);
    if (h->log_fd >= 0)
        close(h->log_fd);
    h->log_fd = -1;
}

static size_t count_line(const char *log, const char *line, size_t length)
{
    size_t count = 0;

    for (const char *at = log; *at; at += strcspn(at, "\n"), at += *at == '\n')
        count += strncmp(at, line, length) == 0 && at[length] == '\n';
    return count;
}

size_t harness_log_worst(struct harness *h, char *line, size_t size)
{
    size_t worst = 0;
    const char *log;

    read_log(h);
    log = h->log ? h->log + h->log_from : "";
    for (const char *at = log; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        size_t length = strcspn(at, "\n");
        size_t count = count_line(log, at, length);

        if (count <= worst)
            continue;
        worst = count;
        snprintf(line, size, "%.*s", (int)length, at);
    }
    return worst;
}

/* -- reading the aggregate ----------------------------------------------------------------------- */

static void take_all(struct harness *h)
{
    if (h->client) {
        dbus_connection_read_write(h->client, 0);
        take_messages(h);
    }
    read_log(h);
}

bool harness_has(struct harness *h, const char *path)
{
    struct seen_item *item = (take_all(h), find_item(h, path));

    return item && item->present;
}

double harness_number(struct harness *h, const char *path)
{
    return harness_has(h, path) ? find_item(h, path)->number : NAN;
}

const char *harness_string(struct harness *h, const char *path)
{
    return harness_has(h, path) && find_item(h, path)->type == 's' ? find_item(h, path)->string : NULL;
}

const char *harness_text(struct harness *h, const char *path)
{
    return harness_has(h, path) ? find_item(h, path)->text : NULL;
}

char harness_type(struct harness *h, const char *path)
{
    return harness_has(h, path) ? find_item(h, path)->type : '\0';
}

double harness_lowest_seen(struct harness *h, const char *path)
{
    struct seen_item *item = (take_all(h), find_item(h, path));

    return item ? item->lowest : NAN;
}

size_t harness_changes_seen(struct harness *h, const char *path)
{
    struct seen_item *item = (take_all(h), find_item(h, path));

    return item ? item->changes : 0;
}

size_t harness_updates_seen(struct harness *h)
{
    take_all(h);
    return h->updates;
}

const char *harness_owner(struct harness *h)
{
    take_all(h);
    return h->owner;
}

const char *harness_path(struct harness *h, size_t index)
{
    return index < h->items ? h->item[index].path : NULL;
}

/* -- writing ------------------------------------------------------------------------------------- */

static int set_value(struct harness *h, DBusMessage *call)
{
    DBusMessage *reply = call_blocking(h, call);
    dbus_int32_t code = HARNESS_NO_ANSWER;

    if (!reply)
        return HARNESS_NO_ANSWER;
    dbus_message_get_args(reply, NULL, DBUS_TYPE_INT32, &code, DBUS_TYPE_INVALID);
    dbus_message_unref(reply);
    return code;
}

static DBusMessage *new_set_value(const char *service, const char *path, const char *type, const void *basic)
{
    DBusMessage *call = dbus_message_new_method_call(service, path, ITEM_INTERFACE, "SetValue");
    DBusMessageIter args, variant;

    assert_non_null(call);
    dbus_message_iter_init_append(call, &args);
    dbus_message_iter_open_container(&args, DBUS_TYPE_VARIANT, type, &variant);
    dbus_message_iter_append_basic(&variant, type[0], basic);
    dbus_message_iter_close_container(&args, &variant);
    return call;
}

int harness_set_number(struct harness *h, const char *path, char type, double number)
{
    DBusBasicValue basic;

    memset(&basic, 0, sizeof basic);
    switch (type) {
    case DBUS_TYPE_BYTE:
        basic.byt = (unsigned char)number;
        return set_value(h, new_set_value(HARNESS_AGGREGATE, path, "y", &basic));
    case DBUS_TYPE_INT64:
        basic.i64 = (dbus_int64_t)number;
        return set_value(h, new_set_value(HARNESS_AGGREGATE, path, "x", &basic));
    case DBUS_TYPE_INT32:
        basic.i32 = (dbus_int32_t)number;
        return set_value(h, new_set_value(HARNESS_AGGREGATE, path, "i", &basic));
    default:
        basic.dbl = number;
        return set_value(h, new_set_value(HARNESS_AGGREGATE, path, "d", &basic));
    }
}

int harness_set_text_of(struct harness *h, const char *service, const char *path, const char *text)
{
    return set_value(h, new_set_value(service, path, "s", &text));
}

int harness_set_text(struct harness *h, const char *path, const char *text)
{
    return harness_set_text_of(h, HARNESS_AGGREGATE, path, text);
}

int harness_set_invalid(struct harness *h, const char *path)
{
    DBusMessage *call = dbus_message_new_method_call(HARNESS_AGGREGATE, path, ITEM_INTERFACE, "SetValue");
    DBusMessageIter args, array;

    assert_non_null(call);
    dbus_message_iter_init_append(call, &args);
    dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "i", &array);
    dbus_message_iter_close_container(&args, &array);
    return set_value(h, call);
}

const char *harness_get_of(struct harness *h, const char *service, const char *path)
{
    DBusMessage *reply =
        call_blocking(h, dbus_message_new_method_call(service, path, ITEM_INTERFACE, "GetValue"));
    DBusMessageIter args;
    double number;
    char type;

    if (!reply)
        return NULL;
    h->value[0] = '\0';
    if (dbus_message_iter_init(reply, &args))
        read_value(&args, &type, &number, h->value);
    dbus_message_unref(reply);
    return h->value;
}

const char *harness_error_of(struct harness *h, const char *service, const char *path, const char *interface,
                             const char *member)
{
    DBusMessage *call = dbus_message_new_method_call(service, path, interface, member);
    DBusMessage *reply;
    DBusError error = DBUS_ERROR_INIT;

    assert_non_null(call);
    reply = dbus_connection_send_with_reply_and_block(h->client, call, HARNESS_DEADLINE_S * 1000, &error);
    snprintf(h->value, sizeof h->value, "%s", reply ? "" : error.name);
    if (reply)
        dbus_message_unref(reply);
    dbus_error_free(&error);
    dbus_message_unref(call);
    return h->value;
}

int harness_shell(struct harness *h, const char *command, char **said)
{
    char line[LINE_MAX_LENGTH];
    FILE *pipe;
    size_t length = 0, size = 1 << 20;
    char *text = calloc(1, size);

    assert_non_null(text);
    snprintf(line, sizeof line, "BUS='%s'; DATA='%s/data'; export BUS DATA; (%s) 2>&1 </dev/null", h->address,
             h->directory, command);
    pipe = popen(line, "r");
    assert_non_null(pipe);
    for (size_t got; length < size - 1 && (got = fread(text + length, 1, size - 1 - length, pipe)) > 0;)
        length += got;
    *said = text;
    return status_of(pclose(pipe));
}

/* -- awaiting ------------------------------------------------------------------------------------ */

static bool on_the_bus(struct harness *h, const char *name)
{
    if (strcmp(name, HARNESS_AGGREGATE) == 0)
        return h->known;
    return dbus_bus_name_has_owner(h->client, name, NULL);
}

/* True while it is worth waiting; fails when the daemon died under us. */
static bool still_waiting(struct harness *h, double end, const char *file, int line)
{
    if (now_s() > end)
        return false;
    pump(h);
    if (h->daemon == 0 && h->daemon_status != 0)
        harness_fail(h, file, line, "the daemon ended with status %d", h->daemon_status);
    return true;
}

void harness_await_name_at(struct harness *h, const char *name, bool present, const char *file, int line)
{
    double end = deadline();

    while (present                                ? !on_the_bus(h, name)
           : strcmp(name, HARNESS_AGGREGATE) == 0 ? h->owner[0] != '\0'
                                                  : on_the_bus(h, name)) {
        if (!still_waiting(h, end, file, line))
            harness_fail(h, file, line, "%s is %s the bus", name, present ? "not on" : "still on");
    }
}

void harness_await_number_at(struct harness *h, const char *path, double expected, double tolerance,
                             const char *file, int line)
{
    double end = deadline();

    while (!(fabs(harness_number(h, path) - expected) <= tolerance)) {
        if (!still_waiting(h, end, file, line))
            harness_fail(h, file, line, "%s is %.9g, expected %.9g", path, harness_number(h, path), expected);
    }
}

void harness_await_string_at(struct harness *h, const char *path, const char *expected, const char *file,
                             int line)
{
    double end = deadline();

    while (!harness_string(h, path) || strcmp(harness_string(h, path), expected) != 0) {
        if (!still_waiting(h, end, file, line))
            harness_fail(h, file, line, "%s is \"%s\", expected \"%s\"", path,
                         harness_string(h, path) ? harness_string(h, path) : "(unknown)", expected);
    }
}

void harness_await_invalid_at(struct harness *h, const char *path, const char *file, int line)
{
    double end = deadline();

    while (harness_type(h, path) != 'a') {
        if (!still_waiting(h, end, file, line))
            harness_fail(h, file, line, "%s is %s, expected to be there and invalid", path,
                         harness_has(h, path) ? harness_text(h, path) : "absent");
    }
}

void harness_await_log_at(struct harness *h, const char *text, const char *file, int line)
{
    double end = deadline();

    while (harness_log_count(h, text) == 0) {
        if (!still_waiting(h, end, file, line))
            harness_fail(h, file, line, "the log does not say \"%s\"", text);
    }
}

/* -- life ---------------------------------------------------------------------------------------- */

static void remove_data(struct harness *h)
{
    char command[4 * DIRECTORY_LENGTH];

    snprintf(command, sizeof command, "rm -rf '%s/data' && mkdir '%s/data'", h->directory, h->directory);
    assert_int_equal(system(command), 0);
}

struct harness *harness_new(void)
{
    struct harness *h = calloc(1, sizeof *h);

    assert_non_null(h);
    signal(SIGPIPE, SIG_IGN);
    h->log_fd = -1;
    snprintf(h->directory, sizeof h->directory, "/tmp/aggregator-test-XXXXXX");
    assert_non_null(mkdtemp(h->directory));
    snprintf(h->address, sizeof h->address, "unix:path=%s/bus", h->directory);
    snprintf(h->data, sizeof h->data, "%s/data", h->directory);
    remove_data(h);
    harness_bus_start(h);
    start_peer(h);
    return h;
}

void harness_free(struct harness *h)
{
    char command[2 * DIRECTORY_LENGTH];

    kill_and_wait(&h->daemon);
    if (h->peer > 0) {
        close(h->peer_in); /* it stops what it started */
        waitpid(h->peer, NULL, 0);
        close(h->peer_out);
    }
    drop_client(h);
    kill_and_wait(&h->bus);
    if (h->log_fd >= 0)
        close(h->log_fd);
    snprintf(command, sizeof command, "rm -rf '%s'", h->directory);
    assert_int_equal(system(command), 0);
    free(h->log);
    free(h);
    dbus_shutdown();
}

int harness_group_setup(void **state)
{
    *state = harness_new();
    return 0;
}

int harness_group_teardown(void **state)
{
    harness_free(*state);
    return 0;
}

static void forget_all(struct harness *h)
{
    if (h->world)
        munmap(h->world, sizeof *h->world);
    h->world = NULL;
    h->items = 0;
    h->updates = 0;
    if (h->log_clogged)
        harness_log_unclog(h);
    h->at_home = false;
    h->log_length = 0;
    h->log_from = 0;
    h->daemon_status = 0;
    if (h->log)
        h->log[0] = '\0';
}

int harness_test_teardown(void **state)
{
    struct harness *h = *state;
    bool ran = harness_daemon_runs(h);
    int status = 0;

    if (ran) {
        double end = deadline();

        kill(h->daemon, SIGTERM);
        while (h->daemon > 0 && now_s() < end)
            pump(h);
        status = h->daemon > 0 ? -1 : h->daemon_status;
        kill_and_wait(&h->daemon);
    }
    if (!h->client)
        harness_bus_start(h);
    harness_peer(h, "{'cmd': 'reset'}");
    harness_await_name(h, HARNESS_AGGREGATE, false);
    if (status != 0) {
        print_error("after SIGTERM the daemon %s\n", status < 0 ? "did not end" : "did not end well");
        harness_log_print(h);
    }
    remove_data(h);
    forget_all(h);
    return status;
}
