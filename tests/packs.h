/* Packs for the tests of core/: plain data, no bus. */
#ifndef TESTS_PACKS_H
#define TESTS_PACKS_H

#include "fixture.h"

#include "core/bank.h"

enum { PACKS_MAX = 4 };

/* Packs and the array of pointers that the rooms of core/ take. */
struct packs {
    struct pack pack[PACKS_MAX];
    const struct pack *list[PACKS_MAX];
};

static inline void packs_init(struct packs *packs)
{
    for (int i = 0; i < PACKS_MAX; i++) {
        pack_clear(&packs->pack[i]);
        packs->pack[i].name[0] = (char)('A' + i);
        packs->list[i] = &packs->pack[i];
    }
}

static inline void packs_remember(struct packs *packs)
{
    for (int i = 0; i < PACKS_MAX; i++)
        pack_remember(&packs->pack[i]);
}

/* The LTO settings of the vectors: 22 cells, MAX 2.55, MIN 1.9, BALANCING 2.5, 200 A. */
static inline void config_lto(struct config *config)
{
    static const char text[] =
        "NR_OF_CELLS_PER_BATTERY = 22\nOWN_CHARGE_PARAMETERS = True\n"
        "MAX_CELL_VOLTAGE = 2.55\nMIN_CELL_VOLTAGE = 1.9\nBALANCING_VOLTAGE = 2.5\n"
        "MAX_CELL_VOLTAGE_SOC_FULL = 2.5\nMIN_CELL_VOLTAGE_SOC_EMPTY = 1.9\n"
        "CHARGE_VOLTAGE_LIST = 2.45, 2.45, 2.42, 2.42, 2.40, 2.40, 2.40, 2.40, 2.40, 2.42, "
        "2.42, 2.45\n"
        "MAX_CHARGE_CURRENT = 200\nMAX_DISCHARGE_CURRENT = 200\n";
    char lines[sizeof text];

    memcpy(lines, text, sizeof text);
    assert_int_equal(settings_read_text("lto", lines, strlen(lines), config, NULL, NULL), 0);
}

#endif
