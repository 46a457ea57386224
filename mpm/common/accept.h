/*
 * accept.h - taking connections from a listener, and what to do when that does
 * not work.
 *
 * An acceptor is one thread's at a time.
 */
#ifndef WR__ACCEPT_H
#define WR__ACCEPT_H

#include "wr_conn.h"
#include "wr_mpm.h"

#include <poll.h>
#include <sys/socket.h>

typedef struct wr__acceptor {
    wr_child *child;
    bool is_closed;       /**< the child drains; the MPM sets it */
    bool is_last;         /**< what the kernel has reported is taken still,
                               though the child drains; the MPM sets it */
    bool is_held;         /**< there is no room for what new ones would bring;
                               the MPM sets it */
    bool makes_room;      /**< kept connections go when it is full; set by the
                               MPM, see wr__acceptor_waits() */
    int64_t full_until;   /**< full, and none can go: so long */
    bool is_full;         /**< until some connections have gone */
    int64_t paused_until; /**< the system had no room for another; or 0 */
    int64_t quiet_until;  /**< that is not logged again before */
} wr__acceptor;

/** May more be accepted now?  If not, and it isn't closed, ask again when a
 *  connection has been closed or at paused_until. */
bool wr__acceptor_open(wr__acceptor *a, int64_t now);

/** Is it not open only since it is full, but listeners are to be watched, since
 *  room can be made for those who come? */
bool wr__acceptor_waits(const wr__acceptor *a, int64_t now);
/** It is full, somebody has come, and no room could be made. */
void wr__acceptor_give_up(wr__acceptor *a, int64_t now);

/** When a pause ends, or WR_NEVER. */
int64_t wr__acceptor_resumes(const wr__acceptor *a);

/** How many connections to take from a listener that has reported some: those
 *  that wait in its queue, but at most AcceptLimit. */
int wr__acceptor_count(const wr__acceptor *a, const wr_listener *listener);

/** A socket that was accepted, and of which no connection was made yet. */
typedef struct wr__socket {
    int fd;
    wr_listener *listener;
    socklen_t peer_len;
    union {
        struct sockaddr any;
        struct sockaddr_storage space;
    } peer;
} wr__socket;

/** Accept a socket, even if the acceptor isn't open.  @return false: none is
 *  there, or that failed, and the acceptor is paused. */
bool wr__accept_socket(wr__acceptor *a, wr_thread *self, wr_listener *listener,
                       wr__socket *accepted);
/** Make a connection of it, or close it: NULL. */
wr_conn *wr__accept_conn(wr_thread *self, const wr__socket *accepted);

/** What a thread that waits for connections by poll() looks at. */
typedef struct wr__watch {
    wr_child *child;
    struct pollfd *fds; /**< drain_fd, other_fd, the listeners */
    int next;           /**< the listener that is looked at first */
} wr__watch;

/** @param other_fd whatever else it is to wake for; or -1. */
void wr__watch_init(wr__watch *w, wr_child *child, int other_fd);
/**
 * Wait until a listener reports connections, other_fd is readable, the child
 * drains, or @a until.
 *
 * @param listens false: the listeners are passed over.
 * @return the listener; they take turns at being looked at first.
 */
wr_listener *wr__watch_wait(wr__watch *w, wr_thread *self, bool listens,
                            int64_t until);

/** Accept a connection.  NULL: none is there, or the acceptor isn't open. */
wr_conn *wr__accept(wr__acceptor *a, wr_thread *self, wr_listener *listener);

/** accept() failed with @a error.  @return true if trying again at once makes
 *  sense; else it is paused, or nothing was there. */
bool wr__accept_failed(wr__acceptor *a, wr_thread *self,
                       const wr_listener *listener, int error);

/** Make a connection of an accepted descriptor, or close it: NULL. */
wr_conn *wr__accepted(wr_thread *self, int fd, const wr_listener *listener,
                      const struct sockaddr *peer, socklen_t peer_len);

#endif
