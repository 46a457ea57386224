/*
 * open.h - opening files below a directory, and never above it.
 *
 * Any thread, any process.  Direct calls: APR has neither openat2() nor its
 * test for names that are cached.
 */
#ifndef WR__OPEN_H
#define WR__OPEN_H

#include "wr_base.h"

#include <apr_errno.h>
#include <sys/stat.h>

/**
 * Open @a path below @a dir for reading, and stat it.  Never blocks on a FIFO;
 * waits for a lease that somebody holds on a file.
 *
 * @param resolve further RESOLVE_* bits; RESOLVE_CACHED: EAGAIN unless all
 *        names are in memory and no lease is held.
 * @return 0 with *fd open; or an errno, and EXDEV for a path that leads out.
 */
apr_status_t wr__open_below(int dir, const char *path, uint64_t resolve,
                            int *fd, struct stat *st);
apr_status_t wr__stat_below(int dir, const char *path, uint64_t resolve,
                            struct stat *st);

#endif
