/*
 * generation_children.c - see generation_children.h.
 *
 * In the generation's one thread.  A place has a child or waits for one.  What
 * children have to say (ready; about to leave) comes through a pipe that all of
 * them write to, a note at a time; that they end, by SIGCHLD; whether they are
 * idle, from the scoreboard.
 *
 * A child that is to leave, since it has served MaxConnectionsPerChild or is
 * one idle one too many, finishes what it has begun.  Its successor need not
 * wait for that: there are more places than children.
 */
#include "generation_children.h"

#include "wr_board.h"
#include "wr_log.h"

#include "board.h"
#include "generation_spawner.h"
#include "log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One that lived shorter died at its start: its place waits, ever longer. */
#define SHORT_LIFE    WR_SEC
#define LONGEST_DELAY (32 * WR_SEC)
/* One that was told to leave, and told to stop since that took too long, is
 * killed after this. */
#define STOP_LIMIT    (5 * WR_SEC)
#define LOOK_INTERVAL WR_SEC
/* Too few are idle: 1 is forked, a second later 2, then 4, up to so many. */
#define RATE_MAX 32

typedef struct place {
    pid_t pid; /* 0: none now */
    int64_t started;
    int64_t due; /* when the next one is forked; WR_NEVER: not at all */
    int64_t delay;
    int64_t deadline; /* of one that leaves */
    bool is_ready;
    bool is_idle;     /* when last looked at */
    bool is_leaving;  /* and not wanted any more */
    bool is_stopping; /* it took too long */
    bool is_owed;     /* its successor waits for this place */
} place;

struct wr__children {
    wr__child_options options;
    wr_mpm_scale scale;
    place *places;
    int place_count;
    int note_fd; /* the end to read */
    int ready_count;
    bool was_ready, is_ending;
    bool has_pool; /* their number may change: who is idle is looked at */
    int64_t next_look;
    int rate;
    bool was_full; /* and that was said */
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * WR_SEC + now.tv_nsec;
}

/* How many. */

/* Threads that log, of one child: slots that are not claimed cost nothing. */
#define LOG_WRITERS 256

void wr__children_scale(wr_mpm_scale *scale, const wr__config *config)
{
    int count = config->processes;

    *scale = (wr_mpm_scale){.start = count,
                            .min_spare = 0,
                            .max_spare = count,
                            .max = count,
                            .writers = LOG_WRITERS};
    if (config->mpm->scale) {
        config->mpm->scale(config->mpm_config, scale);
    }
}

/* Where each has one connection, those that leave count; else their successors
 * come at once, for a last client may take its time. */
int wr__children_places(const wr_mpm_scale *scale, const wr__config *config)
{
    return config->mpm->traits & WR_MPM_PROCESS ? scale->max : 2 * scale->max;
}

apr_status_t wr__children_create(wr__children **children,
                                 const wr__child_options *child,
                                 apr_pool_t *pool)
{
    wr__children *c = apr_pcalloc(pool, sizeof(*c));
    int fds[2];

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return errno;
    }
    wr__children_scale(&c->scale, child->config);
    c->place_count = wr__children_places(&c->scale, child->config);
    c->places = apr_pcalloc(pool, sizeof(place) * (size_t)c->place_count);
    c->has_pool =
        child->config->mpm->traits & WR_MPM_PROCESS && c->scale.max > 1;
    for (int i = 0; i < c->place_count; i++) {
        c->places[i].due = i < c->scale.start ? 0 : WR_NEVER;
        c->places[i].deadline = WR_NEVER;
    }
    c->note_fd = fds[0];
    c->options = *child;
    c->options.note_fd = fds[1];
    c->options.own_fds[2] = fds[0];
    c->next_look = WR_NEVER;
    c->rate = 1;
    *children = c;
    return APR_SUCCESS;
}

int wr__children_count(const wr__children *c)
{
    int count = 0;
    for (int i = 0; i < c->place_count; i++) {
        count += c->places[i].pid > 0;
    }
    return count;
}

/* Forking. */

static void wait_longer(place *p, int64_t now)
{
    p->delay = p->delay == 0 ? WR_SEC : p->delay * 2;
    if (p->delay > LONGEST_DELAY) {
        p->delay = LONGEST_DELAY;
    }
    p->due = now + p->delay;
}

static void fork_child(wr__children *c, place *p)
{
    int64_t now = now_ns();

    c->options.index = (int)(p - c->places);
    pid_t pid = wr__child_process_fork(&c->options);
    if (pid < 0) {
        wr_log_error(NULL, WR_LOG_ALERT, errno, "could not fork a child");
        wait_longer(p, now);
        return;
    }
    *p = (place){.pid = pid,
                 .started = now,
                 .due = WR_NEVER,
                 .deadline = WR_NEVER,
                 .delay = p->delay};
}

static void fork_due(wr__children *c)
{
    int64_t now = now_ns();
    for (int i = 0; i < c->place_count; i++) {
        if (c->places[i].due <= now) {
            fork_child(c, &c->places[i]);
        }
    }
}

static place *find_free(wr__children *c)
{
    for (int i = 0; i < c->place_count; i++) {
        if (c->places[i].pid == 0 && c->places[i].due == WR_NEVER) {
            return &c->places[i];
        }
    }
    return NULL;
}

/* Leaving. */

static void let_leave(wr__children *c, place *p)
{
    int64_t limit = c->options.config->drain_timeout_ns;

    p->is_leaving = true;
    p->deadline = limit > 0 ? now_ns() + limit : WR_NEVER;
}

static void note_leaving(wr__children *c, place *p)
{
    if (p->is_leaving || c->is_ending) {
        return; /* it was told so by us as well */
    }
    place *successor = find_free(c);
    let_leave(c, p);
    p->is_owed = successor == NULL;
    if (successor != NULL) {
        successor->due = 0;
    }
}

static void keep_deadline(place *p, int64_t now)
{
    if (now < p->deadline) {
        return;
    }
    wr_log_error(NULL, WR_LOG_WARN, 0, "child %ld: drained long enough, %s",
                 (long)p->pid, p->is_stopping ? "killing it" : "stopping it");
    kill(p->pid, p->is_stopping ? SIGKILL : SIGTERM);
    p->deadline = p->is_stopping ? WR_NEVER : now + STOP_LIMIT;
    p->is_stopping = true;
}

int wr__children_fd(const wr__children *c)
{
    return c->note_fd;
}

static place *find_child(wr__children *c, pid_t pid)
{
    for (int i = 0; i < c->place_count; i++) {
        if (c->places[i].pid == pid) {
            return &c->places[i];
        }
    }
    return NULL;
}

/* What is in the pipe may be anything: children are not trusted. */
static void read_notes(wr__children *c)
{
    wr__child_note note;

    while (read(c->note_fd, &note, sizeof(note)) == sizeof(note)) {
        place *p = note.pid > 0 ? find_child(c, note.pid) : NULL;

        if (p == NULL) {
            continue; /* it has ended since */
        }
        if (note.kind == WR__CHILD_LEAVES) {
            note_leaving(c, p);
        }
        else if (!p->is_ready) {
            p->is_ready = true;
            c->ready_count++;
        }
    }
}

bool wr__children_read(wr__children *c)
{
    read_notes(c);
    if (c->was_ready || c->ready_count < c->scale.start) {
        return false;
    }
    c->was_ready = true;
    c->next_look = c->has_pool ? now_ns() + LOOK_INTERVAL : WR_NEVER;
    return true;
}

/* As many as are needed. */

/* A child's thread that waits for a connection says so in its row.  Children
 * write there and are not trusted: each number is read once, then checked. */
static void look_who_is_idle(wr__children *c)
{
    wr_board_info info;

    wr_board_info_get(&info);
    for (int i = 0; i < c->place_count; i++) {
        c->places[i].is_idle = false;
    }
    for (int i = 0; i < info.rows; i++) {
        const wr_row *row = wr_board_row(i);
        pid_t pid = atomic_load(&row->pid);
        int child = atomic_load(&row->child);

        if (pid > 0 && child >= 0 && child < c->place_count
            && c->places[child].pid == pid
            && atomic_load(&row->state) == WR_ROLE_WAITING) {
            c->places[child].is_idle = true;
        }
    }
}

/* Those that are about to start are idle, too, soon. */
static int count_idle(const wr__children *c)
{
    int count = 0;
    for (int i = 0; i < c->place_count; i++) {
        const place *p = &c->places[i];
        bool is_coming = p->pid > 0 ? !p->is_ready : p->due != WR_NEVER;
        count += (is_coming || p->is_idle) && !p->is_leaving;
    }
    return count;
}

/* Of the places the last: so those that are used stay together. */
static void send_one_away(wr__children *c)
{
    for (int i = c->place_count - 1; i >= 0; i--) {
        place *p = &c->places[i];
        if (p->is_idle && !p->is_leaving) {
            let_leave(c, p);
            kill(p->pid, SIGUSR1);
            return;
        }
    }
}

static void make_more(wr__children *c)
{
    int made = 0;
    place *p;

    while (made < c->rate && (p = find_free(c)) != NULL) {
        p->due = 0;
        made++;
    }
    c->rate = c->rate * 2 < RATE_MAX ? c->rate * 2 : RATE_MAX;
}

/* Said once, until there was less to do for a while. */
static void say_if_full(wr__children *c, int idle)
{
    if (wr__children_count(c) - idle <= c->scale.max / 2) {
        c->was_full = false;
    }
    if (idle == 0 && !c->was_full && find_free(c) == NULL) {
        c->was_full = true;
        wr_log_error(NULL, WR_LOG_NOTICE, 0,
                     "all %d processes are busy, and there may be no more "
                     "(MaxRequestWorkers): clients wait",
                     c->scale.max);
    }
}

static void look(wr__children *c)
{
    look_who_is_idle(c);
    int idle = count_idle(c);
    say_if_full(c, idle);
    if (idle < c->scale.min_spare) {
        make_more(c);
        return;
    }
    c->rate = 1;
    if (idle > c->scale.max_spare) {
        send_one_away(c);
    }
}

void wr__children_turn(wr__children *c)
{
    int64_t now = now_ns();

    for (int i = 0; i < c->place_count; i++) {
        keep_deadline(&c->places[i], now);
    }
    if (now >= c->next_look) {
        look(c);
        c->next_look = now + LOOK_INTERVAL;
    }
    fork_due(c);
}

int64_t wr__children_due(const wr__children *c)
{
    int64_t next = c->is_ending ? WR_NEVER : c->next_look;

    for (int i = 0; !c->is_ending && i < c->place_count; i++) {
        const place *p = &c->places[i];
        next = p->due < next ? p->due : next;
        next = p->deadline < next ? p->deadline : next;
    }
    return next;
}

/* Ends. */

/* A full pipe may have taken its last note. */
static bool ended_as_told(const wr__children *c, const place *p, int status)
{
    bool may_leave = c->options.config->max_connections_per_child > 0;

    return (c->is_ending || p->is_leaving || (p->is_ready && may_leave))
           && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

static void fill_again(const wr__children *c, place *p, bool died)
{
    int64_t now = now_ns();

    if (c->is_ending || (p->is_leaving && !p->is_owed)) {
        p->due = WR_NEVER;
    }
    else if (died && now - p->started < SHORT_LIFE) {
        wait_longer(p, now);
        wr_log_error(NULL, WR_LOG_WARN, 0,
                     "it died at its start: the next one is tried in %d s",
                     (int)(p->delay / WR_SEC));
    }
    else {
        p->delay = 0;
        p->due = now;
    }
}

/* What a child has forked, or the spawner, and left by dying first, comes to us
 * to be reaped (PR_SET_CHILD_SUBREAPER).  That death was logged. */
static void reap_orphans(wr__children *c)
{
    siginfo_t ended = {.si_pid = 0};

    while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0
           && ended.si_pid != 0 && !wr__spawner_is(ended.si_pid)
           && find_child(c, ended.si_pid) == NULL) {
        waitpid(ended.si_pid, NULL, WNOHANG);
        wr__log_reap(ended.si_pid);
        wr__board_reap(ended.si_pid);
        ended.si_pid = 0;
    }
}

int wr__children_reap(wr__children *c)
{
    int deaths = 0;
    read_notes(c); /* what it has said comes before its end */
    for (int i = 0; i < c->place_count; i++) {
        place *p = &c->places[i];
        int status;
        if (p->pid > 0 && waitpid(p->pid, &status, WNOHANG) == p->pid) {
            bool died = !ended_as_told(c, p, status);
            wr__log_reap(p->pid);
            wr__board_reap(p->pid);
            if (died) {
                wr__child_log_death(p->pid, status);
                deaths++;
            }
            p->pid = 0;
            p->deadline = WR_NEVER;
            fill_again(c, p, died);
        }
    }
    reap_orphans(c);
    return deaths;
}

void wr__children_end(wr__children *c, int number)
{
    c->is_ending = true;
    for (int i = 0; i < c->place_count; i++) {
        c->places[i].due = WR_NEVER;
        if (c->places[i].pid > 0) {
            kill(c->places[i].pid, number);
        }
    }
}
