/*
 * mod_headers.c - fields of responses and requests: Header, RequestHeader.
 *
 * Runs in any thread that steps connections.  A response's fields are changed
 * when all of them are there, just before they are written; a request's just
 * before the handler looks at them.  Lines that say "early" come before the
 * request's path is looked at, for trying out what a field would do.
 *
 * There are two tables of a response's fields, as in httpd: those of a success
 * ("onsuccess") and those that errors and redirects have too ("always"); each
 * line is about one of them.
 */
#define WR_LOG_MODULE headers_module

#include "wr_config.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_regex.h"
#include "wr_request.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>
#include <strings.h>

typedef enum action {
    ADD,
    APPEND,
    ECHO,
    EDIT,
    EDIT_ALL,
    MERGE,
    NOTE,
    SET,
    SET_IF_EMPTY,
    UNSET
} action;

/** Which fields a line is about. */
typedef enum target {
    OF_SUCCESS,
    OF_ALL,
    OF_REQUEST
} target;

/** A piece of a value: text, or what a % stands for. */
typedef struct piece {
    const char *text; /* or the variable's name */
    char letter;      /* 0: text; t, D, e */
} piece;

typedef struct change {
    target of;
    action what;
    const char *name;
    const wr_regex *regex;     /* EDIT, EDIT_ALL, ECHO (of names) */
    apr_array_header_t *value; /* piece; or NULL */
    const char *env;           /* only if this is set; or NULL */
    bool env_is_negated;
    bool is_early; /* as soon as the request is there */
    const wr_directive *directive;
} change;

typedef struct headers_config {
    apr_array_header_t *changes; /* change * */
} headers_config;

/* Configuration. */

static void *create_dir_config(apr_pool_t *pool)
{
    headers_config *conf = apr_palloc(pool, sizeof(*conf));

    conf->changes = apr_array_make(pool, 4, sizeof(change *));
    return conf;
}

static void *merge_dir_config(apr_pool_t *pool, const void *base,
                              const void *add)
{
    const headers_config *outer = base, *inner = add;
    headers_config *merged = apr_palloc(pool, sizeof(*merged));

    merged->changes = apr_array_append(pool, outer->changes, inner->changes);
    return merged;
}

static const struct action_name {
    const char *name;
    action what;
    int values; /* arguments after the field's name */
    bool is_for_request;
} actions[] = {
    {"add", ADD, 1, true},
    {"append", APPEND, 1, true},
    {"echo", ECHO, 0, false},
    {"edit", EDIT, 2, true},
    {"edit*", EDIT_ALL, 2, true},
    {"merge", MERGE, 1, true},
    {"note", NOTE, 1, false},
    {"set", SET, 1, true},
    {"setifempty", SET_IF_EMPTY, 1, true},
    {"unset", UNSET, 0, true},
};

static const struct action_name *find_action(const char *name, target of)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
        if (strcasecmp(name, actions[i].name) == 0
            && (of != OF_REQUEST || actions[i].is_for_request)) {
            return &actions[i];
        }
    }
    return NULL;
}

/** What follows a %; *at behind it. */
static const char *parse_percent(apr_pool_t *pool, const char **at, piece *p)
{
    const char *brace;

    switch (**at) {
    case '%':
        p->text = "%";
        break;
    case 't':
    case 'D':
        p->letter = **at;
        break;
    case '{':
        brace = strchr(*at, '}');
        if (!brace || brace == *at + 1 || brace[1] != 'e') {
            return "after %{NAME} stands e: a variable";
        }
        p->text = apr_pstrmemdup(pool, *at + 1, (apr_size_t)(brace - *at) - 1);
        p->letter = 'e';
        *at = brace + 1;
        break;
    default:
        return "a % is followed by t, D, {NAME}e, or another %";
    }
    ++*at;
    return NULL;
}

static const char *parse_value(apr_pool_t *pool, const char *text,
                               apr_array_header_t **value)
{
    *value = apr_array_make(pool, 2, sizeof(piece));
    while (*text) {
        piece *p = apr_array_push(*value);
        size_t len = strcspn(text, "%");
        const char *error;

        p->letter = '\0';
        if (len > 0) {
            p->text = apr_pstrmemdup(pool, text, len);
            text += len;
            continue;
        }
        text++;
        error = parse_percent(pool, &text, p);
        if (error) {
            return error;
        }
    }
    return NULL;
}

/** Neither what is found out later may decide, nor fields whose meaning has
 * been looked at before, or is made afterwards. */
static const char *check_early(const wr_command_call *call, const change *made)
{
    static const char *const of_request[] = {"Host", "Connection", "Expect"};
    static const char *const of_response[] = {
        "Content-Type", "Content-Encoding", "Content-Language"};
    const char *const *names =
        made->of == OF_REQUEST ? of_request : of_response;

    if (call->context == WR_IN_DIRECTORY) {
        return "early may not stand in a section";
    }
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(made->name, names[i]) == 0) {
            return apr_psprintf(call->temp_pool, "%s can't be changed early",
                                names[i]);
        }
    }
    return NULL;
}

/** "env=NAME", "env=!NAME", "early". */
static const char *parse_condition(wr_command_call *call, change *made,
                                   const char *text)
{
    if (strcasecmp(text, "early") == 0) {
        made->is_early = true;
        return check_early(call, made);
    }
    if (strncasecmp(text, "env=", 4) != 0) {
        return apr_psprintf(call->temp_pool,
                            "\"%.100s\" is too much: only env=[!]NAME or "
                            "early may stand there",
                            text);
    }
    text += 4;
    made->env_is_negated = *text == '!';
    made->env = text + made->env_is_negated;
    return *made->env ? NULL : "env= needs a name";
}

static bool is_token(const char *name)
{
    for (const char *at = name; *at; at++) {
        if (!apr_isalnum(*at) && !strchr("!#$%&'*+-.^_`|~", *at)) {
            return false;
        }
    }
    return *name;
}

/** Framing and connections are the server's. */
static const char *check_name(wr_command_call *call, change *made)
{
    static const char *const ours[] = {"Content-Length", "Transfer-Encoding",
                                       "Connection", "Date", "Server"};
    size_t count = sizeof(ours) / sizeof(*ours);

    for (size_t i = 0; i < (made->of == OF_REQUEST ? 2 : count); i++) {
        if (strcasecmp(made->name, ours[i]) == 0) {
            return apr_psprintf(
                call->temp_pool, "%s is the server's own affair%s", ours[i],
                strcmp(ours[i], "Server") == 0 ? ": see ServerTokens" : "");
        }
    }
    return is_token(made->name)
               ? NULL
               : apr_psprintf(call->temp_pool,
                              "\"%.100s\" is no name of a field", made->name);
}

/** The arguments after the field's name. */
static const char *parse_arguments(wr_command_call *call, change *made,
                                   const char *const *argv)
{
    apr_pool_t *pool = call->pool;
    const char *error;

    switch (made->what) {
    case UNSET:
        return NULL;
    case ECHO:
        return wr_regex_compile(&made->regex, made->name, WR_REGEX_NOCASE,
                                pool);
    case EDIT:
    case EDIT_ALL:
        error = wr_regex_compile(&made->regex, argv[0], 0, pool);
        if (!error
            && wr_regex_highest(argv[1]) > wr_regex_groups(made->regex)) {
            error = "the regular expression has not so many groups";
        }
        return error ? error : parse_value(pool, argv[1], &made->value);
    case NOTE:
        made->value = apr_array_make(pool, 1, sizeof(piece));
        *(piece *)apr_array_push(made->value) = (piece){argv[0], '\0'};
        return NULL;
    case ADD:
    case APPEND:
    case MERGE:
    case SET:
    case SET_IF_EMPTY:
        break;
    }
    if (strncmp(argv[0], "expr=", 5) == 0) {
        return "expressions are not understood";
    }
    return parse_value(pool, argv[0], &made->value);
}

/** ACTION NAME [VALUE ...] [env=...|early] */
static const char *add_change(wr_command_call *call, void *config, target of,
                              int argc, const char *const *argv)
{
    headers_config *conf = config;
    const struct action_name *found = find_action(argv[0], of);
    change *made = apr_pcalloc(call->pool, sizeof(*made));
    const char *name, *error;
    size_t len;

    if (!found) {
        return apr_psprintf(call->temp_pool, "\"%.100s\" is no action",
                            argv[0]);
    }
    if (argc < 2 + found->values) {
        return apr_psprintf(call->temp_pool, "%s needs %d more", found->name,
                            2 + found->values - argc);
    }
    if (argc > 3 + found->values) {
        return apr_psprintf(call->temp_pool,
                            "there is too much after %s; quote a value with "
                            "spaces",
                            found->name);
    }
    name = argv[1];
    len = strlen(name);
    made->of = of;
    made->what = found->what;
    made->directive = call->directive;
    made->name = len > 1 && name[len - 1] == ':' /* as some write it */
                     ? apr_pstrmemdup(call->pool, name, len - 1)
                     : name;
    error = made->what == ECHO ? NULL : check_name(call, made);
    if (!error) {
        error = parse_arguments(call, made, argv + 2);
    }
    if (!error && argc == 3 + found->values) {
        error = parse_condition(call, made, argv[argc - 1]);
    }
    APR_ARRAY_PUSH(conf->changes, change *) = made;
    return error;
}

static const char *set_header(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    target of = OF_SUCCESS;

    if (strcasecmp(argv[0], "always") == 0) {
        of = OF_ALL;
    }
    if (of == OF_ALL || strcasecmp(argv[0], "onsuccess") == 0) {
        argc--;
        argv++;
    }
    return add_change(call, config, of, argc, argv);
}

static const char *set_request_header(wr_command_call *call, void *config,
                                      int argc, const char *const *argv)
{
    return add_change(call, config, OF_REQUEST, argc, argv);
}

/* Values. */

/** What stands in a field is one line. */
static const char *one_line(apr_pool_t *pool, const char *value)
{
    char *copy;

    if (!value[strcspn(value, "\r\n")]) {
        return value;
    }
    copy = apr_pstrdup(pool, value);
    for (char *at = copy; *at; at++) {
        if (*at == '\r' || *at == '\n') {
            *at = ' ';
        }
    }
    return copy;
}

static const char *piece_text(wr_request *r, const piece *p)
{
    const char *value;

    switch (p->letter) {
    case 't':
        return apr_psprintf(r->pool, "t=%" APR_TIME_T_FMT, r->time);
    case 'D':
        return apr_psprintf(r->pool, "D=%" APR_TIME_T_FMT,
                            apr_time_now() - r->time);
    case 'e':
        value = r->env ? apr_table_get(r->env, p->text) : NULL;
        return value ? one_line(r->pool, value) : "(null)";
    default:
        return p->text;
    }
}

static const char *value_of(wr_request *r, const change *c)
{
    const char *value = "";

    for (int i = 0; i < c->value->nelts; i++) {
        const char *text = piece_text(r, &APR_ARRAY_IDX(c->value, i, piece));

        value = *value ? apr_pstrcat(r->pool, value, text, NULL) : text;
    }
    return value;
}

/** Is @a word an element of a list? */
static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);

    while (list && *list) {
        size_t n;

        list += strspn(list, ", \t");
        n = strcspn(list, ",");
        while (n > 0 && apr_isspace(list[n - 1])) {
            n--;
        }
        if (n == len && strncmp(list, word, len) == 0) {
            return true;
        }
        list += strcspn(list, ",");
    }
    return false;
}

/** A value with its first match, or all of them, replaced. */
static const char *edit_value(wr_request *r, const change *c, const char *value)
{
    const char *replacement = value_of(r, c), *rest = value, *done = "";
    wr_match match;

    do {
        size_t start, end;
        wr_regex_result result =
            wr_regex_match(c->regex, rest, strlen(rest), &match);

        if (result == WR_REGEX_GAVE_UP) {
            wr_log_request(r, WR_LOG_ERROR, 0, "%s:%d: too much work",
                           c->directive->file, c->directive->line);
        }
        if (result != WR_REGEX_YES) {
            break;
        }
        start = match.group[0].start;
        end = match.group[0].end;
        done = apr_pstrcat(r->pool, done, apr_pstrmemdup(r->pool, rest, start),
                           wr_regex_expand(r->pool, replacement, &match), NULL);
        rest += end;
        if (start == end) { /* nothing matched: one character further */
            if (!*rest) {
                break;
            }
            done = apr_pstrcat(r->pool, done, apr_pstrmemdup(r->pool, rest, 1),
                               NULL);
            rest++;
        }
    } while (c->what == EDIT_ALL && *rest);
    return apr_pstrcat(r->pool, done, rest, NULL);
}

/** An existing value changed; NULL: as it is. */
static const char *changed_value(wr_request *r, const change *c,
                                 const char *old)
{
    const char *value;

    switch (c->what) {
    case SET:
        return value_of(r, c);
    case SET_IF_EMPTY:
        return old ? NULL : value_of(r, c);
    case APPEND:
    case MERGE:
        value = value_of(r, c);
        if (!old) {
            return value;
        }
        return c->what == MERGE && list_has(old, value)
                   ? NULL
                   : apr_pstrcat(r->pool, old, ", ", value, NULL);
    case EDIT:
    case EDIT_ALL:
        return old ? edit_value(r, c, old) : NULL;
    case ADD:
    case ECHO:
    case NOTE:
    case UNSET:
        break;
    }
    return NULL;
}

/* Responses. */

/** Fields that are members of the request, not in the tables. */
static const char **member_of(wr_request *r, const char *name)
{
    if (strcasecmp(name, "Content-Type") == 0) {
        return &r->content_type;
    }
    if (strcasecmp(name, "Content-Encoding") == 0) {
        return &r->content_encoding;
    }
    return strcasecmp(name, "Content-Language") == 0 ? &r->content_language
                                                     : NULL;
}

static void change_member(wr_request *r, const change *c, const char **member)
{
    const char *value;

    if (c->what == UNSET) {
        *member = NULL;
        return;
    }
    value = c->what == ADD ? value_of(r, c) : changed_value(r, c, *member);
    *member = value ? value : *member;
}

/** Lines of the request whose names match are said again. */
static void echo(wr_request *r, const change *c, apr_table_t *table)
{
    for (int i = 0; i < r->field_count; i++) {
        const wr_field *field = &r->fields[i];

        if (wr_regex_match(c->regex, field->name, field->name_len, NULL)
            == WR_REGEX_YES) {
            apr_table_addn(table, field->name, field->value);
        }
    }
}

/** Several lines of one name are edited each for itself. */
static void edit_lines(wr_request *r, const change *c, apr_table_t *table)
{
    const apr_array_header_t *lines = apr_table_elts(table);
    apr_table_entry_t *line = (apr_table_entry_t *)(void *)lines->elts;

    for (int i = 0; i < lines->nelts; i++) {
        if (line[i].key && strcasecmp(line[i].key, c->name) == 0) {
            line[i].val = (char *)(uintptr_t)edit_value(r, c, line[i].val);
        }
    }
}

static void set_note(wr_request *r, const change *c, const apr_table_t *table)
{
    const char *value = apr_table_get(table, c->name);

    if (!r->notes) {
        r->notes = apr_table_make(r->pool, 4);
    }
    if (value) {
        apr_table_setn(r->notes, value_of(r, c), value);
    }
}

static void change_table(wr_request *r, const change *c, apr_table_t *table)
{
    const char *value;

    switch (c->what) {
    case ADD:
        apr_table_addn(table, c->name, value_of(r, c));
        return;
    case ECHO:
        echo(r, c, table);
        return;
    case NOTE:
        set_note(r, c, table);
        return;
    case UNSET:
        apr_table_unset(table, c->name);
        return;
    case EDIT:
    case EDIT_ALL:
        edit_lines(r, c, table);
        return;
    case APPEND:
    case MERGE:
    case SET:
    case SET_IF_EMPTY:
        break;
    }
    value = changed_value(r, c, apr_table_get(table, c->name));
    if (value) {
        apr_table_setn(table, c->name, value);
    }
}

/** Is this line's turn now? */
static bool holds(const wr_request *r, const change *c, bool is_early)
{
    return c->is_early == is_early
           && (!c->env
               || !(r->env && apr_table_get(r->env, c->env))
                      == c->env_is_negated);
}

static apr_table_t *table_of(wr_request *r, const change *c)
{
    apr_table_t **table =
        c->of == OF_ALL ? &r->err_headers_out : &r->headers_out;

    if (!*table) {
        *table = apr_table_make(r->pool, 4);
    }
    return *table;
}

static void change_fields_out(wr_request *r, bool is_early)
{
    const headers_config *conf =
        wr_dir_config_of(r->dir_config, &headers_module);
    bool is_success = r->status < 300 || r->status == 304;

    /* "always" first, as httpd has it. */
    for (int of_all = 1; of_all >= 0; of_all--) {
        for (int i = 0; i < conf->changes->nelts; i++) {
            const change *c = APR_ARRAY_IDX(conf->changes, i, const change *);
            const char **member = member_of(r, c->name);

            if (c->of != (of_all ? OF_ALL : OF_SUCCESS)
                || (c->of == OF_SUCCESS && !is_success)
                || !holds(r, c, is_early)) {
                continue;
            }
            if (member && c->what != ECHO && c->what != NOTE) {
                change_member(r, c, member);
            }
            else {
                change_table(r, c, table_of(r, c));
            }
        }
    }
}

static wr_result change_response(wr_request *r)
{
    change_fields_out(r, false);
    return WR_OK;
}

/* Requests. */

static void change_fields_in(wr_request *r, bool is_early)
{
    const headers_config *conf =
        wr_dir_config_of(r->dir_config, &headers_module);

    for (int i = 0; i < conf->changes->nelts; i++) {
        const change *c = APR_ARRAY_IDX(conf->changes, i, const change *);
        const char *value;

        if (c->of != OF_REQUEST || !holds(r, c, is_early)) {
            continue;
        }
        if (c->what == ADD) {
            wr_request_add_field(r, c->name, value_of(r, c));
            continue;
        }
        /* Several lines of it become one, as they mean the same. */
        value = changed_value(r, c,
                              apr_table_get(wr_request_headers_in(r), c->name));
        if (value || c->what == UNSET) {
            wr_request_set_field(r, c->name, value);
        }
    }
}

/** No handler, but what comes before one on every request. */
static wr_result change_request(wr_request *r)
{
    change_fields_in(r, false);
    return WR_DECLINED;
}

static wr_result change_early(wr_request *r)
{
    change_fields_in(r, true);
    change_fields_out(r, true);
    return WR_DECLINED;
}

static bool is_inactive(const void *dir_config)
{
    return ((const headers_config *)dir_config)->changes->nelts == 0;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_post_read_request(change_early, NULL, NULL, APR_HOOK_FIRST);
    wr_hook_handler(change_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    wr_hook_insert_headers(change_response, NULL, NULL, APR_HOOK_MIDDLE);
}

static const wr_command commands[] = {
    {.name = "Header",
     .run = set_header,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 6,
     .args = "[onsuccess|always] set|setifempty|append|merge|add|unset|echo|"
             "edit|edit*|note NAME [VALUE [REPLACEMENT]] [env=[!]NAME|early]",
     .help = "Changes a field of responses: of successful ones, or with always "
             "of what errors and redirects have too; %t, %D and %{NAME}e "
             "stand for the time, the duration and a variable."},
    {.name = "RequestHeader",
     .run = set_request_header,
     .context = WR_IN_ANY,
     .min_args = 2,
     .max_args = 5,
     .args = "set|setifempty|append|merge|add|unset|edit|edit* NAME "
             "[VALUE [REPLACEMENT]] [env=[!]NAME|early]",
     .help = "Changes a field of requests before the handler looks at it."},
    {.name = NULL},
};

WR_API wr_module headers_module = {
    WR_MODULE_HEAD("headers"),
    .commands = commands,
    .create_dir_config = create_dir_config,
    .merge_dir_config = merge_dir_config,
    .inactive = is_inactive,
    .register_hooks = register_hooks,
};
