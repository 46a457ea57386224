/*
 * support.c - see support.h.
 */
#include "support.h"

#include "wr_config.h"
#include "wr_file.h"
#include "wr_hook.h"
#include "wr_log.h"
#include "wr_module.h"
#include "wr_object.h"

#include "server/child.h"
#include "server/http_conn.h"
#include "server/request.h"
#include "server/static_modules.h"

#include <apr_general.h>
#include <apr_strings.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

void support_fail(const char *file, int line, const char *claim)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, claim);
    abort();
}

uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Files that are not in memory, as far as a test can tell. */

static bool is_cold;

#define wr__open_below open_below
#define wr__stat_below stat_below
#include "server/open.c"
#undef wr__open_below
#undef wr__stat_below

apr_status_t wr__open_below(int dir, const char *path, uint64_t resolve,
                            int *fd, struct stat *st);
apr_status_t wr__stat_below(int dir, const char *path, uint64_t resolve,
                            struct stat *st);

apr_status_t wr__open_below(int dir, const char *path, uint64_t resolve,
                            int *fd, struct stat *st)
{
    return is_cold && (resolve & RESOLVE_CACHED)
               ? EAGAIN
               : open_below(dir, path, resolve, fd, st);
}

apr_status_t wr__stat_below(int dir, const char *path, uint64_t resolve,
                            struct stat *st)
{
    return is_cold && (resolve & RESOLVE_CACHED)
               ? EAGAIN
               : stat_below(dir, path, resolve, st);
}

/** The C library's, but for what is cold. */
ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset,
                int flags)
{
    if (is_cold && (flags & RWF_NOWAIT)) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_preadv2, fd, iov, (long)count, (long)offset, 0L,
                   (long)flags);
}

bool support_no_sendfile;

ssize_t sendfile(int to, int from, off_t *offset, size_t len)
{
    if (support_no_sendfile) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_sendfile, to, from, offset, len);
}

/* The handlers. */

static wr_result say_memory(wr_request *r)
{
    r->content_type = "text/plain";
    wr_request_puts(r, "one, ");
    wr_request_append(r, "two, ", 5);
    wr_request_printf(r, "%s\n", "three");
    return WR_OK;
}

/** What a computed object needs. */
typedef struct maker {
    wr_op op;
    int count;
    bool waits, is_asked, fails;
} maker;

static apr_status_t do_nothing(wr_op *op)
{
    (void)op;
    return APR_SUCCESS;
}

static void add_piece(apr_bucket_brigade *piece, const char *text)
{
    APR_BRIGADE_INSERT_TAIL(
        piece,
        apr_bucket_heap_create(text, strlen(text), NULL, piece->bucket_alloc));
}

/** Nine pieces, the first empty; with waits, an op before each. */
static wr_made make(wr_request *r, void *baton, apr_bucket_brigade *piece)
{
    maker *m = baton;
    char text[40];

    if (m->waits && !m->is_asked) {
        memset(&m->op, 0, sizeof(m->op));
        m->op.kind = WR_OP_FUNC;
        m->op.func = do_nothing;
        m->is_asked = true;
        if (m->count % 2) {
            add_piece(piece, "wait,");
        }
        wr_request_ask(r, &m->op);
        return WR_MADE_WAIT;
    }
    require(!m->waits || m->op.is_done);
    m->is_asked = false;
    if (m->fails && m->count == 4) {
        return WR_MADE_FAILED;
    }
    if (m->count > 0) {
        snprintf(text, sizeof(text), "piece %d of an object\n", m->count);
        add_piece(piece, text);
    }
    return m->count++ == 8 ? WR_MADE_LAST : WR_MADE_MORE;
}

static wr_result say_nothing(wr_request *r)
{
    wr_request_append_computed(r, make, apr_pcalloc(r->pool, sizeof(maker)),
                               -1);
    return 204;
}

/** With a length that was promised: eight pieces of 21 bytes. */
static wr_result say_counted(wr_request *r, int64_t len)
{
    wr_request_append_computed(r, make, apr_pcalloc(r->pool, sizeof(maker)),
                               len);
    wr_request_puts(r, "after\n");
    return WR_OK;
}

static wr_result say_computed(wr_request *r, bool waits, bool fails)
{
    maker *m = apr_pcalloc(r->pool, sizeof(*m));

    m->waits = waits;
    m->fails = fails;
    wr_request_puts(r, "before ");
    wr_request_append_computed(r, make, m, -1);
    wr_request_puts(r, "after\n");
    return WR_OK;
}

static wr_result say_linear(wr_request *r)
{
    wr_request_puts(r, "from linear code\n");
    wr_request_append_computed(r, make, apr_pcalloc(r->pool, sizeof(maker)),
                               -1);
    return WR_OK;
}

static wr_result say_after_op(wr_request *r, bool appends_before)
{
    wr_op *op = wr_request_op(r);

    if (!op->is_done) {
        if (appends_before) {
            wr_request_puts(r, "before\n");
        }
        op->kind = WR_OP_FUNC;
        op->func = do_nothing;
        return wr_request_ask(r, op);
    }
    if (op->status != APR_SUCCESS) {
        return 503;
    }
    wr_request_puts(r, "after an op\n");
    return WR_OK;
}

static wr_result say_body(wr_request *r)
{
    const wr_body *body;
    wr_result result = wr_request_body(r, &body);

    if (result == WR_OK) {
        wr_request_append_body(r, body);
    }
    return result;
}

/** A pipe that holds its bytes already. */
static wr_result say_stream(wr_request *r, int64_t len)
{
    static const char text[] = "what comes from a pipe\n";
    int ends[2];

    require(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    require(write(ends[1], text, sizeof(text) - 1) > 0);
    close(ends[1]);
    wr_request_puts(r, "before, ");
    wr_request_append_stream(r, ends[0], true, len);
    return WR_OK;
}

/** Part of a large file, found by a look-up of its own. */
static wr_result say_file(wr_request *r, bool twice)
{
    wr_file *file;
    wr_result result = wr_request_lookup(
        r, apr_pstrcat(r->pool, r->root->path, "/big.bin", NULL), &file);

    if (result != WR_OK) {
        return result;
    }
    if (!file || file->fd < 0) {
        return 503;
    }
    if (twice) {
        wr_request_puts(r, "first ");
        wr_request_append_file(r, file, 0, 5000);
        wr_request_puts(r, " second ");
        wr_request_append_file(r, file, 100, 2000);
        wr_request_puts(r, " end\n");
    }
    else {
        wr_request_append_file(r, file, 99990, 20);
    }
    return WR_OK;
}

wr_result (*support_handler)(wr_request *r);

/** Does this thread's step follow a want that a thread which moves bytes sees
 *  to?  No module's code runs in it. */
static _Thread_local bool is_moving_bytes;

static wr_result try_handler(wr_request *r)
{
    const char *name = strrchr(r->uri, '/');

    require(!is_moving_bytes);
    if (!name) {
        return WR_DECLINED;
    }
    if (r->args && strcmp(r->args, "moved") == 0) {
        r->args = NULL;
        return wr_request_redirect(r, "/empty.txt");
    }
#define IS(NAME) (strcmp(name, "/" NAME) == 0)
    return IS("memory")                   ? say_memory(r)
           : IS("computed")               ? say_computed(r, false, false)
           : IS("waiting")                ? say_computed(r, true, false)
           : IS("broken")                 ? say_computed(r, false, true)
           : IS("linear")                 ? wr_request_run_linear(r, say_linear)
           : IS("op")                     ? say_after_op(r, false)
           : IS("partial")                ? say_after_op(r, true)
           : IS("echo")                   ? say_body(r)
           : IS("stream")                 ? say_stream(r, -1)
           : IS("short")                  ? say_stream(r, 1000)
           : IS("range")                  ? say_file(r, false)
           : IS("twice")                  ? say_file(r, true)
           : IS("moved")                  ? wr_request_redirect(r, "/small.txt")
           : IS("own") && support_handler ? support_handler(r)
           : IS("nothing")                ? 204
           : IS("void")                   ? say_nothing(r)
           : IS("counted")                ? say_counted(r, 8 * 21)
           : IS("less")                   ? say_counted(r, 9 * 21)
           : IS("more")                   ? say_counted(r, 7 * 21)
                                          : WR_DECLINED;
#undef IS
}

/* What was logged. */

#define LOGGED_MAX 4096

static pthread_mutex_t logged_mutex = PTHREAD_MUTEX_INITIALIZER;
static logged log_lines[LOGGED_MAX]; /* guarded by logged_mutex */
static int log_lines_count;          /* likewise */

static wr_result keep_line(wr_request *r, wr_thread *self)
{
    logged *line;

    (void)self;
    /* Buckets go back to a list that is the connection's owner's. */
    require(!r->core->out || APR_BRIGADE_EMPTY(r->core->out));
    pthread_mutex_lock(&logged_mutex);
    line = &log_lines[log_lines_count++ % LOGGED_MAX];
    apr_cpystrn(line->uri, r->uri ? r->uri : "", sizeof(line->uri));
    line->status = r->status;
    line->bytes_sent = r->bytes_sent;
    line->is_aborted = r->is_aborted;
    line->is_head = r->is_head;
    pthread_mutex_unlock(&logged_mutex);
    return WR_OK;
}

void logged_clear(void)
{
    pthread_mutex_lock(&logged_mutex);
    log_lines_count = 0;
    pthread_mutex_unlock(&logged_mutex);
}

int logged_count(void)
{
    int count;

    pthread_mutex_lock(&logged_mutex);
    count = log_lines_count;
    pthread_mutex_unlock(&logged_mutex);
    return count;
}

logged logged_at(int i)
{
    logged line;

    pthread_mutex_lock(&logged_mutex);
    require(i < log_lines_count && i < LOGGED_MAX);
    line = log_lines[i];
    pthread_mutex_unlock(&logged_mutex);
    return line;
}

/* The modules. */

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    wr_hook_handler(try_handler, NULL, NULL, APR_HOOK_FIRST);
    wr_hook_log_transaction(keep_line, NULL, NULL, APR_HOOK_MIDDLE);
}

static wr_module try_module = {
    WR_MODULE_HEAD("try"),
    .flags = WR_MODULE_CACHEABLE | WR_MODULE_BLOCKS,
    .register_hooks = register_hooks,
};
static wr_mpm rig_mpm = {.name = "rig", .summary = "a rig", .conn_bytes = 40};
static wr_module mpm_rig_module = {WR_MODULE_HEAD("mpm_rig"), .mpm = &rig_mpm};

wr_module *const wr__static_modules[] = {&try_module, &mpm_rig_module, NULL};

/* The site. */

static const char *path_in(const site *s, const char *name)
{
    return apr_pstrcat(s->pool, s->dir, "/", name, NULL);
}

static void write_file(const site *s, const char *name, const char *data,
                       size_t len)
{
    FILE *file = fopen(path_in(s, name), "w");

    require(file);
    require(fwrite(data, 1, len, file) == len);
    require(fclose(file) == 0);
}

static void make_files(site *s)
{
    char *big = apr_palloc(s->pool, BIG_SIZE);

    for (int i = 0; i < BIG_SIZE; i++) {
        big[i] = (char)('a' + i % 25);
    }
    strcpy(s->dir, "/tmp/weir-site-XXXXXX");
    require(mkdtemp(s->dir));
    write_file(s, "small.txt", SMALL_TEXT, sizeof(SMALL_TEXT) - 1);
    write_file(s, "empty.txt", "", 0);
    write_file(s, "big.bin", big, BIG_SIZE);
    require(mkdir(path_in(s, "dir"), 0755) == 0);
}

static void load_config(site *s, const site_options *options)
{
    wr__config_options load = {.mpm = "rig", .errors = stderr};
    const char *text = apr_psprintf(
        s->pool,
        "Listen 127.0.0.1:80\nLoadModule try_module try.so\nLogLevel emerg\n"
        "DocumentRoot %s\n%s\n",
        s->dir, options->config ? options->config : "");

    write_file(s, "weir-site.conf", text, strlen(text));
    load.file = path_in(s, "weir-site.conf");
    load.server_root = s->dir;
    load.modules_dir = s->dir;
    require(wr__config_load(&s->config, &load, s->pool) == APR_SUCCESS);
    unlink(load.file);
}

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    require(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

void (*support_resume)(wr_conn *c);

site *site_create(const site_options *options)
{
    apr_pool_t *pool;
    site *s;

    require(apr_initialize() == APR_SUCCESS);
    signal(SIGPIPE, SIG_IGN); /* as in a child: sendfile() has no flag */
    apr_pool_create(&pool, NULL);
    s = apr_pcalloc(pool, sizeof(*s));
    s->pool = pool;
    make_files(s);
    rig_mpm.traits = (options->is_threaded ? WR_MPM_THREADED : 0)
                     | (options->asks_first ? 0 : WR_MPM_CALLS_INLINE);
    rig_mpm.resume = support_resume;
    load_config(s, options);
    is_cold = options->is_cold;
    s->listener.name = "127.0.0.1:80";
    s->listener.port = 80;
    s->listener.protocol = &wr__http_protocol;
    s->listener.server = s->config->main_server;
    s->descriptors = count_descriptors();
    require(wr__child_create(&s->child, s->config, NULL, 0, 0, -1, -1, pool)
            == APR_SUCCESS);
    logged_clear();
    return s;
}

void site_touch(const site *s)
{
    static int64_t seconds = 784111777;
    struct timespec time = {.tv_sec = seconds++};
    char path[128];

    snprintf(path, sizeof(path), "%s/small.txt", s->dir);
    require(utimensat(AT_FDCWD, path, (struct timespec[2]){time, time}, 0)
            == 0);
}

void site_destroy(site *s)
{
    static const char *const names[] = {"small.txt", "empty.txt", "big.bin"};

    require(atomic_load(&s->child->connections) == 0);
    wr__child_destroy(s->child);
    require(s->descriptors < 0 || count_descriptors() == s->descriptors);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_in(s, names[i]));
    }
    rmdir(path_in(s, "dir"));
    require(rmdir(s->dir) == 0);
    apr_pool_destroy(s->pool);
}

/* The rig: its clock. */

#define EPOCH_US INT64_C(784111777000000) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void set_clock(rig *g, int64_t now_ns)
{
    g->self->now_ns = now_ns;
    g->self->wall_us = EPOCH_US;
}

void rig_pass(rig *g, int64_t ns)
{
    set_clock(g, g->self->now_ns + ns);
    if (g->c->deadline <= g->self->now_ns) {
        g->timeouts++;
        require(!wr_conn_post(g->c, WR_POST_TIMER));
    }
}

int64_t rig_left(const rig *g)
{
    return g->c->deadline == WR_NEVER ? -1 : g->c->deadline - g->self->now_ns;
}

/* The rig: making. */

rig *rig_create(site *s, const rig_rules *rules, const char *input, size_t len)
{
    rig *g = calloc(1, sizeof(*g));
    int ends[2];

    require(g);
    g->site = s;
    g->rules = rules;
    g->seed = rules->seed;
    g->input = input;
    g->input_len = len;
    g->self = wr_thread_init(s->child, "rig");
    set_clock(g, 1000 * WR_SEC);
    require(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)
        == 0);
    g->peer = ends[1];
    g->c = wr_conn_create(g->self, ends[0], &s->listener, NULL, 0);
    require(g->c);
    if (rules->on_sockets) {
        /* As small as can be, so that it is often full. */
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
    }
    return g;
}

void rig_send(rig *g, const char *input)
{
    require(g->fed == g->input_len);
    g->input = input;
    g->input_len = strlen(input);
    g->fed = 0;
}

static void log_record(rig *g, wr_record *record)
{
    if (g->rules->log) {
        g->rules->log(g, record);
    }
    else {
        wr_record_log(record, g->self);
    }
}

void rig_log(rig *g)
{
    for (int i = 0; i < g->record_count; i++) {
        log_record(g, g->records[i]);
    }
    g->record_count = 0;
}

void rig_destroy(rig *g)
{
    require(!g->c);
    rig_log(g);
    wr_thread_finish(g->self);
    if (g->peer >= 0) {
        close(g->peer);
    }
    free(g->output);
    free(g);
}

/* The rig: sending. */

static size_t quantum_of(const rig *g)
{
    return g->rules->quantum ? g->rules->quantum : g->site->child->quantum;
}

static void keep_output(rig *g, const void *data, size_t len)
{
    if (g->output_len + len + 1 > g->output_size) {
        g->output_size = (g->output_len + len + 1) * 2;
        g->output = realloc(g->output, g->output_size);
        require(g->output);
    }
    memcpy(g->output + g->output_len, data, len);
    g->output_len += len;
    g->output[g->output_len] = '\0'; /* who reads it as text stops here */
}

/** The span's bytes as they are now, in memory of the C library. */
static char *copy_span(const wr_span *span)
{
    char *copy = malloc(span->len);
    size_t len = 0;

    require(copy);
    if (span->kind == WR_SPAN_FILE) {
        require(pread(span->fd, copy, span->len, span->offset)
                == (ssize_t)span->len);
        return copy;
    }
    require(span->iov_count > 0 && span->iov_count <= WR_SPAN_PIECES);
    for (int i = 0; i < span->iov_count; i++) {
        require(span->iov[i].iov_len > 0);
        memcpy(copy + len, span->iov[i].iov_base, span->iov[i].iov_len);
        len += span->iov[i].iov_len;
    }
    require(len == span->len);
    return copy;
}

static void start_send(rig *g)
{
    wr_end *e = g->c->ends;
    size_t quantum = quantum_of(g);

    if (wr_end_peek(e, g->self, quantum, &g->span) != WR_IO_DONE) {
        return;
    }
    require(g->span.len > 0);
    require(g->span.len
            < quantum + (g->span.kind == WR_SPAN_FILE ? WR_SPAN_PAGE : 1));
    g->span_copy = copy_span(&g->span);
    e->in_flight |= WR_WRITE;
}

static size_t any_size(rig *g, size_t max, size_t limit)
{
    max = limit && limit < max ? limit : max;
    return g->rules->seed && max > 1 ? 1 + next_random(&g->seed) % max : max;
}

/** Some of the span went, or (error) none of it. */
static void end_send(rig *g, int error)
{
    wr_end *e = g->c->ends;
    size_t len = any_size(g, g->span.len, g->rules->send_max);
    char *now = copy_span(&g->span);

    require(memcmp(now, g->span_copy, g->span.len) == 0);
    free(now);
    e->in_flight &= (uint8_t)~WR_WRITE;
    if (error) {
        wr_end_eof(e, g->self, error);
    }
    else {
        keep_output(g, g->span_copy, len);
        wr_end_advance(e, g->self, len);
    }
    free(g->span_copy);
    g->span_copy = NULL;
}

/* The rig: receiving. */

static void feed(rig *g)
{
    wr_end *e = g->c->ends;
    size_t room = wr_end_room(e, g->self);
    size_t left = g->input_len - g->fed;
    size_t len = any_size(g, left < room ? left : room, g->rules->feed_max);
    char *copy = malloc(len); /* its own size: overruns are seen */

    require(room >= WR_FEED_MIN);
    require(copy);
    memcpy(copy, g->input + g->fed, len);
    wr_end_feed(e, g->self, copy, len);
    free(copy);
    g->fed += len;
}

/** Further ends are pipes: read as they are. */
static bool read_streams(rig *g)
{
    char buf[7];
    bool did = false;

    for (wr_end *e = g->c->ends->next; e; e = e->next) {
        ssize_t n;

        if (!(e->want & WR_READ) || e->is_gone) {
            continue;
        }
        require(wr_end_room(e, g->self) >= sizeof(buf));
        n = read(e->fd, buf, sizeof(buf));
        if (n > 0) {
            wr_end_feed(e, g->self, buf, (size_t)n);
        }
        else if (n == 0) {
            wr_end_eof(e, g->self, 0);
        }
        did = did || n >= 0;
    }
    return did;
}

/* The rig: a client behind a socket.  Its doings are edges: a ready bit is set
 * once for each. */

static void set_ready(rig *g, unsigned bits)
{
    atomic_fetch_or(&g->c->ends->ready, (uint8_t)bits);
}

static bool client_send(rig *g)
{
    ssize_t n = send(g->peer, g->input + g->fed,
                     any_size(g, g->input_len - g->fed, g->rules->feed_max),
                     MSG_NOSIGNAL);

    if (n > 0) {
        g->fed += (size_t)n;
        set_ready(g, WR_READ);
    }
    return n > 0;
}

static bool client_take(rig *g)
{
    char buf[20000];
    ssize_t n =
        recv(g->peer, buf, any_size(g, sizeof(buf), g->rules->send_max), 0);

    if (n > 0) {
        keep_output(g, buf, (size_t)n);
        if (g->c) {
            set_ready(g, WR_WRITE);
        }
    }
    return n > 0;
}

/* The rig: ops. */

static void take_op(rig *g)
{
    wr_op *op = wr_conn_take_op(g->c);

    if (op) {
        require(g->op_count < RIG_OPS);
        g->ops[g->op_count++] = op;
    }
}

static void return_op(rig *g)
{
    int i = (int)(any_size(g, (size_t)g->op_count, 0) - 1);
    wr_op *op = g->ops[i];

    g->ops[i] = g->ops[--g->op_count];
    if (g->rules->run_op) {
        g->rules->run_op(g, op);
    }
    else {
        wr_op_run(op);
    }
    require(!wr_op_finish(op));
}

/* The rig: driving. */

enum action {
    DO_END_SEND,
    DO_RETURN_OP,
    DO_START_SEND,
    DO_STREAM,
    DO_FEED,
    DO_END,
    DO_IO,
    DO_CLIENT_TAKE,
    DO_CLIENT_SEND,
    DO_CLIENT_END,
    DO_NOTHING,
    ACTIONS
};

static bool can_do_on_socket(const rig *g, int action)
{
    const wr_end *e = g->c->ends;
    switch ((enum action)action) {
    case DO_RETURN_OP:
        return g->op_count > 0 && !g->holds_ops;
    case DO_IO:
        return wr_conn_ready(g->c);
    case DO_STREAM:
        return e->next && !(e->next->ready & WR_HUP);
    case DO_CLIENT_TAKE:
        return !g->is_silent;
    case DO_CLIENT_SEND:
        return !g->is_silent && !g->has_ended && g->fed < g->input_len;
    case DO_CLIENT_END:
        return !g->is_silent && !g->has_ended && g->fed == g->input_len
               && !g->rules->keeps_open;
    default:
        return false;
    }
}

static bool can_do(const rig *g, int action)
{
    const wr_end *e = g->c->ends;
    bool is_sending = e->in_flight & WR_WRITE;
    bool may_feed = (e->want & WR_READ) && !g->has_ended && !g->is_silent;

    switch ((enum action)action) {
    case DO_END_SEND:
        return is_sending && !g->is_silent;
    case DO_RETURN_OP:
        return g->op_count > 0 && !g->holds_ops;
    case DO_START_SEND:
        return !is_sending && (e->want & WR_WRITE) && !g->is_silent;
    case DO_STREAM:
        return e->next && e->next->want & WR_READ && !e->next->is_gone;
    case DO_FEED:
        return may_feed && g->fed < g->input_len;
    case DO_END:
        return may_feed && g->fed == g->input_len && !g->rules->keeps_open;
    default:
        return false;
    }
}

/** @return false if it can't be done now. */
static bool act(rig *g, int action)
{
    if (!(g->rules->on_sockets ? can_do_on_socket : can_do)(g, action)) {
        return false;
    }
    switch ((enum action)action) {
    case DO_END_SEND:
        end_send(g, 0);
        break;
    case DO_RETURN_OP:
        return_op(g);
        break;
    case DO_START_SEND:
        start_send(g);
        break;
    case DO_STREAM:
        if (g->rules->on_sockets) {
            /* Its writer is gone: so a poller would say at once. */
            atomic_fetch_or(&g->c->ends->next->ready, WR_READ | WR_HUP);
            break;
        }
        return read_streams(g);
    case DO_FEED:
        feed(g);
        break;
    case DO_END:
        g->has_ended = true;
        wr_end_eof(g->c->ends, g->self, 0);
        break;
    case DO_IO:
        wr_conn_io(g->c, g->self, quantum_of(g));
        break;
    case DO_CLIENT_TAKE:
        return client_take(g);
    case DO_CLIENT_SEND:
        return client_send(g);
    case DO_CLIENT_END:
        g->has_ended = true;
        shutdown(g->peer, SHUT_WR);
        set_ready(g, WR_READ | WR_HUP);
        break;
    case DO_NOTHING: /* a step without a cause */
    case ACTIONS:
        break;
    }
    return true;
}

/** Something that the connection waits for; false: there is nothing. */
static bool carry_on(rig *g)
{
    int first = g->rules->seed ? (int)(next_random(&g->seed) % ACTIONS) : 0;

    if (g->rules->seed && first == DO_NOTHING) {
        return true;
    }
    for (int i = 0; i < ACTIONS; i++) {
        int action = (first + i) % ACTIONS;

        if (action == DO_RETURN_OP && g->rules->late_ops) {
            continue;
        }
        if (act(g, action)) {
            return true;
        }
    }
    return act(g, DO_RETURN_OP);
}

static void take_log(rig *g)
{
    wr_record *record = wr_conn_take_log(g->c);

    require(record);
    if (!g->rules->late_logs || g->record_count == RIG_RECORDS) {
        log_record(g, record);
        return;
    }
    g->records[g->record_count++] = record;
}

/** @return true when it is closed. */
static bool try_close(rig *g)
{
    g->served = g->c->served;
    if (wr_conn_close(g->c, g->self)) {
        require(g->op_count == 0 && !g->span_copy);
        g->c = NULL;
        while (g->rules->on_sockets && g->peer >= 0 && !g->is_silent
               && client_take(g)) {
        }
        return true;
    }
    if (g->span_copy) {
        end_send(g, EPIPE);
    }
    else {
        require(act(g, DO_RETURN_OP));
    }
    return false;
}

/** Until time, or the client, has to act.  @return false: so it is. */
static bool satisfy(rig *g, wr_want want)
{
    switch (want) {
    case WR_WANT_IO:
        require(g->c->deadline > g->self->now_ns);
        return carry_on(g);
    case WR_WANT_CALL:
        take_op(g);
        break;
    case WR_WANT_LOG:
        take_log(g);
        break;
    case WR_WANT_DROP:
        require(wr_conn_drop(g->c, g->self));
        break;
    case WR_WANT_CLOSE:
        try_close(g);
        break;
    case WR_WANT_RUN:
    case WR_WANT_YIELD:
        break;
    }
    return true;
}

wr_want rig_want(rig *g)
{
    if (g->rules->before_step) {
        g->rules->before_step(g, g->steps);
    }
    require(g->steps++ < 1000000);
    is_moving_bytes = g->last_want == WR_WANT_IO || g->last_want == WR_WANT_DROP
                      || g->last_want == WR_WANT_YIELD;
    g->last_want = wr_conn_step(g->c, g->self);
    is_moving_bytes = false;
    return g->last_want;
}

bool rig_step(rig *g)
{
    if (!satisfy(g, rig_want(g))) {
        if (g->c->refs > g->op_count) {
            return true; /* it waits for another connection's op */
        }
        /* Only a deadline is left, and there must be one. */
        require(g->c->deadline != WR_NEVER);
        require(g->timeouts < 1000);
        rig_pass(g, g->c->deadline - g->self->now_ns);
    }
    return g->c != NULL;
}

void rig_run(rig *g)
{
    while (rig_step(g)) {
    }
}

void rig_settle(rig *g)
{
    while (satisfy(g, rig_want(g)) && g->c) {
    }
}

/* Reading responses. */

/** The value of a field in a head, or NULL. */
static const char *field_of(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at)));) {
        at++;
        if ((size_t)(end - at) > len && strncasecmp(at, name, len) == 0
            && at[len] == ':') {
            return at + len + 2;
        }
    }
    return NULL;
}

/** @return behind the chunked content, or NULL: it is cut. */
static const char *skip_chunks(const char *at, const char *end)
{
    for (;;) {
        char *behind;
        size_t size;

        if (!memmem(at, (size_t)(end - at), "\r\n", 2)) {
            return NULL;
        }
        require(isxdigit((unsigned char)*at));
        size = strtoul(at, &behind, 16);
        require(memcmp(behind, "\r\n", 2) == 0);
        at = behind + 2;
        if ((size_t)(end - at) < size + 2) {
            return NULL;
        }
        require(memcmp(at + size, "\r\n", 2) == 0);
        at += size + 2;
        if (size == 0) {
            return at;
        }
    }
}

/** @return behind the response's content, or NULL: it is cut. */
static const char *skip_content(const char *head, const char *at,
                                const char *end, int status, bool is_head)
{
    const char *length = field_of(head, at, "Content-Length");
    const char *coding = field_of(head, at, "Transfer-Encoding");
    size_t n;

    require(!(length && coding));
    if (status < 200 || status == 204 || status == 304) {
        require(!length && !coding);
        return at;
    }
    if (is_head) {
        return at;
    }
    if (coding) {
        return skip_chunks(at, end);
    }
    if (!length) { /* until the connection ends */
        const char *connection = field_of(head, at, "Connection");

        require(connection && strncmp(connection, "close", 5) == 0);
        return end;
    }
    n = strtoul(length, NULL, 10);
    return (size_t)(end - at) < n ? NULL : at + n;
}

const char *read_responses(apr_pool_t *pool, const char *output, size_t len,
                           bool is_cut)
{
    const char *at = output, *end = len ? output + len : output;
    const char *list = "";
    int number = 0;

    while (at && at < end) {
        const char *head = at;
        int status;

        at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (!at) {
            break;
        }
        at += 4;
        require(strncmp(head, "HTTP/1.1 ", 9) == 0);
        status = atoi(head + 9);
        require(status >= 100 && status < 600);
        list = apr_psprintf(pool, "%s%d ", list, status);
        at = skip_content(head, at, end, status,
                          status >= 200 && logged_at(number).is_head);
        number += status >= 200;
    }
    require(is_cut || at || len == 0);
    return list;
}
