/*
 * flight.c - see flight.h.
 */
#include "flight.h"

#include "wr_conn.h"
#include "wr_mpm.h"

#include <apr_thread_mutex.h>
#include <string.h>

#define BUCKETS 64

struct wr__flights {
    const wr_mpm *mpm;
    bool is_threaded;
    apr_thread_mutex_t *mutex; /* NULL with one thread */
    /* guarded by mutex, and so is what a flight has that lies here */
    wr__flight *buckets[BUCKETS];
};

wr__flights *wr__flights_create(const wr_child *child, apr_pool_t *pool)
{
    wr__flights *f;

    if (!child->mpm->resume) {
        return NULL;
    }
    f = apr_pcalloc(pool, sizeof(*f));
    f->mpm = child->mpm;
    f->is_threaded = child->mpm->traits & WR_MPM_THREADED;
    if (f->is_threaded) {
        apr_thread_mutex_create(&f->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    }
    return f;
}

static void lock(wr__flights *f)
{
    if (f->mutex) {
        apr_thread_mutex_lock(f->mutex);
    }
}

static void unlock(wr__flights *f)
{
    if (f->mutex) {
        apr_thread_mutex_unlock(f->mutex);
    }
}

/** Where the flight is, or would be added. */
static wr__flight **find(wr__flights *f, const char *filename, uint64_t resolve)
{
    uint32_t hash = 0;
    wr__flight **at;

    for (const char *c = filename; *c; c++) {
        hash = hash * 31 + (unsigned char)*c;
    }
    at = &f->buckets[(hash ^ hash >> 16) % BUCKETS];
    while (*at
           && ((*at)->resolve != resolve
               || strcmp((*at)->filename, filename) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

bool wr__flight_join(wr__flights *f, wr__flight *mine, const char *filename,
                     uint64_t resolve, wr_op *op)
{
    wr__flight **at;
    bool is_there;

    op->conn->refs++; /* before it can be finished */
    lock(f);
    at = find(f, filename, resolve);
    is_there = *at != NULL;
    if (is_there) {
        op->next = (*at)->waiters;
        (*at)->waiters = op;
    }
    else {
        *mine = (wr__flight){
            .flights = f, .filename = filename, .resolve = resolve};
        *at = mine;
    }
    unlock(f);
    if (!is_there) {
        op->conn->refs--;
    }
    return is_there;
}

/** Who has one thread only never gives a connection up, so it is to be told of
 *  each that can go on; otherwise of those whose owner we have become. */
static void finish(const wr__flights *f, wr_op *op)
{
    wr_conn *c = op->conn;

    if (wr_op_finish(op) || !f->is_threaded) {
        f->mpm->resume(c);
    }
}

void wr__flight_end(wr__flight *mine)
{
    wr__flights *f = mine->flights;
    wr_op *op, *next;

    if (!f) {
        return;
    }
    lock(f);
    *find(f, mine->filename, mine->resolve) = mine->next;
    mine->flights = NULL;
    unlock(f);
    for (op = mine->waiters; op; op = next) {
        next = op->next; /* its owner may let go of it from then on */
        finish(f, op);
    }
}
