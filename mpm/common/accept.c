/*
 * accept.c - see accept.h.
 *
 * accept4 directly: APR has neither its flags nor a socket without a pool.
 */
#include "accept.h"

#include "wr_log.h"

#include "poller.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE       (100 * WR_MS)
#define LOG_PAUSE   (10 * WR_SEC)
#define SPARE_SHIFT 4 /* full: wait until 1/16 of the connections is free */

static bool may_accept(const wr__acceptor *a)
{
    return !a->is_closed && !a->is_held && !a->paused_until
           && (a->is_last || wr_child_state(a->child) == WR_CHILD_RUNNING);
}

bool wr__acceptor_open(wr__acceptor *a, int64_t now)
{
    int open =
        atomic_load_explicit(&a->child->connections, memory_order_relaxed);
    int max = a->child->max_connections;

    if (open >= max) {
        a->is_full = true;
    }
    else if (a->makes_room || open < max - (max >> SPARE_SHIFT)) {
        a->is_full = false;
    }
    if (a->paused_until <= now) {
        a->paused_until = 0;
    }
    if (!a->is_full || a->full_until <= now) {
        a->full_until = 0;
    }
    return may_accept(a) && !a->is_full;
}

bool wr__acceptor_waits(const wr__acceptor *a, int64_t now)
{
    return a->makes_room && may_accept(a) && a->is_full && a->full_until <= now;
}

void wr__acceptor_give_up(wr__acceptor *a, int64_t now)
{
    a->full_until = now + PAUSE;
}

int64_t wr__acceptor_resumes(const wr__acceptor *a)
{
    int64_t until =
        a->paused_until > a->full_until ? a->paused_until : a->full_until;

    return until ? until : WR_NEVER;
}

/** An accept() that finds nobody is dear: the kernel makes a socket and a file
 *  before it looks, and throws them away.  Of a listener TCP_INFO has the
 *  length of the queue; where that can't be had, the vain call tells. */
int wr__acceptor_count(const wr__acceptor *a, const wr_listener *listener)
{
    int limit = a->child->accept_limit;
    struct tcp_info info = {0};
    socklen_t len = offsetof(struct tcp_info, tcpi_sacked);

    if (getsockopt(listener->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0
        || info.tcpi_unacked >= (unsigned)limit) {
        return limit;
    }
    /* Reported, but nobody: a listener that is shut down says so to accept. */
    return info.tcpi_unacked ? (int)info.tcpi_unacked : 1;
}

bool wr__accept_failed(wr__acceptor *a, wr_thread *self,
                       const wr_listener *listener, int error)
{
    switch (error) {
    case EAGAIN:
    case EINVAL: /* shut down: another generation has taken over */
        return false;
    case ECONNABORTED: /* what the connection would have met (accept(2)) */
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EINTR:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EPERM:
    case EPROTO:
        return true;
    default:
        /* No descriptor or no memory: the listener stays readable, so without
         * a pause this would spin. */
        a->paused_until = self->now_ns + PAUSE;
        if (self->now_ns >= a->quiet_until) {
            a->quiet_until = self->now_ns + LOG_PAUSE;
            wr_log_error(listener->server, WR_LOG_ERROR, error,
                         "accept on %s: trying again from time to time",
                         listener->name);
        }
        return false;
    }
}

wr_conn *wr__accepted(wr_thread *self, int fd, const wr_listener *listener,
                      const struct sockaddr *peer, socklen_t peer_len)
{
    wr_conn *c = wr_conn_create(self, fd, listener, peer, peer_len);

    if (!c) {
        close(fd);
    }
    return c;
}

bool wr__accept_socket(wr__acceptor *a, wr_thread *self, wr_listener *listener,
                       wr__socket *accepted)
{
    do {
        accepted->listener = listener;
        accepted->peer_len = sizeof(accepted->peer);
        accepted->fd =
            accept4(listener->fd, &accepted->peer.any, &accepted->peer_len,
                    SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted->fd >= 0) {
            return true;
        }
    } while (wr__accept_failed(a, self, listener, errno));
    return false;
}

wr_conn *wr__accept_conn(wr_thread *self, const wr__socket *accepted)
{
    return wr__accepted(self, accepted->fd, accepted->listener,
                        &accepted->peer.any, accepted->peer_len);
}

wr_conn *wr__accept(wr__acceptor *a, wr_thread *self, wr_listener *listener)
{
    wr__socket accepted;

    if (!wr__acceptor_open(a, self->now_ns)
        || !wr__accept_socket(a, self, listener, &accepted)) {
        return NULL;
    }
    return wr__accept_conn(self, &accepted);
}

void wr__watch_init(wr__watch *w, wr_child *child, int other_fd)
{
    int count = child->listener_count;

    w->child = child;
    w->fds = apr_pcalloc(child->pool, (size_t)(2 + count) * sizeof(*w->fds));
    w->fds[0] = (struct pollfd){.fd = child->drain_fd, .events = POLLIN};
    w->fds[1] = (struct pollfd){.fd = other_fd, .events = POLLIN};
    for (int i = 0; i < count; i++) {
        w->fds[2 + i] =
            (struct pollfd){.fd = child->listeners[i]->fd, .events = POLLIN};
    }
}

wr_listener *wr__watch_wait(wr__watch *w, wr_thread *self, bool listens,
                            int64_t until)
{
    int count = listens ? w->child->listener_count : 0;
    int n =
        poll(w->fds, 2 + (nfds_t)count, wr__poll_timeout(until, self->now_ns));

    if (n < 0 && errno != EINTR) {
        wr_child_fail(w->child, "waiting for connections", errno);
    }
    wr_thread_tick(self);
    for (int i = 0; n > 0 && i < count; i++) {
        int at = (w->next + i) % count;

        if (w->fds[2 + at].revents) {
            w->next = (at + 1) % count;
            return w->child->listeners[at];
        }
    }
    return NULL;
}
