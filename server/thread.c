/*
 * thread.c - the threads that step connections: names, clocks, what each
 * keeps for itself.
 */
#include "thread.h"

#include "board.h"
#include "child.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

wr_thread *wr_thread_init(wr_child *child, const char *role)
{
    wr_thread *self = calloc(1, sizeof(*self) + sizeof(*self->core));

    if (!self) {
        abort();
    }
    self->core = (struct wr_thread_core *)(self + 1);
    self->child = child;
    wr__thread_claim(self, role);
    wr_thread_tick(self);
    return self;
}

void wr__thread_claim(wr_thread *self, const char *role)
{
    char name[16];

    apr_cpystrn(self->role, role, sizeof(self->role));
    apr_snprintf(name, sizeof(name), "weir:%s", role);
    prctl(PR_SET_NAME, name);
    self->core->log_slot = wr__log_slot_claim();
    self->row =
        wr__board_claim(self->child->mpm->name, self->child->core->index, role);
}

void wr_thread_finish(wr_thread *self)
{
    wr__stock_bin_empty(self->child->core->stock, &self->core->bin);
    if (self->core->log_slot) {
        wr__log_slot_release(self->core->log_slot);
    }
    wr__board_release(self->row, self->child->core->row);
    free(self);
}

int64_t wr__clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * WR_SEC + t.tv_nsec;
}

void wr__thread_blocked(wr_thread *self, int64_t since_ns, int64_t least_ns)
{
    int64_t took = wr__clock() - since_ns;

    if (took >= least_ns) {
        wr_count(self, WR_N_BLOCKING_CALLS, 1);
        wr_count(self, WR_N_BLOCKED_NS, took);
    }
}

void wr_thread_tick(wr_thread *self)
{
    struct timespec t;

    self->now_ns = wr__clock();
    clock_gettime(CLOCK_REALTIME, &t);
    self->wall_us = t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

const char *wr__thread_date(wr_thread *self)
{
    int64_t second = self->wall_us / 1000000;

    if (second != self->core->date_second) {
        apr_rfc822_date(self->core->date, second * 1000000);
        self->core->date_second = second;
    }
    return self->core->date;
}
