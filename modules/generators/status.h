/*
 * status.h - what the server's status is made of, for the files of mod_status.
 *
 * Gathered anew for each request, in its pool, by the thread that serves it;
 * read-only afterwards.  All numbers lie in tables that say themselves what
 * they are: those of wr_board.h, and those that the kernel keeps.
 */
#ifndef WR__STATUS_H
#define WR__STATUS_H

#include "wr_board.h"

#include <apr_buckets.h>
#include <apr_tables.h>

/** What the kernel counts of a thread: enumerator (WR__U_...), name, unit, and
 *  what it is. */
#define WR__STATUS_USAGES(X)                                                 \
    X(CPU, "cpu_ns", "ns", "processor time used")                            \
    X(CPU_USER, "cpu_user_ns", "ns", "processor time outside of the kernel") \
    X(CPU_SYSTEM, "cpu_system_ns", "ns", "processor time in the kernel")     \
    X(RUN_WAIT, "run_wait_ns", "ns", "time it could run and did not")        \
    X(MINOR_FAULTS, "minor_faults", "", "page faults without a disk")        \
    X(MAJOR_FAULTS, "major_faults", "", "page faults that read a disk")      \
    X(VOLUNTARY, "voluntary_switches", "", "context switches as it slept")   \
    X(INVOLUNTARY, "involuntary_switches", "",                               \
      "context switches as others came first")

#define WR__STATUS_ENUM(NUMBER, NAME, UNIT, HELP) WR__U_##NUMBER,
typedef enum wr__usage {
    WR__STATUS_USAGES(WR__STATUS_ENUM) WR__U_COUNT
} wr__usage;
#undef WR__STATUS_ENUM

/** By wr__usage. */
extern const wr_counter_info wr__usage_infos[WR__U_COUNT];

/** A living thread. */
typedef struct wr__status_thread {
    wr_row_view row;
    bool has_usage; /**< false: it has just ended, or there are too many */
    int64_t usage[WR__U_COUNT];
} wr__status_thread;

/** A generation, a process, or a role. */
typedef struct wr__status_group {
    int generation;
    int pid;
    int child;
    int64_t since_us;
    char mpm[16];
    char role[16];          /**< "worker", without a number */
    int threads, busy;      /**< that live; busy ones among them */
    int64_t resident_bytes; /**< of a process; 0: not known */
    int64_t n[WR_N_COUNT];
    int64_t usage[WR__U_COUNT]; /**< of threads that live */
} wr__status_group;

typedef struct wr__status {
    const char *mpm;  /**< of the process that answers */
    const char *host; /**< whom the client asked; or NULL */
    bool has_rows;    /**< a page shows processes and threads, too */
    wr_board_info board;
    int64_t now_us;
    const wr_counter_info *counters; /**< WR_N_COUNT */
    wr__status_group all;            /**< since the start, over all */
    /** wr__status_group; counters of those that now live */
    apr_array_header_t *generations, *processes;
    /** wr__status_group; since the start.  That of no name is of roles that
     *  are forgotten */
    apr_array_header_t *roles;
    apr_array_header_t *threads; /**< wr__status_thread */
    int unread; /**< threads of which the kernel was not asked */
} wr__status;

/** Look at everything. */
wr__status *wr__status_gather(apr_pool_t *pool, const char *mpm);

/** What the kernel says of a thread.  @return false: it has ended. */
bool wr__usage_of_thread(int pid, int tid, int64_t usage[WR__U_COUNT]);
/** Memory that a process has, in bytes; 0: it has ended. */
int64_t wr__resident_bytes(int pid);

/** Since the server began; above 0. */
double wr__status_uptime(const wr__status *s);

/** A form in which the status is shown. */
typedef struct wr__status_form {
    const char *query; /**< "json"; "" is what all else is shown in */
    const char *content_type;
    /** Append all to @a bb. */
    void (*show)(const wr__status *s, apr_bucket_brigade *bb);
} wr__status_form;

extern const wr__status_form wr__status_html;
extern const wr__status_form wr__status_auto;
extern const wr__status_form wr__status_json;
extern const wr__status_form wr__status_prometheus;

#endif
