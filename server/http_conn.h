/*
 * http_conn.h - HTTP/1 on the connection machine: its state, which lies in the
 * kit, so that an idle connection has none.
 */
#ifndef WR__HTTP_CONN_H
#define WR__HTTP_CONN_H

#include "wr_op.h"
#include "wr_protocol.h"
#include "wr_request.h"

#include "http_body.h"
#include "http_parse.h"

/** What may be sent of the output's first object, a file, without another look
 *  at whether it is in memory. */
typedef struct wr__window {
    const wr_file *file; /**< NULL: nothing */
    int64_t end;         /**< from where it is now up to there */
    int64_t until_ns;    /**< then a look is due again */
    int pagings;         /**< how often an op has brought in the next one */
} wr__window;

/** See http_conn.c. */
typedef enum wr__http_state {
    WR__HTTP_HEAD,
    WR__HTTP_RUN,
    WR__HTTP_BODY,
    WR__HTTP_DISCARD,
    WR__HTTP_FLUSH,
    WR__HTTP_LINGER,
    WR__HTTP_DEAD
} wr__http_state;

typedef struct wr__http {
    wr__head head;
    wr__body body;
    wr_request *r;         /**< worked on; its end is not in the output yet */
    int pending;           /**< requests whose end is in the output */
    int64_t queued;        /**< content put there since it was empty */
    bool in_head;          /**< the first byte of a head has come */
    bool must_linger;      /**< input was left unread */
    bool sent_continue;    /**< 100 (Continue) for r */
    bool is_held_up;       /**< output waits for us, not for the client */
    int refusal;           /**< RUN is to refuse the request, so; or 0 */
    int64_t since_ns;      /**< of the head's first byte; of the body */
    int64_t heard_ns;      /**< when some of either last came */
    int64_t spool_ns;      /**< when the spool began to write */
    int64_t progress_ns;   /**< when output last went, or was begun */
    int64_t taken_by_ns;   /**< by when the client must have taken more */
    int64_t idle_until_ns; /**< when to give up waiting for a head */
    int64_t keep_alive_ns; /**< how long to wait for one; 0: none came yet */
    int64_t discarded;     /**< bytes of content that nobody wanted */
    wr_op page;            /**< brings in what is to be sent next */
    wr__window window;
} wr__http;

/** Once for each kit. */
void wr__http_init(wr__http *http, int fields_max, apr_pool_t *pool);
/** Each time the kit is lent. */
void wr__http_reset(wr__http *http, int64_t idle_until_ns);

/** The protocol; see wr_listener.protocol. */
extern const wr_protocol wr__http_protocol;

#endif
