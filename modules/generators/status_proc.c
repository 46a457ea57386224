/*
 * status_proc.c - what the kernel counts of a thread: processor time, faults,
 * context switches.
 *
 * It is asked when somebody looks, so counting costs those who serve nothing.
 * Reading /proc does not wait for a disk: the kernel makes the text while it is
 * read.  Direct calls, since a file of APR's takes a pool and a buffer for what
 * is one read.
 */
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INFO(NUMBER, NAME, UNIT, HELP) \
    [WR__U_##NUMBER] = {NAME, WR_COUNTER, UNIT, HELP},
const wr_counter_info wr__usage_infos[WR__U_COUNT] = {WR__STATUS_USAGES(INFO)};
#undef INFO

/** @return false when it is not there: who it is about has ended. */
static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    if (fd < 0) {
        return false;
    }
    len = read(fd, text, size - 1);
    close(fd);
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    return true;
}

/** Field @a number of a stat file, as proc(5) counts them; from 4 on. */
static int64_t stat_field(const char *text, int number)
{
    /* The name in the second one may hold anything. */
    const char *at = strrchr(text, ')');

    for (int i = 2; at && i < number; i++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoll(at, NULL, 10) : 0;
}

static int64_t ticks_to_ns(int64_t ticks)
{
    return ticks * (WR_SEC / sysconf(_SC_CLK_TCK));
}

static int64_t line_value(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

bool wr__usage_of_thread(int pid, int tid, int64_t usage[WR__U_COUNT])
{
    char path[64], text[4096], *end;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
    if (!read_file(path, text, sizeof(text))) {
        return false;
    }
    usage[WR__U_MINOR_FAULTS] = stat_field(text, 10);
    usage[WR__U_MAJOR_FAULTS] = stat_field(text, 12);
    usage[WR__U_CPU_USER] = ticks_to_ns(stat_field(text, 14));
    usage[WR__U_CPU_SYSTEM] = ticks_to_ns(stat_field(text, 15));
    snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
    if (!read_file(path, text, sizeof(text))) {
        return false;
    }
    usage[WR__U_VOLUNTARY] = line_value(text, "\nvoluntary_ctxt_switches:");
    usage[WR__U_INVOLUNTARY] =
        line_value(text, "\nnonvoluntary_ctxt_switches:");
    snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
    if (read_file(path, text, sizeof(text))) {
        usage[WR__U_CPU] = strtoll(text, &end, 10);
        usage[WR__U_RUN_WAIT] = strtoll(end, NULL, 10);
    }
    else { /* a kernel that does not keep it; coarser */
        usage[WR__U_CPU] = usage[WR__U_CPU_USER] + usage[WR__U_CPU_SYSTEM];
        usage[WR__U_RUN_WAIT] = 0;
    }
    return true;
}

int64_t wr__resident_bytes(int pid)
{
    char path[32], text[1024];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    return read_file(path, text, sizeof(text))
               ? stat_field(text, 24) * sysconf(_SC_PAGESIZE)
               : 0;
}
