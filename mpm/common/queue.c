/*
 * queue.c - see queue.h.
 *
 * eventfd directly: APR's pollset wakes by a pipe, two descriptors and a read
 * for each wake-up.
 */
#include "queue.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void wr__fifo_put(wr__fifo *f, wr_task *task)
{
    task->next = NULL;
    if (f->last) {
        f->last->next = task;
    }
    else {
        f->first = task;
    }
    f->last = task;
    f->count++;
}

wr_task *wr__fifo_take(wr__fifo *f)
{
    wr_task *task = f->first;

    if (task) {
        f->first = task->next;
        if (!f->first) {
            f->last = NULL;
        }
        f->count--;
    }
    return task;
}

void wr__fifo_append(wr__fifo *f, wr__fifo *from)
{
    if (!from->first) {
        return;
    }
    if (f->last) {
        f->last->next = from->first;
    }
    else {
        f->first = from->first;
    }
    f->last = from->last;
    f->count += from->count;
    *from = (wr__fifo){0};
}

static apr_status_t close_inbox(void *data)
{
    wr__inbox *box = data;

    close(box->fd);
    return APR_SUCCESS;
}

apr_status_t wr__inbox_init(wr__inbox *box, apr_pool_t *pool)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) {
        return errno;
    }
    atomic_init(&box->newest, NULL);
    atomic_init(&box->is_asleep, false);
    box->fd = fd;
    apr_pool_cleanup_register(pool, box, close_inbox, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

/*
 * No wake-up is lost: the taker says that it sleeps and then looks for tasks;
 * a giver puts its task and then looks for a sleeper.  Both steps of both are
 * sequentially consistent, so at least one of the two sees the other.
 */
bool wr__inbox_put(wr__inbox *box, wr_task *task)
{
    wr_task *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);

    do {
        task->next = newest;
    } while (!atomic_compare_exchange_weak(&box->newest, &newest, task));
    if (atomic_load(&box->is_asleep)
        && atomic_exchange(&box->is_asleep, false)) {
        wr__inbox_poke(box);
        return true;
    }
    return false;
}

void wr__inbox_poke(wr__inbox *box)
{
    /* Can fail only when the count is full: then it is readable too. */
    eventfd_write(box->fd, 1);
}

bool wr__inbox_sleep(wr__inbox *box)
{
    atomic_store(&box->is_asleep, true);
    if (atomic_load(&box->newest)) {
        atomic_store_explicit(&box->is_asleep, false, memory_order_relaxed);
        return false;
    }
    return true;
}

void wr__inbox_wake(wr__inbox *box)
{
    atomic_store_explicit(&box->is_asleep, false, memory_order_relaxed);
}

void wr__inbox_take(wr__inbox *box, wr__fifo *f)
{
    wr_task *task, *next, *oldest = NULL;

    if (!atomic_load_explicit(&box->newest, memory_order_relaxed)) {
        return;
    }
    task = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    for (; task; task = next) {
        next = task->next;
        task->next = oldest;
        oldest = task;
    }
    for (task = oldest; task; task = next) {
        next = task->next;
        wr__fifo_put(f, task);
    }
}
