/*
 * wr_mime.h - what mod_mime knows of a file's name, for others that ask:
 *
 *     const wr_mime_types *types = wr_provider_find("mime", "types");
 */
#ifndef WR_MIME_H
#define WR_MIME_H

#include "wr_base.h"
#include "wr_request.h"

/** What a name says of the content; each may be NULL. */
typedef struct wr_mime {
    const char *type;
    const char *encoding;
    const char *language;
    const char *charset;
    const char *handler;
} wr_mime;

typedef struct wr_mime_types {
    /**
     * What the extensions of @a filename say where r->dir_config holds.
     *
     * @return whether anything is known.  @thread any.
     */
    bool (*find)(const wr_request *r, const char *filename, wr_mime *found);
} wr_mime_types;

#endif
