/*
 * bucket.c - see bucket.h.
 *
 * A file's bucket refers to a counted wr_file and reads at its own offset, so
 * that any number of responses share one descriptor; APR's file bucket has one
 * offset for all, and counts its references without atomics.
 */
#include "bucket.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const apr_bucket_type_t file_type;
static const apr_bucket_type_t end_type;

/* Files. */

static void file_destroy(void *data)
{
    wr_file_unref(data);
}

/** Only for modules that look into what others appended: the core sends files
 *  without reading them. */
static apr_status_t file_read(apr_bucket *b, const char **data, apr_size_t *len,
                              apr_read_type_e block)
{
    wr_file *file = b->data;
    apr_size_t want =
        b->length < APR_BUCKET_BUFF_SIZE ? b->length : APR_BUCKET_BUFF_SIZE;
    apr_off_t start = b->start;
    apr_bucket *rest;
    char *buf;
    ssize_t n;

    (void)block;
    if (file->content) {
        *data = file->content + b->start;
        *len = b->length;
        return APR_SUCCESS;
    }
    buf = apr_bucket_alloc(want, b->list);
    n = pread(file->fd, buf, want, start);
    if (n <= 0) {
        apr_bucket_free(buf);
        return n < 0 ? errno : APR_EOF;
    }
    if ((apr_size_t)n < b->length) {
        rest = wr_bucket_file_create(
            file, start + n, (int64_t)(b->length - (apr_size_t)n), b->list);
        APR_BUCKET_INSERT_AFTER(b, rest);
    }
    wr_file_unref(file);
    apr_bucket_heap_make(b, buf, (apr_size_t)n, apr_bucket_free);
    *data = buf;
    *len = (apr_size_t)n;
    return APR_SUCCESS;
}

static apr_status_t file_split(apr_bucket *a, apr_size_t point)
{
    apr_status_t status = apr_bucket_simple_split(a, point);

    if (status == APR_SUCCESS) {
        wr_file_ref(a->data);
    }
    return status;
}

static apr_status_t file_copy(apr_bucket *a, apr_bucket **b)
{
    apr_status_t status = apr_bucket_simple_copy(a, b);

    if (status == APR_SUCCESS) {
        wr_file_ref(a->data);
    }
    return status;
}

static const apr_bucket_type_t file_type = {.name = "WR_FILE",
                                            .num_func = 5,
                                            .is_metadata = APR_BUCKET_DATA,
                                            .destroy = file_destroy,
                                            .read = file_read,
                                            .setaside =
                                                apr_bucket_setaside_noop,
                                            .split = file_split,
                                            .copy = file_copy};

apr_bucket *wr_bucket_file_create(wr_file *file, int64_t offset, int64_t len,
                                  apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &file_type;
    b->data = file;
    b->start = offset;
    b->length = (apr_size_t)len;
    wr_file_ref(file);
    return b;
}

bool wr_bucket_is_file(const apr_bucket *b)
{
    return b->type == &file_type;
}

wr_file *wr_bucket_file(const apr_bucket *b)
{
    return b->data;
}

/* A request's end. */

static apr_status_t end_read(apr_bucket *b, const char **data, apr_size_t *len,
                             apr_read_type_e block)
{
    (void)b;
    (void)block;
    *data = NULL;
    *len = 0;
    return APR_SUCCESS;
}

static const apr_bucket_type_t end_type = {.name = "WR_END",
                                           .num_func = 5,
                                           .is_metadata = APR_BUCKET_METADATA,
                                           .destroy = apr_bucket_destroy_noop,
                                           .read = end_read,
                                           .setaside = apr_bucket_setaside_noop,
                                           .split = apr_bucket_split_notimpl,
                                           .copy = apr_bucket_copy_notimpl};

apr_bucket *wr__bucket_end_create(wr_request *r, apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &end_type;
    b->data = r;
    b->start = 0;
    b->length = 0;
    return b;
}

bool wr__bucket_is_end(const apr_bucket *b)
{
    return b->type == &end_type;
}

wr_request *wr__bucket_end_request(const apr_bucket *b)
{
    return b->data;
}

/* Computed objects. */

/** Others can't read it: it is made by the connection machine alone. */
static apr_status_t computed_read(apr_bucket *b, const char **data,
                                  apr_size_t *len, apr_read_type_e block)
{
    (void)b;
    (void)data;
    (void)len;
    (void)block;
    return APR_ENOTIMPL;
}

static const apr_bucket_type_t computed_type = {
    .name = "WR_COMPUTED",
    .num_func = 5,
    .is_metadata = APR_BUCKET_DATA,
    .destroy = apr_bucket_destroy_noop,
    .read = computed_read,
    .setaside = apr_bucket_setaside_noop,
    .split = apr_bucket_split_notimpl,
    .copy = apr_bucket_copy_notimpl};

apr_bucket *wr__bucket_computed_create(wr__computed *computed,
                                       apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &computed_type;
    b->data = computed;
    b->start = 0;
    b->length = (apr_size_t)-1;
    return b;
}

wr__computed *wr__bucket_computed(const apr_bucket *b)
{
    return b->type == &computed_type ? b->data : NULL;
}

bool wr__bucket_is_unread(const apr_bucket *b)
{
    return b->type == &computed_type || wr__bucket_is_stream(b);
}

int64_t wr__bucket_content_length(const apr_bucket *b)
{
    if (wr__bucket_is_stream(b)) {
        return wr__bucket_stream_length(b);
    }
    if (b->type == &computed_type) {
        return wr__bucket_computed(b)->left;
    }
    return b->length == (apr_size_t)-1 ? -1 : (int64_t)b->length;
}

bool wr__bucket_is_tail(const apr_bucket_brigade *bb, const apr_bucket *b)
{
    while (b != APR_BRIGADE_SENTINEL(bb)) {
        if (b->length != 0) {
            return false;
        }
        b = APR_BUCKET_NEXT(b);
    }
    return true;
}

bool wr__bucket_memory(apr_bucket *b, const char **data, size_t *len)
{
    if (b->type == &file_type) {
        const wr_file *file = b->data;

        if (!file->content) {
            return false;
        }
        *data = file->content + b->start;
        *len = b->length;
        return true;
    }
    if (b->length == (apr_size_t)-1) {
        return false;
    }
    return apr_bucket_read(b, data, len, APR_NONBLOCK_READ) == APR_SUCCESS;
}
