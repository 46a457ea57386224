/*
 * pid_file.h - the file that tells which process is the master.
 */
#ifndef WR__PID_FILE_H
#define WR__PID_FILE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <stdbool.h>
#include <sys/types.h>

/**
 * The process that a file names, alive or not.
 *
 * @return APR_SUCCESS; APR_EINVAL when it holds no process id; or why it can't
 *         be read, often APR_ENOENT.
 */
apr_status_t wr__pid_file_read(pid_t *pid, const char *path, apr_pool_t *pool);

/** Is it a living process of Weir? */
bool wr__pid_runs(pid_t pid, apr_pool_t *pool);

/**
 * The server that a file names, if it runs, and is not the
 * caller or its parent (ids come round soon in a container).
 *
 * @return 0: none.
 */
pid_t wr__pid_file_running(const char *path, apr_pool_t *pool);

/** Write it, whole or not at all. */
apr_status_t wr__pid_file_write(const char *path, pid_t pid, apr_pool_t *pool);

/** Remove it if it names @a pid. */
void wr__pid_file_remove(const char *path, pid_t pid, apr_pool_t *pool);

#endif
