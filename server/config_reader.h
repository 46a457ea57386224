/*
 * config_reader.h - from the text of configuration files to a tree of
 * directives.
 *
 * Knows the syntax, and of the directives only those that decide what is read:
 * Define, UnDefine, Include, IncludeOptional, <IfDefine>, <IfDirective>,
 * <IfFile>, <IfModule>.  These leave no trace in the tree: what they let
 * through stands where they stood. Used by the one thread that reads the
 * configuration.
 */
#ifndef WR__CONFIG_READER_H
#define WR__CONFIG_READER_H

#include "wr_config.h"

#include "config_text.h"

#include <apr_pools.h>

#define WR__LINE_MAX       32768       /**< bytes in a line, continued or not */
#define WR__SECTION_DEPTH  50          /**< sections in sections */
#define WR__INCLUDE_DEPTH  20          /**< files in files */
#define WR__DIRECTIVES_MAX 1000000     /**< in all files together */
#define WR__TEXT_MAX       (64u << 20) /**< bytes in all files together */

typedef struct wr__reader wr__reader;

typedef struct wr__reader_options {
    apr_pool_t *pool;        /**< of the tree */
    wr__errors *errors;      /**< gets all that is wrong */
    const char *server_root; /**< relative paths of Include lie below it */
    size_t text_max;         /**< 0: WR__TEXT_MAX */
    bool no_include;         /**< Include is refused */
    /** A directive outside all sections was read.  @return NULL, or what is
     *  wrong with it. */
    const char *(*seen)(void *baton, wr__reader *reader,
                        const wr_directive *directive);
    /** For <IfModule>: the name as it is written there. */
    bool (*has_module)(void *baton, const char *name);
    /** For <IfDirective>: in any case of letters. */
    bool (*has_directive)(void *baton, const char *name);
    void *baton;
} wr__reader_options;

wr__reader *wr__reader_create(const wr__reader_options *options);

/** As -D has it: NAME or NAME=VALUE. */
void wr__reader_define(wr__reader *reader, const char *definition);
void wr__reader_set_root(wr__reader *reader, const char *server_root);

/** Read on with a file; a relative path lies below ServerRoot. */
void wr__reader_file(wr__reader *reader, const char *path);
/** Read on with lines given otherwise; @a name stands for the file. */
void wr__reader_text(wr__reader *reader, const char *name, const char *text,
                     size_t len);

/** The first directive of all that was read. */
wr_directive *wr__reader_tree(const wr__reader *reader);

#endif
