/*
 * wr_op.h - what may block: an operation that a connection wants to be run
 * somewhere where waiting does no harm.
 *
 * An op owns its arguments.  All kinds but the last are plain data below
 * directories opened at start, so another process can run them and they can be
 * run again; WR_OP_FUNC runs in a thread of this process.
 */
#ifndef WR_OP_H
#define WR_OP_H

#include "wr_base.h"

#include <apr_errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

typedef enum wr_op_kind {
    WR_OP_LOOKUP, /**< open path below dir and stat it: fd, st */
    WR_OP_STAT,   /**< stat path below dir: st */
    WR_OP_PAGE,   /**< bring a range of fd into memory */
    WR_OP_READ,   /**< read a range of fd into buf: done */
    WR_OP_WRITE,  /**< write buf to a place in fd; into a new file without a
                       name below the directory path if fd is -1: fd */
    WR_OP_LIST,   /**< list the directory path below dir, len entries at most,
                       into a file in memory: fd, done; see wr_listed */
    WR_OP_FUNC    /**< call func(op); of modules with WR_MODULE_BLOCKS */
} wr_op_kind;

/*
 * How LOOKUP and STAT open their path, by openat2() (<fcntl.h>,
 * <linux/openat2.h>): for wr_op_run() and for an MPM that has the kernel do it.
 */
/** RESOLVE_* bits that hold beside wr_op.resolve: never out of dir. */
#define WR_OP_RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
/** Beside RESOLVE_* in wr_op.resolve: links are followed only to what belongs
 *  to their owner.  The kernel does not know it, wr_op_run() does. */
#define WR_RESOLVE_OWNER (UINT64_C(1) << 63)
/** LOOKUP; O_NOATIME may be added.  A FIFO must not block. */
#define WR_OP_LOOKUP_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define WR_OP_STAT_FLAGS   (O_PATH | O_CLOEXEC)

struct wr_op {
    wr_task task;      /**< the MPM's, from take to finish */
    int64_t queued_ns; /**< likewise */
    wr_op *next;       /**< the machine's */
    wr_conn *conn;
    wr_op_kind kind;
    uint8_t tries;        /**< how often it was run */
    uint32_t delay_us;    /**< it waits so long first; see wr_op_delay_all() */
    _Atomic bool is_done; /**< finished */
    apr_status_t status;  /**< result */
    int dir;              /**< LOOKUP, STAT, LIST: a directory's descriptor */
    uint64_t resolve;     /**< LOOKUP, STAT, LIST: openat2's RESOLVE_* bits */
    const char *path; /**< LOOKUP, STAT, LIST: relative, "." for dir itself */
    int fd; /**< PAGE, READ, WRITE: the file.  LOOKUP, WRITE, LIST: result */
    int64_t offset; /**< PAGE, READ, WRITE */
    size_t len;     /**< PAGE, READ, WRITE: bytes.  LIST: entries at most */
    void *buf;      /**< READ, WRITE */
    size_t done;    /**< READ: result.  LIST: entries, one more than len if
                         there are more */
    struct stat st; /**< LOOKUP, STAT: result */
    apr_status_t (*func)(wr_op *op); /**< FUNC; its return is the status */
    void *arg;                       /**< FUNC */
};

/**
 * What LIST says of an entry: one after the other, each @a size bytes, which
 * is a multiple of 8.  "." and ".." are left out, and what is neither a file
 * nor a directory, can't be read, or is a link that may not be followed; of
 * other links, what they lead to.
 */
typedef struct wr_listed {
    uint32_t size; /**< of the entry, its name and all */
    uint32_t mode; /**< as st_mode */
    int64_t bytes;
    int64_t mtime_s; /**< seconds since 1970 */
    char name[];     /**< ended by a NUL */
} wr_listed;

/**
 * Do it here and now if that needs no waiting, as far as the kernel can tell.
 *
 * @return APR_SUCCESS: it is run.  APR_EAGAIN: it would block.  APR_ENOTIMPL:
 *         that can't be told, for this kind or on its file system.  The op is
 *         as before then, but for @a tries.
 * @thread any.
 */
WR_API apr_status_t wr_op_try(wr_op *op);

/**
 * Do it here and now, and wait as long as it takes.
 *
 * @owner  the op stays the caller's; LOOKUP: fd is the op's.
 * @thread any; for all but FUNC, any process that has the descriptors.
 */
WR_API void wr_op_run(wr_op *op);

/** The same, in a thread that others may wait for: counted as blocking
 *  (wr_board.h), and the clock is looked at afterwards. */
WR_API void wr_op_run_timed(wr_op *op, wr_thread *self);

/**
 * For tests, and where no slow disk can be had: every op that goes to a disk
 * waits so long before it is run; and what is in memory is looked for before an
 * op is asked for, under all MPMs.
 *
 * @thread in post_config: children inherit it.
 */
WR_API void wr_op_delay_all(uint32_t delay_us);

/**
 * Hand a run op (or one that could not be run: status set) back to its
 * connection.
 *
 * @owner  the machine's again: never touch it after this.
 * @thread any.
 * @return true when the connection was parked, as for wr_conn_post(): op->conn
 *         (read before this call) is now the caller's to step.
 */
WR_API bool wr_op_finish(wr_op *op);

#endif
