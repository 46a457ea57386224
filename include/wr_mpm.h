/*
 * wr_mpm.h - what a multiprocessing module is, and what it works with.
 *
 * An MPM is how one child serves: which thread accepts, which waits, which
 * runs, where blocking calls go.  It knows no protocol.  What it promises the
 * core and may ask of it stands on one page, mpm/README.md; the contract test
 * (test/mpm) holds every MPM to it.
 */
#ifndef WR_MPM_H
#define WR_MPM_H

#include "wr_base.h"
#include "wr_command.h"

#include <apr_pools.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/types.h>

/** What a core may know of an MPM. */
enum {
    WR_MPM_THREADED = 1,     /**< more than one thread steps connections */
    WR_MPM_CALLS_INLINE = 2, /**< ops run where they are wanted, so asking
                                  first whether they would block is idle */
    WR_MPM_COMPLETION = 4,   /**< sends spans itself, by completions */
    WR_MPM_PROCESS = 8,      /**< a connection has a process to itself, so the
                                  MPM says how many there are: scale() */
    WR_MPM_HELPERS = 16      /**< asks for helper processes: wr_helper.h */
};

/** How many processes a configuration asks for, and writers of logs. */
typedef struct wr_mpm_scale {
    int start;     /**< so many to begin with */
    int min_spare; /**< with fewer idle ones, more are made ... */
    int max_spare; /**< ... with more, some end ... */
    int max;       /**< ... and this many there are at most */
    int writers;   /**< threads that log at a time: of a process, and of those
                        that it forks */
} wr_mpm_scale;

struct wr_mpm {
    const char *name;
    const char *summary; /**< a line for those who choose */
    unsigned traits;
    size_t conn_bytes;          /**< of wr_conn.mpm */
    const wr_command *commands; /**< its directives, ended by a NULL name */
    void *(*config_create)(apr_pool_t *pool); /**< defaults; or NULL */
    /** Check the whole configuration; NULL or what is wrong with it. */
    const char *(*config_check)(void *config, apr_pool_t *pool);
    /** What its directives amount to, for weir -S: whole lines.  Or NULL. */
    const char *(*describe)(const void *config, apr_pool_t *pool);
    /** Correct the core's answer; of the processes only with WR_MPM_PROCESS.
     *  Or NULL. */
    void (*scale)(const void *config, wr_mpm_scale *scale);
    /**
     * A connection that was waiting for another one's op can go on: see to it
     * that it is stepped, soon, and not within this call.
     *
     * @owner  with WR_MPM_THREADED the MPM's from now on: it was parked.
     *         Otherwise as before: with its thread.
     * @thread any that steps connections, or logs records.
     *
     * NULL: connections never wait for each other.  Right where ops run inline:
     * there who waits could not be told from who works.
     */
    void (*resume)(wr_conn *c);
    /** Make what serve() needs; may fail.  In the child, as its user. */
    apr_status_t (*init)(wr_child *child);
    /** Serve until wr_child_state() says stop, or drain and none is left. */
    apr_status_t (*serve)(wr_child *child);
};

/** A row of an MPM's table of directives, for a field of its configuration. */
#define WR_MPM_COMMAND(NAME, SET, ARGS, TYPE, FIELD, MIN, MAX, PRESET, HELP) \
    {                                                                        \
        .name = NAME, .run = SET, .context = WR_IN_MPM, .min_args = 1,       \
        .max_args = 1, .args = ARGS, .help = HELP, .preset = PRESET,         \
        .offset = offsetof(TYPE, FIELD), .min = MIN, .max = MAX,             \
    }
/** A whole number: int. */
#define WR_MPM_NUMBER(NAME, TYPE, FIELD, MIN, MAX, PRESET, HELP)              \
    WR_MPM_COMMAND(NAME, wr_set_int, "number", TYPE, FIELD, MIN, MAX, PRESET, \
                   HELP)
/** On or off: int. */
#define WR_MPM_FLAG(NAME, TYPE, FIELD, PRESET, HELP) \
    WR_MPM_COMMAND(NAME, wr_set_flag, "on|off", TYPE, FIELD, 0, 0, PRESET, HELP)

/** An address that is listened on. */
struct wr_listener {
    int fd;           /**< non-blocking, close-on-exec */
    const char *name; /**< as in "127.0.0.1:8080" */
    uint16_t port;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } addr;
    const wr_protocol *protocol;
    const wr_server *server; /**< the default one of this address */
};

typedef enum wr_child_phase {
    WR_CHILD_RUNNING,
    WR_CHILD_DRAINING, /**< accept no more; leave when none is left */
    WR_CHILD_STOPPING  /**< post WR_POST_STOP to all, close all, leave */
} wr_child_phase;

/** A serving process, as its MPM sees it.  Set up before init(). */
struct wr_child {
    const wr_mpm *mpm;
    void *mpm_config; /**< what config_create made, directives applied */
    void *mpm_data;   /**< free for the MPM's use */
    apr_pool_t *pool; /**< the main thread's; ends with the child */
    wr_listener *const *listeners;
    int listener_count;
    int drain_fd;   /**< becomes and stays readable when draining or stopping */
    int stop_fd;    /**< becomes and stays readable when stopping */
    size_t quantum; /**< for wr_conn_io() and wr_end_peek(): a turn */
    int accept_limit; /**< connections taken for one report of a listener */
    int max_connections;
    _Atomic int connections;    /**< now open */
    _Atomic int phase;          /**< a wr_child_phase */
    struct wr_child_core *core; /**< private to the core */
};

/**
 * What a thread that steps connections carries: its clock, and the core's
 * caches and log rings of that thread.  One thread's at a time.
 */
struct wr_thread {
    wr_child *child;
    int64_t now_ns;  /**< monotonic; as of the last wr_thread_tick() */
    int64_t wall_us; /**< microseconds since 1970, likewise */
    char role[16];   /**< as shown by ps and the status page */
    wr_row *row;     /**< of the scoreboard (wr_board.h); never NULL */
    struct wr_thread_core *core; /**< private to the core */
};

/**
 * Make the calling thread one that steps connections, and name it
 * "weir:ROLE".
 *
 * @owner  the caller; wr_thread_finish() by the same thread.
 */
WR_API wr_thread *wr_thread_init(wr_child *child, const char *role);
WR_API void wr_thread_finish(wr_thread *self);

/** Look at the clock.  After every wait, and as often as seems right. */
WR_API void wr_thread_tick(wr_thread *self);

/** Is the child to go on, to drain, or to stop?  Any thread. */
WR_API wr_child_phase wr_child_state(const wr_child *child);

/** The child can't go on (a loop's poll failed): log, then stop it.  Any
 *  thread. */
WR_API void wr_child_fail(wr_child *child, const char *what, int error);

/**
 * Fork a process for a connection that the calling one has accepted.  In the
 * new process the child and @a self are its own: signals and failures are told
 * to it alone, log lines and counters have a place of their own, the listeners
 * are closed.  It ends by returning from serve().
 *
 * For MPMs with WR_MPM_PROCESS.  Who forks tells those it has forked when it is
 * drained (SIGUSR1) or stopped (SIGTERM), and reaps them.
 *
 * @thread the child's only one; its @a self.
 * @return as fork(): the new process's id; 0 in the new process; -1 and errno.
 */
WR_API pid_t wr_child_fork(wr_child *child, wr_thread *self, const char *role);

/** A process forked so has ended, as waitpid() said: if not in order, save the
 *  lines it has logged, and say so. */
WR_API void wr_child_reaped(pid_t pid, int status);

#endif
