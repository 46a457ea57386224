/*
 * stock.h - what connections and requests are made of, used again and again:
 * after warm-up nothing of it comes from the C library.
 *
 * Connections are slots of slabs.  A kit (buffers, bucket list) is lent to a
 * connection while it is not idle.  An arena is the pool of one request; it
 * travels with the request to wherever that is logged.
 */
#ifndef WR__STOCK_H
#define WR__STOCK_H

#include "wr_base.h"
#include "wr_conn.h"
#include "wr_end.h"

#include "http_conn.h"

#include <apr_allocator.h>
#include <apr_buckets.h>
#include <apr_pools.h>

/** Bytes that came and were not used yet: data[start..end). */
struct wr_input {
    unsigned char *data;
    size_t size, start, end;
};

/** How many of an end's there are; none while it is idle. */
static inline size_t wr__end_unused(const wr_end *e)
{
    return e->in ? e->in->end - e->in->start : 0;
}

struct wr_kit {
    wr_kit *next;
    apr_pool_t *pool; /**< as long as the kit */
    apr_bucket_alloc_t *list;
    apr_bucket_brigade *out; /**< the client end's */
    uint64_t wire;           /**< bytes of the first request's response */
    int streams;             /**< in the output: mostly none, so don't look */
    int most;                /**< objects of a response, since it was made */
    uint64_t moved;          /**< bytes in and out since others could go on */
    struct wr_input in;      /**< likewise */
    wr__http http;           /**< HTTP/1's state */
};

/** The pool of one request. */
typedef struct wr__arena {
    struct wr__arena *next;
    apr_pool_t *pool;
    apr_allocator_t *allocator;
} wr__arena;

typedef struct wr__stock wr__stock;

/** Free things of one kind that a thread keeps for itself. */
typedef struct wr__bin {
    wr_kit *kits;
    wr__arena *arenas;
    int kit_count, arena_count;
} wr__bin;

#define WR__INPUT_SIZE 8192 /* what a kit's input holds before it grows */

wr__stock *wr__stock_create(wr_child *child, apr_pool_t *pool);
/** All connections are closed. */
void wr__stock_destroy(wr__stock *stock);

/** A connection with its first end behind it, both zeroed.  Any thread. */
wr_conn *wr__stock_conn(wr__stock *stock);
void wr__stock_conn_free(wr__stock *stock, wr_conn *c);

/** A further end, zeroed, with an input of its own.  Any thread. */
wr_end *wr__stock_end(wr__stock *stock);
void wr__stock_end_free(wr__stock *stock, wr_end *e);

wr_kit *wr__stock_kit(wr__stock *stock, wr__bin *bin);
void wr__stock_kit_free(wr__stock *stock, wr__bin *bin, wr_kit *kit);

wr__arena *wr__stock_arena(wr__stock *stock, wr__bin *bin);
void wr__stock_arena_free(wr__stock *stock, wr__bin *bin, wr__arena *arena);

/** A thread ends: give back what it kept. */
void wr__stock_bin_empty(wr__stock *stock, wr__bin *bin);

#endif
