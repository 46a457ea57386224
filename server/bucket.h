/*
 * bucket.h - the server's own buckets: a range of a file, an object that is
 * computed, and the end of a request, which travels behind its last byte.
 */
#ifndef WR__BUCKET_H
#define WR__BUCKET_H

#include "wr_file.h"
#include "wr_object.h"
#include "wr_request.h"

#include <apr_buckets.h>

/** The end of @a r.  Has no length; nothing is destroyed with it. */
apr_bucket *wr__bucket_end_create(wr_request *r, apr_bucket_alloc_t *list);
bool wr__bucket_is_end(const apr_bucket *b);
wr_request *wr__bucket_end_request(const apr_bucket *b);

/** What a computed object is made by. */
typedef struct wr__computed {
    wr_request *r;
    wr_make_fn *make;
    void *baton;
    int64_t left;   /**< bytes to come; -1: not known */
    bool is_framed; /**< it is within a chunk already */
} wr__computed;

/** @a computed lives as long as the request. */
apr_bucket *wr__bucket_computed_create(wr__computed *computed,
                                       apr_bucket_alloc_t *list);
/** What makes it, or NULL if it is another bucket. */
wr__computed *wr__bucket_computed(const apr_bucket *b);

/** What comes from @a fd, which becomes the bucket's; see
 *  wr_request_append_stream().  In stream.c. */
apr_bucket *wr__bucket_stream_create(wr_request *r, int fd, bool is_pipe,
                                     int64_t len, apr_bucket_alloc_t *list);
bool wr__bucket_is_stream(const apr_bucket *b);
/** How many bytes are still to come; -1: until it ends. */
int64_t wr__bucket_stream_length(const apr_bucket *b);
/** How many bytes any bucket stands for; -1: not known. */
int64_t wr__bucket_content_length(const apr_bucket *b);

/** A bucket whose bytes only the connection machine can bring. */
bool wr__bucket_is_unread(const apr_bucket *b);

/** A brigade on the stack, or anywhere: apr_brigade_create() would take memory
 *  of the pool for each. */
static inline void wr__brigade_init(apr_bucket_brigade *bb, apr_pool_t *pool,
                                    apr_bucket_alloc_t *list)
{
    bb->p = pool;
    bb->bucket_alloc = list;
    APR_RING_INIT(&bb->list, apr_bucket, link);
}

/** Are @a b and all behind it without a byte? */
bool wr__bucket_is_tail(const apr_bucket_brigade *bb, const apr_bucket *b);

/** The bucket's bytes, if they are in memory: a mapping's are not. */
bool wr__bucket_memory(apr_bucket *b, const char **data, size_t *len);

/** Its last byte went, or (aborted) will never go.  In request.c. */
void wr__request_sent(wr_request *r, bool aborted);
/** Map the open file.  @return false if it can't be: not an error, it is as
 *  good unmapped. */
bool wr__file_map(wr_file *file);
/** Is the open file still as long as it was?  What lies behind the end in the
 *  last page of a mapping reads as zeros, also for the kernel. */
bool wr__file_is_whole(const wr_file *file);
/** The kernel can't send this file's bucket of @a r: have it read, from now on
 *  wherever the file is sent.  In read_file.c. */
void wr__file_read_instead(wr_request *r, apr_bucket *b);
/** Can the range be read without the disk, as far as can be told?  In
 *  residency.c. */
bool wr__file_is_resident(wr_file *file, int64_t offset, size_t len);

#endif
