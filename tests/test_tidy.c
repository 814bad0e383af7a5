/* What is given back once it is not needed: it must lose nothing, and be worth it. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tidy.h"

/* Memory of the program and its libraries that is mapped to be read only, in kB. */
static long text_kB(void)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    bool counts = false;
    long sum_kB = 0, kB;
    char line[512], mode[5], file;

    assert_non_null(smaps);
    while (fgets(line, sizeof line, smaps)) {
        if (sscanf(line, "%*x-%*x %4s %*s %*s %*s %c", mode, &file) == 2)
            counts = file == '/' && mode[1] == '-';
        else if (sscanf(line, "%*x-%*x %4s", mode) == 1)
            counts = false;
        else if (counts && sscanf(line, "Rss: %ld kB", &kB) == 1)
            sum_kB += kB;
    }
    fclose(smaps);
    return sum_kB;
}

static void what_was_read_of_programs_is_given_back_and_comes_again(void **state)
{
    char *const text = strdup("what is known");
    long before_kB = text_kB();

    (void)state;
    tidy_up();
    assert_true(text_kB() < before_kB);
    assert_string_equal(text, "what is known");
    free(text);
}

/* A page that is written first and protected then, as relocations are and where a debugger stops. */
static void what_was_written_before_it_was_protected_stays(void **state)
{
    char path[] = "/tmp/tidy-XXXXXX";
    int file = mkstemp(path);
    long size = sysconf(_SC_PAGESIZE);
    char *page;

    (void)state;
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 2 * size), 0);
    page = mmap(NULL, (size_t)(2 * size), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    assert_true(page != MAP_FAILED);
    strcpy(page, "relocated");
    assert_int_equal(mprotect(page, (size_t)(2 * size), PROT_READ), 0);
    tidy_up();
    assert_string_equal(page, "relocated");
    munmap(page, (size_t)(2 * size));
    close(file);
    unlink(path);
}

/* As the kernel writes them. */
#define MAPPING(addresses, mode, file, anonymous_kB, swap_kB)                                             \
    addresses " " mode " 00001000 fe:01 1234   " file "\nSize: 8 kB\nRss: 8 kB\nAnonymous: " anonymous_kB \
              " kB\nSwap: " swap_kB " kB\nSwapPss: 0 kB\nVmFlags: rd mr\n"

static size_t find(char *text, uintptr_t program, struct tidy_mapping found[4])
{
    FILE *smaps = fmemopen(text, strlen(text), "r");
    size_t count;

    assert_non_null(smaps);
    count = tidy_find(smaps, (const void *)program, found, 4);
    fclose(smaps);
    return count;
}

static void only_files_that_nobody_wrote_to_are_let_go_of(void **state)
{
    static char text[] = MAPPING("1000-3000", "r-xp", "/usr/bin/it", "0", "0") /* yes */
        MAPPING("3000-5000", "r--p", "/usr/bin/it", "4", "0")                  /* relocated */
        MAPPING("5000-7000", "r--p", "/usr/bin/it", "0", "4") /* relocated, and swapped out since */
        MAPPING("7000-9000", "rw-p", "/usr/bin/it", "0", "0") /* data */
        MAPPING("9000-b000", "rw-p", "[heap]", "0", "0") MAPPING("b000-d000", "r--p", "[vvar]", "0", "0")
            MAPPING("d000-f000", "r--p", "", "0", "0") MAPPING("f000-11000", "---p", "/lib/x.so", "0", "0")
                MAPPING("11000-13000", "r--p", "/lib/x y.so (deleted)", "0", "0"); /* yes */
    struct tidy_mapping found[4];

    (void)state;
    assert_int_equal(find(text, 0x1000, found), 2);
    assert_ptr_equal(found[0].first, (void *)0x1000);
    assert_int_equal(found[0].size, 0x2000);
    assert_ptr_equal(found[1].first, (void *)0x11000);
    assert_int_equal(find(text, 0x2000, found), 0); /* the addresses are an emulator's, not ours */
}

/* An emulator's, or that of a kernel that does not count. */
static void nothing_is_let_go_of_where_the_kernel_does_not_tell_what_was_written(void **state)
{
    static char text[] = MAPPING("1000-3000", "r-xp", "/usr/bin/it", "0", "0")
        MAPPING("3000-5000", "r--p", "/usr/bin/it", "0", "0")
            MAPPING("7000-9000", "rw-p", "/usr/bin/it", "4", "0");
    struct tidy_mapping found[4];

    (void)state;
    assert_int_equal(find(text, 0x1000, found), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_of_programs_is_given_back_and_comes_again),
        cmocka_unit_test(only_files_that_nobody_wrote_to_are_let_go_of),
        cmocka_unit_test(nothing_is_let_go_of_where_the_kernel_does_not_tell_what_was_written),
        cmocka_unit_test(what_was_written_before_it_was_protected_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
