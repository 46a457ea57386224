/*
 * spool.c - see spool.h.
 */
#include "spool.h"

#include "wr_file.h"
#include "wr_log.h"

#include "child.h"
#include "request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SIZE 4096

void wr__spool_init(wr__spool *spool, const wr_request *r)
{
    const wr__config *config = r->conn->child->core->config;

    memset(spool, 0, sizeof(*spool));
    spool->max = (size_t)config->body_memory;
    spool->dir = config->spool_dir;
}

size_t wr__spool_room(wr__spool *spool, const wr_request *r)
{
    if (spool->len == spool->size && spool->size < spool->max) {
        size_t size = spool->size ? spool->size * 2 : FIRST_SIZE;
        char *buf;

        size = size < spool->max ? size : spool->max;
        buf = apr_palloc(r->pool, size + 1);
        if (spool->len) {
            memcpy(buf, spool->buf, spool->len);
        }
        spool->buf = buf;
        spool->size = size;
    }
    return spool->size - spool->len;
}

void wr__spool_put(wr__spool *spool, const unsigned char *data, size_t len)
{
    assert(len <= spool->size - spool->len);
    memcpy(spool->buf + spool->len, data, len);
    spool->len += len;
}

void wr__spool_write(wr__spool *spool, wr_request *r)
{
    wr_op *op = &spool->op;

    memset(op, 0, sizeof(*op));
    op->kind = WR_OP_WRITE;
    op->path = spool->dir;
    op->fd = spool->file ? spool->file->fd : -1;
    op->buf = spool->buf;
    op->len = spool->len;
    op->offset = spool->written;
    spool->is_writing = true;
    wr_request_ask(r, op);
}

/** The op has made the file: it becomes one that can be sent. */
static void take_file(wr__spool *spool)
{
    wr_file *file = calloc(1, sizeof(*file));

    if (!file) {
        close(spool->op.fd);
        spool->op.status = ENOMEM;
        return;
    }
    atomic_init(&file->refs, 1);
    file->fd = spool->op.fd;
    file->is_regular = true;
    file->residency = WR_RESIDENT_NOWAIT;
    spool->file = file;
}

static int status_of(apr_status_t error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return 507;
    case ENOMEM:
        return 503;
    default:
        return 500;
    }
}

int wr__spool_written(wr__spool *spool, const wr_request *r)
{
    spool->is_writing = false;
    if (!spool->file && spool->op.fd >= 0) {
        take_file(spool);
    }
    if (spool->op.status != APR_SUCCESS) {
        wr_log_request(r, WR_LOG_ERROR, spool->op.status,
                       "writing the request's content below %s", spool->dir);
        return status_of(spool->op.status);
    }
    spool->written += (int64_t)spool->len;
    spool->len = 0;
    return 0;
}

bool wr__spool_must_write(const wr__spool *spool)
{
    return spool->file && spool->len > 0;
}

void wr__spool_finish(wr__spool *spool)
{
    wr_body *body = &spool->body;

    body->len = spool->written + (int64_t)spool->len;
    body->file = spool->file;
    if (spool->file) {
        spool->file->size = body->len;
    }
    else if (spool->buf) {
        spool->buf[spool->len] = '\0';
        body->data = spool->buf;
    }
    else {
        body->data = "";
    }
}

void wr__spool_release(wr__spool *spool)
{
    if (!spool->file && spool->is_writing && spool->op.fd >= 0) {
        close(spool->op.fd); /* made, and nobody looked */
    }
    wr_file_unref(spool->file);
    spool->file = NULL;
}
