/* Takes foreign settings files apart: assignments of Python, an ini file, the top of a JSON object. Knows
 * their syntax and nothing of what the names mean. */
#ifndef COMMANDS_IMPORT_READ_H
#define COMMANDS_IMPORT_READ_H

enum { IMPORT_NAME_MAX = 64, IMPORT_VALUE_MAX = 2048 };

struct import_line {
    int line;          /* from 1 on */
    const char *name;  /* "" = this line is no setting */
    const char *value; /* as settings.ini would have it; NULL = not understood */
};

typedef void (*import_line_fn)(void *ctx, const struct import_line *line);

/* Numbers, texts, True, False, lists, and + - * / of numbers and of names that stand above. */
void import_read_python(const char *text, import_line_fn take, void *ctx);

/* As Python's configparser reads it: KEY = value or KEY: value, continued by indented lines. */
void import_read_ini(const char *text, import_line_fn take, void *ctx);

/* Each member of the top object; of an inner list or object the value is "[...]" or "{...}". */
void import_read_json(const char *text, import_line_fn take, void *ctx);

#endif
