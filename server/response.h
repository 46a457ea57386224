/*
 * response.h - the head of a response.
 */
#ifndef WR__RESPONSE_H
#define WR__RESPONSE_H

#include "wr_request.h"

/** Bound on the fields that describe a content. */
#define WR__CONTENT_HEADER_MAX 1024

/** The fields that describe r->file as r's content, ready to send: what the
 *  header cache keeps.  @return their length; 0 if they do not fit, or do not
 *  hold for long, since the file was changed just now. */
size_t wr__content_header(const wr_request *r, char *buf, size_t size);

/** Put a file's ready-made fields into the tables, so that they can be
 *  changed. */
void wr__response_open_header(wr_request *r);
/** The same for a file that has none ready. */
void wr__response_set_header(wr_request *r);

/** Can what was changed at @a mtime not be changed again within that time?
 *  File systems count it in steps; a second is longer than any of them, and
 *  what Last-Modified counts in. */
bool wr__time_is_settled(const wr_request *r, apr_time_t mtime);

/** The entity tag of r->file as FileETag has it; NULL for none. */
const char *wr__content_etag(const wr_request *r);
/** AddDefaultCharset: a text's type without a charset gets one. */
void wr__add_charset(wr_request *r);

/** Have the files among what was appended read instead of sent by the kernel:
 *  all, or those that it can't send.
 *  In read_file.c. */
void wr__response_read_files(wr_request *r, bool all);

/** Does an If-Range, if there is one, hold for content with these validators?
 *  In http_conditional.c. */
bool wr__range_is_wanted(const wr_request *r, const char *etag,
                         apr_time_t mtime);
/**
 * Make the parts that a Range asks for out of @a len bytes of content.  In
 * http_range.c.
 *
 * @return 206; 200: the whole is to be sent; 416: no part can be had.
 */
int wr__range_apply(wr_request *r, int64_t len);

#endif
