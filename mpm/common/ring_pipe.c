/*
 * ring_pipe.c - see ring_pipe.h.
 *
 * pipe2 directly: APR's pipes are not to be sized.
 */
#include "ring_pipe.h"

#include <fcntl.h>
#include <unistd.h>

/* Large, for each time one is used costs two ways to a worker of the kernel's
 * and back; 256 KiB were slower than copying. */
#define SIZE (1024 * 1024)

struct wr__pipes {
    wr__pipe *all;
    int count;
    wr__pipe *open, *closed; /* those that may be taken */
};

static void close_pipe(wr__pipe *pipe)
{
    close(pipe->in);
    close(pipe->out);
    pipe->in = pipe->out = -1;
}

static bool open_pipe(wr__pipe *pipe)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return false;
    }
    pipe->out = fds[0];
    pipe->in = fds[1];
    /* A user may have so many large ones and no more: pipe(7). */
    if (fcntl(pipe->in, F_SETPIPE_SZ, SIZE) < 0) {
        close_pipe(pipe);
        return false;
    }
    return true;
}

static apr_status_t close_pipes(void *data)
{
    wr__pipes *p = data;

    for (int i = 0; i < p->count; i++) {
        if (p->all[i].in >= 0) {
            close_pipe(&p->all[i]);
        }
    }
    return APR_SUCCESS;
}

static void put(wr__pipe **list, wr__pipe *pipe)
{
    pipe->next = *list;
    *list = pipe;
}

wr__pipes *wr__pipes_create(int count, apr_pool_t *pool)
{
    wr__pipes *p = apr_pcalloc(pool, sizeof(*p));

    p->all = apr_palloc(pool, (size_t)count * sizeof(*p->all));
    p->count = count;
    for (int i = 0; i < count; i++) {
        p->all[i].in = p->all[i].out = -1;
        put(&p->closed, &p->all[i]);
    }
    apr_pool_cleanup_register(pool, p, close_pipes, apr_pool_cleanup_null);
    return p;
}

wr__pipe *wr__pipes_take(wr__pipes *pipes)
{
    wr__pipe **list = pipes->open ? &pipes->open : &pipes->closed;
    wr__pipe *pipe = *list;

    if (!pipe || (pipe->in < 0 && !open_pipe(pipe))) {
        return NULL;
    }
    *list = pipe->next;
    return pipe;
}

void wr__pipes_give(wr__pipes *pipes, wr__pipe *pipe, bool is_empty)
{
    if (!is_empty) {
        close_pipe(pipe); /* the least that makes it empty */
    }
    put(is_empty ? &pipes->open : &pipes->closed, pipe);
}
