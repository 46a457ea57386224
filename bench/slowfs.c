/*
 * slowfs.c - a folder seen through a file system (FUSE 3) that is as slow as a
 * disk.
 *
 *     slowfs -f -o src=FOLDER[,seek_us=N][,bps=N][,heads=N][...] MOUNT
 *
 *   seek_us=N  a read takes so many microseconds, and its bytes at bps=N a
 *              second; one that goes on where the head stands needs no seek
 *   heads=N    so many reads are served at a time, in the order in which they
 *              come; 0: all of them, a pure delay without a queue
 *   meta_us=N  so long takes a look at a name, open_us=N the opening of a file
 *   attr_ttl=S seconds for which the kernel may keep what it learnt of names
 *   direct     what is read is not kept in the page cache: for an image that a
 *              loop device reads, which has a cache of its own
 *   write      files may be written: for a loop device, which opens its file so
 *
 * The file .slowfs in MOUNT tells in JSON what has been read so far.
 *
 * A head books time to come, so that waking late does not add up.  Reads run in
 * up to 256 threads, since fuse_main() of libfuse 3.14 stops at ten requests.
 * It ends, and unmounts, by SIGTERM, SIGINT or fusermount3 -u.
 *
 *     cc -O2 -o slowfs slowfs.c $(pkg-config --cflags --libs fuse3) -lpthread
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADS_MAX = 64,
    THREADS_MAX = 256
};
#define SECOND   1000000000LL
#define COUNTERS "/.slowfs"

static struct config {
    char *source;
    unsigned long seek_us, bytes_per_second, meta_us, open_us;
    int heads, is_direct, is_writable;
    double attr_ttl;
} config = {.heads = 1, .attr_ttl = 3600};

#define OPTION(text, field)                     \
    {                                           \
        text, offsetof(struct config, field), 1 \
    }
static const struct fuse_opt options[] = {
    OPTION("src=%s", source),
    OPTION("seek_us=%lu", seek_us),
    OPTION("bps=%lu", bytes_per_second),
    OPTION("meta_us=%lu", meta_us),
    OPTION("open_us=%lu", open_us),
    OPTION("heads=%d", heads),
    OPTION("attr_ttl=%lf", attr_ttl),
    OPTION("direct", is_direct),
    OPTION("write", is_writable),
    FUSE_OPT_END,
};

/* Guarded by its lock. */
static struct {
    pthread_mutex_t lock;
    struct head {
        int64_t free_at; /* its work so far is done then */
        uint64_t file;   /* where it stands */
        off_t offset;
    } heads[HEADS_MAX];
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_ulong reads, read_bytes, seeks, looks, opens;
static int source; /* the folder */

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void sleep_until(int64_t t)
{
    struct timespec time = {t / SECOND, t % SECOND};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL)
           == EINTR) {
    }
}

static int64_t transfer_ns(size_t len)
{
    return config.bytes_per_second > 0
               ? (int64_t)((double)len * 1e9 / (double)config.bytes_per_second)
               : 0;
}

/* The disk's lock is held. */
static struct head *first_free_head(void)
{
    struct head *found = &disk.heads[0];
    for (int i = 1; i < config.heads; i++) {
        if (disk.heads[i].free_at < found->free_at) {
            found = &disk.heads[i];
        }
    }
    return found;
}

/* Give a head the work and wait until it will have done it. */
static void work(unsigned long seek_us, uint64_t file, off_t offset, size_t len)
{
    int64_t t = now(), cost = (int64_t)seek_us * 1000 + transfer_ns(len);
    if (cost == 0) {
        return;
    }
    if (config.heads > 0) {
        pthread_mutex_lock(&disk.lock);
        struct head *head = first_free_head();
        if (len > 0 && head->file == file && head->offset == offset) {
            cost -= (int64_t)seek_us * 1000;
        }
        else if (len > 0) {
            atomic_fetch_add(&seeks, 1);
        }
        if (len > 0) {
            head->file = file;
            head->offset = offset + (off_t)len;
        }
        t = (head->free_at > t ? head->free_at : t);
        head->free_at = t + cost;
        pthread_mutex_unlock(&disk.lock);
    }
    sleep_until(t + cost);
}

static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int result(int status)
{
    return status < 0 ? -errno : status;
}

static int slow_getattr(const char *path, struct stat *st,
                        struct fuse_file_info *info)
{
    (void)info;
    if (strcmp(path, COUNTERS) == 0) {
        *st = (struct stat){.st_mode = S_IFREG | 0444, .st_nlink = 1};
        return 0;
    }
    atomic_fetch_add(&looks, 1);
    work(config.meta_us, 0, 0, 0);
    return result(fstatat(source, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int slow_readdir(const char *path, void *buffer, fuse_fill_dir_t fill,
                        off_t offset, struct fuse_file_info *info,
                        enum fuse_readdir_flags flags)
{
    (void)offset, (void)info, (void)flags;
    int fd = openat(source, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        return -errno;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (fill(buffer, entry->d_name, NULL, 0, 0)) {
            break;
        }
    }
    closedir(dir);
    return 0;
}

static int slow_open(const char *path, struct fuse_file_info *info)
{
    bool is_counters = strcmp(path, COUNTERS) == 0;
    if (is_counters) {
        info->direct_io = 1;
        info->fh = 0;
        return 0;
    }
    atomic_fetch_add(&opens, 1);
    work(config.open_us, 0, 0, 0);
    int fd = openat(source, below(path),
                    (config.is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    info->fh = (uint64_t)fd;
    info->direct_io = config.is_direct != 0;
    info->keep_cache = 1;
    return 0;
}

static int read_counters(char *buffer, size_t size, off_t offset)
{
    char text[256];
    int len =
        snprintf(text, sizeof text,
                 "{\"reads\": %lu, \"bytes\": %lu, \"seeks\": %lu, "
                 "\"looks\": %lu, \"opens\": %lu}\n",
                 atomic_load(&reads), atomic_load(&read_bytes),
                 atomic_load(&seeks), atomic_load(&looks), atomic_load(&opens));
    if (offset >= len) {
        return 0;
    }
    size_t count = (size_t)(len - offset);
    count = count < size ? count : size;
    memcpy(buffer, text + offset, count);
    return (int)count;
}

static int slow_read(const char *path, char *buffer, size_t size, off_t offset,
                     struct fuse_file_info *info)
{
    struct stat st;
    if (strcmp(path, COUNTERS) == 0) {
        return read_counters(buffer, size, offset);
    }
    int fd = (int)info->fh;
    if (fstat(fd, &st)) {
        return -errno;
    }
    work(config.seek_us, st.st_ino, offset, size);
    atomic_fetch_add(&reads, 1);
    atomic_fetch_add(&read_bytes, size);
    return result((int)pread(fd, buffer, size, offset));
}

static int slow_write(const char *path, const char *buffer, size_t size,
                      off_t offset, struct fuse_file_info *info)
{
    (void)path;
    return result((int)pwrite((int)info->fh, buffer, size, offset));
}

static int slow_fsync(const char *path, int data_only,
                      struct fuse_file_info *info)
{
    (void)path, (void)data_only, (void)info;
    return 0;
}

static int slow_release(const char *path, struct fuse_file_info *info)
{
    if (strcmp(path, COUNTERS) != 0) {
        close((int)info->fh);
    }
    return 0;
}

static int slow_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    return result(fstatvfs(source, st));
}

static void *slow_init(struct fuse_conn_info *connection,
                       struct fuse_config *settings)
{
    settings->attr_timeout = config.attr_ttl;
    settings->entry_timeout = config.attr_ttl;
    settings->negative_timeout = config.attr_ttl;
    settings->use_ino = 1;
    connection->max_background = THREADS_MAX;
    connection->congestion_threshold = THREADS_MAX;
    return NULL;
}

static const struct fuse_operations operations = {
    .getattr = slow_getattr,
    .readdir = slow_readdir,
    .open = slow_open,
    .read = slow_read,
    .write = slow_write,
    .fsync = slow_fsync,
    .release = slow_release,
    .statfs = slow_statfs,
    .init = slow_init,
};

static int serve(struct fuse *fuse, const struct fuse_cmdline_opts *line)
{
    struct fuse_loop_config *loop = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(loop, THREADS_MAX);
    fuse_loop_cfg_set_idle_threads(loop, 64);
    fuse_daemonize(line->foreground);
    fuse_set_signal_handlers(fuse_get_session(fuse));
    int status = fuse_loop_mt(fuse, loop);
    fuse_loop_cfg_destroy(loop);
    return status;
}

int main(int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_cmdline_opts line;
    if (fuse_opt_parse(&args, &config, options, NULL) || !config.source
        || config.heads < 0 || config.heads > HEADS_MAX
        || fuse_parse_cmdline(&args, &line) || !line.mountpoint) {
        fprintf(stderr, "usage: slowfs -f -o src=FOLDER,... MOUNT\n");
        return 2;
    }
    source = open(config.source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (source < 0) {
        perror(config.source);
        return 1;
    }
    struct fuse *fuse = fuse_new(&args, &operations, sizeof operations, NULL);
    if (!fuse || fuse_mount(fuse, line.mountpoint)) {
        return 1;
    }
    int status = serve(fuse, &line);
    fuse_unmount(fuse);
    fuse_destroy(fuse);
    return status < 0 ? 1 : 0; /* more: the signal that ended it */
}
