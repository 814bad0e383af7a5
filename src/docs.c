#include "docs.h"

#include <ctype.h>
#include <string.h>

#include "settings_table.h"
#include "venus/outputs.h"
#include "venus/pages.h"

/* ---- settings ---- */

/* As it may stand in a cell of a table. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '<' || *text == '*')
            putc('\\', out);
        putc(*text, out);
    }
}

static void print_key(FILE *out, const struct key *key)
{
    char range[160];

    fprintf(out, "| `%s` | ", key->name);
    if (*key->default_text)
        fprintf(out, "`%s`", key->default_text);
    else
        fputs("empty", out);
    fputs(" | ", out);
    print_cell(out, settings_key_range(key, range, sizeof range));
    if (*settings_key_unit(key))
        fprintf(out, " %s", settings_key_unit(key));
    fputs(" | ", out);
    print_cell(out, key->help);
    if (key->alias)
        fprintf(out, " (3.x: `%s`)", key->alias);
    fputs(" |\n", out);
}

void docs_write_settings(FILE *out)
{
    const char *section = "";

    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];

        if (strcmp(key->section, section) != 0) {
            section = key->section;
            fprintf(out,
                    "\n## %c%s\n\n| key | default | allowed | what it does |\n| --- | --- | --- | --- |\n",
                    toupper((unsigned char)*section), section + 1);
        }
        print_key(out, key);
    }
    putc('\n', out);
}

/* ---- paths ---- */

/* Of what the paths are many: what stands in the example, and what in its place. */
static const struct {
    const char *example, *general;
} patterns[] = {
    {"/Battery/1/Cell/1/", "/Battery/<n>/Cell/<k>/"},
    {"/Battery/1/", "/Battery/<n>/"},
    {"/Diagnostics/Module0/Alarms/BmsCable", "/Diagnostics/Module<n-1>/Alarms/<alarm>"},
    {"/Diagnostics/Module0/", "/Diagnostics/Module<n-1>/"},
    {"/Voltages/Pack_Cell1", "/Voltages/<pack>_Cell<k>"},
};

static const struct {
    const char *heading, *prefix; /* "" = all that no other section has */
} sections[] = {
    {"The bank", ""},
    {"Alarms of the bank", "/Alarms/"},
    {"History of the bank", "/History/"},
    {"Each pack", "/Battery/"},
    {"Alarms of each pack", "/Diagnostics/"},
};

enum { SECTIONS = sizeof sections / sizeof *sections };

static int section_of(const char *path)
{
    for (int i = 1; i < SECTIONS; i++) {
        if (strncmp(path, sections[i].prefix, strlen(sections[i].prefix)) == 0)
            return i;
    }
    return 0;
}

static void print_path(FILE *out, const char *path)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t length = strlen(patterns[i].example);

        if (strncmp(path, patterns[i].example, length) == 0) {
            fprintf(out, "%s%s", patterns[i].general, path + length);
            return;
        }
    }
    fputs(path, out);
}

/* "0 Ok, 1 Warning, 2 Alarm"; of equal names in a row the first and the last number. */
static void print_names(FILE *out, const char *const *names)
{
    for (int i = 0; names[i];) {
        int last = i;

        while (names[last + 1] && strcmp(names[last + 1], names[i]) == 0)
            last++;
        fprintf(out, i > 0 ? ", %d" : "%d", i);
        if (last > i)
            fprintf(out, "-%d", last);
        fprintf(out, " %s", names[i]);
        i = last + 1;
    }
}

static double sample_of(const struct item_def *def)
{
    static const struct {
        const char *unit;
        double number;
    } samples[] = {{"%", 71.26}, {"°C", 21.53}, {"s", 36000}, {"W", 6249}, {"kWh", 1234.567}};

    for (size_t i = 0; def->unit && i < sizeof samples / sizeof *samples; i++) {
        if (strcmp(def->unit, samples[i].unit) == 0)
            return samples[i].number;
    }
    return def->decimals >= 3 ? 3.3456 : 53.1234;
}

/* What a number looks like as Text. */
static void print_text(FILE *out, struct items *items, int item)
{
    const struct item_def def = items_def(items, item);
    char text[ITEMS_TEXT_MAX];

    if (def.type == 's') {
        fputs("the same", out);
    } else if (def.names) {
        print_names(out, def.names);
    } else {
        if (items_value(items, item).kind == VALUE_INVALID)
            items_set_number(items, item, sample_of(&def));
        fprintf(out, "`%s`", items_text(items, item, text));
    }
}

static void print_item(FILE *out, struct items *items, int item)
{
    const struct item_def def = items_def(items, item);
    const char *type = def.type == 's' ? "string" : def.type == 'i' ? "int32" : "double";
    char path[ITEMS_PATH_MAX];

    fputs("| `", out);
    print_path(out, items_path(items, item, path));
    fprintf(out, "` | %s%s | %s | ", type, def.writable ? ", writable" : "", def.unit ? def.unit : "");
    print_text(out, items, item);
    fputs(" | ", out);
    print_cell(out, def.description);
    fputs(" |\n", out);
}

/* One pack that shows a cell and an alarm, so that every kind of path is in the tree. */
static void show_example(struct outputs *outputs, struct pages *pages)
{
    static struct pack pack; /* some KiB */
    const struct pack *packs[] = {&pack};

    pack_clear(&pack);
    strcpy(pack.name, "Pack");
    pack.reading.cell_V[0] = 3.3456;
    outputs_set_cells(outputs, packs, 1);
    pages_set_pack(pages, 0, &(struct pages_pack){"service", pack.name, "serial", true});
    pages_set_values(pages, 0, &pack, 0);
    pages_set_learned(pages, 0, &(struct pages_learned){50, 12, 1});
}

bool docs_write_paths(FILE *out)
{
    struct items *items = items_new(NULL, NULL);
    struct outputs *outputs = items ? outputs_new(items) : NULL;
    struct pages *pages = outputs ? pages_new(items) : NULL;
    bool good = pages != NULL;

    if (good)
        show_example(outputs, pages);
    for (int section = 0; good && section < SECTIONS; section++) {
        fprintf(out, "\n## %s\n\n| path | type | unit | text | meaning |\n| --- | --- | --- | --- | --- |\n",
                sections[section].heading);
        for (size_t i = 0; i < items_count(items); i++) {
            char path[ITEMS_PATH_MAX];

            if (section_of(items_path(items, (int)i, path)) == section)
                print_item(out, items, (int)i);
        }
    }
    putc('\n', out);
    pages_free(pages);
    outputs_free(outputs);
    items_free(items);
    return good;
}
