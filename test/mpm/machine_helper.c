/*
 * machine_helper.c - helper processes of the scripted machine: what is linked
 * in place of the spawner.
 *
 * What crosses is the core's own (server/helper_wire.c is linked, too); here a
 * helper is forked by the child itself, and made to know no more than a real
 * one.
 */
#include "machine.h"

#include "wr_board.h"
#include "wr_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool machine_is_helper;

_Noreturn static void be_helper(int fd)
{
    static wr_row row;
    static wr_thread self;

    machine_is_helper = true;
    self.row = &row;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_DFL);
    machine_close_all_but(fd);
    wr_helper_work(fd, &self);
    _exit(0);
}

apr_status_t wr_helper_start(int *fd, wr_child *child, int number)
{
    int ends[2];
    pid_t pid;

    PROMISE(child == the_child, "wr_helper_start: no child");
    PROMISE(number > 0 && number <= WR_HELPERS_MAX,
            "wr_helper_start: number %d", number);
    if (the_board->refuse_helpers > 0) {
        the_board->refuse_helpers--;
        return EPIPE;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return errno;
    }
    pid = fork();
    if (pid == 0) {
        be_helper(ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return EAGAIN;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    the_board->helper_pid = pid;
    the_board->helpers_started++;
    *fd = ends[0];
    return APR_SUCCESS;
}
