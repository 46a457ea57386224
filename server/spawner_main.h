/*
 * spawner_main.h - the process that starts programs and helpers for a
 * generation, and what is said to it.
 *
 * Over pairs of sockets that keep the bounds of what is sent.  One is the
 * generation's, who is trusted: requests go to the spawner, notes come back.
 * The other, the door, is for the children, who are not: all that can be asked
 * for there is one more helper, which is another process of theirs.
 */
#ifndef WR__SPAWNER_MAIN_H
#define WR__SPAWNER_MAIN_H

#include "user.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** All of a request: its head, and then the directory, the arguments and the
 *  environment, each ended by a zero byte. */
#define WR__SPAWN_REQUEST_MAX 65536
/** Programs that run at a time. */
#define WR__SPAWN_COMMANDS_MAX 64

typedef enum wr__spawn_kind {
    WR__SPAWN_PROGRAM, /**< start a program */
    WR__SPAWN_HELPERS  /**< a wr__spawn_helpers follows; the door comes along */
} wr__spawn_kind;

/** Start a program.  The descriptors that it has as its first three travel
 *  with the request, in their order; others are the spawner's own. */
typedef struct wr__spawn_request {
    uint32_t kind;    /**< a wr__spawn_kind */
    uint32_t id;      /**< the asker's name for it; in the notes */
    uint32_t streams; /**< bits 0 to 2: this one travels with the request */
    uint32_t argc;
    int32_t envc; /**< -1: the spawner's environment */
} wr__spawn_request;

/** From now on helpers may be asked for. */
typedef struct wr__spawn_helpers {
    wr__user user; /**< who they are */
    char mpm[16];  /**< whom they help, for the scoreboard */
    int32_t max;   /**< so many at a time; whoever asks for more sees the end
                        of its socket */
} wr__spawn_helpers;

/** What comes through the door, with a helper's end of a pair of sockets. */
typedef struct wr__helper_request {
    uint32_t number; /**< in its name */
} wr__helper_request;

typedef enum wr__spawn_note_kind {
    WR__SPAWN_STARTED, /**< pid */
    WR__SPAWN_FAILED,  /**< status: an errno */
    WR__SPAWN_ENDED    /**< pid, status: as of waitpid() */
} wr__spawn_note_kind;

typedef struct wr__spawn_note {
    uint32_t kind; /**< a wr__spawn_note_kind */
    uint32_t id;
    int32_t pid;
    int32_t status;
} wr__spawn_note;

/** All of a helper's life, in a process that the spawner has just forked: it
 *  never returns. */
typedef void wr__helper_fn(int socket, int number, pid_t parent,
                           const wr__spawn_helpers *who);

/**
 * All of a spawner's life, in a process that was forked for it: it ends when
 * nobody holds the other end of @a socket, or its parent has died, or on
 * SIGTERM; and with it all it has started.
 *
 * @param is_quiet what it and its programs say to standard error is dropped.
 * @param helper what helpers do; NULL: there are none.
 */
void wr__spawner_main(int socket, pid_t parent, bool is_quiet,
                      wr__helper_fn *helper) __attribute__((noreturn));

#endif
