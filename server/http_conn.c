/*
 * http_conn.c - HTTP/1 on the connection machine (RFC 9112).
 *
 * Runs in the thread that owns the connection.  States:
 *
 *     HEAD     waiting for a request, or in the middle of its head
 *     RUN      a request is in the pipeline, or to be refused
 *     BODY     ... and waits for its content
 *     DISCARD  its content, which nobody wanted, is being passed over
 *     FLUSH    no further request: what is in the output goes, then the end
 *     LINGER   all went; the client may still be sending what it began
 *     DEAD     given up: as soon as nothing is out, let go and close
 */
#include "http_deadline.h"

#include "wr_board.h"
#include "wr_end.h"
#include "wr_log.h"

#include "bucket.h"
#include "child.h"
#include "config_core.h"
#include "config_server.h"
#include "conn.h"
#include "request.h"
#include "stock.h"

#include <apr_strings.h>
#include <assert.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define PENDING_MAX 32     /* responses in the output: the next one waits */
#define QUEUED_MAX  65536  /* ... and so it does behind so much content */
#define DISCARD_MAX 262144 /* unwanted content that is worth reading */

void wr__http_init(wr__http *http, int fields_max, apr_pool_t *pool)
{
    http->head.fields =
        apr_palloc(pool, (apr_size_t)(fields_max + 1) * sizeof(wr__head_field));
}

void wr__http_reset(wr__http *http, int64_t idle_until_ns)
{
    wr__head_reset(&http->head);
    http->r = NULL;
    http->pending = 0;
    http->queued = 0;
    http->in_head = http->must_linger = http->sent_continue = false;
    http->is_held_up = false;
    http->refusal = 0;
    http->discarded = 0;
    http->window = (wr__window){.file = NULL};
    http->keep_alive_ns = 0;
    http->idle_until_ns = idle_until_ns;
}

static wr__http *http_of(wr_conn *c)
{
    return c->proto_data;
}

static void open_conn(wr_conn *c, wr_thread *self)
{
    c->state = WR__HTTP_HEAD;
    c->ends->want = WR_READ;
    c->deadline = wr__http_first_deadline(c, self->now_ns);
}

static struct wr_input *input_of(wr_conn *c)
{
    return c->ends->in;
}

static size_t unused(const wr_conn *c)
{
    return wr__end_unused(c->ends);
}

static bool at_eof(const wr_conn *c)
{
    return c->ends->flags & WR__END_EOF;
}

/* Wants. */

/** Wait for input (if @a want has READ) and for the output to go. */
static wr_want wait_io(wr_conn *c, wr_thread *self, unsigned want)
{
    wr_end *e = c->ends;

    c->flags &= ~(unsigned)WR__CONN_MAY_RUN;
    c->deadline = wr__http_output_deadline(c, self);
    if (want & WR_READ) {
        int64_t limit = wr__http_input_deadline(c);

        c->deadline = limit < c->deadline ? limit : c->deadline;
    }
    if (wr__end_has_output(e) && wr__end_can_send(e)) {
        want |= WR_WRITE;
    }
    e->want = (uint8_t)want;
    return WR_WANT_IO;
}

static bool go(wr_conn *c, wr__http_state state)
{
    c->state = (uint16_t)state;
    return true;
}

/** Whoever moves bytes runs no module's code, whatever has brought it there: on
 *  false the want says that there is some. */
static bool may_run(wr_conn *c, wr_want *want)
{
    if (c->flags & WR__CONN_MAY_RUN) {
        return true;
    }
    c->flags |= WR__CONN_MAY_RUN;
    *want = WR_WANT_RUN;
    return false;
}

/* Requests. */

/** Does the connection stay after this request? */
static bool may_stay(const wr_conn *c, const wr_request *r)
{
    const wr_server *server = r->server;

    return server->keep_alive && wr__request_wants_keep_alive(r)
           && (server->max_keep_alive_requests == 0
               || c->served < (uint32_t)server->max_keep_alive_requests)
           && wr_child_state(c->child) == WR_CHILD_RUNNING;
}

/** The next request may come. */
static bool await_head(wr_conn *c, wr_thread *self)
{
    wr__http *http = http_of(c);

    http->idle_until_ns = self->now_ns + http->keep_alive_ns;
    return go(c, WR__HTTP_HEAD);
}

/** Put the response into the output and decide what comes next. */
static void respond(wr_conn *c, wr_thread *self, int status)
{
    wr__http *http = http_of(c);
    wr_request *r = http->r;

    if (!http->body.is_done) {
        /* Is what the client is still sending worth waiting for? */
        if (http->body.left > DISCARD_MAX || http->sent_continue
            || status == 413 || wr_request_known(r, WR_F_EXPECT)) {
            r->keep_alive = false;
        }
    }
    if (!wr__end_has_output(c->ends)) {
        wr__http_begin_output(c, self);
    }
    http->pending++;
    http->r = NULL;
    c->flags &= ~(unsigned)WR__CONN_MAY_RUN;
    wr_count(self, WR_N_REQUESTS, 1);
    wr__response_send(r, self, status);
    if (!r->is_head && r->content_length > 0) {
        http->queued += r->content_length;
    }
    http->keep_alive_ns = r->server->keep_alive_timeout_ns;
    if (!r->keep_alive) {
        http->must_linger = http->must_linger || !http->body.is_done;
        go(c, WR__HTTP_FLUSH);
    }
    else if (!http->body.is_done) {
        http->discarded = 0;
        http->since_ns = http->heard_ns = self->now_ns;
        go(c, WR__HTTP_DISCARD);
    }
    else {
        await_head(c, self);
    }
}

/** The client is not understood, or too slow: to be said where modules' code
 * may run, which has a word in every response. */
static bool will_refuse(wr_conn *c, int status)
{
    http_of(c)->refusal = status;
    return go(c, WR__HTTP_RUN);
}

/** Say so, and no more of it. */
static void refuse(wr_conn *c, wr_thread *self)
{
    wr__http *http = http_of(c);
    int status = http->refusal;

    if (!http->r) {
        struct wr_input *in = input_of(c);
        const unsigned char *line = in->data + in->start + http->head.start;
        size_t len =
            unused(c) > http->head.start ? unused(c) - http->head.start : 0;
        const unsigned char *end = memchr(line, '\r', len);

        http->r = wr__request_create(c, self);
        if (end) {
            len = (size_t)(end - line);
        }
        http->r->request_line = apr_pstrmemdup(
            http->r->pool, (const char *)line, len < 512 ? len : 512);
    }
    http->refusal = 0;
    wr_log_request(http->r, WR_LOG_INFO, 0, "refused with status %d", status);
    http->r->keep_alive = false;
    http->must_linger = true;
    http->body.is_done = true;
    respond(c, self, status);
}

/** RFC 9110, 10.1.1: is more than a 100 expected of us? */
static bool expects_more(const wr_request *r)
{
    static const char known[] = "100-continue";

    for (int i = r->known[WR_F_EXPECT] - 1; i >= 0 && i < r->field_count; i++) {
        const char *at = r->fields[i].value;

        if (r->fields[i].known != WR_F_EXPECT) {
            continue;
        }
        while (*(at += strspn(at, ", \t"))) {
            size_t len = strcspn(at, ", \t");

            if (len != sizeof(known) - 1 || strncasecmp(at, known, len) != 0) {
                return true;
            }
            at += len;
        }
    }
    return false;
}

/** A head is complete. */
static bool begin_request(wr_conn *c, wr_thread *self, size_t len)
{
    wr__http *http = http_of(c);
    struct wr_input *in = input_of(c);
    int status;

    http->r = wr__request_create(c, self);
    status =
        wr__request_read_head(http->r, &http->head, in->data + in->start, len);
    in->start += len;
    wr__head_reset(&http->head);
    http->in_head = false;
    http->sent_continue = false;
    if (status == 0) {
        status = wr__body_frame(http->r, &http->body);
    }
    if (status) {
        return will_refuse(c, status);
    }
    http->r->core->declared_length =
        http->body.kind == WR__BODY_CHUNKED ? -1 : http->body.left;
    http->r->keep_alive = may_stay(c, http->r);
    if (expects_more(http->r)) {
        return will_refuse(c, 417);
    }
    return go(c, WR__HTTP_RUN);
}

/* The states.  Each returns true to go on at once, or false with *want. */

static bool step_head(wr_conn *c, wr_thread *self, wr_want *want)
{
    wr__http *http = http_of(c);
    const wr__core_server *core = wr__core_server_of(c->listener->server);
    const wr__head_limits limits = {
        .line = (uint32_t)core->limit_request_line,
        .field = (uint32_t)core->limit_request_field_size,
        .fields = (uint32_t)core->limit_request_fields,
        .head = (uint32_t)core->limit_request_head,
    };
    uint32_t parsed;
    int result;

    if (!http) { /* idle */
        if (at_eof(c)) {
            return go(c, WR__HTTP_DEAD);
        }
        c->ends->want = WR_READ;
        *want = WR_WANT_IO;
        return false;
    }
    if (http->pending == 0) {
        http->queued = 0;
    }
    if (http->pending >= PENDING_MAX || http->queued >= QUEUED_MAX) {
        *want = wait_io(c, self, 0);
        return false;
    }
    if (unused(c)) {
        const struct wr_input *in = input_of(c);

        if (!http->in_head) {
            http->in_head = true;
            http->since_ns = self->now_ns;
        }
        parsed = http->head.pos;
        result = wr__head_parse(&http->head, &limits, in->data + in->start,
                                unused(c));
        if (http->head.pos != parsed) {
            http->heard_ns = self->now_ns;
        }
        if (result < 0) {
            return will_refuse(c, -result);
        }
        if (result > 0) {
            return begin_request(c, self, (size_t)result);
        }
    }
    if (at_eof(c)) {
        wr__end_finish(c->ends);
        return go(c, WR__HTTP_FLUSH);
    }
    if (!unused(c) && !wr__end_has_output(c->ends)) {
        c->deadline = http->idle_until_ns;
        c->ends->want = WR_READ;
        wr__conn_take_kit(c, self);
        *want = WR_WANT_IO;
        return false;
    }
    *want = wait_io(c, self, WR_READ);
    return false;
}

static bool step_run(wr_conn *c, wr_thread *self, wr_want *want)
{
    wr__http *http = http_of(c);
    wr_result result;

    if (http->r && http->r->core->asked && !http->r->core->asked->is_done) {
        *want = wait_io(c, self, 0); /* until it has come back */
        return false;
    }
    if (!may_run(c, want)) {
        return false;
    }
    if (http->refusal) {
        refuse(c, self);
        return true;
    }
    assert(http->r); /* only what is refused may have come without one */
    http->r->core->asked = NULL;
    result = wr__pipeline_run(http->r, self);
    if (result == WR_SUSPENDED) {
        if (http->r->core->wants_body) {
            http->r->core->spool = apr_palloc(http->r->pool, sizeof(wr__spool));
            wr__spool_init(http->r->core->spool, http->r);
            http->since_ns = http->heard_ns = self->now_ns;
            return go(c, WR__HTTP_BODY);
        }
        if (c->ops) {
            *want = WR_WANT_CALL;
            return false;
        }
        if (http->r->core->asked) { /* another connection will
                                      finish it, or it was refused */
            *want = wait_io(c, self, 0);
            return http->r->core->asked->is_done;
        }
        wr_log_request(http->r, WR_LOG_ERROR, 0,
                       "a hook waits, but has asked for nothing");
        result = 500;
    }
    respond(c, self, result == WR_OK ? 0 : result);
    return true;
}

/** The body can't be had: the hook that waits for it is told why. */
static bool fail_body(wr_conn *c, int status)
{
    wr__http *http = http_of(c);

    http->r->core->body_status = status;
    http->r->core->wants_body = false;
    http->r->keep_alive = false;
    return go(c, WR__HTTP_RUN);
}

static void send_continue(wr_conn *c, wr_thread *self)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    wr__http *http = http_of(c);

    http->sent_continue = true;
    if (!wr__end_has_output(c->ends)) {
        wr__http_begin_output(c, self);
    }
    APR_BRIGADE_INSERT_TAIL(
        c->ends->out,
        apr_bucket_immortal_create(text, sizeof(text) - 1, c->kit->list));
    http->r->core->head_bytes += sizeof(text) - 1;
}

/** Pass content on to the spool until either is empty or full.  @return 0 or
 *  the status that refuses it. */
static int keep_content(wr_conn *c, wr_thread *self)
{
    wr__http *http = http_of(c);
    struct wr_input *in = input_of(c);
    wr__spool *spool = http->r->core->spool;
    int64_t limit = wr__core_dir_of(http->r->dir_config)->limit_request_body;
    size_t room;

    while (!http->body.is_done && unused(c)
           && (room = wr__spool_room(spool, http->r)) > 0) {
        const unsigned char *content;
        size_t used, len;
        int status = wr__body_take(&http->body, in->data + in->start,
                                   unused(c) < room ? unused(c) : room, &used,
                                   &content, &len);

        if (status) {
            return status;
        }
        if (limit && http->body.received > limit) {
            return 413;
        }
        wr__spool_put(spool, content, len);
        in->start += used;
        http->r->wire_received += (int64_t)used;
        http->heard_ns = self->now_ns;
    }
    return 0;
}

/** Does the spool write, or have to?  Then true, with the want. */
static bool is_spooling(wr_conn *c, wr_thread *self, wr_want *want, int *status)
{
    wr__http *http = http_of(c);
    wr_request *r = http->r;
    wr__spool *spool = r->core->spool;

    if (spool->is_writing) {
        if (!spool->op.is_done) {
            *want = wait_io(c, self, 0);
            return true;
        }
        r->core->asked = NULL;
        /* So long we kept the client waiting. */
        http->since_ns += self->now_ns - http->spool_ns;
        http->heard_ns = self->now_ns;
        *status = wr__spool_written(spool, r);
        return false;
    }
    if (http->body.is_done ? wr__spool_must_write(spool)
                           : wr__spool_room(spool, r) == 0) {
        http->spool_ns = self->now_ns;
        wr__spool_write(spool, r);
        *want = WR_WANT_CALL;
        return true;
    }
    return false;
}

static bool step_body(wr_conn *c, wr_thread *self, wr_want *want)
{
    wr__http *http = http_of(c);
    int status = 0;

    if (is_spooling(c, self, want, &status)) {
        return false;
    }
    if (status == 0) {
        status = keep_content(c, self);
    }
    if (status) {
        return fail_body(c, status);
    }
    if (is_spooling(c, self, want, &status)) {
        return false;
    }
    if (http->body.is_done) {
        wr__spool_finish(http->r->core->spool);
        http->r->core->has_body = true;
        http->r->core->wants_body = false;
        return go(c, WR__HTTP_RUN);
    }
    if (at_eof(c)) {
        return fail_body(c, 400);
    }
    if (!http->sent_continue && http->body.received == 0
        && http->r->version_minor > 0
        && wr_request_known(http->r, WR_F_EXPECT)) {
        send_continue(c, self);
    }
    *want = wait_io(c, self, WR_READ);
    return false;
}

/** The rest of an unwanted content is not waited for: so no more requests. */
static bool end_discard(wr_conn *c)
{
    http_of(c)->must_linger = !at_eof(c);
    wr__end_finish(c->ends);
    return go(c, WR__HTTP_FLUSH);
}

static bool step_discard(wr_conn *c, wr_thread *self, wr_want *want)
{
    wr__http *http = http_of(c);
    struct wr_input *in = input_of(c);
    const unsigned char *content;
    size_t used, content_len;

    while (!http->body.is_done && unused(c)) {
        if (wr__body_take(&http->body, in->data + in->start, unused(c), &used,
                          &content, &content_len)) {
            http->discarded = DISCARD_MAX + 1;
            break;
        }
        in->start += used;
        http->heard_ns = self->now_ns;
        http->discarded += (int64_t)used;
    }
    if (http->body.is_done) {
        return await_head(c, self);
    }
    if (http->discarded > DISCARD_MAX || at_eof(c)) {
        return end_discard(c);
    }
    *want = wait_io(c, self, WR_READ);
    return false;
}

static bool step_flush(wr_conn *c, wr_thread *self, wr_want *want)
{
    wr__http *http = http_of(c);

    if (wr__end_has_output(c->ends)) {
        *want = wait_io(c, self, 0);
        return false;
    }
    if (at_eof(c) || !(http->must_linger || unused(c))) {
        return go(c, WR__HTTP_DEAD);
    }
    /* RFC 9112, 9.6: closing now would answer what still comes with a reset,
     * and that may destroy the response on its way. */
    shutdown(c->ends->fd, SHUT_WR);
    http->since_ns = self->now_ns;
    return go(c, WR__HTTP_LINGER);
}

static bool step_linger(wr_conn *c, wr_thread *self, wr_want *want)
{
    struct wr_input *in = input_of(c);

    in->start = in->end;
    if (at_eof(c)) {
        return go(c, WR__HTTP_DEAD);
    }
    *want = wait_io(c, self, WR_READ);
    return false;
}

static bool is_held(const wr_conn *c)
{
    return c->refs || c->ends->in_flight;
}

static bool step_dead(wr_conn *c, wr_want *want)
{
    wr__http *http = http_of(c);

    c->ends->want = 0;
    c->deadline = WR_NEVER;
    if (!is_held(c) && http) {
        wr__conn_drop_ops(c);
        wr__end_drop_output(c->ends);
        if (http->r) {
            wr__request_end_calls(http->r); /* others may wait for them */
            if (http->r->core->out) {
                /* Here: buckets go back to a list that is the owner's. */
                apr_brigade_cleanup(http->r->core->out);
            }
            http->r->is_aborted = true;
            wr__conn_add_done(c, http->r);
            http->r = NULL;
        }
    }
    *want = c->done ? WR_WANT_LOG : WR_WANT_CLOSE;
    return false;
}

/** What comes next in the output is still to be computed: a piece.  @return
 *  true when there is a want other than I/O. */
static bool compute(wr_conn *c, wr_thread *self, wr_want *want)
{
    if (!may_run(c, want)) {
        return true;
    }
    c->flags &= ~(unsigned)WR__CONN_MAY_RUN;
    switch (wr__end_compute(c->ends)) {
    case WR_IO_CALL:
        *want = WR_WANT_CALL;
        return c->ops != NULL;
    case WR_IO_ERROR:
        go(c, WR__HTTP_DEAD);
        return false;
    default:
        http_of(c)->progress_ns = self->now_ns;
        /* An empty piece, or a computed object right behind this one: nothing
         * can be sent, so nothing would call us again. */
        return wr__end_must_compute(c->ends) && compute(c, self, want);
    }
}

/** How the connection stands, for the scoreboard. */
static wr_counter shown_state(const wr_conn *c)
{
    const wr__http *http = c->proto_data;

    switch ((wr__http_state)c->state) {
    case WR__HTTP_HEAD:
        return !http || !(http->in_head || wr__end_has_output(c->ends))
                   ? WR_N_IDLE
               : wr__end_has_output(c->ends) ? WR_N_WRITING
                                             : WR_N_READING;
    case WR__HTTP_RUN:
        return WR_N_RUNNING;
    case WR__HTTP_BODY:
    case WR__HTTP_DISCARD:
        return WR_N_READING;
    case WR__HTTP_FLUSH:
        return WR_N_WRITING;
    case WR__HTTP_LINGER:
    case WR__HTTP_DEAD:
        break;
    }
    return WR_N_CLOSING;
}

static void show(wr_conn *c, wr_thread *self)
{
    wr_counter state = shown_state(c);

    if (state != c->shown) {
        wr_count(self, (wr_counter)c->shown, -1);
        wr_count(self, state, 1);
        c->shown = (uint8_t)state;
    }
}

/** Carry the states on until one of them wants something. */
static wr_want run_states(wr_conn *c, wr_thread *self)
{
    wr_want want = WR_WANT_IO;

    for (;;) {
        bool goes_on = false;

        switch ((wr__http_state)c->state) {
        case WR__HTTP_HEAD:
            goes_on = step_head(c, self, &want);
            break;
        case WR__HTTP_RUN:
            goes_on = step_run(c, self, &want);
            break;
        case WR__HTTP_BODY:
            goes_on = step_body(c, self, &want);
            break;
        case WR__HTTP_DISCARD:
            goes_on = step_discard(c, self, &want);
            break;
        case WR__HTTP_FLUSH:
            goes_on = step_flush(c, self, &want);
            break;
        case WR__HTTP_LINGER:
            goes_on = step_linger(c, self, &want);
            break;
        case WR__HTTP_DEAD:
            goes_on = step_dead(c, &want);
            break;
        }
        if (!goes_on) {
            return want;
        }
    }
}

/** What comes first in the output may have to be computed. */
static bool prepare_output(wr_conn *c, wr_thread *self, wr_want *want)
{
    wr__stream_pull(c->ends);
    if (wr__end_must_compute(c->ends) && !wr__end_awaits_op(c->ends)
        && compute(c, self, want)) {
        return false;
    }
    if (c->flags & WR__CONN_BROKEN) {
        go(c, WR__HTTP_DEAD);
    }
    return true;
}

static wr_want step(wr_conn *c, wr_thread *self)
{
    wr_want want = WR_WANT_IO;

    if (c->state == WR__HTTP_DEAD || !wr__end_has_output(c->ends)
        || prepare_output(c, self, &want)) {
        want = run_states(c, self);
    }
    show(c, self);
    return want;
}

/** The deadline that passed was of the last step.  If there was progress since
 *  then, nothing has: the next step sets another. */
static void timed_out(wr_conn *c, wr_thread *self)
{
    wr__http *http = http_of(c);

    if (!http) {
        go(c, WR__HTTP_DEAD); /* idle for too long */
        return;
    }
    if (wr__http_output_deadline(c, self) <= self->now_ns) {
        go(c, WR__HTTP_DEAD); /* the client does not take what it asked for */
        return;
    }
    if (wr__http_input_deadline(c) > self->now_ns) {
        return;
    }
    switch ((wr__http_state)c->state) {
    case WR__HTTP_HEAD:
        if (http->in_head) {
            will_refuse(c, 408);
        }
        else if (!unused(c)) {
            go(c, WR__HTTP_DEAD);
        }
        break;
    case WR__HTTP_BODY:
        fail_body(c, 408);
        break;
    case WR__HTTP_DISCARD:
        end_discard(c);
        break;
    case WR__HTTP_LINGER:
        go(c, WR__HTTP_DEAD);
        break;
    case WR__HTTP_RUN:
    case WR__HTTP_FLUSH:
    case WR__HTTP_DEAD:
        break;
    }
}

static void abort_conn(wr_conn *c, wr_thread *self)
{
    (void)self;
    go(c, WR__HTTP_DEAD);
}

const wr_protocol wr__http_protocol = {
    .name = "http/1.1",
    .open = open_conn,
    .step = step,
    .timeout = timed_out,
    .abort = abort_conn,
    .sent = wr__http_sent,
};
