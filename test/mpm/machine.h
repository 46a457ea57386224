/*
 * machine.h - the scripted connection machine: what is linked in place of the
 * core, so that an MPM's promises can be tested one by one.
 *
 * It defines every function of include/ that an MPM calls.  A connection does
 * not speak HTTP but a script, which is the first line that the client sends:
 *
 *     rN   receive N bytes (which must be the pattern)
 *     z    receive until the client's end
 *     wN   send N bytes of the pattern from memory, in pieces
 *     fN   the same from a file
 *     eN   connect a second end, receive N bytes there, send them to the client
 *     pN   the same with a pipe
 *     jN   connect a second end and want to receive there, too, while receiving
 *          N bytes from the client
 *     k    drop the second end
 *     cN   want N ops at once; they return at once
 *     gK   want an op that waits until gate K is open
 *     sK   the same with an op that is plain data
 *     qN   want an op that is plain data, at which N helpers die
 *     bN   both at once: an op that waits for gate 0, and N bytes
 *     oN   want N ops: look up, miss, stat, bring in, read, in turn
 *     l    finish a "request": its record is to be logged
 *     u    RUN
 *     yN   YIELD N times
 *     Y    YIELD until a script has said m
 *     m    (see Y)
 *     dN   set the deadline, in N ms; d0: none
 *     hN   at the next park: 1 something is posted just before; 2 an event
 *          comes just before; 3 an event comes between parking and return
 *     x    close (a script's end does, too)
 *
 * When its deadline passes, a connection forgets its script, sends a "T" if
 * its output is at a boundary, and closes.
 *
 * Every function asserts what the contract says of its caller; the first broken
 * promise ends the process.  Connections are never given back to the allocator
 * but poisoned, so that a touch of a freed one is told from chance.
 */
#ifndef WR_TEST_MACHINE_H
#define WR_TEST_MACHINE_H

#include "wr_conn.h"
#include "wr_end.h"
#include "wr_mpm.h"
#include "wr_op.h"

#include "board.h"

#include <sys/types.h>

/* Which sanitizer there is: gcc says it by a macro, clang by a feature. */
#if defined(__SANITIZE_ADDRESS__)
#    define MACHINE_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#    define MACHINE_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define MACHINE_ASAN 1
#    elif __has_feature(thread_sanitizer)
#        define MACHINE_TSAN 1
#    endif
#endif

#define SCRIPT_MAX 64
#define INPUT_SIZE 8192

/** A broken promise: the test fails, here and now. */
#define PROMISE(condition, ...)      \
    do {                             \
        if (!(condition)) {          \
            board_fail(__VA_ARGS__); \
            machine_die();           \
        }                            \
    } while (0)

_Noreturn void machine_die(void);

typedef struct token {
    char kind;
    unsigned count; /**< as written */
} token;

/** An op with what is asserted of it. */
typedef struct machine_op {
    wr_op op;                /**< first: an MPM hands this back */
    struct machine_op *next; /**< among those that returned */
    struct machine *machine;
    int gate;   /**< FUNC, PAGE: wait for it; -1: don't */
    int expect; /**< the status it must end with */
    char buf[64];
    bool is_taken;
    _Atomic int runs, finishes;
} machine_op;

/** One side of an end: input as it came, output as it is to go. */
typedef struct machine_end {
    wr_end end; /**< first */
    unsigned char input[INPUT_SIZE];
    size_t input_len;
    uint64_t input_position; /**< of the pattern: of input[0] */
    bool is_at_eof;
    uint8_t granted; /**< wants of which no result came yet */
    dev_t device;    /**< which socket it is: nobody else may close it */
    ino_t inode;
    /* output; the client only */
    char out_kind; /**< 0, or 'w', 'f', 'T' */
    size_t out_left;
    uint64_t out_position;
    unsigned char *pinned; /**< what the span out shows */
    size_t pinned_len;
    bool is_pinned;
} machine_end;

typedef struct machine {
    uint32_t magic;
    int number;          /**< in the order of creation; the board's index */
    int creator;         /**< thread */
    _Atomic int inside;  /**< the thread within an owner's function, or 0 */
    _Atomic int stepper; /**< the thread that stepped it last */
    board_conn *board;

    token script[SCRIPT_MAX];
    int script_len; /**< -1: not yet received */
    int at;
    bool has_begun; /**< the token at hand: its wants were issued */
    unsigned left;  /**< of the token at hand */
    bool is_over;   /**< only LOG and CLOSE are left to want */
    bool is_aborted, has_timed_out;
    bool quantum_used;
    bool progressed; /**< since the last step */
    unsigned vain;   /**< steps in a row without progress */

    int last_want; /**< a wr_want, or -1 */
    bool close_failed;
    int ops_wanted; /**< by the token at hand: not yet back */
    machine_op *_Atomic returned;
    int hook;

    machine_end client;
    machine_end *back; /**< a second end, or NULL */
    bool drop_failed;
    wr_conn *conn; /**< what the MPM sees; poisoned when closed */
} machine;

/** The machine of a connection; asserts that it was not freed. */
machine *machine_of(const wr_conn *c, const char *where);

/** Make it plain if anybody touches this. */
void machine_poison(void *memory, size_t size);

/** Enter and leave a function that only the owner may call.  @a self may be
 *  NULL where it is not handed over. */
machine *machine_enter(const wr_conn *c, const wr_thread *self,
                       const char *where);
void machine_leave(machine *m);
/** Is the caller the owner, by all that can be told from here? */
bool machine_is_owner(const machine *m);

/** The calling thread's number. */
int machine_thread(void);

/* machine_end.c */
void machine_end_init(machine_end *me, wr_conn *c, int fd);
/** Take up to @a want bytes of input that must be the pattern. */
size_t machine_take_input(machine_end *me, size_t want);
/** A span that was peeked at and is not in flight is void: it pins nothing. */
void machine_void_span(machine_end *me);
/** Close its descriptor; nobody may touch the end any more. */
void machine_end_close(machine_end *me);

/* machine_op.c */
/** Zeroed memory that is never freed, but found by a leak checker. */
void *machine_allocate(size_t size);
/** For @a gate: not a gate, but helpers die of it. */
#define MACHINE_DEATH (-2)
void machine_add_op(machine *m, wr_op_kind kind, int gate, int expect,
                    const char *path);
/** Take back @a count ops. */
void machine_take_back(machine *m, unsigned count);
void machine_add_record(machine *m);

/* machine_child.c */
extern wr_child *the_child;
/** Directives for the MPM, as in "HandOver always"; set before it serves. */
#define MACHINE_DIRECTIVES 8
extern const char *machine_directives[MACHINE_DIRECTIVES];
extern int machine_directive_count;
/** Tell the driver that now is the time to send. */
void machine_cue(void);
/** Descriptors that only the machine may close. */
void machine_guard_fd(int fd, bool is_guarded);
int machine_close_fd(int fd);

/** In a helper: close all that others close to be seen, but not gates. */
void machine_close_all_but(int fd);

/* machine_helper.c */
/** Is this process a helper, and not the server? */
extern bool machine_is_helper;

/** Directives with their values, by turns; ended by NULL.  A program that tests
 *  a variant of an MPM has its own. */
extern const char *const contract_directives[];

/** Run the MPM in this process and look at what it leaves behind. */
_Noreturn void machine_serve(const wr_mpm *mpm);

#endif
