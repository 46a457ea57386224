/*
 * response.h - the head of a response.
 */
#ifndef WR__RESPONSE_H
#define WR__RESPONSE_H

#include "wr_request.h"

/** Bound on the fields that describe a content. */
#define WR__CONTENT_HEADER_MAX 1024

/** The fields that describe r->file as r's content, ready to send: what the
 *  header cache keeps.  @return their length; 0 if they do not fit. */
size_t wr__content_header(const wr_request *r, char *buf, size_t size);

#endif
