/*
 * helper_main.c - see helper_main.h.
 *
 * A helper's one thread.  It logs nothing: what fails is said to who asked.
 */
#include "helper_main.h"

#include "wr_helper.h"

#include "board.h"
#include "title.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SOCKET 3 /* descriptor */

static void keep_only(int socket)
{
    if (socket != SOCKET) {
        dup2(socket, SOCKET);
    }
    closefrom(SOCKET + 1);
    fcntl(SOCKET, F_SETFD, FD_CLOEXEC);
}

static void take_default_signals(void)
{
    sigset_t none;

    signal(SIGINT, SIG_IGN); /* a terminal's: the master acts on these */
    signal(SIGHUP, SIG_IGN);
    signal(SIGWINCH, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/** It has no clock, no log and no connection: a row is all. */
static void work(int number, const char *mpm)
{
    wr_thread self = {.now_ns = 0};

    apr_snprintf(self.role, sizeof(self.role), "helper%d", number);
    self.row = wr__board_claim(mpm, -1, self.role);
    wr_helper_work(SOCKET, &self);
    wr__board_release(self.row, NULL);
}

void wr__helper_main(int socket, int number, pid_t parent,
                     const wr__spawn_helpers *who)
{
    wr__title_set("weir:helper%d", number);
    keep_only(socket);
    take_default_signals();
    if (wr__user_become(&who->user) != APR_SUCCESS) {
        _exit(EXIT_FAILURE);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a change of user would undo it */
    if (getppid() == parent) {
        work(number, who->mpm);
    }
    _exit(EXIT_SUCCESS);
}
