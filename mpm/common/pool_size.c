/*
 * pool_size.c - see pool_size.h.
 */
#include "pool_size.h"

#include <apr_strings.h>
#include <sched.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CORES_MAX 1024
/* Of what was measured a second ago, so much counts still: about the last four
 * seconds make the size. */
#define KEPT 0.75
/* Not looked at for so long: nothing was to be seen, and it begins anew. */
#define FORGOTTEN (10 * WR__POOL_PERIOD)

static const char *const rule_names[] = {
    [WR__SIZE_CPU] = "cpu",
    [WR__SIZE_IO] = "io",
    [WR__SIZE_MEASURED] = "measured",
};

const char *wr__set_pool_size(wr_command_call *call, void *config, int argc,
                              const char *const *argv)
{
    wr__pool_size *size = (void *)((char *)config + call->command->offset);
    const char *error;
    int64_t number;

    if (strcasecmp(argv[0], "auto") == 0) {
        const char *name = argc > 1 ? argv[1] : "measured";

        for (int rule = WR__SIZE_CPU; rule <= WR__SIZE_MEASURED; rule++) {
            if (strcasecmp(name, rule_names[rule]) == 0) {
                size->rule = (wr__size_rule)rule;
                return NULL;
            }
        }
        return apr_psprintf(call->pool,
                            "\"%.100s\" is none of cpu, io and measured", name);
    }
    if (argc > 1) {
        return "only auto has a second word";
    }
    error = wr_parse_int(call->pool, argv[0], call->command->min,
                         call->command->max, &number);
    if (!error) {
        size->rule = WR__SIZE_NUMBER;
        size->number = (int)number;
    }
    return error;
}

int wr__cores(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        return CPU_COUNT(&set);
    }
    online = sysconf(_SC_NPROCESSORS_ONLN); /* more than a set has room for */
    return online < 1 ? 1 : online > CORES_MAX ? CORES_MAX : (int)online;
}

int wr__pool_least(const wr__pool_size *size, int cores)
{
    switch (size->rule) {
    case WR__SIZE_NUMBER:
        return size->number;
    case WR__SIZE_CPU:
        return cores + 1;
    case WR__SIZE_IO:
        return 2 * cores + 1;
    case WR__SIZE_MEASURED:
        break;
    }
    return cores + 1 < size->max ? cores + 1 : size->max;
}

int wr__pool_most(const wr__pool_size *size, int cores)
{
    return size->rule == WR__SIZE_MEASURED ? size->max
                                           : wr__pool_least(size, cores);
}

const char *wr__pool_describe(const char *name, const wr__pool_size *size,
                              int cores, apr_pool_t *pool)
{
    const char *noun = cores == 1 ? "core" : "cores";
    int least = wr__pool_least(size, cores);

    switch (size->rule) {
    case WR__SIZE_NUMBER:
        break;
    case WR__SIZE_CPU:
        return apr_psprintf(pool, "%s: %d = %d %s + 1\n", name, least, cores,
                            noun);
    case WR__SIZE_IO:
        return apr_psprintf(pool, "%s: %d = 2 x %d %s + 1\n", name, least,
                            cores, noun);
    case WR__SIZE_MEASURED:
        return apr_psprintf(pool,
                            "%s: %d (%d %s + 1) to %d, measured: tasks a "
                            "second x seconds each, and twice its root\n",
                            name, least, cores, noun, size->max);
    }
    return apr_psprintf(pool, "%s: %d\n", name, least);
}

/** Arrivals at random keep a number busy that scatters by its root, and is
 *  within twice that all but always. */
static int with_slack(double needed, int most)
{
    int whole, slack = 0;

    if (needed >= most) {
        return most;
    }
    whole = (int)needed;
    whole += whole < needed;
    while ((double)slack * slack < 4 * needed) {
        slack++;
    }
    return whole + slack;
}

static void take_in(wr__pool_meter *m, const wr__pool_totals *t, int64_t now)
{
    m->seconds = m->seconds * KEPT + (double)(now - m->looked_ns) / WR_SEC;
    m->arrived = m->arrived * KEPT + (double)(t->arrived - m->then.arrived);
    m->finished = m->finished * KEPT + (double)(t->finished - m->then.finished);
    m->held = m->held * KEPT + (double)(t->held_ns - m->then.held_ns) / WR_SEC;
    m->rate = m->arrived / m->seconds;
    /* Where none ends, that is at least how long one takes. */
    m->time = m->held / (m->finished > 1 ? m->finished : 1);
}

int wr__pool_measure(wr__pool_meter *m, const wr__pool_size *size, int cores,
                     const wr__pool_totals *totals, int64_t now)
{
    int least = wr__pool_least(size, cores);
    int most = wr__pool_most(size, cores);
    int wanted;

    if (now > m->looked_ns + FORGOTTEN) {
        *m = (wr__pool_meter){.then = m->then}; /* what came, came just now */
    }
    else if (now > m->looked_ns) {
        take_in(m, totals, now);
        m->then = *totals;
    }
    m->looked_ns = now;
    wanted = with_slack(m->rate * m->time, most);
    return wanted < least ? least : wanted > most ? most : wanted;
}
