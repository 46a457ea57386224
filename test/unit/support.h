/*
 * support.h - what the tests of the core share: a site with handlers of all
 * kinds in a process without a network, and a rig that drives one connection
 * by feed, peek and advance, as friendly or hostile as its rules say.
 *
 * The clock is the rig's.  Each failure is an abort() with a line on standard
 * error, so that it serves cmocka and a fuzzer alike.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "wr_conn.h"
#include "wr_end.h"
#include "wr_mpm.h"
#include "wr_op.h"
#include "wr_request.h"

#include "server/config.h"

#include <apr_pools.h>

/** Ends the process unless it holds. */
#define require(CLAIM) \
    ((CLAIM) ? (void)0 : support_fail(__FILE__, __LINE__, #CLAIM))
void support_fail(const char *file, int line, const char *claim)
    __attribute__((noreturn));

/* The site. */

typedef struct site_options {
    bool is_threaded;
    bool asks_first;    /**< the MPM wants to know before something blocks */
    bool is_cold;       /**< ... and everything would */
    const char *config; /**< further directives, or NULL */
} site_options;

/** What was logged, in order; guarded by a mutex of its own. */
typedef struct logged {
    char uri[64];
    int status;
    int64_t bytes_sent;
    bool is_aborted, is_head;
} logged;

typedef struct site {
    apr_pool_t *pool;
    char dir[64]; /**< DocumentRoot: see site_files */
    wr__config *config;
    wr_listener listener;
    wr_child *child;
    int descriptors; /**< open before the child was made; -1: not looked at */
} site;

/** Small files are in memory once cached; BIG_SIZE is beyond that. */
#define SMALL_TEXT "a small file\n"
#define BIG_SIZE   300000

/**
 * Files: /small.txt, /empty.txt, /big.bin, /dir/.  Handlers, by the last part
 * of the path:
 *
 *     /memory    a text in three pieces        /range     of /big.bin
 *     /computed  made in pieces                /waiting   ... each after an op
 *     /linear    linear code                   /op        waits for an op first
 *     /echo      the request's body            /twice     /big.bin and text
 *     /moved     redirected to /small.txt      /nothing   204, from the hook
 *     ?moved     ... to /empty.txt             /void      ... with an object
 *     /broken    a computed object that fails  /stream    a pipe's bytes
 *     /partial   appends, then waits, then appends
 *     /short     a pipe that ends too early    /counted   of known length
 *     /less      ... that is not reached       /more      ... that is passed
 */
site *site_create(const site_options *options);
/** Give /small.txt another time, so that what is cached of it is stale. */
void site_touch(const site *s);
/** Does the file system know no sendfile()? */
extern bool support_no_sendfile;
/** The MPM's resume(), of sites that are created from now on; or NULL. */
extern void (*support_resume)(wr_conn *c);
/** What /own does. */
extern wr_result (*support_handler)(wr_request *r);
/** Nothing may be left: no connection, no descriptor. */
void site_destroy(site *s);

/** Forget what was logged; how many records were, since then; one of them. */
void logged_clear(void);
int logged_count(void);
logged logged_at(int i);

/* The rig. */

typedef struct rig rig;

typedef struct rig_rules {
    uint32_t seed;   /**< 0: the same order always, and nothing is late */
    size_t feed_max; /**< bytes a feed; 0: any number */
    size_t send_max; /**< bytes an advance; 0: all of the span */
    size_t quantum;  /**< of peek; 0: the configuration's */
    bool late_ops;   /**< ops return as late as can be */
    bool late_logs;  /**< records are logged when the connection is gone */
    bool keeps_open; /**< the client does not end behind its input */
    bool on_sockets; /**< wr_conn_io(), and a client behind a socket */
    /** Runs an op; NULL: wr_op_run(). */
    void (*run_op)(rig *g, wr_op *op);
    /** Called before each step, with its number; or NULL. */
    void (*before_step)(rig *g, int number);
    /** Takes a finished record; NULL: logged by the rig. */
    void (*log)(rig *g, wr_record *record);
    void *arg; /**< free for the two */
} rig_rules;

#define RIG_OPS     16
#define RIG_RECORDS 64

struct rig {
    site *site;
    const rig_rules *rules;
    wr_thread *self; /**< its clock is the rig's */
    wr_conn *c;      /**< NULL once closed */
    int peer;        /**< the other side of its descriptor */
    uint32_t seed;
    const char *input;
    size_t input_len, fed;
    bool is_silent; /**< the client feeds and takes nothing more */
    bool holds_ops; /**< no op returns */
    bool has_ended; /**< its FIN, or worse, was told */
    char *output;
    size_t output_len, output_size;
    wr_op *ops[RIG_OPS]; /**< out */
    int op_count;
    wr_record *records[RIG_RECORDS]; /**< not logged yet */
    int record_count;
    wr_span span; /**< in flight */
    char *span_copy;
    uint32_t served;   /**< requests, when it was closed */
    wr_want last_want; /**< of a step of the rig's */
    int steps;
    int timeouts;
};

/** A connection of @a s that will send @a input. */
rig *rig_create(site *s, const rig_rules *rules, const char *input, size_t len);
/** Step it, and leave the want to the caller. */
wr_want rig_want(rig *g);
/** One step and what it wants.  @return false once closed. */
bool rig_step(rig *g);
/** Until it is closed.  Bounded. */
void rig_run(rig *g);
/** Step until nothing but time, or input, can carry it on. */
void rig_settle(rig *g);
/** Let time pass, tell of it if a deadline is reached. */
void rig_pass(rig *g, int64_t ns);
/** Add to the input. */
void rig_send(rig *g, const char *input);
/** How long until the deadline; -1: none. */
int64_t rig_left(const rig *g);
/** Log what was to be logged late. */
void rig_log(rig *g);
/** Of a closed one. */
void rig_destroy(rig *g);

/**
 * Read an output as a sequence of responses, and require that it is one; which
 * of them answer HEAD is looked up in what was logged.
 *
 * @param is_cut the last one may be incomplete.
 * @return their statuses: "200 404 ".
 */
const char *read_responses(apr_pool_t *pool, const char *output, size_t len,
                           bool is_cut);

/** xorshift. */
uint32_t next_random(uint32_t *seed);

#endif
