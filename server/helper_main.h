/*
 * helper_main.h - all of a helper process's life.
 */
#ifndef WR__HELPER_MAIN_H
#define WR__HELPER_MAIN_H

#include "spawner_main.h"

#include <sys/types.h>

/**
 * In a process that the spawner has just forked: let go of all but @a socket,
 * become whom @a who says, work until the other end is closed or @a parent has
 * died.
 */
void wr__helper_main(int socket, int number, pid_t parent,
                     const wr__spawn_helpers *who) __attribute__((noreturn));

#endif
