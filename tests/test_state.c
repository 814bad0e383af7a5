#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/calendar.h"
#include "state.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A folder of its own for each test, and what was read from it. */
struct bench {
    char directory[64];
    char path[512];
    struct state state;
    struct work_memory work;
    char message[512];
    enum state_finding finding;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    *state = bench;
    strcpy(bench->directory, "/tmp/test_state.XXXXXX");
    return mkdtemp(bench->directory) ? 0 : -1;
}

static const char *path_of(struct bench *bench, const char *name)
{
    snprintf(bench->path, sizeof bench->path, "%s/%s", bench->directory, name);
    return bench->path;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    DIR *directory = opendir(bench->directory);

    for (struct dirent *entry; directory && (entry = readdir(directory));)
        (void)remove(path_of(bench, entry->d_name));
    if (directory)
        closedir(directory);
    rmdir(bench->directory);
    free(bench);
    return 0;
}

static void put_bytes(struct bench *bench, const char *name, const char *content, size_t length)
{
    FILE *file = fopen(path_of(bench, name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    fclose(file);
}

static void put(struct bench *bench, const char *name, const char *content)
{
    put_bytes(bench, name, content, strlen(content));
}

static void expect_content(struct bench *bench, const char *name, const char *wanted)
{
    char content[256] = "";
    FILE *file = fopen(path_of(bench, name), "r");

    assert_non_null(file);
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(content, wanted);
}

static bool exists(struct bench *bench, const char *name)
{
    return access(path_of(bench, name), F_OK) == 0;
}

/* Reads, and sees that what is said is one line of plain text. */
static void read_state(struct bench *bench)
{
    bench->finding =
        state_read(bench->directory, &bench->state, &bench->work, bench->message, sizeof bench->message);
    for (const char *c = bench->message; *c; c++)
        assert_false(iscntrl((unsigned char)*c));
    assert_int_equal(bench->finding == STATE_FOUND, bench->message[0] == '\0');
}

static void read_charge(struct bench *bench, const char *content)
{
    put(bench, "charge", content);
    put(bench, "state.ini", "[state]\nversion = 1\n");
    read_state(bench);
}

static void expect_said(const struct bench *bench, const char *part)
{
    if (!strstr(bench->message, part))
        fail_msg("'%s' is not in: %s", part, bench->message);
}

static void what_is_written_is_read_back(void **state)
{
    struct bench *bench = *state;
    const struct state written = {.charge_Ah = 412.3456,
                                  .charge_capacity_Ah = 560,
                                  .device_instance = 99,
                                  .learned = {-0.25, 0.995, 0.97, 0.01, 1e-6, -1e-5, 0.001, 4}};

    assert_int_equal(state_write_charge(bench->directory, &written), 0);
    assert_int_equal(state_write(bench->directory, &written), 0);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_FOUND);
    assert_true(fabs(bench->state.charge_Ah - 412.3456) < 0.001);
    assert_true(fabs(bench->state.charge_capacity_Ah - 560) < 0.001);
    assert_int_equal(bench->state.device_instance, 99);
    assert_memory_equal(&bench->state.learned, &written.learned, sizeof written.learned);
    assert_false(exists(bench, "charge.new") || exists(bench, "state.ini.new"));
}

/* A bank and two packs that have done something. */
static void make_work(struct work_memory *work)
{
    work_memory_init(work);
    work->begun = true;
    work->since_day = calendar_parse("2026-03-01");
    work->full_day = calendar_parse("2026-11-20");
    work->full_age_s = 86400.5;
    work->bank.installed_Ah = 560;
    work->bank.cycles = 12.25;
    work->bank.total = (struct work_count){7000.5, 6900.25, 370, 350.125, 5000};
    work->bank.closed = (struct work_count){6000, 5900, 320, 300, 4000};
    work->bank.extreme[WORK_DEEPEST].value = -412.5;
    work->bank.extreme[WORK_DEEPEST].day = work->since_day;
    work->bank.extreme[WORK_CELL_MIN].value = 2.903;
    work->bank.capacity.count = 2;
    work->bank.capacity.sweep[0] = (struct capacity_sweep){work->full_day, 531.5, 11.25, 1, 560};
    work->bank.capacity.sweep[1] = (struct capacity_sweep){CALENDAR_NONE, 528, 20, 0.75, 560};
    work->packs = 2;
    for (size_t i = 0; i < work->packs; i++) {
        work_record_init(&work->pack[i]);
        work->pack[i].total.in_Ah = (double)i;
        work->pack[i].total.hours = 1;
    }
    strcpy(work->pack[0].id, "A-1");
    strcpy(work->pack[1].id, "] ; [x] = # \n\t%\xc3\xa4 \xff");
    strcpy(work->pack[1].name, " Gro\xc3\x9f ");
}

static void expect_work(const struct work_memory *found)
{
    struct work_memory wanted;

    make_work(&wanted);
    assert_true(found->begun);
    assert_int_equal(found->since_day, wanted.since_day);
    assert_int_equal(found->full_day, wanted.full_day);
    assert_true(found->full_age_s == wanted.full_age_s);
    assert_memory_equal(&found->bank.total, &wanted.bank.total, sizeof wanted.bank.total);
    assert_memory_equal(&found->bank.closed, &wanted.bank.closed, sizeof wanted.bank.closed);
    assert_memory_equal(&found->bank.capacity, &wanted.bank.capacity, sizeof wanted.bank.capacity);
    assert_true(found->bank.installed_Ah == 560 && found->bank.cycles == 12.25);
    assert_true(found->bank.extreme[WORK_DEEPEST].value == -412.5);
    assert_int_equal(found->bank.extreme[WORK_DEEPEST].day, wanted.since_day);
    assert_int_equal(found->bank.extreme[WORK_CELL_MIN].day, CALENDAR_NONE);
    assert_true(isnan(found->bank.extreme[WORK_CELL_MAX].value));
    assert_int_equal(found->packs, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(found->pack[i].id, wanted.pack[i].id);
        assert_string_equal(found->pack[i].name, wanted.pack[i].name);
        assert_true(found->pack[i].total.in_Ah == (double)i);
        assert_true(isnan(found->pack[i].installed_Ah));
    }
}

static void what_the_bank_has_done_survives_whatever_its_packs_are_called(void **state)
{
    struct bench *bench = *state;
    static struct work_memory work;
    const struct state written = {
        .charge_Ah = 1, .charge_capacity_Ah = 560, .device_instance = 7, .work = &work};

    make_work(&work);
    assert_int_equal(state_write_charge(bench->directory, &written), 0);
    assert_int_equal(state_write(bench->directory, &written), 0);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_FOUND);
    assert_int_equal(bench->state.device_instance, 7);
    expect_work(&bench->work);
}

static void the_work_of_64_packs_with_the_longest_names_survives(void **state)
{
    struct bench *bench = *state;
    static struct work_memory work;
    const struct state written = {
        .charge_Ah = 1, .charge_capacity_Ah = 560, .device_instance = 7, .work = &work};

    make_work(&work);
    work.packs = WORK_PACKS_MAX;
    for (size_t i = 0; i < WORK_PACKS_MAX; i++) {
        work.pack[i] = work.bank;
        memset(work.pack[i].id, '\xe4', READING_TEXT_MAX - 1);
        memset(work.pack[i].name, '=', READING_TEXT_MAX - 1);
        work.pack[i].id[0] = (char)('0' + i);
        work.pack[i].capacity.count = CAPACITY_SWEEPS_MAX;
        for (size_t k = 0; k < CAPACITY_SWEEPS_MAX; k++)
            work.pack[i].capacity.sweep[k] =
                (struct capacity_sweep){CALENDAR_NONE, 100.0 / 3, 1000.0 / 7, 2.0 / 3, 1e6 / 7};
    }
    assert_int_equal(state_write_charge(bench->directory, &written), 0);
    assert_int_equal(state_write(bench->directory, &written), 0);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_FOUND);
    assert_int_equal(bench->work.packs, WORK_PACKS_MAX);
    assert_string_equal(bench->work.pack[63].id, work.pack[63].id);
    assert_int_equal(bench->work.pack[63].capacity.count, CAPACITY_SWEEPS_MAX);
}

static void spoilt_work_is_left_out_and_the_rest_is_kept(void **state)
{
    static const char *const wrong[] = {
        "total = 1 2 3 4",
        "total = 1 2 3 4 -5",
        "total = 1 2 nan 4 5",
        "total = 1 2 3 4 5 6",
        "since = 2026-02-30",
        "full = -1 -",
        "cycles = inf",
        "installed_Ah = 0",
        "sweep_2 = 1 1 1 1 -",
        "sweep_1 = 1 1 1.5 1 -",
        "sweep_1 = 0 1 1 1 -",
        "sweep_x = 1 1 1 1 -",
        "sweep_0 = 1 1 1 1 -",
        "sweep_1 = 1 0 1 1 -",
        "sweep_1 = 1 1 0 1 -",
        "sweep_1 = 1 1 1 0 -",
        "full = 60 yesterday",
        "id = %4",
        "id = %-4",
        "id = %4x",
        "id =",
        "id = 0123456789012345678901234567890123456789012345678901234567890123456789",
        "id = %00",
        "cell_min = 3.2",
        "cell_min = 3.2 yesterday",
        "[work 3]\nid = A",
        "[work 0]\nid = A",
        "[work 1x]\nid = A",
        "total = 1e300 2 3 4 5",
        "[work 65]\nid = A",
        "sweep_1 = 1 1 1 1",
        "sweep_99999999999999999999 = 1 1 1 1 -",
    };
    struct bench *bench = *state;
    char content[512];

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(content, sizeof content,
                 "[state]\nfeed_in_debt = 1\n[work]\nvoltage_max = 55.5 2026-01-02\n%s\n", wrong[i]);
        put(bench, "charge", "280");
        put(bench, "state.ini", content);
        read_state(bench);
        if (bench->finding != STATE_SPOILT)
            fail_msg("taken: %s", wrong[i]);
        assert_true(bench->state.feed_in_debt);
        assert_true(bench->work.bank.extreme[WORK_VOLTAGE_MAX].value == 55.5);
        assert_true(bench->work.bank.total.hours == 0 && bench->work.packs == 0);
        assert_int_equal(bench->work.bank.capacity.count, 0);
    }
    put(bench, "state.ini", "[state]\n[work]\nlater = 17\n[work 1]\nid = A\nlater = 18\n");
    read_state(bench);
    assert_int_equal(bench->finding, STATE_FOUND); /* keys of another version */
    assert_int_equal(bench->work.packs, 1);
}

static void what_is_unknown_is_read_back_as_unknown(void **state)
{
    struct bench *bench = *state;
    const struct state written = {.charge_Ah = NAN,
                                  .charge_capacity_Ah = NAN,
                                  .device_instance = -1,
                                  .last_balancing_day = CALENDAR_NONE,
                                  .balancing_age_days = NAN,
                                  .seen_day = CALENDAR_NONE};

    assert_int_equal(state_write_charge(bench->directory, &written), 0);
    assert_int_equal(state_write(bench->directory, &written), 0);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_FOUND);
    assert_int_equal(bench->state.last_balancing_day, CALENDAR_NONE);
    assert_true(isnan(bench->state.balancing_age_days));
    assert_false(bench->state.feed_in_debt);
    assert_true(isnan(bench->state.charge_Ah) && isnan(bench->state.charge_capacity_Ah));
    assert_int_equal(bench->state.device_instance, -1);
}

/* A power cut between two files would make 597 of 840 Ah those of a bank of 280. */
static void the_charge_and_its_capacity_are_one_write(void **state)
{
    static const struct {
        const char *charge;
        double charge_Ah, capacity_Ah;
    } files[] = {{"597.000 of 840\n", 597, 840}, {"300 of 840.5", 300, 840.5}, {"300\n", 300, 280},
                 {"300 Ah", 300, 280},           {"300 of all", 300, 280},     {"300 of -5", 300, 280}};
    struct bench *bench = *state;
    struct state written = bench->state;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        put(bench, "state.ini", "[state]\ncharge_capacity_Ah = 280\n");
        put(bench, "charge", files[i].charge);
        read_state(bench);
        assert_true(bench->state.charge_Ah == files[i].charge_Ah);
        assert_true(bench->state.charge_capacity_Ah == files[i].capacity_Ah);
    }
    written.charge_Ah = 597;
    written.charge_capacity_Ah = 840;
    assert_int_equal(state_write_charge(bench->directory, &written), 0);
    expect_content(bench, "charge", "597.000 of 840\n");
    read_state(bench);
    assert_true(bench->state.charge_capacity_Ah == 840);
}

static void the_balancing_cycle_and_the_feed_in_debt_survive_a_restart(void **state)
{
    struct bench *bench = *state;
    struct state written = {.charge_Ah = 1, .charge_capacity_Ah = NAN, .device_instance = -1};

    written.balancing_state = 2;
    written.last_balancing_day = calendar_parse("2026-02-28");
    written.balancing_age_days = 3.25;
    written.seen_day = calendar_parse("2026-03-03");
    written.feed_in_debt = true;
    written.feed_in_held_s = 1234.5;
    written.feed_in_packs = 3;
    assert_int_equal(state_write_charge(bench->directory, &written), 0);
    assert_int_equal(state_write(bench->directory, &written), 0);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_FOUND);
    assert_int_equal(bench->state.balancing_state, 2);
    assert_int_equal(bench->state.last_balancing_day, written.last_balancing_day);
    assert_true(bench->state.balancing_age_days == 3.25);
    assert_int_equal(bench->state.seen_day, written.seen_day);
    assert_true(bench->state.feed_in_debt);
    assert_true(bench->state.feed_in_held_s == 1234.5);
    assert_int_equal(bench->state.feed_in_packs, 3);
}

static void a_feed_in_debt_is_not_lost_with_a_spoilt_neighbour(void **state)
{
    static const char *const neighbours[] = {"last_balancing = 31.12.2025", "seen = 2026-02-30",
                                             "balancing_state = 17", "feed_in_held_s = long", "nonsense"};
    struct bench *bench = *state;
    char content[256];

    for (size_t i = 0; i < sizeof neighbours / sizeof *neighbours; i++) {
        snprintf(content, sizeof content, "[state]\n%s\nfeed_in_debt = 1\n", neighbours[i]);
        put(bench, "charge", "280");
        put(bench, "state.ini", content);
        read_state(bench);
        assert_int_equal(bench->finding, STATE_SPOILT);
        assert_true(bench->state.feed_in_debt);
        assert_int_equal(bench->state.last_balancing_day, CALENDAR_NONE);
        assert_int_equal(bench->state.seen_day, CALENDAR_NONE);
        assert_int_equal(bench->state.balancing_state, 0);
    }
}

static void on_the_first_start_nothing_is_there_and_the_packs_tell_the_charge(void **state)
{
    struct bench *bench = *state;

    read_state(bench);
    assert_int_equal(bench->finding, STATE_MISSING);
    assert_true(isnan(bench->state.charge_Ah) && isnan(bench->state.charge_capacity_Ah));
    assert_int_equal(bench->state.device_instance, -1);
    expect_said(bench, "charge is not there yet: the counter begins with the SoC of the packs");
    expect_said(bench, "state.ini is not there yet");
}

static void a_user_writes_the_charge_as_a_number_with_blanks_or_a_unit(void **state)
{
    static const char *const contents[] = {"280.5\n",    "280.5",     " \t280.5 \r\n", "\n\n280.5\n",
                                           "280.5 Ah\n", "2.805e2\n", "280.5\n17\n"};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        read_charge(bench, contents[i]);
        assert_int_equal(bench->finding, STATE_FOUND);
        assert_true(fabs(bench->state.charge_Ah - 280.5) < 1e-9);
    }
    read_charge(bench, "0\n");
    assert_true(bench->state.charge_Ah == 0);
}

static void a_negative_charge_means_begin_from_the_packs(void **state)
{
    struct bench *bench = *state;

    read_charge(bench, "-1\n");
    assert_int_equal(bench->finding, STATE_FOUND);
    assert_true(isnan(bench->state.charge_Ah));
    assert_true(exists(bench, "charge"));
}

static void a_spoilt_charge_is_set_aside_and_begins_from_the_packs(void **state)
{
    static const char *const contents[] = {"full\n",    "nan",   "inf\n",  "0x10\n", "1e9\n",
                                           "280.5Ah\n", "1e999", "12.3.4", "- 5\n",  "280;5\n"};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        read_charge(bench, contents[i]);
        assert_int_equal(bench->finding, STATE_SPOILT);
        assert_true(isnan(bench->state.charge_Ah));
        expect_said(bench, "where a number of Ah belongs (0 to 1000000): set aside as charge.spoilt, the "
                           "counter begins with the SoC of the packs");
        assert_false(exists(bench, "charge"));
        expect_content(bench, "charge.spoilt", contents[i]);
    }
    expect_said(bench, "charge holds '280;5'");
}

static void a_decimal_comma_is_told_to_be_a_point(void **state)
{
    struct bench *bench = *state;

    read_charge(bench, "280,5\n");
    assert_int_equal(bench->finding, STATE_SPOILT);
    expect_said(bench,
                "charge holds '280,5' where a number of Ah belongs (0 to 1000000, decimals with a point)");
}

/* What a power cut leaves of files that are not written as ours are. */
static void an_empty_file_or_one_of_nul_bytes_is_spoilt(void **state)
{
    struct bench *bench = *state;

    read_charge(bench, "");
    assert_int_equal(bench->finding, STATE_SPOILT);
    expect_said(bench, "charge is empty");
    put_bytes(bench, "charge", "\0\0\0\0", 4);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_SPOILT);
    put_bytes(bench, "charge", "280\0\0\0\0", 7);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_SPOILT);
    assert_true(isnan(bench->state.charge_Ah));
    put(bench, "charge", "280");
    put(bench, "state.ini", "");
    read_state(bench);
    assert_int_equal(bench->finding, STATE_SPOILT);
    expect_said(bench, "state.ini is empty: set aside as state.ini.spoilt");
    put_bytes(bench, "state.ini", "[state]\ndevice_instance = 7\n\0\0", 30);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_SPOILT);
}

static void what_is_good_in_a_spoilt_state_ini_is_kept(void **state)
{
    static const char *const contents[] = {"[state]\ndevice_instance = 7\ncharge_capacity_Ah = a lot\n",
                                           "[state]\ndevice_instance = 7\nnonsense\n",
                                           "[state]\ndevice_instance = 7\ncharge_capacity_Ah = -5\n",
                                           "[state]\ndevice_instance = 7\ncharge_capacity_Ah = nan\n"};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        put(bench, "charge", "280");
        put(bench, "state.ini", contents[i]);
        read_state(bench);
        assert_int_equal(bench->finding, STATE_SPOILT);
        expect_said(bench, "state.ini is spoilt: set aside as state.ini.spoilt, what was good is kept");
        assert_int_equal(bench->state.device_instance, 7);
        assert_true(isnan(bench->state.charge_capacity_Ah));
        assert_true(bench->state.charge_Ah == 280);
        expect_content(bench, "state.ini.spoilt", contents[i]);
    }
    put(bench, "state.ini", "[state]\ndevice_instance = 7.5\n");
    read_state(bench);
    assert_int_equal(bench->finding, STATE_SPOILT);
    assert_int_equal(bench->state.device_instance, -1);
}

/* Each in its range and of its kind, or unknown; the file is set aside for whoever wants to know. */
static void what_is_out_of_range_in_state_ini_is_spoilt(void **state)
{
    static const char *const lines[] = {
        "charge_capacity_Ah = 0",      "charge_capacity_Ah = 2e6",
        "device_instance = -1",        "device_instance = 2000000",
        "balancing_state = 3",         "balancing_state = 0.5",
        "balancing_age_days = -1",     "feed_in_debt = 2",
        "feed_in_debt = yes",          "feed_in_held_s = -5",
        "feed_in_held_s = inf",        "feed_in_packs = 1.5",
        "last_balancing = 2026-02-30", "seen = today",
        "soc_offset_A = much",         "soc_usable = nan",
    };
    struct bench *bench = *state;
    char content[128];

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        put(bench, "charge", "280");
        snprintf(content, sizeof content, "[state]\nfeed_in_held_s = 9\n%s\n", lines[i]);
        put(bench, "state.ini", content);
        read_state(bench);
        if (bench->finding != STATE_SPOILT)
            fail_msg("%s passed", lines[i]);
        assert_true(bench->state.feed_in_held_s == 9);
        assert_false(bench->state.feed_in_debt);
        assert_true(isnan(bench->state.charge_capacity_Ah) && isnan(bench->state.balancing_age_days));
        assert_int_equal(bench->state.device_instance, -1);
        assert_int_equal(bench->state.balancing_state, 0);
        assert_int_equal(bench->state.last_balancing_day, CALENDAR_NONE);
        assert_int_equal(bench->state.seen_day, CALENDAR_NONE);
        assert_true(bench->state.learned.offset_A == 0 && bench->state.learned.usable == 0);
    }
}

static void a_charge_of_the_python_service_out_of_range_is_none(void **state)
{
    static const char *const contents[] = {"-3", "2e6", "much", ""};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        put(bench, "storedvalue_charge", contents[i]);
        read_state(bench);
        assert_true(isnan(bench->state.charge_Ah));
        assert_int_equal(bench->finding, STATE_MISSING);
    }
}

static void what_another_version_keeps_in_state_ini_is_left_alone(void **state)
{
    struct bench *bench = *state;

    put(bench, "charge", "280");
    put(bench, "state.ini",
        "[state]\nversion = 9\nsomething = new\ndevice_instance = 7\n[debt]\ndevice_instance = no\n");
    read_state(bench);
    assert_int_equal(bench->finding, STATE_FOUND);
    assert_int_equal(bench->state.device_instance, 7);
}

static void a_write_that_fails_leaves_the_old_file_and_no_rubbish(void **state)
{
    struct bench *bench = *state;
    const struct state written = {.charge_Ah = 300, .charge_capacity_Ah = 560, .device_instance = 99};
    struct rlimit limit;
    struct rlimit none;
    int result[2];

    put(bench, "charge", "280\n");
    put(bench, "state.ini", "old");
    /* No file may grow: as on a full disk, the first write fails. */
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    none = (struct rlimit){0, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
    result[0] = state_write_charge(bench->directory, &written);
    result[1] = state_write(bench->directory, &written);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(result[0], -EFBIG);
    assert_int_equal(result[1], -EFBIG);
    expect_content(bench, "charge", "280\n");
    expect_content(bench, "state.ini", "old");
    assert_false(exists(bench, "charge.new") || exists(bench, "state.ini.new"));
}

/* The disk is full after some bytes: what fits is less than the line. */
static void a_write_that_stops_half_way_leaves_the_old_file(void **state)
{
    struct bench *bench = *state;
    const struct state written = {.charge_Ah = 300, .charge_capacity_Ah = 560, .device_instance = 99};
    struct rlimit limit;
    struct rlimit few;
    int result;

    put(bench, "charge", "280\n");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    few = (struct rlimit){3, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &few);
    result = state_write_charge(bench->directory, &written);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(result, -EFBIG);
    expect_content(bench, "charge", "280\n");
    assert_false(exists(bench, "charge.new"));
}

static void a_link_in_place_of_the_temporary_file_is_not_followed(void **state)
{
    struct bench *bench = *state;
    const struct state written = {.charge_Ah = 300};
    char link[512];

    put(bench, "precious", "keep");
    snprintf(link, sizeof link, "%s/charge.new", bench->directory);
    assert_int_equal(symlink(path_of(bench, "precious"), link), 0);
    assert_int_equal(state_write_charge(bench->directory, &written), -ELOOP);
    expect_content(bench, "precious", "keep");
}

static void a_folder_that_cannot_be_written_is_told_at_the_start(void **state)
{
    struct bench *bench = *state;
    const struct state written = {.charge_Ah = 300};

    bench->finding =
        state_read("/nowhere", &bench->state, &bench->work, bench->message, sizeof bench->message);
    assert_int_equal(bench->finding, STATE_UNREADABLE);
    expect_said(bench, "/nowhere cannot be written (No such file or directory)");
    assert_true(isnan(bench->state.charge_Ah));
    assert_int_equal(state_write_charge("/nowhere", &written), -ENOENT);
    assert_int_equal(state_write("/nowhere", &written), -ENOENT);
}

static void what_is_no_file_is_unreadable_and_does_not_hold_up_the_start(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(mkfifo(path_of(bench, "charge"), 0600), 0); /* nobody will ever write to it */
    assert_int_equal(mkdir(path_of(bench, "state.ini"), 0700), 0);
    read_state(bench);
    assert_int_equal(bench->finding, STATE_UNREADABLE);
    expect_said(bench, "charge cannot be read");
    expect_said(bench, "state.ini cannot be read (Is a directory)");
    assert_true(isnan(bench->state.charge_Ah));
}

static void control_characters_in_a_file_do_not_reach_the_log(void **state)
{
    struct bench *bench = *state;

    read_charge(bench, "\033[31mred\a\n");
    assert_int_equal(bench->finding, STATE_SPOILT);
    expect_said(bench, "charge holds '?[31mred?'");
}

static void a_message_never_runs_over_its_room(void **state)
{
    struct bench *bench = *state;
    char small[24];

    memset(small, 'x', sizeof small);
    assert_int_equal(state_read(bench->directory, &bench->state, &bench->work, small, 8), STATE_MISSING);
    assert_int_equal(strlen(small), 7);
    assert_int_equal(small[8], 'x');
}

static void whatever_bytes_a_file_has_the_start_goes_on(void **state)
{
    struct bench *bench = *state;
    uint32_t random = 7;
    char content[300];

    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof content; i++) {
            random = random * 1664525 + 1013904223;
            content[i] =
                round % 2 ? (char)(random >> 24) : "[state]\n=. 0123456789eE+-;\"x,"[(random >> 16) % 29];
        }
        put_bytes(bench, "charge", content, sizeof content / 10);
        put_bytes(bench, "state.ini", content, sizeof content);
        read_state(bench);
        assert_true(isnan(bench->state.charge_Ah) ||
                    (bench->state.charge_Ah >= 0 && bench->state.charge_Ah <= 1e6));
    }
}

static void what_the_python_service_left_is_taken_over_where_we_have_nothing(void **state)
{
    struct bench *bench = *state;

    put(bench, "storedvalue_charge", "312.5\n");
    put(bench, "storedvalue_last_balancing", "17");
    read_state(bench);
    assert_true(bench->state.charge_Ah == 312.5);
    assert_int_equal(bench->state.balancing_day_of_year, 17);
    put(bench, "last_balancing", "365\n"); /* 3.4 called it so */
    read_state(bench);
    assert_int_equal(bench->state.balancing_day_of_year, 365);
}

static void what_the_python_service_left_never_outdoes_what_is_ours(void **state)
{
    struct bench *bench = *state;

    put(bench, "storedvalue_charge", "312.5\n");
    put(bench, "last_balancing", "365\n");
    put(bench, "charge", "100\n");
    put(bench, "state.ini", "[state]\nlast_balancing = 2026-11-01\n");
    read_state(bench);
    assert_true(bench->state.charge_Ah == 100);
    assert_int_equal(bench->state.balancing_day_of_year, 0);
    put(bench, "charge", "-1\n"); /* the user wants the packs' SoC */
    read_state(bench);
    assert_true(isnan(bench->state.charge_Ah));
}

static void nonsense_of_the_python_service_is_no_day(void **state)
{
    static const char *const contents[] = {"0", "367", "17.5", "-3", "never", "", "nan"};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        put(bench, "last_balancing", contents[i]);
        read_state(bench);
        assert_int_equal(bench->state.balancing_day_of_year, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_back),
        TEST(what_is_unknown_is_read_back_as_unknown),
        TEST(what_the_bank_has_done_survives_whatever_its_packs_are_called),
        TEST(the_work_of_64_packs_with_the_longest_names_survives),
        TEST(spoilt_work_is_left_out_and_the_rest_is_kept),
        TEST(the_charge_and_its_capacity_are_one_write),
        TEST(the_balancing_cycle_and_the_feed_in_debt_survive_a_restart),
        TEST(a_feed_in_debt_is_not_lost_with_a_spoilt_neighbour),
        TEST(on_the_first_start_nothing_is_there_and_the_packs_tell_the_charge),
        TEST(a_user_writes_the_charge_as_a_number_with_blanks_or_a_unit),
        TEST(a_negative_charge_means_begin_from_the_packs),
        TEST(a_spoilt_charge_is_set_aside_and_begins_from_the_packs),
        TEST(a_decimal_comma_is_told_to_be_a_point),
        TEST(an_empty_file_or_one_of_nul_bytes_is_spoilt),
        TEST(what_is_good_in_a_spoilt_state_ini_is_kept),
        TEST(what_is_out_of_range_in_state_ini_is_spoilt),
        TEST(a_charge_of_the_python_service_out_of_range_is_none),
        TEST(what_another_version_keeps_in_state_ini_is_left_alone),
        TEST(a_write_that_fails_leaves_the_old_file_and_no_rubbish),
        TEST(a_write_that_stops_half_way_leaves_the_old_file),
        TEST(a_link_in_place_of_the_temporary_file_is_not_followed),
        TEST(a_folder_that_cannot_be_written_is_told_at_the_start),
        TEST(what_is_no_file_is_unreadable_and_does_not_hold_up_the_start),
        TEST(what_the_python_service_left_is_taken_over_where_we_have_nothing),
        TEST(what_the_python_service_left_never_outdoes_what_is_ours),
        TEST(nonsense_of_the_python_service_is_no_day),
        TEST(control_characters_in_a_file_do_not_reach_the_log),
        TEST(a_message_never_runs_over_its_room),
        TEST(whatever_bytes_a_file_has_the_start_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
