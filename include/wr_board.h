/*
 * wr_board.h - the scoreboard: what every thread of the server does and has
 * done, in memory that all its processes share.
 *
 * A thread that has a wr_thread has a row, which it alone writes, by plain adds
 * to memory that no other thread writes: counting costs the hot path neither a
 * lock nor a system call.  Anybody may read at any time.  What is read of a
 * row is never torn, but sums over rows may be a moment out of step.
 *
 * Counters only grow, over restarts too: a row whose thread has ended keeps
 * them, and is taken by the next thread of the same role.  Gauges are sums of
 * what threads have added and taken away, so only the sum over all rows means
 * something; a dead process's are forgotten.
 */
#ifndef WR_BOARD_H
#define WR_BOARD_H

#include "wr_base.h"
#include "wr_mpm.h"

#include <stdatomic.h>

/** Rises when a row's layout changes. */
#define WR_BOARD_VERSION 1u

/** All that is counted: enumerator (WR_N_...), name, kind, unit ("" is a plain
 *  number), and what it is. */
#define WR_BOARD_COUNTERS(X)                                                   \
    X(IDLE, "idle", GAUGE, "", "connections that wait for a request")          \
    X(READING, "reading", GAUGE, "", "connections that receive a request")     \
    X(RUNNING, "running", GAUGE, "", "connections with a request at work")     \
    X(WRITING, "writing", GAUGE, "", "connections with a response on its way") \
    X(CLOSING, "closing", GAUGE, "", "connections that are being closed")      \
    X(CONNECTIONS, "connections", COUNTER, "", "connections accepted")         \
    X(REQUESTS, "requests", COUNTER, "", "requests answered")                  \
    X(BYTES_RECEIVED, "bytes_received", COUNTER, "bytes",                      \
      "bytes from clients")                                                    \
    X(BYTES_SENT, "bytes_sent", COUNTER, "bytes", "bytes to clients")          \
    X(BLOCKING_CALLS, "blocking_calls", COUNTER, "",                           \
      "calls that may wait for a disk")                                        \
    X(BLOCKED_NS, "blocked_ns", COUNTER, "ns",                                 \
      "time in calls that may wait for a disk")                                \
    X(HAND_OVERS, "hand_overs", COUNTER, "",                                   \
      "connections given to another thread")                                   \
    X(WAKE_UPS, "wake_ups", COUNTER, "", "sleeping threads woken")             \
    X(HELPERS, "helpers", GAUGE, "", "helpers, processes or threads")          \
    X(HELPER_JOBS, "helper_jobs", COUNTER, "", "ops given to helpers")         \
    X(HELPER_WAIT_NS, "helper_wait_ns", COUNTER, "ns",                         \
      "time in which ops waited for a helper to be free")                      \
    X(HELPER_DEATHS, "helper_deaths", COUNTER, "",                             \
      "helper processes that died")                                            \
    X(TASKS, "tasks", COUNTER, "", "tasks given to a pool of workers")         \
    X(TASKS_WAITING, "tasks_waiting", GAUGE, "", "tasks no worker has begun")  \
    X(TASKS_WAITED_NS, "tasks_waited_ns", COUNTER, "ns",                       \
      "time tasks waited for a worker")                                        \
    X(WORK_NS, "work_ns", COUNTER, "ns", "time workers had a task")            \
    X(WORKERS, "workers", GAUGE, "", "workers that there are to be")           \
    X(TASK_RATE, "task_rate", GAUGE, "milli", "tasks a second, of late")       \
    X(WORKERS_NEEDED, "workers_needed", GAUGE, "milli",                        \
      "workers that the tasks of late keep busy")

#define WR_BOARD_ENUM(NUMBER, NAME, KIND, UNIT, HELP) WR_N_##NUMBER,
typedef enum wr_counter {
    WR_BOARD_COUNTERS(WR_BOARD_ENUM) WR_N_COUNT
} wr_counter;
#undef WR_BOARD_ENUM

typedef enum wr_counter_kind {
    WR_COUNTER, /**< only grows */
    WR_GAUGE    /**< goes up and down; see above */
} wr_counter_kind;

typedef struct wr_counter_info {
    const char *name; /**< "bytes_sent" */
    wr_counter_kind kind;
    const char *unit; /**< "", "bytes", "ns", "milli" (thousandths) */
    const char *help;
} wr_counter_info;

/** By wr_counter. */
WR_API extern const wr_counter_info wr_counter_infos[WR_N_COUNT];

/** What a thread is at. */
typedef enum wr_role_state {
    WR_ROLE_NONE,    /**< it has ended */
    WR_ROLE_WAITING, /**< for something to do */
    WR_ROLE_BUSY
} wr_role_state;

/** A thread's row.  Its texts are read by wr_board_read(). */
struct wr_row {
    _Alignas(64) _Atomic int32_t pid; /**< 0: its thread has ended */
    _Atomic int32_t tid;
    _Atomic uint32_t state;  /**< a wr_role_state */
    _Atomic uint32_t serial; /**< odd while the row gets another thread */
    _Atomic int32_t generation;
    _Atomic int32_t child; /**< index among the generation's children */
    _Atomic int64_t since_us;
    _Atomic char role[16];
    _Atomic char mpm[16];
    _Atomic int64_t n[WR_N_COUNT];
    _Atomic int64_t before[WR_N_COUNT]; /**< n when its thread began */
};

/** What a row says, read at one moment. */
typedef struct wr_row_view {
    int32_t pid; /**< 0: its thread has ended; the rest is as it was */
    int32_t tid;
    wr_role_state state;
    int32_t generation;
    int32_t child;              /**< index among the generation's children */
    int64_t since_us;           /**< when it began, microseconds since 1970 */
    char role[16];              /**< "worker3"; of a process itself: "child" */
    char mpm[16];               /**< name of the MPM */
    int64_t n[WR_N_COUNT];      /**< by all that ever had the row */
    int64_t before[WR_N_COUNT]; /**< of it, by those before this thread */
} wr_row_view;

/** Of the server as a whole. */
typedef struct wr_board_info {
    uint32_t version;
    int rows;           /**< so many may be in use; see wr_board_row() */
    int generation;     /**< the reader's own */
    int64_t started_us; /**< when the server began, microseconds since 1970 */
} wr_board_info;

/** Add to a counter of the calling thread's. */
static inline void wr_count(wr_thread *self, wr_counter counter, int64_t by)
{
    _Atomic int64_t *n = &self->row->n[counter];

    /* No other thread writes it, so it need not be one step. */
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static inline void wr_role_is(wr_thread *self, wr_role_state state)
{
    atomic_store_explicit(&self->row->state, (uint32_t)state,
                          memory_order_relaxed);
}

/** Any process, any thread. */
WR_API void wr_board_info_get(wr_board_info *info);
/** Row @a i of [0, rows), for who wants a number or two of it. */
WR_API const wr_row *wr_board_row(int i);
/** The same, whole and of one moment.  @return false: it is none's, or its
 * thread is just beginning. */
WR_API bool wr_board_read(int i, wr_row_view *view);
/** What was counted in rows that others have now, whose roles are forgotten. */
WR_API int64_t wr_board_retired(wr_counter counter);
/** The sum over all rows, and what is retired. */
WR_API int64_t wr_board_sum(wr_counter counter);

#endif
