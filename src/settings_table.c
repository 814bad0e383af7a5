#include "settings_table.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "meaning.h"

enum {
    DISTANCE_NAME_MAX = 64,
    DISTANCE_MAX = 4, /* edits that a misspelt key may be away from a real one */
};

#define AT(member) offsetof(struct config, member)

static const char bank[] = "bank";
static const char services[] = "services";
static const char current[] = "current";
static const char soc[] = "soc";
static const char control[] = "charge control";
static const char output[] = "output";
static const char older[] = "accepted, not needed";

const struct key settings_keys[] = {
    {bank, "NR_OF_BATTERIES", NULL, KEY_COUNT, AT(nr_of_batteries), 0, 1, 64, "", "",
     MEANING(
         "Packs that make the bank whole; it is not shown before all are there. Empty: the bank is what is "
         "found, from the first pack on.")},
    {bank, "NR_OF_CELLS_PER_BATTERY", NULL, KEY_COUNT, AT(nr_of_cells_per_battery), 0, 1, 64, "", "",
     MEANING("Cells in series in a pack. Empty: as the packs say.")},
    {bank, "NR_OF_MPPTS", NULL, KEY_COUNT, AT(nr_of_mppts), 0, 0, 64, "", "",
     MEANING("Solar chargers that count for the bank current. Empty: all that are found.")},

    {bank, "BANK", NULL, KEY_SHAPE, AT(shape), 0, 0, 0, "", "",
     MEANING("How the packs are wired: + in series, | in parallel, each by its name, its serial or # and its "
             "instance: "
             "(A + B) | (C + D), or \"House 1\" | #289. Empty: all that are found, in parallel.")},
    {bank, "CURRENT_SHARING", NULL, KEY_CHOICE, AT(current_sharing), 0, 0, 0,
     "count, capacity, resistance or measured", "capacity",
     MEANING(
         "What part of the current each pack takes, for CCL and DCL merged from theirs. count: all the "
         "same, as dbus-aggregate-batteries has it. capacity: by installed capacity. resistance: as steps of "
         "the current divide between them, which their resistances decide; from the fifth step to the tenth "
         "that takes over from the capacities. measured: as it was in the last minutes. Whatever this says, "
         "the bank's limit falls while a pack is measured above 95 % of its own.")},
    {bank, "BLOCKED_PACK", NULL, KEY_CHOICE, AT(blocked_pack), 0, 0, 0, "stop or exclude", "stop",
     MEANING("When a pack blocks charging (it is cold, it is full). stop: CCL is 0, as "
             "dbus-aggregate-batteries has "
             "it. exclude: the others go on with limits of their own. The same for discharging and DCL.")},
    {bank, "BLOCK_REJOIN_DIFF", NULL, KEY_REAL, AT(block_rejoin_diff_V), 0, 0.02, 5, "V", "0.2",
     MEANING(
         "A pack whose voltage differs by more than this (for 16 cells in series) when it blocks no more, or "
         "was away, is waited for, with low limits, until they meet, it is as far apart as it was before, or "
         "has stood so for 10 minutes with little current: then it is its sensor.")},

    {bank, "STALE_AFTER", NULL, KEY_WHOLE, AT(stale_after_s), 0, 2, 600, "s", "30",
     MEANING("A pack that has said nothing for half of this is asked; one that has not answered by then is "
             "lost: its "
             "limits no longer hold, the others lead on, and there is an alarm. A Multi, solar charger or "
             "shunt is asked likewise, and its current is unknown then: the packs' own stands in.")},

    {bank, "PACK_LOST", NULL, KEY_CHOICE, AT(pack_lost), 0, 0, 0, "degrade, hold or stop", "degrade",
     MEANING("When a pack of the bank is lost. degrade: the others lead on, no limit rises for LOST_GRACE, "
             "CVL not until it is back. hold: the same, and then CCL and DCL are 0. stop: they are 0 at "
             "once. DCL = 0 off-grid means that the Multi shuts "
             "down and "
             "the house goes dark: hold and stop are for those who choose that.")},
    {bank, "LOST_GRACE", NULL, KEY_WHOLE, AT(lost_grace_s), 0, 0, 86400, "s", "600",
     MEANING("So long capacity and SoC keep the part of a lost pack, and CCL and DCL do not rise because it "
             "went. Without NR_OF_BATTERIES, and with PACK_LOST = degrade, it is no longer waited for then. "
             "What a "
             "pack that was never complete had lowered stands for so long after it went.")},

    {services, "BATTERY_SERVICE_NAME", NULL, KEY_TEXT, AT(battery_service_name), 0, 1, 0, "",
     "com.victronenergy.battery", MEANING("Services in which packs and shunts are looked for.")},
    {services, "DCLOAD_SERVICE_NAME", NULL, KEY_TEXT, AT(dcload_service_name), 0, 0, 0, "",
     "com.victronenergy.dcload", MEANING("Services in which shunts set to DC metering are looked for.")},
    {services, "MULTI_KEYWORD", "MULTI_KEY_WORD", KEY_TEXT, AT(multi_keyword), 0, 0, 0, "",
     "com.victronenergy.vebus", MEANING("Services that are a MultiPlus or Quattro. Empty: none.")},
    {services, "MPPT_KEYWORD", "MPPT_KEY_WORD", KEY_TEXT, AT(mppt_keyword), 0, 0, 0, "",
     "com.victronenergy.solarcharger", MEANING("Services that are a solar charger. Empty: none.")},
    {services, "BATTERY_PRODUCT_NAME_PATH", NULL, KEY_TEXT_PATH, AT(battery_product_name_path), 0, 0, 0, "",
     "/ProductName", MEANING("Where a pack shows the name that BATTERY_PRODUCT_NAME is looked for in.")},
    {services, "BATTERY_PRODUCT_NAME", NULL, KEY_TEXTS, AT(battery_product_names), 0, 0, 0, "", "",
     MEANING("Only battery services whose product name contains this, or one of these, are packs (upper and "
             "lower "
             "case "
             "differ; with * or ? it is the whole name). Empty: every battery that shows limits or cells, "
             "shunts and "
             "aggregates apart.")},
    {services, "PACKS", NULL, KEY_PACKS, AT(packs), 0, 0, 0, "", "",
     MEANING("These battery services alone are packs, each by its custom name, its serial, its product name "
             "or its "
             "instance: \"House 1\", #289, SerialBattery*. * stands for any text, ? for one character. It "
             "takes the "
             "place of BATTERY_PRODUCT_NAME.")},
    {services, "IGNORE", NULL, KEY_PACKS, AT(ignore), 0, 0, 0, "", "",
     MEANING("These battery services are neither packs nor shunts for us; named as in PACKS, over which it "
             "prevails.")},
    {services, "BATTERY_INSTANCE_NAME_PATH", NULL, KEY_TEXT_PATH, AT(battery_instance_name_path), 0, 0, 0, "",
     "/CustomName",
     MEANING("Where a pack shows what it is called. /Serial is there to stay, /CustomName is for "
             "people.")},
    {services, "SMARTSHUNT_NAME_KEYWORD", NULL, KEY_TEXT, AT(smartshunt_name_keyword), 0, 0, 0, "",
     "SmartShunt", MEANING("A service whose product name contains this is a shunt, not a pack.")},
    {services, "SMARTSHUNT_INSTANCE_NAME_PATH", NULL, KEY_TEXT_PATH, AT(smartshunt_instance_name_path), 0, 0,
     0, "", "/CustomName", MEANING("Where a shunt shows the name that USE_SMARTSHUNTS lists.")},

    {current, "CURRENT_FROM_VICTRON", NULL, KEY_BOOL, AT(current_from_victron), 0, 0, 0, "", "False",
     MEANING(
         "The bank current is what Multi, solar chargers and shunts measure, instead of what the packs do. "
         "While one of them cannot be read the packs stand in.")},
    {current, "CURRENT_SOURCES", NULL, KEY_SOURCES, AT(current_sources), 0, 0, 0, "", "vebus, solarcharger",
     MEANING("What is summed for it, beside the shunts of USE_SMARTSHUNTS: classes of services, one instance "
             "of a "
             "class "
             "(dcload#31) or an instance (#288). Each counts as its class has it: dcload, dcsystem, "
             "motordrive and "
             "dcdc "
             "take from the bank, all others charge it. + before it: its current adds, - subtracts. dcdc "
             "takes by "
             "its "
             "input current; write +dcdc where its output charges the bank. A shunt in the trunk and its "
             "branches "
             "would be counted twice: name one of the two.")},
    {current, "PACK_SHUNT", NULL, KEY_PACK_SHUNTS, AT(pack_shunts), 0, 0, 0, "", "",
     MEANING("Packs with a shunt of their own, which measures better than their BMS: \"House 1\": 279, "
             "\"House 2\": "
             "280 "
             "soc. The pack's current is that of the shunt of this instance (-279: the other way round) and, "
             "with "
             "soc, "
             "its SoC too; this shunt counts for nothing else. While it cannot be read the pack's own values "
             "stand "
             "in.")},
    {current, "USE_SMARTSHUNTS", "DC_LOADS", KEY_SHUNTS, AT(use_smartshunts), 0, 0, 0, "", "False",
     MEANING("Shunts that count for it: False none, True all, or a list of device instances or names "
             "([278, \"Front\"]). A shunt set to battery monitor adds, one set to DC metering subtracts.")},
    {current, "INVERT_SMARTSHUNTS", "INVERT_SMARTSHUNT", KEY_BOOL, AT(invert_smartshunts), 0, 0, 0, "",
     "False", MEANING("The other way round.")},
    {current, "SMARTSHUNT_AS_BATTERY_CURRENT", NULL, KEY_BOOL, AT(smartshunt_as_battery_current), 0, 0, 0, "",
     "False", MEANING("The first shunt set to battery monitor alone is the bank current.")},

    {soc, "OWN_SOC", NULL, KEY_BOOL, AT(own_soc), 0, 0, 0, "", "False",
     MEANING(
         "State of charge from our own Coulomb counter instead of the mean of the packs'. The counter always "
         "runs.")},
    {soc, "SOC_METHOD", NULL, KEY_CHOICE, AT(soc_method), 0, 0, 0, "learned or reference", "learned",
     MEANING("What OWN_SOC shows. learned: a counter that learns between two full charges what the current "
             "sensor "
             "shows too much and what charging loses, and that takes the bank for full when the charge "
             "current has "
             "fallen too; reference: the plain counter of dbus-aggregate-batteries.")},
    {soc, "CAPACITY", NULL, KEY_CHOICE, AT(capacity), 0, 0, 0, "nameplate or learned", "nameplate",
     MEANING("What OWN_SOC is a share of. nameplate: the installed capacity, as the packs say. learned: the "
             "usable "
             "capacity that `battery-aggregator capacity` tells, from the first sweep on that leaves it "
             "uncertain by "
             "no more than 5 %; the nameplate until then.")},
    {soc, "ZERO_SOC", NULL, KEY_BOOL, AT(zero_soc), 0, 0, 0, "", "False",
     MEANING("The counter may be set to 0 at the bottom. At the top it is always set to 100 %.")},
    {soc, "MAX_CELL_VOLTAGE_SOC_FULL", NULL, KEY_REAL, AT(max_cell_voltage_soc_full_V), 0, 1, 5, "V", "3.45",
     MEANING("The counter is set to 100 % when the highest cell is here (OWN_CHARGE_PARAMETERS = False).")},
    {soc, "MIN_CELL_VOLTAGE_SOC_EMPTY", NULL, KEY_REAL, AT(min_cell_voltage_soc_empty_V), 0, 1, 5, "V",
     "2.90",
     MEANING("With ZERO_SOC it is set to 0 when the lowest cell is here (OWN_CHARGE_PARAMETERS = False).")},
    {soc, "BATTERY_EFFICIENCY", NULL, KEY_REAL, AT(battery_efficiency), 0, 0.5, 1, "share", "0.98",
     MEANING("Of the charge that goes in, how much can be taken out.")},
    {soc, "CHARGE_SAVE_PRECISION", NULL, KEY_REAL, AT(charge_save_precision), 0, 0.00001, 1, "share",
     "0.0025",
     MEANING("The file `charge` is written when the charge moved by this share of the capacity. Smaller "
             "wears the "
             "flash.")},

    {control, "OWN_CHARGE_PARAMETERS", NULL, KEY_BOOL, AT(own_charge_parameters), 0, 0, 0, "", "False",
     MEANING("CVL, CCL and DCL are computed here from the cells. False: merged from those of the packs.")},
    {control, "CHARGE_VOLTAGE_LIST", NULL, KEY_MONTHS, AT(charge_voltage_V), 0, 1, 5, "V per cell",
     "3.55, 3.50, 3.50, 3.45, 3.40, 3.40, 3.40, 3.40, 3.45, 3.50, 3.50, 3.55",
     MEANING(
         "How full the bank is charged, January to December: lower in summer for a longer life, higher in "
         "winter for more energy. A month above MAX_CELL_VOLTAGE makes a cell peak at every full charge, "
         "which "
         "turns DC feed-in off.")},
    {control, "BALANCING_VOLTAGE", NULL, KEY_REAL, AT(balancing_voltage_V), 0, 1, 5, "V per cell", "3.40",
     MEANING("Charged up to once in BALANCING_REPETITION days and kept until the cells are even. Below "
             "MAX_CELL_VOLTAGE.")},
    {control, "BALANCING_REPETITION", NULL, KEY_WHOLE, AT(balancing_repetition_days), 0, 1, 365, "days", "10",
     MEANING("Days from one balancing to the next.")},
    {control, "CELL_DIFF_MAX", NULL, KEY_REAL, AT(cell_diff_max_V), 0, 0.001, 0.5, "V", "0.025",
     MEANING("Cells that differ by less are even.")},
    {control, "MAX_CELL_VOLTAGE", NULL, KEY_REAL, AT(max_cell_voltage_V), 0, 1, 5, "V", "3.45",
     MEANING("No cell shall be above: from here on CVL gives way and DC feed-in is off.")},
    {control, "MIN_CELL_VOLTAGE", NULL, KEY_REAL, AT(min_cell_voltage_V), 0, 0.5, 5, "V", "2.90",
     MEANING("With a cell here nothing is discharged any more. Off-grid that means: the house goes dark.")},
    {control, "MIN_CELL_HYSTERESIS", NULL, KEY_REAL, AT(min_cell_hysteresis_V), 0, 0, 1, "V", "0.1",
     MEANING("Discharged again when the lowest cell is this much above MIN_CELL_VOLTAGE.")},
    {control, "MAX_CHARGE_CURRENT", NULL, KEY_REAL_SET, AT(max_charge_current_A), AT(max_charge_current_set),
     0, 5000, "A", "",
     MEANING(
         "Of the bank. Empty: 200 A for our own charge control, and no cap on merged limits. Set it to what "
         "busbars and fuses bear: no BMS knows them.")},
    {control, "MAX_DISCHARGE_CURRENT", NULL, KEY_REAL_SET, AT(max_discharge_current_A),
     AT(max_discharge_current_set), 0, 5000, "A", "", MEANING("The same for discharging.")},
    {control, "CELL_CHARGE_LIMITING_VOLTAGE", NULL, KEY_CURVE_X, AT(charge_curve), 0, 0.5, 5, "V", "",
     MEANING("The charge current follows the cells: at these voltages of a cell ... Empty: MIN_CELL_VOLTAGE, "
             "that + 0.05, BALANCING_VOLTAGE - 0.1, BALANCING_VOLTAGE, MAX_CELL_VOLTAGE.")},
    {control, "CELL_CHARGE_LIMITED_CURRENT", NULL, KEY_CURVE_Y, AT(charge_curve), 0, 0, 1, "share",
     "0.2, 1, 1, 0.1, 0", MEANING("... this share of MAX_CHARGE_CURRENT, in between on a straight line.")},
    {control, "CELL_DISCHARGE_LIMITING_VOLTAGE", NULL, KEY_CURVE_X, AT(discharge_curve), 0, 0.5, 5, "V", "",
     MEANING("The same for discharging. Empty: MIN_CELL_VOLTAGE, that + 0.1, that + 0.2.")},
    {control, "CELL_DISCHARGE_LIMITED_CURRENT", NULL, KEY_CURVE_Y, AT(discharge_curve), 0, 0, 1, "share",
     "0, 0.05, 1", MEANING("... this share of MAX_DISCHARGE_CURRENT.")},
    {control, "KEEP_MAX_CVL", NULL, KEY_BOOL, AT(keep_max_cvl), 0, 0, 0, "", "False",
     MEANING(
         "When merging: the highest CVL of the packs until all are in float, then the lowest, so that one "
         "pack in float does not stop the others from balancing. A pack with a cell at MAX_CELL_VOLTAGE "
         "still "
         "pulls it down.")},

    {control, "CVL_CONTROL", NULL, KEY_CHOICE, AT(cvl_control), 0, 0, 0, "smooth or reference", "smooth",
     MEANING("How CVL gives way to the highest cell (OWN_CHARGE_PARAMETERS = True). smooth: ahead of the "
             "peak, so "
             "that the cell stays a few mV under MAX_CELL_VOLTAGE and chargers do not hunt; reference: by "
             "what the "
             "cells are above MAX_CELL_VOLTAGE, once they are, as dbus-aggregate-batteries does it.")},
    {control, "FEED_IN_RETURN", NULL, KEY_CHOICE, AT(feed_in_return), 0, 0, 0, "calm or balanced", "calm",
     MEANING(
         "DC feed-in is turned off while a cell is at MAX_CELL_VOLTAGE, a pack blocks charging or CCL is 0 "
         "for the whole bank (OWN_CHARGE_PARAMETERS = True). It comes back, calm: when the highest cell has "
         "stayed 10 mV under "
         "MAX_CELL_VOLTAGE for FEED_IN_MIN_HOLD; balanced: when the cells differ by less than CELL_DIFF_MAX, "
         "which near the top may take days.")},
    {control, "FEED_IN_MIN_HOLD", NULL, KEY_REAL, AT(feed_in_min_hold_s), 0, 0, 3600, "s", "60",
     MEANING("It stays off at least so long. A peak within the hour after its return doubles the next hold, "
             "up to "
             "an hour.")},

    {output, "UPDATE_INTERVAL_DATA", NULL, KEY_WHOLE, AT(update_interval_data_s), 0, 1, 60, "s", "1",
     MEANING("Everything is calculated each second, and shown when it changed; what time alone changes, at "
             "least this often.")},
    {output, "UPDATE_COALESCE", NULL, KEY_WHOLE, AT(update_coalesce_ms), 0, 0, 1000, "ms", "50",
     MEANING("Changes are gathered for so long, then calculated and published once.")},
    {output, "SEND_CELL_VOLTAGES", NULL, KEY_BOOL, AT(send_cell_voltages), 0, 0, 0, "", "False",
     MEANING("Show every cell as /Voltages/<pack>_Cell<k>.")},
    {output, "LOGGING", NULL, KEY_LEVEL, AT(logging), 0, 0, 0, "", "INFO", MEANING("How much the log says.")},
    {output, "LOG_PERIOD", NULL, KEY_WHOLE, AT(log_period_s), 0, 0, 86400, "s", "300",
     MEANING("A line with the state of the bank every so often. 0: none.")},

    {older, "CAN_batteries", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "",
     "What a pack does not show is derived, pack by pack."},
    {older, "SEARCH_TRIALS", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "", "Nobody gives up searching here."},
    {older, "READ_TRIALS", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "",
     "Nobody exits here over a failed reading."},
    {older, "TIME_BEFORE_RESTART", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "", "Nobody restarts here."},
    {older, "UPDATE_INTERVAL_FIND_DEVICES", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "",
     "Devices are noticed as they come."},
    {older, "IGNORE_SMARTSHUNT_ABSENCE", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "",
     "While a shunt cannot be read the packs' current stands in, whatever this says."},
    {older, "OWN_SOC_FULL_VOLTAGE", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "", "Has no effect."},
    {older, "OWN_SOC_FULL_CELL_MEDIAN_VOLTAGE", NULL, KEY_NOT_NEEDED, 0, 0, 0, 0, "", "", "Has no effect."},
};

const size_t settings_key_count = sizeof settings_keys / sizeof *settings_keys;

const struct key *settings_find_key(const char *name)
{
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];

        if (strcasecmp(key->name, name) == 0 || (key->alias && strcasecmp(key->alias, name) == 0))
            return key;
    }
    return NULL;
}

/* In one row. */
size_t settings_edits(const char *a, const char *b)
{
    size_t row[DISTANCE_NAME_MAX];
    size_t length = strlen(b);

    if (length >= DISTANCE_NAME_MAX || strlen(a) >= DISTANCE_NAME_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= length; k++)
        row[k] = k;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t k = 1; k <= length; k++) {
            size_t replaced =
                diagonal + (toupper((unsigned char)a[i - 1]) != toupper((unsigned char)b[k - 1]));
            size_t removed = row[k] + 1;
            size_t added = row[k - 1] + 1;

            diagonal = row[k];
            row[k] = replaced < removed ? replaced : removed;
            row[k] = row[k] < added ? row[k] : added;
        }
    }
    return row[length];
}

const struct key *settings_nearest_key(const char *name)
{
    const struct key *nearest = NULL;
    size_t half = strlen(name) / 2 + 1; /* "nan" is no BANK */
    size_t shortest = half < DISTANCE_MAX ? half : DISTANCE_MAX + 1;

    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];
        size_t edits = settings_edits(name, key->name);
        size_t by_alias = key->alias ? settings_edits(name, key->alias) : SIZE_MAX;

        edits = by_alias < edits ? by_alias : edits;
        if (edits < shortest) {
            shortest = edits;
            nearest = key;
        }
    }
    return nearest;
}

/* "0 to 1000": plain decimals, as a user would write them. */
static void append_bounds(const struct key *key, char *buf, size_t size)
{
    const double bounds[] = {key->min, key->max};

    for (int i = 0; i < 2; i++) {
        size_t used = strlen(buf);

        snprintf(buf + used, size - used, "%s%.5f", i > 0 ? " to " : "", bounds[i]);
        used = strlen(buf);
        while (buf[used - 1] == '0')
            used--;
        buf[buf[used - 1] == '.' ? used - 1 : used] = '\0';
    }
}

/* "up to 16 of vebus, multi, ... or battery, each with + or - or without, or #INSTANCE" */
static void append_classes(char *buf, size_t size)
{
    snprintf(buf, size, "empty, or up to %d of ", CONFIG_NAMES_MAX);
    for (int i = DC_ANY + 1; i < DC_CLASS_COUNT; i++) {
        size_t used = strlen(buf);

        snprintf(buf + used, size - used, "%s, ", dc_class_name((enum dc_class)i));
    }
    snprintf(buf + strlen(buf), size - strlen(buf), "#INSTANCE");
}

const char *settings_key_range(const struct key *key, char *buf, size_t size)
{
    *buf = '\0';
    switch (key->type) {
    case KEY_BOOL:
        snprintf(buf, size, "True or False");
        break;
    case KEY_COUNT:
    case KEY_REAL_SET:
        snprintf(buf, size, "empty, or ");
        append_bounds(key, buf, size);
        break;
    case KEY_WHOLE:
    case KEY_REAL:
        append_bounds(key, buf, size);
        break;
    case KEY_TEXT:
        snprintf(buf, size, key->min > 0 ? "a text of 1 to %d bytes" : "a text of up to %d bytes",
                 CONFIG_TEXT_MAX - 1);
        break;
    case KEY_TEXT_PATH:
        snprintf(buf, size, "/ProductName, /CustomName or /Serial");
        break;
    case KEY_MONTHS:
        snprintf(buf, size, "12 numbers of ");
        append_bounds(key, buf, size);
        break;
    case KEY_CURVE_X:
        snprintf(buf, size, "empty, or 2 to %d ascending numbers of ", CURVE_POINTS_MAX);
        append_bounds(key, buf, size);
        break;
    case KEY_CURVE_Y:
        snprintf(buf, size, "as many numbers of ");
        append_bounds(key, buf, size);
        break;
    case KEY_SHAPE:
        snprintf(buf, size, "packs with + and | between them");
        break;
    case KEY_SHUNTS:
        snprintf(buf, size, "True, False or a list of up to %d instances or names", CONFIG_NAMES_MAX);
        break;
    case KEY_TEXTS:
        snprintf(buf, size, "empty, or up to %d texts of up to %d bytes", CONFIG_PATTERNS_MAX,
                 CONFIG_TEXT_MAX - 1);
        break;
    case KEY_PACKS:
        snprintf(buf, size, "empty, or up to %d names, serials, product names or #instances, with * and ?",
                 CONFIG_PATTERNS_MAX);
        break;
    case KEY_PACK_SHUNTS:
        snprintf(buf, size, "empty, or up to %d of PACK: INSTANCE or PACK: INSTANCE soc", CONFIG_NAMES_MAX);
        break;
    case KEY_SOURCES:
        append_classes(buf, size);
        break;
    case KEY_LEVEL:
        snprintf(buf, size, "ERROR, WARNING, INFO or DEBUG");
        break;
    case KEY_CHOICE:
        snprintf(buf, size, "%s", key->unit);
        break;
    case KEY_NOT_NEEDED:
        snprintf(buf, size, "anything");
        break;
    }
    return buf;
}

const char *settings_key_unit(const struct key *key)
{
    return key->type == KEY_CHOICE ? "" : key->unit;
}
