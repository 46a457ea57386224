/*
 * config_set.c - wr_set_* and wr_parse_*: the values that directives take,
 * from text to the field of a configuration.
 *
 * Runs where a configuration is read, in one thread.  The texts of errors are
 * completed by config_walk.c with file, line and the directive's name.
 */
#include "wr_command.h"

#include "config_reader.h"
#include "config_walk.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What follows a number, and by how much it multiplies. */
typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

static const unit time_units[] = {
    {"", WR_SEC},        {"s", WR_SEC},
    {"ms", WR_MS},       {"min", 60 * WR_SEC},
    {"mi", 60 * WR_SEC}, {"h", 3600 * WR_SEC},
    {NULL, 0},
};

static const unit size_units[] = {
    {"", 1},
    {"K", INT64_C(1) << 10},
    {"M", INT64_C(1) << 20},
    {"G", INT64_C(1) << 30},
    {NULL, 0},
};

static const unit no_units[] = {{"", 1}, {NULL, 0}};

static const unit *find_unit(const unit *units, const char *name)
{
    for (; units->name; units++) {
        if (strcasecmp(units->name, name) == 0) {
            return units;
        }
    }
    return NULL;
}

/* An amount as it would be written: with the largest unit that divides it. */
static const char *amount_text(apr_pool_t *pool, const unit *units,
                               int64_t amount)
{
    const unit *best = units;

    for (const unit *u = units; u->name; u++) {
        if (amount != 0 && amount % u->factor == 0
            && (amount % best->factor != 0 || u->factor > best->factor)) {
            best = u;
        }
    }
    return apr_psprintf(pool, "%" APR_INT64_T_FMT "%s", amount / best->factor,
                        best->name);
}

/* A number with a unit.  what: "a number of bytes such as 64K". */
static const char *parse_amount(apr_pool_t *pool, const char *text,
                                const unit *units, const char *what,
                                const int64_t bounds[2], int64_t *amount)
{
    int64_t number, max = bounds[1] ? bounds[1] : INT64_MAX;
    const unit *u;
    char *end;
    bool is_number =
        apr_isdigit(text[0]) || (text[0] == '-' && apr_isdigit(text[1]));

    errno = 0;
    number = is_number ? strtoll(text, &end, 10) : 0;
    u = is_number ? find_unit(units, end) : NULL;
    if (!u) {
        return apr_psprintf(pool, "\"%.100s\" is not %s", text, what);
    }
    if (errno == ERANGE || __builtin_mul_overflow(number, u->factor, &number)
        || number > max) {
        return apr_psprintf(pool, "%.100s is too large: at most %s", text,
                            amount_text(pool, units, max));
    }
    if (number < bounds[0]) {
        return apr_psprintf(pool, "%.100s is too small: at least %s", text,
                            amount_text(pool, units, bounds[0]));
    }
    *amount = number;
    return NULL;
}

const char *wr_parse_int(apr_pool_t *pool, const char *text, int64_t min,
                         int64_t max, int64_t *value)
{
    const int64_t bounds[2] = {min, max};

    return parse_amount(pool, text, no_units, "a whole number", bounds, value);
}

const char *wr_parse_time(apr_pool_t *pool, const char *text, int64_t min,
                          int64_t max, int64_t *ns)
{
    const int64_t bounds[2] = {min, max};

    return parse_amount(pool, text, time_units,
                        "a time such as 5, 500ms, 2min or 1h", bounds, ns);
}

const char *wr_parse_size(apr_pool_t *pool, const char *text, int64_t min,
                          int64_t max, int64_t *bytes)
{
    const int64_t bounds[2] = {min, max};

    return parse_amount(pool, text, size_units,
                        "a number of bytes such as 8190 or 64K", bounds, bytes);
}

/* The field that a command is for. */
static void *field_of(const wr_command_call *call, void *config)
{
    return (char *)config + call->command->offset;
}

const char *wr_set_string(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    const char **field = field_of(call, config);

    (void)argc;
    *field = argv[0];
    return NULL;
}

const char *wr_set_flag(wr_command_call *call, void *config, int argc,
                        const char *const *argv)
{
    int *field = field_of(call, config);

    (void)argc;
    if (strcasecmp(argv[0], "on") == 0) {
        *field = 1;
    }
    else if (strcasecmp(argv[0], "off") == 0) {
        *field = 0;
    }
    else {
        return apr_psprintf(call->pool, "\"%.100s\" is neither On nor Off",
                            argv[0]);
    }
    return NULL;
}

/* Its place among words that stand between bars, or -1. */
static int find_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (int place = 0;; place++) {
        size_t next = strcspn(words, "|");

        if (next == len && strncasecmp(words, word, len) == 0) {
            return place;
        }
        if (!words[next]) {
            return -1;
        }
        words += next + 1;
    }
}

const char *wr_set_choice(wr_command_call *call, void *config, int argc,
                          const char *const *argv)
{
    int *field = field_of(call, config);
    int place = find_word(call->command->args, argv[0]);

    (void)argc;
    if (place < 0) {
        return apr_psprintf(call->pool, "\"%.100s\" is none of %s", argv[0],
                            call->command->args);
    }
    *field = place;
    return NULL;
}

const char *wr_set_int(wr_command_call *call, void *config, int argc,
                       const char *const *argv)
{
    int *field = field_of(call, config);
    int64_t max = call->command->max ? call->command->max : INT_MAX;
    int64_t value = 0;
    const char *error;

    (void)argc;
    error = wr_parse_int(call->pool, argv[0], call->command->min, max, &value);
    if (!error) {
        *field = (int)value;
    }
    return error;
}

const char *wr_set_size(wr_command_call *call, void *config, int argc,
                        const char *const *argv)
{
    (void)argc;
    return wr_parse_size(call->pool, argv[0], call->command->min,
                         call->command->max, field_of(call, config));
}

const char *wr_set_time(wr_command_call *call, void *config, int argc,
                        const char *const *argv)
{
    (void)argc;
    return wr_parse_time(call->pool, argv[0], call->command->min,
                         call->command->max, field_of(call, config));
}

const char *wr_set_path(wr_command_call *call, void *config, int argc,
                        const char *const *argv)
{
    const char **field = field_of(call, config);

    (void)argc;
    *field = wr_server_root_relative(call, argv[0]);
    return NULL;
}

const char *wr_server_root_relative(const wr_command_call *call,
                                    const char *path)
{
    return wr__path_below(call->walk->config->server_root, path, call->pool);
}
