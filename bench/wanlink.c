/*
 * wanlink.c - a program behind slow lines: a network namespace of its own, and
 * a wide-area network in between.
 *
 *     wanlink [-d MS] [-b KBIT] [-q BYTES] [-l N] PROGRAM [ARGUMENT]...
 *
 *     -d MS     each packet takes so long, either way (50)
 *     -b KBIT   to each address of PROGRAM a line of so many kbit/s (0: no
 *               limit); the way back is not limited
 *     -q BYTES  what waits for such a line; what would be more is dropped
 *               (0: no limit)
 *     -l N      of 1000 packets, so many are lost
 *
 * The near side, where this was called, has 10.99.0.1 on a device wan0; PROGRAM
 * has all of 10.99.128.0/17 for its own addresses, and so one line for each of
 * its clients.  What it prints is its own; a line on standard error tells of
 * the packets.  All is gone when PROGRAM ends; so does this, with its status.
 *
 * Two TUN devices and this process, which carries IPv4 packets between them: a
 * kernel needs no netem for it.  Windows, round trips and losses are real, as
 * they are not where a client of the loopback interface merely reads slowly.
 * For root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    NEAR,
    FAR,
    SIDES
};
enum {
    PACKET_MAX = 2048,
    WAITING_MAX = 1 << 16, /* packets: what is more is dropped */
    TURN = 64,             /* packets that are read before any is written */
    LINES = 65536,         /* one for each last half of an address */
    DESTINATION = 16       /* where it begins in a packet */
};
#define SECOND 1000000000LL

struct packet {
    int64_t due;
    uint64_t number; /* those that are due together keep their order */
    int to;
    size_t len;
    unsigned char data[PACKET_MAX];
};

static struct {
    int64_t delay;
    int64_t bits_per_second;
    int64_t queue;
    unsigned lost_of_1000;
} opt = {.delay = SECOND / 20};

static int devices[SIDES];
static struct packet *waiting[WAITING_MAX]; /* a heap: the first one is due */
static size_t waiting_count;
static int64_t line_free[LINES]; /* when it has sent what waits for it */
static struct {
    uint64_t packets, dropped, lost;
} counted;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* The two sides. */

static int open_device(void)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI,
                            .ifr_name = "wan0"};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        die("wanlink: /dev/net/tun");
    }
    return fd;
}

static void run(const char *command)
{
    if (system(command) != 0) {
        fprintf(stderr, "wanlink: failed: %s\n", command);
        exit(1);
    }
}

/** Afterwards this process is on the far side, and its children are. */
static void make_sides(void)
{
    devices[NEAR] = open_device();
    run("ip address add 10.99.0.1/32 dev wan0 && ip link set wan0 up"
        " && ip route add 10.99.128.0/17 dev wan0");
    if (unshare(CLONE_NEWNET) != 0) {
        die("wanlink: a network namespace");
    }
    devices[FAR] = open_device();
    run("ip link set lo up && ip link set wan0 up"
        " && ip route add 10.99.0.1/32 dev wan0"
        " && ip route add local 10.99.128.0/17 dev lo");
}

/* Packets on their way. */

static bool is_before(const struct packet *a, const struct packet *b)
{
    return a->due < b->due || (a->due == b->due && a->number < b->number);
}

static void put(struct packet *p)
{
    size_t at = waiting_count++;

    while (at > 0 && is_before(p, waiting[(at - 1) / 2])) {
        waiting[at] = waiting[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    waiting[at] = p;
}

static struct packet *take(void)
{
    struct packet *first = waiting[0], *last = waiting[--waiting_count];
    size_t at = 0, below;

    while ((below = 2 * at + 1) < waiting_count) {
        if (below + 1 < waiting_count
            && is_before(waiting[below + 1], waiting[below])) {
            below++;
        }
        if (!is_before(waiting[below], last)) {
            break;
        }
        waiting[at] = waiting[below];
        at = below;
    }
    waiting[at] = last;
    return first;
}

static bool is_lost(void)
{
    static uint32_t state = 12345; /* the same ones each time */

    state = state * 1664525 + 1013904223;
    return (state >> 8) % 1000 < opt.lost_of_1000;
}

/** When it has gone through the client's line.  -1: that has too much. */
static int64_t through_line(const struct packet *p, int64_t t)
{
    int64_t *is_free =
        &line_free[p->data[DESTINATION + 2] << 8 | p->data[DESTINATION + 3]];
    int64_t from = *is_free > t ? *is_free : t;
    int64_t per_byte = 8 * SECOND / opt.bits_per_second;

    if (opt.queue && (from - t) / per_byte > opt.queue) {
        return -1;
    }
    return *is_free = from + (int64_t)p->len * per_byte;
}

/** @return whether it is on its way; if not, it is gone. */
static bool send_off(struct packet *p, int from)
{
    int64_t t = now();

    p->number = counted.packets++;
    p->to = !from;
    if (is_lost()) {
        counted.lost++;
        return false;
    }
    if (from == NEAR && opt.bits_per_second) {
        t = through_line(p, t);
    }
    if (t < 0 || waiting_count == WAITING_MAX) {
        counted.dropped++;
        return false;
    }
    p->due = t + opt.delay;
    put(p);
    return true;
}

static void read_device(int side)
{
    static struct packet *spare;

    for (int i = 0; i < TURN; i++) {
        ssize_t n;

        if (!spare && !(spare = malloc(sizeof(*spare)))) {
            die("wanlink");
        }
        n = read(devices[side], spare->data, sizeof(spare->data));
        if (n <= 0) {
            return;
        }
        spare->len = (size_t)n;
        if (spare->data[0] >> 4 == 4 && send_off(spare, side)) {
            spare = NULL;
        }
    }
}

static void deliver(void)
{
    int64_t t = now();

    while (waiting_count > 0 && waiting[0]->due <= t) {
        struct packet *p = take();

        if (write(devices[p->to], p->data, p->len) < 0) {
            counted.dropped++;
        }
        free(p);
    }
}

/** Until a packet comes or is due, or a signal. */
static bool wait_for_work(struct pollfd fds[SIDES + 1])
{
    int64_t left = waiting_count > 0 ? waiting[0]->due - now() : SECOND;
    struct timespec timeout = {.tv_sec = left / SECOND,
                               .tv_nsec = left % SECOND};

    if (left < 0) {
        timeout = (struct timespec){0};
    }
    return ppoll(fds, SIDES + 1, &timeout, NULL) > 0;
}

/* The program. */

static pid_t start(char **line, const sigset_t *own)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        sigprocmask(SIG_UNBLOCK, own, NULL);
        execvp(line[0], line);
        fprintf(stderr, "wanlink: %s: %s\n", line[0], strerror(errno));
        _exit(127);
    }
    if (pid < 0) {
        die("wanlink: fork");
    }
    return pid;
}

/** A signal is for the program.  @return its status when it has ended; -1. */
static int on_signal(int fd, pid_t pid)
{
    struct signalfd_siginfo info;
    int status;

    if (read(fd, &info, sizeof(info)) != sizeof(info)) {
        return -1;
    }
    if (info.ssi_signo != SIGCHLD) {
        kill(pid, (int)info.ssi_signo);
        return -1;
    }
    if (waitpid(pid, &status, WNOHANG) != pid) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/** Carry packets until the program ends.  @return its status. */
static int carry(int signals, pid_t pid)
{
    struct pollfd fds[SIDES + 1] = {{.fd = devices[NEAR], .events = POLLIN},
                                    {.fd = devices[FAR], .events = POLLIN},
                                    {.fd = signals, .events = POLLIN}};
    int status = -1;

    while (status < 0) {
        deliver();
        if (!wait_for_work(fds)) {
            continue;
        }
        for (int side = NEAR; side < SIDES; side++) {
            if (fds[side].revents) {
                read_device(side);
            }
        }
        if (fds[SIDES].revents) {
            status = on_signal(signals, pid);
        }
    }
    return status;
}

static void tell(void)
{
    struct rusage used;
    double cpu;

    getrusage(RUSAGE_SELF, &used);
    cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
          + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    fprintf(stderr,
            "wanlink: %llu packets, %llu dropped, %llu lost, %.2f s of "
            "processor time\n",
            (unsigned long long)counted.packets,
            (unsigned long long)counted.dropped,
            (unsigned long long)counted.lost, cpu);
}

static long number(const char *text, long most)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end || value < 0 || value > most) {
        fprintf(stderr, "wanlink: %s is no number from 0 to %ld\n", text, most);
        exit(2);
    }
    return value;
}

static void read_options(int argc, char **argv)
{
    int letter;

    while ((letter = getopt(argc, argv, "+d:b:q:l:")) >= 0) {
        switch (letter) {
        case 'd':
            opt.delay = number(optarg, 10000) * (SECOND / 1000);
            break;
        case 'b':
            opt.bits_per_second = number(optarg, 1000000) * 1000;
            break;
        case 'q':
            opt.queue = number(optarg, 1 << 30);
            break;
        case 'l':
            opt.lost_of_1000 = (unsigned)number(optarg, 1000);
            break;
        default:
            exit(2);
        }
    }
    if (optind == argc) {
        fprintf(stderr, "usage: wanlink [-d MS] [-b KBIT] [-q BYTES] [-l N] "
                        "PROGRAM [ARGUMENT]...\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    sigset_t own;
    int signals, status;

    read_options(argc, argv);
    sigemptyset(&own);
    sigaddset(&own, SIGCHLD);
    sigaddset(&own, SIGINT);
    sigaddset(&own, SIGTERM);
    make_sides(); /* whose commands need SIGCHLD as it is */
    sigprocmask(SIG_BLOCK, &own, NULL);
    signals = signalfd(-1, &own, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals < 0) {
        die("wanlink: signalfd");
    }
    status = carry(signals, start(argv + optind, &own));
    tell();
    return status;
}
