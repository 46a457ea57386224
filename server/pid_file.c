/*
 * pid_file.c - the file that tells which process is the master.
 *
 * Written and removed by the master; read by a starting generation and by the
 * process of the command line.  Signals nobody.
 */
#include "pid_file.h"

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* The first bytes of a small file, as a string. */
static apr_status_t read_start(char *buf, apr_size_t size, const char *path,
                               apr_pool_t *pool)
{
    apr_file_t *file;
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_size_t len = size - 1;
    rv = apr_file_read(file, buf, &len);
    apr_file_close(file);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        return rv;
    }
    buf[len] = '\0';
    return APR_SUCCESS;
}

apr_status_t wr__pid_file_read(pid_t *pid, const char *path, apr_pool_t *pool)
{
    char buf[32];
    char *end;
    apr_status_t rv = read_start(buf, sizeof(buf), path, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_int64_t value = apr_strtoi64(buf, &end, 10);
    while (apr_isspace(*end)) {
        end++;
    }
    if (!apr_isdigit(buf[0]) || *end != '\0' || value < 1 || value > INT_MAX) {
        return APR_EINVAL;
    }
    *pid = (pid_t)value;
    return APR_SUCCESS;
}

/* All of ours are named "weir:...".  One that nobody has reaped yet is gone all
 * the same.  Where there is no /proc: benefit of the doubt. */
bool wr__pid_runs(pid_t pid, apr_pool_t *pool)
{
    char stat[64]; /* "123 (weir: master) S 1 ..." */
    const char *path = apr_psprintf(pool, "/proc/%ld/stat", (long)pid);

    if (kill(pid, 0) != 0 && errno == ESRCH) {
        return false;
    }
    if (read_start(stat, sizeof(stat), path, pool) != APR_SUCCESS) {
        return access("/proc/self/stat", F_OK) != 0;
    }
    const char *name = strchr(stat, '(');
    const char *state = strrchr(stat, ')');
    if (name == NULL || state == NULL) {
        return false;
    }
    return strncmp(name, "(weir:", 6) == 0 && strncmp(state, ") Z", 3) != 0
           && strncmp(state, ") X", 3) != 0;
}

pid_t wr__pid_file_running(const char *path, apr_pool_t *pool)
{
    pid_t pid;
    if (wr__pid_file_read(&pid, path, pool) != APR_SUCCESS) {
        return 0;
    }
    if (pid == getpid() || pid == getppid()) {
        return 0;
    }
    return wr__pid_runs(pid, pool) ? pid : 0;
}

apr_status_t wr__pid_file_write(const char *path, pid_t pid, apr_pool_t *pool)
{
    char *temp = apr_pstrcat(pool, path, ".XXXXXX", NULL);
    apr_file_t *file;
    apr_status_t rv;

    rv = apr_file_mktemp(
        &file, temp, APR_FOPEN_CREATE | APR_FOPEN_EXCL | APR_FOPEN_WRITE, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    const char *text = apr_psprintf(pool, "%ld\n", (long)pid);
    rv = apr_file_write_full(file, text, strlen(text), NULL);
    if (rv == APR_SUCCESS) {
        rv = apr_file_perms_set(temp, APR_FPROT_UREAD | APR_FPROT_UWRITE
                                          | APR_FPROT_GREAD | APR_FPROT_WREAD);
    }
    apr_status_t close_rv = apr_file_close(file);
    if (rv == APR_SUCCESS) {
        rv = close_rv;
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_rename(temp, path, pool);
    }
    if (rv != APR_SUCCESS) {
        apr_file_remove(temp, pool);
    }
    return rv;
}

void wr__pid_file_remove(const char *path, pid_t pid, apr_pool_t *pool)
{
    pid_t named;
    if (wr__pid_file_read(&named, path, pool) == APR_SUCCESS && named == pid) {
        apr_file_remove(path, pool);
    }
}
