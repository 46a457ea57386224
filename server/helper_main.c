/*
 * helper_main.c - see helper_main.h.
 *
 * A helper's one thread.  It logs nothing: what fails is said to who asked.
 */
#include "helper_main.h"

#include "wr_helper.h"

#include "title.h"

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

void wr__helper_main(int socket, int number, pid_t parent, const wr__user *user)
{
    wr__title_set("weir:helper%d", number);
    keep_only(socket);
    take_default_signals();
    if (wr__user_become(user) != APR_SUCCESS) {
        _exit(EXIT_FAILURE);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a change of user would undo it */
    if (getppid() == parent) {
        wr_helper_work(SOCKET);
    }
    _exit(EXIT_SUCCESS);
}
