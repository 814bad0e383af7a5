/* bus/loop: a connection on the event loop, against a real dbus-daemon. */
#include "bus/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* cmocka.h needs the others before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "private_bus.h"

#define TEST_INTERFACE "com.example.Test"

/* One connection and what it was told. */
struct peer {
    struct bus *bus;
    int ups, downs;
    int signals, calls, replies, nulls;
    int replies_at_down; /* those with NULL included */
    char why[200];
    char error[80]; /* name of the last error reply */
    bool mute;      /* takes calls and never answers */
    bool echo;      /* answers calls with what they carried */
    bool closed;
    const char *close_in; /* the callback in which it closes itself */
    size_t echoed;        /* length of the last text that came back */
    char order[16];       /* first letter of each callback */
};

struct fixture {
    uv_loop_t loop;
    struct private_bus daemon;
    struct peer a, b;
};

static void peer_closed(void *ctx)
{
    struct peer *peer = ctx;

    peer->closed = true;
    peer->bus = NULL;
}

static void peer_close(struct peer *peer)
{
    if (peer->bus)
        bus_close(peer->bus, peer_closed, peer);
}

static void peer_note(struct peer *peer, const char *callback)
{
    size_t length = strlen(peer->order);

    if (length < sizeof peer->order - 1)
        peer->order[length] = callback[0];
    if (peer->close_in && strcmp(peer->close_in, callback) == 0)
        peer_close(peer);
}

static void peer_up(void *ctx)
{
    struct peer *peer = ctx;

    peer->ups++;
    peer_note(peer, "up");
}

static void peer_down(void *ctx, const char *why)
{
    struct peer *peer = ctx;

    peer->downs++;
    peer->replies_at_down = peer->replies + peer->nulls;
    snprintf(peer->why, sizeof peer->why, "%s", why);
    assert_false(bus_is_up(peer->bus));
    assert_null(bus_connection(peer->bus));
    peer_note(peer, "down");
}

static void peer_echo(struct peer *peer, DBusMessage *message)
{
    DBusMessage *reply = dbus_message_new_method_return(message);
    const char *text = "";

    dbus_message_get_args(message, NULL, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID);
    dbus_message_append_args(reply, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID);
    assert_true(bus_send(peer->bus, reply));
    dbus_message_unref(reply);
}

static bool peer_message(void *ctx, DBusMessage *message)
{
    struct peer *peer = ctx;
    bool taken = false;

    if (dbus_message_get_type(message) == DBUS_MESSAGE_TYPE_SIGNAL) {
        if (!dbus_message_has_interface(message, TEST_INTERFACE))
            return false;
        peer->signals++;
        taken = true;
    } else {
        peer->calls++;
        taken = peer->mute || peer->echo;
        if (peer->echo)
            peer_echo(peer, message);
    }
    peer_note(peer, "message");
    return taken;
}

static void peer_reply(void *ctx, DBusMessage *reply)
{
    struct peer *peer = ctx;
    const char *text;

    if (!reply) {
        peer->nulls++;
    } else {
        peer->replies++;
        if (dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR)
            snprintf(peer->error, sizeof peer->error, "%s", dbus_message_get_error_name(reply));
        else if (dbus_message_get_args(reply, NULL, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID))
            peer->echoed = strlen(text);
    }
    peer_note(peer, "reply");
}

static void peer_open(struct fixture *fixture, struct peer *peer)
{
    const struct bus_owner owner = {peer, peer_up, peer_down, peer_message};

    peer->bus = bus_new(&fixture->loop, fixture->daemon.address, &owner);
    assert_non_null(peer->bus);
    assert_false(bus_is_up(peer->bus));
}

static bool is_up(void *ctx)
{
    const struct peer *peer = ctx;

    return bus_is_up(peer->bus);
}

static bool is_down(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->downs > 0;
}

static bool is_closed(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->closed;
}

static bool is_answered(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->replies + peer->nulls > 0;
}

static bool has_call(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->calls > 0;
}

static void peer_open_wait(struct fixture *fixture, struct peer *peer)
{
    peer_open(fixture, peer);
    await(&fixture->loop, is_up, peer, "the connection to come up");
}

/* text may be NULL. */
static DBusMessage *peer_question(struct peer *to, const char *text)
{
    const char *name = dbus_bus_get_unique_name(bus_connection(to->bus));
    DBusMessage *call = dbus_message_new_method_call(name, "/", TEST_INTERFACE, "Ask");

    if (text)
        dbus_message_append_args(call, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID);
    return call;
}

/* Where an answer is expected: a slow machine is no fault. */
enum { PATIENCE_MS = 60000 };

static void peer_call(struct peer *from, struct peer *to, const char *text, int timeout_ms)
{
    DBusMessage *call = peer_question(to, text);

    bus_call(from->bus, call, timeout_ms > 0 ? timeout_ms : PATIENCE_MS, peer_reply, from);
    dbus_message_unref(call);
}

static void peer_call_patient(struct peer *from, struct peer *to, const char *text)
{
    DBusMessage *call = peer_question(to, text);

    bus_call_patient(from->bus, call, PATIENCE_MS, peer_reply, from);
    dbus_message_unref(call);
}

static void peer_signal(struct peer *from, struct peer *to)
{
    DBusMessage *signal = dbus_message_new_signal("/", TEST_INTERFACE, "Told");

    dbus_message_set_destination(signal, dbus_bus_get_unique_name(bus_connection(to->bus)));
    assert_true(bus_send(from->bus, signal));
    dbus_message_unref(signal);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    uv_loop_init(&fixture->loop);
    private_bus_init(&fixture->daemon);
    private_bus_start(&fixture->daemon);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    peer_close(&fixture->a);
    peer_close(&fixture->b);
    loop_finish(&fixture->loop);
    private_bus_remove(&fixture->daemon);
    free(fixture);
    return 0;
}

static void it_comes_up_with_its_unique_name(void **state)
{
    struct fixture *fixture = *state;

    peer_open_wait(fixture, &fixture->a);
    assert_int_equal(fixture->a.ups, 1);
    assert_int_equal(fixture->a.downs, 0);
    assert_int_equal(dbus_bus_get_unique_name(bus_connection(fixture->a.bus))[0], ':');
}

static void a_call_is_answered(void **state)
{
    struct fixture *fixture = *state;

    fixture->b.echo = true;
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    peer_call(&fixture->a, &fixture->b, "12345", 0);
    assert_int_equal(fixture->a.replies, 0);
    await(&fixture->loop, is_answered, &fixture->a, "the answer");
    assert_int_equal(fixture->a.echoed, 5);
}

static void a_call_without_an_answer_ends_in_no_reply(void **state)
{
    struct fixture *fixture = *state;

    fixture->b.mute = true;
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    peer_call(&fixture->a, &fixture->b, NULL, 50);
    await(&fixture->loop, is_answered, &fixture->a, "the time-out");
    assert_string_equal(fixture->a.error, DBUS_ERROR_NO_REPLY);
    assert_true(bus_is_up(fixture->a.bus));
}

static void a_call_that_nobody_takes_is_an_unknown_method(void **state)
{
    struct fixture *fixture = *state;

    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    peer_call(&fixture->a, &fixture->b, NULL, 0);
    await(&fixture->loop, is_answered, &fixture->a, "the error");
    assert_string_equal(fixture->a.error, DBUS_ERROR_UNKNOWN_METHOD);
    assert_int_equal(fixture->b.calls, 1);
}

static void a_call_while_down_is_answered_with_null_at_once(void **state)
{
    struct fixture *fixture = *state;
    DBusMessage *call = dbus_message_new_method_call("a.b", "/", TEST_INTERFACE, "Ask");

    peer_open(fixture, &fixture->a);
    bus_call(fixture->a.bus, call, PATIENCE_MS, peer_reply, &fixture->a);
    assert_int_equal(fixture->a.nulls, 1);
    assert_false(bus_send(fixture->a.bus, call));
    dbus_message_unref(call);
}

static void signals_reach_the_owner(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;
    DBusMessage *signal = dbus_message_new_signal("/", TEST_INTERFACE, "Told");
    bool (*const heard)(void *ctx) = is_answered;

    peer_open_wait(fixture, a);
    peer_open_wait(fixture, &fixture->b);
    bus_match_add(a->bus, "type='signal',interface='" TEST_INTERFACE "'");
    fixture->b.echo = true;
    peer_call(a, &fixture->b, NULL, 0); /* answered after the rule is in force */
    await(&fixture->loop, heard, a, "the rule");
    assert_true(bus_send(fixture->b.bus, signal));
    dbus_message_unref(signal);
    a->replies = 0;
    peer_call(a, &fixture->b, NULL, 0);
    await(&fixture->loop, heard, a, "the echo behind the signal");
    assert_int_equal(a->signals, 1);

    bus_match_remove(a->bus, "type='signal',interface='" TEST_INTERFACE "'");
    a->replies = 0;
    peer_call(a, &fixture->b, NULL, 0);
    await(&fixture->loop, heard, a, "the rule to be gone");
    signal = dbus_message_new_signal("/", TEST_INTERFACE, "Told");
    assert_true(bus_send(fixture->b.bus, signal));
    dbus_message_unref(signal);
    a->replies = 0;
    peer_call(a, &fixture->b, NULL, 0);
    await(&fixture->loop, heard, a, "the echo behind the unwanted signal");
    assert_int_equal(a->signals, 1);
}

enum { MANY = 1000 };

static bool are_many_answered(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->replies + peer->nulls >= MANY;
}

/* The bus refuses more than 128 calls without an answer, so patient ones wait for their turn. */
static void of_many_patient_calls_each_is_answered_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->b.echo = true;
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < MANY; i++)
        peer_call_patient(&fixture->a, &fixture->b, "x");
    await(&fixture->loop, are_many_answered, &fixture->a, "all answers");
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    assert_string_equal(fixture->a.error, "");
    assert_int_equal(fixture->a.replies, MANY);
    assert_int_equal(fixture->a.nulls, 0);
    assert_int_equal(fixture->b.calls, MANY);
}

static bool are_calls_at_their_limit(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->calls >= BUS_PATIENT_MAX;
}

static void an_urgent_call_overtakes_patient_ones_that_nobody_answers(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    fixture->b.mute = true;
    peer_open_wait(fixture, a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < MANY; i++)
        peer_call_patient(a, &fixture->b, NULL);
    await(&fixture->loop, are_calls_at_their_limit, &fixture->b, "the first calls to arrive");
    assert_int_equal(fixture->b.calls, BUS_PATIENT_MAX);
    fixture->b.echo = true;
    peer_call(a, &fixture->b, "now", 0);
    await(&fixture->loop, is_answered, a, "the urgent answer");
    assert_int_equal(a->replies, 1);
    assert_int_equal(a->echoed, 3);
}

static bool is_now_answered(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->echoed == strlen("now");
}

/* The bus keeps those that time out, and would refuse every call from the 128th on. */
static void patient_calls_that_nobody_answers_leave_room_for_urgent_ones(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    fixture->b.mute = true;
    peer_open_wait(fixture, a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < MANY; i++) {
        DBusMessage *call = peer_question(&fixture->b, NULL);

        bus_call_patient(a->bus, call, 100, peer_reply, a);
        dbus_message_unref(call);
    }
    await(&fixture->loop, are_many_answered, a, "all to be given up");
    assert_int_equal(a->replies, BUS_OPEN_MAX);
    assert_int_equal(a->nulls, MANY - BUS_OPEN_MAX);
    assert_string_equal(a->error, DBUS_ERROR_NO_REPLY);
    fixture->b.echo = true;
    peer_call(a, &fixture->b, "now", PATIENCE_MS);
    await(&fixture->loop, is_now_answered, a, "the urgent answer");
}

static void patient_calls_that_wait_are_answered_with_null_on_closing(void **state)
{
    struct fixture *fixture = *state;

    fixture->b.mute = true;
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < MANY; i++)
        peer_call_patient(&fixture->a, &fixture->b, NULL);
    peer_close(&fixture->a);
    assert_int_equal(fixture->a.nulls, MANY);
}

static bool is_the_last_answered(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->echoed == strlen("the last");
}

/* Those that wait for their turn are not without end, and the answer tells it. */
static void patient_calls_beyond_what_may_wait_are_answered_with_null_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    fixture->b.mute = true;
    peer_open_wait(fixture, a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < BUS_PATIENT_MAX + BUS_WAITING_MAX; i++)
        peer_call_patient(a, &fixture->b, NULL);
    assert_int_equal(a->nulls, 0);
    peer_call_patient(a, &fixture->b, NULL);
    assert_int_equal(a->nulls, 1);
}

static void a_patient_call_is_forgotten_while_it_waits_and_not_later(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    fixture->b.echo = true;
    peer_open_wait(fixture, a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < BUS_PATIENT_MAX; i++)
        peer_call_patient(a, &fixture->b, "x");
    assert_false(bus_call_forget(a->bus, peer_reply, a));
    for (int i = 0; i < 3; i++)
        peer_call_patient(a, &fixture->b, "x");
    for (int i = 0; i < 3; i++)
        assert_true(bus_call_forget(a->bus, peer_reply, a));
    assert_false(bus_call_forget(a->bus, peer_reply, a));
    peer_call_patient(a, &fixture->b, "the last");
    await(&fixture->loop, is_the_last_answered, a, "all answers");
    assert_int_equal(a->replies, BUS_PATIENT_MAX + 1);
    assert_int_equal(a->nulls, 0);
}

enum { LONG = 4 << 20 };

static char *long_text(void)
{
    char *text = malloc(LONG + 1);

    memset(text, 'x', LONG);
    text[LONG] = '\0';
    return text;
}

/* More than any socket buffer takes at once: the rest goes out as the socket drains. */
static void a_message_larger_than_the_socket_goes_out_whole(void **state)
{
    struct fixture *fixture = *state;
    char *text = long_text();

    fixture->b.echo = true;
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    peer_call(&fixture->a, &fixture->b, text, 15000);
    free(text);
    await(&fixture->loop, is_answered, &fixture->a, "the echo");
    assert_int_equal(fixture->a.echoed, LONG);
}

struct turn {
    struct peer *peer;
    int before, most;
};

static void turn_ended(uv_prepare_t *prepare)
{
    struct turn *turn = prepare->data;
    int taken = turn->peer->signals - turn->before;

    turn->before = turn->peer->signals;
    if (taken > turn->most)
        turn->most = taken;
}

enum { FLOOD = 5000 };

static bool is_flooded(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->signals >= FLOOD;
}

/* All of the flood lies in the queue of libdbus before the first of it is dispatched. */
static void a_flood_leaves_each_turn_of_the_loop_its_time(void **state)
{
    struct fixture *fixture = *state;
    struct turn turn = {&fixture->a, 0, 0};
    static uv_prepare_t prepare;

    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < FLOOD; i++)
        peer_signal(&fixture->b, &fixture->a);
    bus_flush(fixture->b.bus, true);
    for (int i = 0; i < 3000; i++)
        dbus_connection_read_write(bus_connection(fixture->a.bus), 1);
    bus_flush(fixture->a.bus, false); /* the loop has not seen what was read behind its back */
    uv_prepare_init(&fixture->loop, &prepare);
    prepare.data = &turn;
    uv_prepare_start(&prepare, turn_ended);
    await(&fixture->loop, is_flooded, &fixture->a, "the flood to pass");
    uv_close((uv_handle_t *)&prepare, NULL);
    assert_int_equal(fixture->a.signals, FLOOD);
    assert_true(turn.most > 1);
    assert_true(turn.most <= 256);
}

static void calls_in_flight_are_answered_with_null_before_down(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    fixture->b.mute = true;
    peer_open_wait(fixture, a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < 3; i++)
        peer_call(a, &fixture->b, NULL, 0);
    await(&fixture->loop, has_call, &fixture->b, "the call to arrive");
    private_bus_kill(&fixture->daemon);
    await(&fixture->loop, is_down, a, "down");
    assert_int_equal(a->nulls, 3);
    assert_int_equal(a->replies, 0);
    assert_int_equal(a->replies_at_down, 3);
    assert_string_equal(a->order, "urrrd");
}

static void a_bus_that_restarts_is_found_again(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    fixture->b.echo = true;
    peer_open_wait(fixture, a);
    for (int round = 1; round <= 3; round++) {
        a->downs = 0;
        private_bus_kill(&fixture->daemon);
        await(&fixture->loop, is_down, a, "down");
        private_bus_start(&fixture->daemon);
        await(&fixture->loop, is_up, a, "up again");
        assert_int_equal(a->ups, round + 1);
        assert_int_equal(a->downs, 1);
    }
    peer_open_wait(fixture, &fixture->b);
    peer_call(a, &fixture->b, "abc", 0);
    await(&fixture->loop, is_answered, a, "an answer on the new connection");
    assert_int_equal(a->echoed, 3);
}

/* Listens where the bus should be, and lets nobody in. */
struct impostor {
    uv_pipe_t server;
    uv_pipe_t client[8];
    int accepted;
    bool polite; /* takes the authentication, and never answers the Hello */
};

static void impostor_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char buffer[4096];

    (void)handle;
    (void)size;
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void impostor_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf)
{
    static char ok[] = "OK 0123456789abcdef0123456789abcdef\r\n", no[] = "ERROR\r\n";
    uv_buf_t answer;

    if (length < 0) {
        uv_read_stop(stream);
        return;
    }
    if (memmem(buf->base, (size_t)length, "AUTH", 4))
        answer = uv_buf_init(ok, sizeof ok - 1);
    else if (memmem(buf->base, (size_t)length, "NEGOTIATE", 9))
        answer = uv_buf_init(no, sizeof no - 1);
    else
        return;
    uv_try_write(stream, &answer, 1);
}

static void impostor_accept(uv_stream_t *server, int status)
{
    struct impostor *impostor = server->data;
    uv_pipe_t *client = &impostor->client[impostor->accepted];

    assert_int_equal(status, 0);
    if (impostor->accepted == 8)
        return;
    uv_pipe_init(server->loop, client, 0);
    assert_int_equal(uv_accept(server, (uv_stream_t *)client), 0);
    impostor->accepted++;
    if (impostor->polite)
        uv_read_start((uv_stream_t *)client, impostor_buffer, impostor_read);
    else
        uv_close((uv_handle_t *)client, NULL);
}

static void impostor_start(struct fixture *fixture, struct impostor *impostor)
{
    char path[128];

    private_bus_kill(&fixture->daemon);
    snprintf(path, sizeof path, "%s/socket", fixture->daemon.dir);
    uv_pipe_init(&fixture->loop, &impostor->server, 0);
    impostor->server.data = impostor;
    assert_int_equal(uv_pipe_bind(&impostor->server, path), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&impostor->server, 8, impostor_accept), 0);
}

static void impostor_stop(struct impostor *impostor)
{
    uv_close((uv_handle_t *)&impostor->server, NULL); /* unlinks the socket too */
    for (int i = 0; i < impostor->accepted; i++) {
        if (!uv_is_closing((uv_handle_t *)&impostor->client[i]))
            uv_close((uv_handle_t *)&impostor->client[i], NULL);
    }
}

static bool has_tried_often(void *ctx)
{
    const struct impostor *impostor = ctx;

    return impostor->accepted >= 4;
}

static void down_is_told_once_however_many_attempts_fail(void **state)
{
    static struct impostor impostor; /* its handles are closed in teardown's last turn */
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    memset(&impostor, 0, sizeof impostor);
    impostor_start(fixture, &impostor);
    peer_open(fixture, a);
    await(&fixture->loop, has_tried_often, &impostor, "some attempts");
    assert_int_equal(a->downs, 1);
    assert_int_equal(a->ups, 0);
    impostor_stop(&impostor);
    private_bus_start(&fixture->daemon);
    await(&fixture->loop, is_up, a, "the real bus");
    assert_string_equal(a->order, "du");
}

static void a_bus_that_is_not_there_yet_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    private_bus_kill(&fixture->daemon);
    peer_open(fixture, a);
    await(&fixture->loop, is_down, a, "the first attempt to fail");
    assert_true(strlen(a->why) > 0);
    private_bus_start(&fixture->daemon);
    await(&fixture->loop, is_up, a, "up");
    assert_string_equal(a->order, "du");
}

static void a_hello_without_an_answer_counts_as_failed(void **state)
{
    static struct impostor impostor;
    struct fixture *fixture = *state;
    struct peer *a = &fixture->a;

    memset(&impostor, 0, sizeof impostor);
    impostor.polite = true;
    impostor_start(fixture, &impostor);
    peer_open(fixture, a);
    await(&fixture->loop, is_down, a, "patience to end");
    assert_int_equal(impostor.accepted, 1);
    impostor_stop(&impostor);
    private_bus_start(&fixture->daemon);
    await(&fixture->loop, is_up, a, "the real bus");
}

/* Each of these would use freed memory if closing freed at once; the sanitizers watch. */
static void it_may_be_closed_before_its_first_attempt(void **state)
{
    struct fixture *fixture = *state;

    peer_open(fixture, &fixture->a);
    peer_close(&fixture->a);
    await(&fixture->loop, is_closed, &fixture->a, "closed");
    assert_string_equal(fixture->a.order, "");
}

static void it_may_be_closed_while_it_connects(void **state)
{
    struct fixture *fixture = *state;

    peer_open(fixture, &fixture->a);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    peer_close(&fixture->a);
    await(&fixture->loop, is_closed, &fixture->a, "closed");
    assert_int_equal(fixture->a.downs, 0);
}

static void it_may_be_closed_in_up(void **state)
{
    struct fixture *fixture = *state;

    fixture->a.close_in = "up";
    peer_open(fixture, &fixture->a);
    await(&fixture->loop, is_closed, &fixture->a, "closed");
    assert_string_equal(fixture->a.order, "u");
}

static void it_may_be_closed_in_down(void **state)
{
    struct fixture *fixture = *state;

    fixture->a.close_in = "down";
    peer_open_wait(fixture, &fixture->a);
    private_bus_kill(&fixture->daemon);
    await(&fixture->loop, is_closed, &fixture->a, "closed");
    assert_string_equal(fixture->a.order, "ud");
}

static void it_may_be_closed_in_a_message(void **state)
{
    struct fixture *fixture = *state;

    fixture->a.close_in = "message";
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < 10; i++)
        peer_signal(&fixture->b, &fixture->a);
    await(&fixture->loop, is_closed, &fixture->a, "closed");
    assert_int_equal(fixture->a.signals, 1);
}

static void closed_in_a_reply_it_answers_the_other_calls_with_null(void **state)
{
    struct fixture *fixture = *state;

    fixture->b.echo = true;
    fixture->a.close_in = "reply";
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < 5; i++)
        peer_call(&fixture->a, &fixture->b, "x", 0);
    await(&fixture->loop, is_closed, &fixture->a, "closed");
    assert_int_equal(fixture->a.replies, 1);
    assert_int_equal(fixture->a.nulls, 4);
    assert_int_equal(fixture->a.downs, 0);
}

static void closed_in_the_null_of_a_lost_call_it_stays_closed(void **state)
{
    struct fixture *fixture = *state;

    fixture->b.mute = true;
    fixture->a.close_in = "reply";
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    for (int i = 0; i < 5; i++)
        peer_call(&fixture->a, &fixture->b, "x", 0);
    await(&fixture->loop, has_call, &fixture->b, "the call to arrive");
    private_bus_kill(&fixture->daemon);
    await(&fixture->loop, is_closed, &fixture->a, "closed");
    assert_int_equal(fixture->a.nulls, 5);
    assert_int_equal(fixture->a.downs, 0);
}

/* More than the socket takes at once, so that something is left to be flushed. */
static void what_was_sent_before_closing_arrives(void **state)
{
    struct fixture *fixture = *state;
    char *text = long_text();

    fixture->b.mute = true;
    peer_open_wait(fixture, &fixture->a);
    peer_open_wait(fixture, &fixture->b);
    peer_call(&fixture->a, &fixture->b, text, 0);
    free(text);
    assert_true(dbus_connection_has_messages_to_send(bus_connection(fixture->a.bus)));
    peer_close(&fixture->a);
    assert_int_equal(fixture->a.nulls, 1);
    await(&fixture->loop, has_call, &fixture->b, "the last word");
}

static void the_session_bus_is_chosen_before_the_system_bus(void **state)
{
    (void)state;
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/system", 1);
    setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/session", 1);
    assert_string_equal(bus_default_address(), "unix:path=/session");
    setenv("DBUS_SESSION_BUS_ADDRESS", "", 1);
    assert_string_equal(bus_default_address(), "unix:path=/system");
    unsetenv("DBUS_SESSION_BUS_ADDRESS");
    unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
    assert_string_equal(bus_default_address(), "unix:path=/var/run/dbus/system_bus_socket");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_comes_up_with_its_unique_name),
        TEST(a_call_is_answered),
        TEST(a_call_without_an_answer_ends_in_no_reply),
        TEST(a_call_that_nobody_takes_is_an_unknown_method),
        TEST(a_call_while_down_is_answered_with_null_at_once),
        TEST(signals_reach_the_owner),
        TEST(of_many_patient_calls_each_is_answered_once),
        TEST(an_urgent_call_overtakes_patient_ones_that_nobody_answers),
        TEST(patient_calls_that_nobody_answers_leave_room_for_urgent_ones),
        TEST(patient_calls_that_wait_are_answered_with_null_on_closing),
        TEST(patient_calls_beyond_what_may_wait_are_answered_with_null_at_once),
        TEST(a_patient_call_is_forgotten_while_it_waits_and_not_later),
        TEST(a_message_larger_than_the_socket_goes_out_whole),
        TEST(a_flood_leaves_each_turn_of_the_loop_its_time),
        TEST(calls_in_flight_are_answered_with_null_before_down),
        TEST(a_bus_that_restarts_is_found_again),
        TEST(down_is_told_once_however_many_attempts_fail),
        TEST(a_bus_that_is_not_there_yet_is_waited_for),
        TEST(a_hello_without_an_answer_counts_as_failed),
        TEST(it_may_be_closed_before_its_first_attempt),
        TEST(it_may_be_closed_while_it_connects),
        TEST(it_may_be_closed_in_up),
        TEST(it_may_be_closed_in_down),
        TEST(it_may_be_closed_in_a_message),
        TEST(closed_in_a_reply_it_answers_the_other_calls_with_null),
        TEST(closed_in_the_null_of_a_lost_call_it_stays_closed),
        TEST(what_was_sent_before_closing_arrives),
        cmocka_unit_test(the_session_bus_is_chosen_before_the_system_bus),
    };

    signal(SIGPIPE, SIG_IGN); /* an impostor may answer one that has just gone */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
