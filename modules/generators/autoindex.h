/*
 * autoindex.h - the parts of mod_autoindex: its configuration, the entries of
 * a directory, and the page that shows them.
 */
#ifndef WR__AUTOINDEX_H
#define WR__AUTOINDEX_H

#include "wr_op.h"
#include "wr_request.h"

#include <apr_tables.h>

/** Bits of IndexOptions. */
enum {
    WR__INDEX_FANCY = 1,
    WR__INDEX_TABLE = 2,
    WR__INDEX_FOLDERS_FIRST = 4,
    WR__INDEX_ICONS_ARE_LINKS = 8,
    WR__INDEX_IGNORE_CASE = 16,
    WR__INDEX_IGNORE_CLIENT = 32,
    WR__INDEX_NO_SORTING = 64,
    WR__INDEX_NO_DESCRIPTION = 128,
    WR__INDEX_NO_PREAMBLE = 256,
    WR__INDEX_NO_ICON = 512,
    WR__INDEX_NO_TIME = 1024,
    WR__INDEX_NO_RULES = 2048,
    WR__INDEX_NO_SIZE = 4096,
    WR__INDEX_VERSION_SORT = 8192,
    WR__INDEX_OLD_DATE = 16384
};

/** A width in characters: of the longest, or of the option's default. */
#define WR__INDEX_WIDTH_LONGEST (-1)
#define WR__INDEX_WIDTH_UNSET   (-2)

typedef enum wr__index_key {
    WR__INDEX_BY_NAME = 'N',
    WR__INDEX_BY_TIME = 'M',
    WR__INDEX_BY_SIZE = 'S',
    WR__INDEX_BY_DESCRIPTION = 'D'
} wr__index_key;

typedef enum wr__index_for {
    WR__INDEX_FOR_NAME,
    WR__INDEX_FOR_TYPE,
    WR__INDEX_FOR_ENCODING
} wr__index_for;

/** An icon, an alternative text or a description, and for what it is. */
typedef struct wr__index_item {
    wr__index_for kind;
    const char *pattern; /* of names, types or encodings */
    const char *below;   /* the section's path, or NULL: everywhere */
    const char *text;
} wr__index_item;

/** What holds in a directory.  Everything but options may be NULL. */
typedef struct wr__index_config {
    unsigned options; /* of those without + and -; what holds, once merged */
    unsigned added, removed;
    bool is_absolute; /* some stood without + and - */
    int name_width, description_width;
    int icon_width, icon_height; /* 0: not said */
    const char *charset, *type;
    apr_array_header_t *icons, *alts, *descriptions; /* wr__index_item */
    apr_array_header_t *ignored;                     /* const char * */
    bool forgets_ignored; /* those of the sections around */
    const char *default_icon;
    const char *header_name, *readme_name;
    const char *style_sheet, *head_insert;
    wr__index_key key;
    int is_descending; /* -1: IndexOrderDefault was not given */
    int entries_max;   /* 0: not said */
} wr__index_config;

/** What is shown of a file or a directory. */
typedef struct wr__index_entry {
    const char *name; /* without a slash; "..": the parent */
    bool is_dir;
    int64_t size;
    apr_time_t mtime;
    const char *icon, *alt, *description; /* or NULL */
} wr__index_entry;

/** How the client, or the configuration, wants to see it. */
typedef struct wr__index_view {
    unsigned options;
    wr__index_key key;
    bool is_descending;
    const char *pattern; /* of names, or NULL */
} wr__index_view;

/** A file of the site's own that stands above or below the entries. */
typedef struct wr__index_text {
    const char *words; /* NULL: there is none */
    const char *type;  /* of its content */
} wr__index_text;

/*
 * What has to be waited for: WR_OK, WR_SUSPENDED or a status, for the hook to
 * return; always asked for in the same order.
 */

/** List the directory that is r->file; of its entries @a max at most. */
wr_result wr__index_list(wr_request *r, int max, wr_op **listed);
/** Read the beginning of a file beside the entries (HeaderName). */
wr_result wr__index_read_text(wr_request *r, const char *name,
                              wr__index_text *text);

/** What is to be shown of a list, sorted: wr__index_entry. */
apr_array_header_t *wr__index_entries(wr_request *r, const wr_op *listed,
                                      const wr__index_config *conf,
                                      const wr__index_view *view);

/** Append the page that shows @a entries to the response. */
void wr__index_show(wr_request *r, const wr__index_config *conf,
                    const wr__index_view *view,
                    const apr_array_header_t *entries,
                    const wr__index_text *header, const wr__index_text *readme);

#endif
