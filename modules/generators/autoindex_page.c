/*
 * autoindex_page.c - the page that shows a directory: plain, fancy, a table.
 *
 * Runs where blocking does no harm.  Every name is written twice: as a URL,
 * percent-encoded, and as text; both with HTML's characters escaped.
 */
#include "wr_request.h"

#include "autoindex.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A text that grows. */

typedef struct text {
    apr_pool_t *pool;
    char *data;
    size_t len, size;
} text;

static void put_mem(text *t, const char *data, size_t len)
{
    if (t->size - t->len < len) {
        size_t size = 2 * (t->size + len);
        char *grown = apr_palloc(t->pool, size);

        memcpy(grown, t->data, t->len);
        t->data = grown;
        t->size = size;
    }
    memcpy(t->data + t->len, data, len);
    t->len += len;
}

static void put(text *t, const char *words)
{
    put_mem(t, words, strlen(words));
}

__attribute__((format(printf, 2, 3))) static void put_f(text *t,
                                                        const char *format, ...)
{
    char words[512];
    va_list args;

    va_start(args, format);
    apr_vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    put(t, words);
}

static void put_escaped(text *t, const char *words)
{
    put(t, apr_pescape_entity(t->pool, words, 0));
}

/** A name as a relative URL: "a:b" is not taken for a scheme. */
static void put_url(text *t, const wr__index_entry *entry)
{
    if (strcmp(entry->name, "..") == 0) {
        put(t, "../");
        return;
    }
    put_escaped(t, apr_pescape_path(t->pool, entry->name, 0));
    if (entry->is_dir) {
        put(t, "/");
    }
}

static void put_spaces(text *t, int count)
{
    while (count-- > 0) {
        put(t, " ");
    }
}

/* Widths are of characters, not of bytes: UTF-8 if it is. */

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static int width_of(const char *words)
{
    int width = 0;

    for (; *words; words++) {
        width += begins_character(*words);
    }
    return width;
}

static const char *cut_to(apr_pool_t *pool, const char *words, int width)
{
    const char *at = words;

    for (; *at && (width > 0 || !begins_character(*at)); at++) {
        width -= begins_character(*at);
    }
    return apr_pstrmemdup(pool, words, (apr_size_t)(at - words));
}

/** What is shown of a name or a description in a column. */
static const char *fit(apr_pool_t *pool, const char *words, int width)
{
    return width_of(words) <= width
               ? words
               : apr_pstrcat(pool, cut_to(pool, words, width - 3), "..>", NULL);
}

/** The page being made. */
typedef struct page {
    wr_request *r;
    const wr__index_config *conf;
    const wr__index_view *view;
    const apr_array_header_t *entries;
    int name_width, description_width;
    text t;
} page;

static bool has(const page *p, unsigned option)
{
    return p->view->options & option;
}

static const char *title_of(const wr__index_entry *entry, apr_pool_t *pool)
{
    if (strcmp(entry->name, "..") == 0) {
        return "Parent Directory";
    }
    return entry->is_dir ? apr_pstrcat(pool, entry->name, "/", NULL)
                         : entry->name;
}

/* Columns. */

static void put_icon_image(page *p, const char *icon, const char *alt)
{
    put(&p->t, "<img src=\"");
    put_escaped(&p->t, icon);
    put(&p->t, "\" alt=\"[");
    put_escaped(&p->t, alt ? alt : "   ");
    put(&p->t, "]\"");
    if (p->conf->icon_width) {
        put_f(&p->t, " width=\"%d\"", p->conf->icon_width);
    }
    if (p->conf->icon_height) {
        put_f(&p->t, " height=\"%d\"", p->conf->icon_height);
    }
    put(&p->t, ">");
}

static void put_icon(page *p, const wr__index_entry *entry)
{
    const char *alt = entry->alt ? entry->alt : entry->is_dir ? "DIR" : NULL;
    bool is_link = has(p, WR__INDEX_ICONS_ARE_LINKS);

    if (has(p, WR__INDEX_NO_ICON)) {
        return;
    }
    if (is_link) {
        put(&p->t, "<a href=\"");
        put_url(&p->t, entry);
        put(&p->t, "\">");
    }
    if (entry->icon) {
        put_icon_image(p, entry->icon, alt);
    }
    else {
        put(&p->t, "[");
        put_escaped(&p->t, alt ? alt : "   ");
        put(&p->t, "]");
    }
    put(&p->t, is_link ? "</a>" : "");
}

static void put_name(page *p, const wr__index_entry *entry)
{
    const char *title = title_of(entry, p->t.pool);

    put(&p->t, "<a href=\"");
    put_url(&p->t, entry);
    put(&p->t, "\">");
    put_escaped(&p->t, fit(p->t.pool, title, p->name_width));
    put(&p->t, "</a>");
}

static void time_text(const page *p, const wr__index_entry *entry, char *to,
                      size_t size)
{
    const char *format =
        has(p, WR__INDEX_OLD_DATE) ? "%d-%b-%Y %H:%M" : "%Y-%m-%d %H:%M";
    apr_time_exp_t t;
    apr_size_t len;

    to[0] = '\0';
    if (entry->mtime && apr_time_exp_lt(&t, entry->mtime) == APR_SUCCESS) {
        apr_strftime(to, &len, size, format, &t);
    }
}

static void size_text(const wr__index_entry *entry, char to[5])
{
    if (entry->size < 0) {
        memcpy(to, "  - ", 5);
    }
    else {
        apr_strfsize(entry->size, to);
    }
}

/** A column's heading; a link that sorts by it, or turns the order round. */
static void put_heading(page *p, char key, const char *words)
{
    const wr__index_view *view = p->view;
    bool turns = (char)view->key == key && !view->is_descending;

    if (has(p, WR__INDEX_NO_SORTING)) {
        put(&p->t, words);
        return;
    }
    put_f(&p->t, "<a href=\"?C=%c;O=%c", key, turns ? 'D' : 'A');
    if (view->pattern) {
        put(&p->t, ";P=");
        put_escaped(&p->t, apr_pescape_urlencoded(p->t.pool, view->pattern));
    }
    put_f(&p->t, "\">%s</a>", words);
}

/* A table. */

static void put_table_head(page *p)
{
    put(&p->t, "<table>\n<tr>");
    if (!has(p, WR__INDEX_NO_ICON)) {
        put(&p->t, "<th></th>");
    }
    put(&p->t, "<th>");
    put_heading(p, 'N', "Name");
    put(&p->t, "</th>");
    if (!has(p, WR__INDEX_NO_TIME)) {
        put(&p->t, "<th>");
        put_heading(p, 'M', "Last modified");
        put(&p->t, "</th>");
    }
    if (!has(p, WR__INDEX_NO_SIZE)) {
        put(&p->t, "<th>");
        put_heading(p, 'S', "Size");
        put(&p->t, "</th>");
    }
    if (!has(p, WR__INDEX_NO_DESCRIPTION)) {
        put(&p->t, "<th>");
        put_heading(p, 'D', "Description");
        put(&p->t, "</th>");
    }
    put(&p->t, "</tr>\n");
}

static void put_table_row(page *p, const wr__index_entry *entry)
{
    char words[64], size[5];

    put(&p->t, "<tr>");
    if (!has(p, WR__INDEX_NO_ICON)) {
        put(&p->t, "<td>");
        put_icon(p, entry);
        put(&p->t, "</td>");
    }
    put(&p->t, "<td>");
    put_name(p, entry);
    put(&p->t, "</td>");
    if (!has(p, WR__INDEX_NO_TIME)) {
        time_text(p, entry, words, sizeof(words));
        put_f(&p->t, "<td align=\"right\">%s</td>", words);
    }
    if (!has(p, WR__INDEX_NO_SIZE)) {
        size_text(entry, size);
        put_f(&p->t, "<td align=\"right\">%s</td>", size);
    }
    if (!has(p, WR__INDEX_NO_DESCRIPTION)) {
        /* It may hold tags, as it comes from the configuration. */
        put(&p->t, "<td>");
        put(&p->t, entry->description ? entry->description : "");
        put(&p->t, "</td>");
    }
    put(&p->t, "</tr>\n");
}

/* Columns in a <pre>. */

static void put_fancy_head(page *p)
{
    put(&p->t, "<pre>");
    put(&p->t, has(p, WR__INDEX_NO_ICON) ? "" : "      ");
    put_heading(p, 'N', "Name");
    put_spaces(&p->t, p->name_width - 4 + 1);
    if (!has(p, WR__INDEX_NO_TIME)) {
        put_heading(p, 'M', "Last modified");
        put(&p->t, "      ");
    }
    if (!has(p, WR__INDEX_NO_SIZE)) {
        put_heading(p, 'S', "Size");
        put(&p->t, "  ");
    }
    if (!has(p, WR__INDEX_NO_DESCRIPTION)) {
        put_heading(p, 'D', "Description");
    }
    put(&p->t, has(p, WR__INDEX_NO_RULES) ? "\n" : "<hr>");
}

static void put_fancy_row(page *p, const wr__index_entry *entry)
{
    const char *title =
        fit(p->t.pool, title_of(entry, p->t.pool), p->name_width);
    char words[64], size[5];

    put_icon(p, entry);
    put(&p->t, has(p, WR__INDEX_NO_ICON) ? "" : " ");
    put_name(p, entry);
    put_spaces(&p->t, p->name_width - width_of(title) + 1);
    if (!has(p, WR__INDEX_NO_TIME)) {
        time_text(p, entry, words, sizeof(words));
        put_f(&p->t, "%-17s  ", words);
    }
    if (!has(p, WR__INDEX_NO_SIZE)) {
        size_text(entry, size);
        put_f(&p->t, "%s  ", size);
    }
    if (!has(p, WR__INDEX_NO_DESCRIPTION) && entry->description) {
        /* HTML can't be cut anywhere. */
        put(&p->t,
            strpbrk(entry->description, "<&")
                ? entry->description
                : fit(p->t.pool, entry->description, p->description_width));
    }
    put(&p->t, "\n");
}

/** A list of links. */
static void put_plain_row(page *p, const wr__index_entry *entry)
{
    put(&p->t, "<li>");
    put_name(p, entry);
    put(&p->t, "</li>\n");
}

static void put_rows(page *p, void (*put_row)(page *, const wr__index_entry *))
{
    for (int i = 0; i < p->entries->nelts; i++) {
        put_row(p, &APR_ARRAY_IDX(p->entries, i, wr__index_entry));
    }
}

static void put_entries(page *p)
{
    if (has(p, WR__INDEX_TABLE)) {
        put_table_head(p);
        put_rows(p, put_table_row);
        put(&p->t, "</table>\n");
    }
    else if (has(p, WR__INDEX_FANCY)) {
        put_fancy_head(p);
        put_rows(p, put_fancy_row);
        put(&p->t, has(p, WR__INDEX_NO_RULES) ? "</pre>\n" : "<hr></pre>\n");
    }
    else {
        put(&p->t, "<ul>\n");
        put_rows(p, put_plain_row);
        put(&p->t, "</ul>\n");
    }
}

/* What stands around it. */

/** A file of the site's own: HTML as it is, all other text as text. */
static bool put_file(page *p, const wr__index_text *file)
{
    if (!file->words || strncasecmp(file->type, "text/", 5) != 0) {
        return false;
    }
    if (strcasecmp(file->type, "text/html") == 0) {
        put(&p->t, file->words);
    }
    else {
        put(&p->t, "<pre>");
        put_escaped(&p->t, file->words);
        put(&p->t, "</pre>\n");
    }
    return true;
}

static void put_preamble(page *p)
{
    const wr__index_config *conf = p->conf;
    size_t len = strlen(p->r->uri);
    const char *uri =
        len > 1 ? apr_pstrmemdup(p->t.pool, p->r->uri, len - 1) : "/";

    put(&p->t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>Index of ");
    put_escaped(&p->t, uri);
    put(&p->t, "</title>\n");
    if (conf->style_sheet) {
        put(&p->t, "<link rel=\"stylesheet\" href=\"");
        put_escaped(&p->t, conf->style_sheet);
        put(&p->t, "\">\n");
    }
    if (conf->head_insert) {
        put(&p->t, conf->head_insert);
        put(&p->t, "\n");
    }
    put(&p->t, "</head>\n<body>\n");
}

static void put_heading_line(page *p)
{
    size_t len = strlen(p->r->uri);

    put(&p->t, "<h1>Index of ");
    put_escaped(&p->t,
                len > 1 ? apr_pstrmemdup(p->t.pool, p->r->uri, len - 1) : "/");
    put(&p->t, "</h1>\n");
}

static int column_width(const page *p, int width, bool is_name)
{
    int longest = is_name ? 16 : 11; /* "Parent Directory", the heading */

    if (width != WR__INDEX_WIDTH_LONGEST) {
        return width == WR__INDEX_WIDTH_UNSET ? 23 : width;
    }
    for (int i = 0; i < p->entries->nelts; i++) {
        const wr__index_entry *entry =
            &APR_ARRAY_IDX(p->entries, i, wr__index_entry);
        const char *words =
            is_name ? title_of(entry, p->t.pool) : entry->description;
        int own = words ? width_of(words) : 0;

        longest = own > longest ? own : longest;
    }
    return longest;
}

void wr__index_show(wr_request *r, const wr__index_config *conf,
                    const wr__index_view *view,
                    const apr_array_header_t *entries,
                    const wr__index_text *header, const wr__index_text *readme)
{
    page p = {.r = r, .conf = conf, .view = view, .entries = entries};
    /* Without it, HeaderName's file begins the page. */
    bool has_preamble =
        !(view->options & WR__INDEX_NO_PREAMBLE) || !conf->header_name;

    p.t.pool = r->pool;
    p.t.size = 4096 + (size_t)entries->nelts * 200;
    p.t.data = apr_palloc(r->pool, p.t.size);
    p.name_width = view->options & (WR__INDEX_FANCY | WR__INDEX_TABLE)
                       ? column_width(&p, conf->name_width, true)
                       : column_width(&p, WR__INDEX_WIDTH_LONGEST, true);
    p.description_width = column_width(&p, conf->description_width, false);
    if (has_preamble) {
        put_preamble(&p);
    }
    if (!put_file(&p, header)) {
        put_heading_line(&p);
    }
    put_entries(&p);
    put_file(&p, readme);
    put(&p.t, has_preamble ? "</body>\n</html>\n" : "");
    wr_request_append(r, p.t.data, p.t.len);
}
