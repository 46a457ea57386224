/*
 * http_deadline.c - how long an HTTP connection waits: for a head, a body, or
 * the client to take what it asked for.
 *
 * Runs in the thread that owns the connection.
 */
#include "http_deadline.h"

#include "wr_end.h"

#include "bucket.h"
#include "config_core.h"
#include "config_server.h"
#include "conn.h"
#include "stock.h"

#define LINGER_NS (2 * WR_SEC)

static wr__http *http_of(wr_conn *c)
{
    return c->proto_data;
}

static const wr_server *server_of(const wr_conn *c)
{
    return c->listener->server;
}

/** RequestReadTimeout: one deadline for the whole; bytes move it only at the
 *  configured rate, and up to a bound. */
static int64_t read_deadline(const wr__read_timeout *t, int64_t since,
                             int64_t received)
{
    int64_t time = t->first_ns;

    if (time == 0) {
        return WR_NEVER;
    }
    if (t->min_rate) {
        int64_t seconds = received / t->min_rate;

        /* Bounded, or a large upload would overflow it. */
        time += (seconds < 1000000 ? seconds : 1000000) * WR_SEC;
        time = t->max_ns && time > t->max_ns ? t->max_ns : time;
    }
    return since + time;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t wr__http_first_deadline(const wr_conn *c, int64_t now_ns)
{
    const wr__core_server *core = wr__core_server_of(server_of(c));

    return sooner(read_deadline(&core->head_timeout, now_ns, 0),
                  now_ns + server_of(c)->timeout_ns);
}

void wr__http_begin_output(wr_conn *c, wr_thread *self)
{
    wr__http *http = http_of(c);

    http->progress_ns = self->now_ns;
    http->taken_by_ns = self->now_ns + server_of(c)->timeout_ns;
}

/** SendMinRate: each byte that went earns its time, and never more than
 *  Timeout from now.  Without it, any byte earns all of that. */
static int64_t earn_time(wr_conn *c, int64_t now_ns, size_t len)
{
    int64_t most = now_ns + server_of(c)->timeout_ns;
    int rate = wr__core_server_of(server_of(c))->send_min_rate;

    /* A send is less than 8 GiB: no overflow. */
    return rate ? sooner(http_of(c)->taken_by_ns + (int64_t)len * WR_SEC / rate,
                         most)
                : most;
}

void wr__http_sent(wr_conn *c, wr_thread *self, size_t len)
{
    wr__http *http = http_of(c);

    http->progress_ns = self->now_ns;
    http->taken_by_ns = earn_time(c, self->now_ns, len);
    if (http->keep_alive_ns) {
        http->idle_until_ns = self->now_ns + http->keep_alive_ns;
    }
}

int64_t wr__http_input_deadline(wr_conn *c)
{
    const wr__http *http = http_of(c);
    const wr__core_server *core = wr__core_server_of(c->listener->server);
    int64_t quiet = http->heard_ns + server_of(c)->timeout_ns;

    switch ((wr__http_state)c->state) {
    case WR__HTTP_HEAD:
        if (http->in_head) {
            return sooner(read_deadline(&core->head_timeout, http->since_ns,
                                        (int64_t)wr__end_unused(c->ends)),
                          quiet);
        }
        return wr__end_has_output(c->ends) ? WR_NEVER : http->idle_until_ns;
    case WR__HTTP_BODY:
    case WR__HTTP_DISCARD:
        return sooner(read_deadline(&core->body_timeout, http->since_ns,
                                    http->body.received),
                      quiet);
    case WR__HTTP_LINGER:
        return http->since_ns + LINGER_NS;
    case WR__HTTP_RUN:
    case WR__HTTP_FLUSH:
    case WR__HTTP_DEAD:
        break;
    }
    return WR_NEVER;
}

int64_t wr__http_output_deadline(wr_conn *c, wr_thread *self)
{
    wr__http *http = http_of(c);

    if (!wr__end_has_output(c->ends)) {
        return WR_NEVER;
    }
    if (wr__end_awaits_op(c->ends)) {
        http->is_held_up = true;
        return WR_NEVER;
    }
    if (wr__bucket_is_unread(APR_BRIGADE_FIRST(c->ends->out))) {
        http->is_held_up = true;
        return http->progress_ns + server_of(c)->timeout_ns;
    }
    if (http->is_held_up) {
        http->is_held_up = false;
        wr__http_begin_output(c, self);
    }
    return http->taken_by_ns;
}
