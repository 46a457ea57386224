/*
 * channel.h - what a generation tells the master: notes over a pair of
 * sockets, some with a descriptor.  The other way signals are enough.
 */
#ifndef WR__CHANNEL_H
#define WR__CHANNEL_H

#include <apr_errno.h>

typedef enum wr__note_kind {
    WR__NOTE_LISTENER,  /**< an address; a descriptor if newly bound */
    WR__NOTE_PID_FILE,  /**< a path */
    WR__NOTE_ERROR_LOG, /**< as ErrorLog says; a descriptor if a program; ""
                             when that is about to end */
    WR__NOTE_TEXT,      /**< a line for the administrator */
    WR__NOTE_READY      /**< all children serve */
} wr__note_kind;

#define WR__NOTE_TEXT_MAX 8192

typedef struct wr__note {
    wr__note_kind kind;
    int fd; /**< or -1 */
    char text[WR__NOTE_TEXT_MAX];
} wr__note;

/** ends[0] is the master's, ends[1] the generation's. */
apr_status_t wr__channel_create(int ends[2]);

/** Send a note; waits while the channel is full.  A text too long is cut.
 *  @owner fd stays the caller's. */
apr_status_t wr__channel_send(int channel, wr__note_kind kind, const char *text,
                              int fd);

/**
 * Take the next note, without waiting.
 *
 * @owner  note->fd: the caller.
 * @return APR_SUCCESS, APR_EAGAIN, or APR_EOF when the other side is gone.
 */
apr_status_t wr__channel_receive(int channel, wr__note *note);

#endif
