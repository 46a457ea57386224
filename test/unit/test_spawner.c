/*
 * test_spawner.c - programs are started as asked for, with nothing else, and
 * end with those who asked.
 */
#include "server/spawner_main.c"

#include "server/generation_spawner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/stat.h>

static const int inherit_all[3] = {-1, -1, -1};

static wr__spawn_note next_note(void)
{
    wr__spawn_note note;
    apr_status_t rv;

    do {
        struct pollfd fd = {.fd = wr__spawner_fd(), .events = POLLIN};

        poll(&fd, 1, -1);
        rv = wr__spawner_read(&note);
    } while (rv == APR_EAGAIN);
    assert_int_equal(rv, APR_SUCCESS);
    return note;
}

static void ask(uint32_t id, const char *const *argv, const int *fds)
{
    wr__command asked = {.argv = argv};

    memcpy(asked.fds, fds, sizeof(asked.fds));
    assert_int_equal(wr__spawner_ask(id, &asked), APR_SUCCESS);
}

static pid_t assert_started(uint32_t id)
{
    wr__spawn_note note = next_note();

    assert_int_equal(note.kind, WR__SPAWN_STARTED);
    assert_int_equal(note.id, id);
    assert_true(note.pid > 0);
    return note.pid;
}

static void assert_ended(uint32_t id, pid_t pid, int status)
{
    wr__spawn_note note = next_note();

    assert_int_equal(note.kind, WR__SPAWN_ENDED);
    assert_int_equal(note.id, id);
    assert_int_equal(note.pid, pid);
    assert_int_equal(note.status, status);
}

static void assert_failed(uint32_t id, int error)
{
    wr__spawn_note note = next_note();

    assert_int_equal(note.kind, WR__SPAWN_FAILED);
    assert_int_equal(note.id, id);
    assert_int_equal(note.status, error);
}

/** What a program writes until it ends; its first 4095 bytes. */
static const char *output_of(wr__command *asked)
{
    static char text[4096];
    size_t len = 0;
    ssize_t n;
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    asked->fds[1] = ends[1];
    assert_int_equal(wr__spawner_ask(7, asked), APR_SUCCESS);
    close(ends[1]);
    while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(ends[0]);
    text[len] = '\0';
    pid = assert_started(7);
    assert_ended(7, pid, 0);
    return text;
}

static int tear_down(void **state)
{
    (void)state;
    wr__spawner_finish();
    return 0;
}

static void runs_where_with_what_it_is_given(void **state)
{
    const char *argv[] = {
        "/bin/sh",          "-c", "pwd; echo \"$A,$1,$B\"; cat", "sh",
        "an  \"argument\"", NULL};
    const char *env[] = {"A=one two", "B=", NULL};
    int input[2];
    wr__command asked = {
        .argv = argv, .env = env, .directory = "/usr", .fds = {-1, -1, -1}};

    (void)state;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(write(input[1], "input\n", 6), 6);
    close(input[1]);
    asked.fds[0] = input[0];
    assert_string_equal(output_of(&asked),
                        "/usr\none two,an  \"argument\",\ninput\n");
    close(input[0]);
}

static void environment_is_the_servers_unless_given(void **state)
{
    const char *argv[] = {"/bin/sh", "-c", "echo $WEIR_TEST", NULL};
    const char *none[] = {NULL};
    wr__command asked = {.argv = argv, .fds = {-1, -1, -1}};

    (void)state;
    setenv("WEIR_TEST", "here", 1);
    assert_string_equal(output_of(&asked), "here\n");
    asked.env = none;
    assert_string_equal(output_of(&asked), "\n");
    unsetenv("WEIR_TEST");
}

/** Not even one that whoever opened it forgot to mark. */
static void no_other_descriptor_is_inherited(void **state)
{
    const char *argv[] = {"/bin/ls", "/proc/self/fd", NULL};
    wr__command asked = {.argv = argv, .fds = {-1, -1, -1}};
    int stray[20];

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        stray[i] = open("/dev/null", O_RDWR);
    }
    /* 3: the folder that it reads */
    assert_string_equal(output_of(&asked), "0\n1\n2\n3\n");
    for (size_t i = 0; i < 20; i++) {
        close(stray[i]);
    }
}

static void signals_and_group_are_its_own(void **state)
{
    const char *stat[] = {"/bin/cat", "/proc/self/stat", NULL};
    const char *status[] = {"/bin/cat", "/proc/self/status", NULL};
    wr__command asked = {.argv = stat, .fds = {-1, -1, -1}};
    unsigned long long blocked, ignored;
    long pid, group;
    sigset_t all, old;

    (void)state;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    assert_int_equal(wr__spawner_start(), APR_SUCCESS);
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_int_equal(
        sscanf(output_of(&asked), "%ld %*s %*s %*d %ld", &pid, &group), 2);
    assert_int_equal(pid, group);
    asked.argv = status;
    assert_int_equal(sscanf(strstr(output_of(&asked), "SigBlk:"),
                            "SigBlk: %llx SigIgn: %llx", &blocked, &ignored),
                     2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 0x7fffffff, 0); /* above: the C library's own */
}

static void failures_are_told(void **state)
{
    const char *none[] = {"/nowhere/at/all", NULL};
    const char *folder[] = {"/", NULL};
    const char *sh[] = {"/bin/sh", "-c", "exit 3", NULL};
    wr__command elsewhere = {
        .argv = sh, .directory = "/nowhere", .fds = {-1, -1, -1}};
    pid_t pid;

    (void)state;
    ask(1, none, inherit_all);
    assert_failed(1, ENOENT);
    ask(2, folder, inherit_all);
    assert_failed(2, EACCES);
    assert_int_equal(wr__spawner_ask(3, &elsewhere), APR_SUCCESS);
    assert_failed(3, ENOENT);
    ask(4, sh, inherit_all);
    pid = assert_started(4);
    assert_ended(4, pid, 3 << 8);
}

static void too_much_to_say_is_refused(void **state)
{
    static char text[WR__SPAWN_REQUEST_MAX];
    const char *argv[] = {"/bin/true", text, NULL};
    wr__command asked = {.argv = argv, .fds = {-1, -1, -1}};
    pid_t pid;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(wr__spawner_ask(1, &asked), ENAMETOOLONG);
    text[sizeof(text) - sizeof("/bin/true") - 2] = '\0';
    assert_int_equal(wr__spawner_ask(2, &asked), APR_SUCCESS);
    pid = assert_started(2);
    assert_ended(2, pid, 0);
}

static void their_number_is_bounded(void **state)
{
    const char *argv[] = {"/bin/cat", NULL};
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (uint32_t i = 0; i < WR__SPAWN_COMMANDS_MAX; i++) {
        ask(i, argv, (int[]){ends[0], -1, -1});
        assert_started(i);
    }
    ask(99, argv, (int[]){ends[0], -1, -1});
    assert_failed(99, EAGAIN);
    close(ends[0]);
    close(ends[1]); /* they all end */
    for (uint32_t i = 0; i < WR__SPAWN_COMMANDS_MAX; i++) {
        wr__spawn_note note = next_note();

        assert_int_equal(note.kind, WR__SPAWN_ENDED);
    }
    ask(100, argv, inherit_all);
    assert_ended(100, assert_started(100), 0);
}

static void finish_waits_for_the_last(void **state)
{
    char path[] = "/tmp/weir-spawner-XXXXXX", script[128];
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct stat st;
    int ends[2];

    (void)state;
    close(mkstemp(path));
    snprintf(script, sizeof(script), "sleep 0.1; cat >%s", path);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    ask(1, argv, (int[]){ends[0], -1, -1});
    assert_started(1);
    assert_int_equal(write(ends[1], "last", 4), 4);
    close(ends[0]);
    close(ends[1]);
    wr__spawner_finish();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 4);
    unlink(path);
}

static void a_dead_spawner_is_noticed_and_replaced(void **state)
{
    const char *argv[] = {"/bin/sh", "-c", "echo $PPID", NULL};
    wr__command asked = {.argv = argv, .fds = {-1, -1, -1}};
    wr__spawn_note note;
    apr_status_t rv;
    long first;

    (void)state;
    first = atol(output_of(&asked));
    assert_true(first > 1 && first != getpid());
    kill((pid_t)first, SIGKILL);
    do {
        struct pollfd fd = {.fd = wr__spawner_fd(), .events = POLLIN};

        poll(&fd, 1, -1);
        rv = wr__spawner_read(&note);
    } while (rv == APR_EAGAIN);
    assert_int_equal(rv, APR_EOF);
    assert_int_equal(wr__spawner_fd(), -1);
    assert_int_equal(wr__spawner_read(&note), APR_EAGAIN);
    assert_int_not_equal(atol(output_of(&asked)), first);
}

/** A process, in a group of its own, that SIGTERM alone does not end. */
static pid_t make_stubborn(bool ignores)
{
    int ends[2];
    char byte;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGTERM, ignores ? SIG_IGN : SIG_DFL);
        close(ends[0]);
        close(ends[1]);
        for (;;) {
            pause();
        }
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    return pid;
}

static void who_does_not_end_is_told_and_then_killed(void **state)
{
    spawner s = {.count = 2};
    int status;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        s.commands[i].pid = make_stubborn(i == 1);
    }
    keep_deadline(&s); /* nobody ends yet */
    begin_to_end(&s);
    assert_true(s.deadline > now_ns());
    keep_deadline(&s);
    assert_int_equal(s.next_signal, SIGTERM);

    s.deadline = 0;
    keep_deadline(&s);
    assert_int_equal(waitpid(s.commands[0].pid, &status, 0), s.commands[0].pid);
    assert_int_equal(WTERMSIG(status), SIGTERM);
    assert_int_equal(waitpid(s.commands[1].pid, &status, WNOHANG), 0);
    assert_true(s.deadline > now_ns());

    s.commands[0] = s.commands[--s.count];
    s.deadline = 0;
    keep_deadline(&s);
    assert_int_equal(waitpid(s.commands[0].pid, &status, 0), s.commands[0].pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void nonsense_is_not_carried_out(void **state)
{
    static order o;
    char text[] = "/\0a\0b\0A=1";

    (void)state;
    o.head = (wr__spawn_request){.argc = 2, .envc = 1};
    assert_true(parse(&o, text, sizeof(text)));
    assert_string_equal(o.directory, "/");
    assert_string_equal(o.argv[1], "b");
    assert_null(o.argv[2]);
    assert_string_equal(o.envp[0], "A=1");
    assert_false(parse(&o, text, 0));
    assert_false(parse(&o, text, sizeof(text) - 1)); /* no zero byte */
    o.head.envc = 2;
    assert_false(parse(&o, text, sizeof(text)));
    o.head.envc = 0;
    o.head.argc = 0;
    assert_false(parse(&o, text, sizeof(text)));
    o.head.argc = UINT32_MAX;
    assert_false(parse(&o, text, sizeof(text)));
    o.head.argc = 1;
    o.head.envc = INT32_MAX;
    assert_false(parse(&o, text, sizeof(text)));
}

static void no_helper(int fd, int number, pid_t parent,
                      const wr__spawn_helpers *who)
{
    (void)fd;
    (void)number;
    (void)parent;
    (void)who;
}

/** Knock with a message of @a len bytes and two ends of sockets. */
static void knock(size_t len, const int *fds)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {.space = {0}};
    char text[64] = {0};
    struct iovec iov = {.iov_base = text, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), fds, 2 * sizeof(int));
    assert_int_equal(sendmsg(wr__spawner_door(), &msg, 0), len);
}

static void assert_end_comes(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char byte;

    assert_int_equal(poll(&wait, 1, 10000), 1);
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
}

/** Children are not trusted: nothing that they send stays with the spawner. */
static void what_comes_through_the_door_is_closed_again(void **state)
{
    static const size_t lengths[] = {1, sizeof(wr__helper_request), 64};
    const wr__spawn_helpers who = {.user = {.uid = getuid(), .gid = getgid()},
                                   .max = 1};

    (void)state;
    wr__spawner_helper(no_helper);
    assert_int_equal(wr__spawner_open_door(&who, false), APR_SUCCESS);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int one[2], two[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, one), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, two), 0);
        knock(lengths[i], (const int[2]){one[1], two[1]});
        close(one[1]);
        close(two[1]);
        assert_end_comes(one[0]);
        assert_end_comes(two[0]);
    }
    wr__spawner_finish();
    wr__spawner_helper(NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_where_with_what_it_is_given),
        TEST(environment_is_the_servers_unless_given),
        TEST(no_other_descriptor_is_inherited),
        TEST(signals_and_group_are_its_own),
        TEST(failures_are_told),
        TEST(too_much_to_say_is_refused),
        TEST(their_number_is_bounded),
        TEST(finish_waits_for_the_last),
        TEST(a_dead_spawner_is_noticed_and_replaced),
        TEST(who_does_not_end_is_told_and_then_killed),
        TEST(nonsense_is_not_carried_out),
        TEST(what_comes_through_the_door_is_closed_again),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
