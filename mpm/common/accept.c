/*
 * accept.c - see accept.h.
 *
 * accept4 directly: APR has neither its flags nor a socket without a pool.
 */
#include "accept.h"

#include "wr_log.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE       (100 * WR_MS)
#define LOG_PAUSE   (10 * WR_SEC)
#define SPARE_SHIFT 4 /* full: wait until 1/16 of the connections is free */

static bool may_accept(const wr__acceptor *a)
{
    return !a->is_closed && !a->is_held && !a->paused_until
           && wr_child_state(a->child) == WR_CHILD_RUNNING;
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

wr_conn *wr__accept(wr__acceptor *a, wr_thread *self, wr_listener *listener)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage space;
    } peer;

    while (wr__acceptor_open(a, self->now_ns)) {
        socklen_t len = sizeof(peer);
        int fd = accept4(listener->fd, &peer.any, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            return wr__accepted(self, fd, listener, &peer.any, len);
        }
        if (!wr__accept_failed(a, self, listener, errno)) {
            break;
        }
    }
    return NULL;
}
