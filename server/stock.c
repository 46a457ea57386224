/*
 * stock.c - see stock.h.
 *
 * Every thread keeps a few free kits and arenas in a bin of its own, so that
 * the shared lists, and the lock around them, are seldom touched.
 */
#include "stock.h"

#include "child.h"
#include "request.h"

#include <apr_thread_mutex.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#    define WR__ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define WR__ASAN 1
#    endif
#endif
#ifdef WR__ASAN
#    include <sanitizer/asan_interface.h>
#    define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#    define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#    define POISON(p, n)   ((void)(p), (void)(n))
#    define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define SLAB_CONNS 64    /* connections made at a time */
#define BIN_MAX    16    /* free kits or arenas a thread keeps */
#define ARENA_KEEP 32768 /* bytes an arena's allocator keeps when free */
#define INPUT_KEEP 16384 /* an input larger than this is let go */
#define MOST_KEEP  1024  /* a kit that held more objects at once is let go */

/** A free connection's first bytes. */
typedef struct free_conn {
    struct free_conn *next;
} free_conn;

/** A further end and its input. */
typedef struct further_end {
    wr_end end; /* first: the one is the other */
    struct wr_input in;
    struct further_end *next;
} further_end;

struct wr__stock {
    apr_pool_t *pool;
    apr_thread_mutex_t *mutex; /* NULL with one thread */
    size_t conn_bytes, end_offset;
    int fields_max;
    /* guarded by mutex */
    free_conn *conns;
    wr_kit *kits;
    wr__arena *arenas;
    further_end *ends;
};

static void lock(wr__stock *stock)
{
    if (stock->mutex) {
        apr_thread_mutex_lock(stock->mutex);
    }
}

static void unlock(wr__stock *stock)
{
    if (stock->mutex) {
        apr_thread_mutex_unlock(stock->mutex);
    }
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

wr__stock *wr__stock_create(wr_child *child, apr_pool_t *pool)
{
    wr__stock *stock = apr_pcalloc(pool, sizeof(*stock));

    stock->end_offset =
        round_up(offsetof(wr_conn, mpm) + child->mpm->conn_bytes, 16);
    stock->conn_bytes = round_up(stock->end_offset + sizeof(wr_end), 16);
    stock->fields_max = child->core->config->limit_request_fields;
    /* A pool of its own: slabs and kits are made by any thread. */
    apr_pool_create(&stock->pool, pool);
    if (child->core->is_threaded) {
        apr_thread_mutex_create(&stock->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    }
    return stock;
}

static void kit_destroy(wr_kit *kit)
{
    free(kit->in.data);
    apr_pool_destroy(kit->pool);
}

void wr__stock_destroy(wr__stock *stock)
{
    wr_kit *kit;
    wr__arena *arena;
    further_end *end;

    for (free_conn *f = stock->conns; f; f = f->next) {
        UNPOISON(f, stock->conn_bytes); /* the pool's memory is used again */
    }
    while ((kit = stock->kits) != NULL) {
        stock->kits = kit->next;
        kit_destroy(kit);
    }
    while ((end = stock->ends) != NULL) {
        stock->ends = end->next;
        free(end->in.data);
        free(end);
    }
    while ((arena = stock->arenas) != NULL) {
        stock->arenas = arena->next;
        apr_pool_destroy(arena->pool);
        free(arena);
    }
    apr_pool_destroy(stock->pool);
}

/** Called with the lock held. */
static void add_slab(wr__stock *stock)
{
    /* A pool's memory is aligned to 8. */
    uintptr_t memory =
        (uintptr_t)apr_palloc(stock->pool, SLAB_CONNS * stock->conn_bytes + 8);
    char *slab = (char *)round_up(memory, 16);

    for (int i = 0; i < SLAB_CONNS; i++) {
        free_conn *f = (void *)(slab + (size_t)i * stock->conn_bytes);

        f->next = stock->conns;
        stock->conns = f;
    }
}

wr_conn *wr__stock_conn(wr__stock *stock)
{
    free_conn *f;
    wr_conn *c;

    lock(stock);
    if (!stock->conns) {
        add_slab(stock);
    }
    f = stock->conns;
    UNPOISON(f, stock->conn_bytes);
    stock->conns = f->next;
    unlock(stock);
    memset(f, 0, stock->conn_bytes);
    c = (void *)f;
    c->ends = (void *)((char *)f + stock->end_offset);
    c->ends->conn = c;
    return c;
}

void wr__stock_conn_free(wr__stock *stock, wr_conn *c)
{
    free_conn *f = (void *)c;

    lock(stock);
    f->next = stock->conns;
    stock->conns = f;
    POISON((char *)f + sizeof(*f), stock->conn_bytes - sizeof(*f));
    unlock(stock);
}

static void input_init(struct wr_input *in)
{
    in->start = in->end = 0;
    in->size = WR__INPUT_SIZE;
    in->data = malloc(in->size);
    if (!in->data) {
        abort();
    }
}

/** One that has grown is let go when it is free. */
static void input_reset(struct wr_input *in)
{
    if (in->size > INPUT_KEEP) {
        free(in->data);
        input_init(in);
    }
    in->start = in->end = 0;
}

wr_end *wr__stock_end(wr__stock *stock)
{
    further_end *f;

    lock(stock);
    f = stock->ends;
    if (f) {
        stock->ends = f->next;
    }
    unlock(stock);
    if (!f) {
        f = malloc(sizeof(*f));
        if (!f) {
            abort();
        }
        input_init(&f->in);
    }
    memset(&f->end, 0, sizeof(f->end));
    f->end.in = &f->in;
    return &f->end;
}

void wr__stock_end_free(wr__stock *stock, wr_end *e)
{
    further_end *f = (further_end *)e;

    input_reset(&f->in);
    lock(stock);
    f->next = stock->ends;
    stock->ends = f;
    unlock(stock);
}

/** A pool that no other pool knows, with memory of its own: it may be used by
 *  one thread after the other without a lock. */
static apr_pool_t *make_pool(apr_allocator_t **allocator)
{
    apr_pool_t *pool;
    apr_allocator_t *a;

    if (apr_allocator_create(&a) != APR_SUCCESS) {
        abort();
    }
    apr_allocator_max_free_set(a, ARENA_KEEP);
    if (apr_pool_create_unmanaged_ex(&pool, NULL, a) != APR_SUCCESS) {
        abort();
    }
    apr_allocator_owner_set(a, pool);
    if (allocator) {
        *allocator = a;
    }
    return pool;
}

static wr_kit *make_kit(wr__stock *stock)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool = make_pool(&allocator);
    wr_kit *kit = apr_pcalloc(pool, sizeof(*kit));

    kit->pool = pool;
    kit->list = apr_bucket_alloc_create_ex(allocator);
    kit->out = apr_brigade_create(pool, kit->list);
    input_init(&kit->in);
    wr__http_init(&kit->http, stock->fields_max, pool);
    return kit;
}

wr_kit *wr__stock_kit(wr__stock *stock, wr__bin *bin)
{
    wr_kit *kit = bin->kits;

    if (kit) {
        bin->kits = kit->next;
        bin->kit_count--;
        return kit;
    }
    lock(stock);
    kit = stock->kits;
    if (kit) {
        stock->kits = kit->next;
    }
    unlock(stock);
    return kit ? kit : make_kit(stock);
}

void wr__stock_kit_free(wr__stock *stock, wr__bin *bin, wr_kit *kit)
{
    if (kit->most > MOST_KEEP) {
        kit_destroy(kit); /* its list never gives memory back */
        return;
    }
    input_reset(&kit->in);
    if (bin->kit_count < BIN_MAX) {
        kit->next = bin->kits;
        bin->kits = kit;
        bin->kit_count++;
        return;
    }
    lock(stock);
    kit->next = stock->kits;
    stock->kits = kit;
    unlock(stock);
}

static wr__arena *make_arena(void)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool = make_pool(&allocator);
    wr__arena *arena = malloc(sizeof(*arena));

    if (!arena) {
        abort();
    }
    arena->pool = pool;
    arena->allocator = allocator;
    return arena;
}

wr__arena *wr__stock_arena(wr__stock *stock, wr__bin *bin)
{
    wr__arena *arena = bin->arenas;

    if (arena) {
        bin->arenas = arena->next;
        bin->arena_count--;
        return arena;
    }
    lock(stock);
    arena = stock->arenas;
    if (arena) {
        stock->arenas = arena->next;
    }
    unlock(stock);
    return arena ? arena : make_arena();
}

void wr__stock_arena_free(wr__stock *stock, wr__bin *bin, wr__arena *arena)
{
    apr_pool_clear(arena->pool);
    if (bin->arena_count < BIN_MAX) {
        arena->next = bin->arenas;
        bin->arenas = arena;
        bin->arena_count++;
        return;
    }
    lock(stock);
    arena->next = stock->arenas;
    stock->arenas = arena;
    unlock(stock);
}

void wr__stock_bin_empty(wr__stock *stock, wr__bin *bin)
{
    lock(stock);
    while (bin->kits) {
        wr_kit *kit = bin->kits;

        bin->kits = kit->next;
        kit->next = stock->kits;
        stock->kits = kit;
    }
    while (bin->arenas) {
        wr__arena *arena = bin->arenas;

        bin->arenas = arena->next;
        arena->next = stock->arenas;
        stock->arenas = arena;
    }
    unlock(stock);
    bin->kit_count = bin->arena_count = 0;
}
