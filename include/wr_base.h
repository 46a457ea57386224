/*
 * wr_base.h - names that every public header needs: the types by name only,
 * and the mark of what is exported.
 *
 * Any process, any thread.  Holds no function.
 */
#ifndef WR_BASE_H
#define WR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Marks what a module or an MPM may call; all else is hidden. */
#define WR_API __attribute__((visibility("default")))

/** For apr_hooks.h, which wants the mark as a function-like macro. */
#define WR_DECLARE(type) WR_API type

/** Rises when a module built against older headers could no longer work. */
#define WR_MODULE_MAGIC 0x57520001u

typedef struct wr_body wr_body;
typedef struct wr_child wr_child;
typedef struct wr_conn wr_conn;
typedef struct wr_directive wr_directive;
typedef struct wr_dir_config wr_dir_config;
typedef struct wr_end wr_end;
typedef struct wr_file wr_file;
typedef struct wr_kit wr_kit;
typedef struct wr_listener wr_listener;
typedef struct wr_log wr_log;
typedef struct wr_module wr_module;
typedef struct wr_mpm wr_mpm;
typedef struct wr_op wr_op;
typedef struct wr_protocol wr_protocol;
typedef struct wr_record wr_record;
typedef struct wr_regex wr_regex;
typedef struct wr_request wr_request;
typedef struct wr_root wr_root;
typedef struct wr_row wr_row;
typedef struct wr_section wr_section;
typedef struct wr_server wr_server;
typedef struct wr_task wr_task;
typedef struct wr_thread wr_thread;

/**
 * An element of a queue between threads.  First member of what is queued, so
 * that a queue allocates nothing.  Its holder sets kind; the queue sets next.
 */
struct wr_task {
    wr_task *next;
    int kind;
    uint32_t queued_us; /**< the queue's: when, in microseconds, modulo 2^32 */
};

/** A deadline that never passes (monotonic nanoseconds). */
#define WR_NEVER INT64_MAX

#define WR_MS  INT64_C(1000000)    /**< a millisecond, in nanoseconds */
#define WR_SEC INT64_C(1000000000) /**< a second, in nanoseconds */

#endif
