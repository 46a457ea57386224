/*
 * status_gather.c - the scoreboard and what the kernel knows, added up by
 * generation, process and role.
 *
 * Runs in the thread that serves the request, and does not wait: the board is
 * memory, and so is /proc (status_proc.c).  What it costs is bounded by the
 * board's rows, and the kernel is asked of PROC_MAX threads at most, some tens
 * of microseconds each.
 */
#include "status.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <ctype.h>
#include <string.h>
#include <time.h>

#define PROC_MAX 1000

/** The process itself, not one of its threads. */
static bool is_process(const wr_row_view *row)
{
    return strcmp(row->role, "child") == 0;
}

/** "worker3" is a worker. */
static void role_of(const wr_row_view *row, char role[16])
{
    size_t len = strlen(row->role);

    while (len > 1 && isdigit((unsigned char)row->role[len - 1])) {
        len--;
    }
    memcpy(role, row->role, len);
    role[len] = '\0';
}

static wr__status_group *add_group(apr_array_header_t *groups,
                                   const wr_row_view *row)
{
    wr__status_group *group = apr_array_push(groups);

    memset(group, 0, sizeof(*group));
    group->generation = row->generation;
    group->pid = row->pid;
    group->child = row->child;
    group->since_us = row->since_us;
    memcpy(group->mpm, row->mpm, sizeof(group->mpm));
    return group;
}

/** It began with the first of its threads. */
static wr__status_group *widen(wr__status_group *group, const wr_row_view *row)
{
    if (row->since_us < group->since_us) {
        group->since_us = row->since_us;
    }
    return group;
}

static wr__status_group *generation_of(wr__status *s, const wr_row_view *row)
{
    for (int i = 0; i < s->generations->nelts; i++) {
        wr__status_group *group =
            &APR_ARRAY_IDX(s->generations, i, wr__status_group);

        if (group->generation == row->generation) {
            return widen(group, row);
        }
    }
    return add_group(s->generations, row);
}

static wr__status_group *role_group_of(wr__status *s, const wr_row_view *row)
{
    char role[16];
    wr__status_group *group;

    role_of(row, role);
    for (int i = 0; i < s->roles->nelts; i++) {
        group = &APR_ARRAY_IDX(s->roles, i, wr__status_group);
        if (strcmp(group->role, role) == 0
            && strcmp(group->mpm, row->mpm) == 0) {
            return group;
        }
    }
    group = add_group(s->roles, row);
    memcpy(group->role, role, sizeof(role));
    return group;
}

/** Processes may be many: found by their number, the array may move. */
static wr__status_group *process_of(wr__status *s, apr_hash_t *places,
                                    const wr_row_view *row)
{
    int *place = apr_hash_get(places, &row->pid, sizeof(row->pid));
    wr__status_group *group;

    if (!place) {
        place = apr_palloc(s->processes->pool, 2 * sizeof(int));
        place[0] = s->processes->nelts;
        place[1] = row->pid;
        apr_hash_set(places, &place[1], sizeof(place[1]), place);
        group = add_group(s->processes, row);
        group->resident_bytes = wr__resident_bytes(row->pid);
    }
    return widen(&APR_ARRAY_IDX(s->processes, *place, wr__status_group), row);
}

/** @a own: only what the row's present thread has counted. */
static void add_row(wr__status_group *group, const wr_row_view *row, bool own)
{
    for (int i = 0; i < WR_N_COUNT; i++) {
        group->n[i] += row->n[i] - (own ? row->before[i] : 0);
    }
    if (row->pid != 0 && !is_process(row)) {
        group->threads++;
        group->busy += row->state == WR_ROLE_BUSY;
    }
}

static void add_usage(wr__status_group *group, const int64_t usage[WR__U_COUNT])
{
    for (int i = 0; i < WR__U_COUNT; i++) {
        group->usage[i] += usage[i];
    }
}

static const wr__status_thread *add_thread(wr__status *s,
                                           const wr_row_view *row)
{
    wr__status_thread *thread = apr_array_push(s->threads);

    thread->row = *row;
    thread->has_usage = false;
    if (s->threads->nelts > PROC_MAX) {
        s->unread++;
    }
    else {
        thread->has_usage =
            wr__usage_of_thread(row->pid, row->tid, thread->usage);
    }
    for (int i = 0; i < WR_N_COUNT; i++) {
        thread->row.n[i] -= row->before[i];
    }
    return thread;
}

/** The row of a process itself is of no role while nothing is in it. */
static bool has_role(const wr_row_view *row)
{
    if (!is_process(row)) {
        return true;
    }
    for (int i = 0; i < WR_N_COUNT; i++) {
        if (row->n[i] != 0) {
            return true;
        }
    }
    return false;
}

static void look_at(wr__status *s, apr_hash_t *places, const wr_row_view *row)
{
    const wr__status_thread *thread;

    if (has_role(row)) {
        add_row(role_group_of(s, row), row, false);
    }
    add_row(&s->all, row, false);
    if (row->pid == 0) {
        return;
    }
    add_row(generation_of(s, row), row, true);
    add_row(process_of(s, places, row), row, true);
    if (is_process(row)) {
        return;
    }
    thread = add_thread(s, row);
    if (thread->has_usage) {
        add_usage(&s->all, thread->usage);
        add_usage(role_group_of(s, row), thread->usage);
        add_usage(generation_of(s, row), thread->usage);
        add_usage(process_of(s, places, row), thread->usage);
    }
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/** Counters of rows that other roles have now. */
static void add_retired(wr__status *s)
{
    wr_row_view row = {.pid = 0};
    bool is_any = false;

    for (int i = 0; i < WR_N_COUNT; i++) {
        row.n[i] = wr_board_retired((wr_counter)i);
        is_any = is_any || row.n[i] != 0;
    }
    if (is_any) {
        look_at(s, NULL, &row);
    }
}

wr__status *wr__status_gather(apr_pool_t *pool, const char *mpm)
{
    wr__status *s = apr_pcalloc(pool, sizeof(*s));
    apr_hash_t *places = apr_hash_make(pool);
    wr_row_view row;

    s->mpm = mpm;
    s->counters = wr_counter_infos;
    s->now_us = now_us();
    wr_board_info_get(&s->board);
    s->generations = apr_array_make(pool, 2, sizeof(wr__status_group));
    s->processes = apr_array_make(pool, 4, sizeof(wr__status_group));
    s->roles = apr_array_make(pool, 8, sizeof(wr__status_group));
    s->threads = apr_array_make(pool, s->board.rows, sizeof(wr__status_thread));
    for (int i = 0; i < s->board.rows; i++) {
        if (wr_board_read(i, &row)) {
            look_at(s, places, &row);
        }
    }
    add_retired(s);
    return s;
}

double wr__status_uptime(const wr__status *s)
{
    int64_t us = s->now_us - s->board.started_us;

    return us > 1000 ? (double)us / 1e6 : 0.001;
}
