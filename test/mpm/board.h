/*
 * board.h - what the two processes of a contract test share: the driver, which
 * plays the clients, and the server, in which the MPM runs on the scripted
 * machine.
 *
 * The board lies in shared memory, so that the driver can tell where a server
 * stood that hangs or died.
 */
#ifndef WR_TEST_BOARD_H
#define WR_TEST_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_GATES     4
#define BOARD_CONNS     1024
#define BOARD_QUANTUM   16384
#define BOARD_LISTENERS 2

/** Where a connection stands; for the report on a test that got stuck. */
typedef struct board_conn {
    _Atomic int want;  /**< the last one, a wr_want; -1: none yet */
    _Atomic int token; /**< the letter of the script that it is at */
    _Atomic bool is_parked;
    _Atomic bool is_open;
} board_conn;

typedef struct board {
    /* the first thing that went wrong */
    _Atomic int failed;
    char reason[512];
    char skipped[128]; /**< why the test does not concern this MPM */

    /* set by the driver before the server starts */
    int gates[BOARD_GATES]; /**< readable once open: ops wait for them */
    int drain_fd, stop_fd;  /**< read ends */
    int stop_write;         /**< for wr_child_fail() */
    int cue_fd;             /**< the server tells the driver: send now */
    int listen_fds[BOARD_LISTENERS];
    uint16_t ports[BOARD_LISTENERS]; /**< of the listeners */
    int file_fd;                     /**< its content is the pattern */
    int dir_fd;  /**< holds a file "found" and none "missing" */
    int pipe_fd; /**< read end; the driver writes the pattern to it */
    uint16_t back_end_port;      /**< who connects there is sent the pattern */
    int threads;                 /**< for ThreadsPerChild */
    int refuse;                  /**< so many wr_conn_create() return NULL */
    _Atomic int accept_failures; /**< so many accept4() fail */
    _Atomic int fork_failures;   /**< so many wr_child_fork() fail */
    int spare_descriptors; /**< so many are left to serve with; 0: plenty */
    int max_connections;   /**< 0: as many as the board has room for */
    _Atomic int refuse_helpers; /**< so many wr_helper_start() fail */
    _Atomic int refuse_tries;   /**< so many wr_op_try() would block */
    int buffer; /**< of each socket, in bytes; 0: the system's */

    /* counted by the server */
    _Atomic uint64_t bytes_sent;
    _Atomic int dropped;
    _Atomic int created, freed, aborted, timed_out;
    _Atomic int records_made, records_logged;
    _Atomic int ops_run, ops_late, ops_waiting;
    _Atomic int refused, failed_accepts;
    _Atomic int helpers_started, helper_pid; /**< the last one's */
    _Atomic int deaths_left; /**< so many helpers are still to die at work */
    _Atomic int parked;      /**< how often */
    _Atomic bool mark;       /**< 'm' in a script sets it, 'Y' waits for it */
    board_conn conns[BOARD_CONNS];
} board;

extern board *the_board;

/** Map it, zeroed. */
void board_create(void);

/** Note why the test fails; the first reason stays. */
void board_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Where the open connections stand, as text. */
void board_describe(char *text, size_t size);

/** The byte at a position of either direction of every connection. */
unsigned char pattern_at(uint64_t position);

/** Period of the pattern: prime, so that it never falls in with sizes. */
#define PATTERN_PERIOD 65521
/** Bytes of the pattern that may be asked for at once. */
#define PATTERN_SIZE (1u << 20)

/** PATTERN_SIZE bytes beginning at position 0. */
const unsigned char *pattern_bytes(void);

#endif
