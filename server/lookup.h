/*
 * lookup.h - from a path to a wr_file: by the cache, else by open and stat,
 * without blocking where the MPM wants to know of it first.
 *
 * Runs in the connection's owner's thread, in small steps: each that may block
 * is tried first, and asked for as an op only if it would.
 */
#ifndef WR__LOOKUP_H
#define WR__LOOKUP_H

#include "request.h"

/**
 * Look @a filename up for the running hook; the next call that it makes.
 *
 * @param path    the same, relative to root.
 * @param file    on WR_OK: counted for the caller; or NULL with *error.
 * @return WR_OK or WR_SUSPENDED.
 */
wr_result wr__lookup_file(wr_request *r, wr_root *root, const char *filename,
                          const char *path, wr__file **file,
                          apr_status_t *error);

/** Let go of what a look-up holds, finished or not; no op is out. */
void wr__lookup_release(wr__call *call);

/** The running hook's next call. */
wr__call *wr__request_call(wr_request *r);

#endif
