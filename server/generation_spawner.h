/*
 * generation_spawner.h - how a generation has programs started.
 *
 * By a process that is forked before there is anything that a program must not
 * inherit: spawner_main.h.  Used by the generation's one thread.
 */
#ifndef WR__GENERATION_SPAWNER_H
#define WR__GENERATION_SPAWNER_H

#include "spawner_main.h"

#include <apr_errno.h>

/** What is to be started. */
typedef struct wr__command {
    const char *const *argv; /**< argv[0]: a path; not looked for in PATH */
    const char *const *env;  /**< NULL: the server's own */
    const char *directory;   /**< in which it runs; NULL: any */
    int fds[3];              /**< its first three; -1: the spawner's own */
} wr__command;

/** Spawners to be forked, and programs, do not speak to standard error. */
void wr__spawner_quiet(void);

/** What helpers of spawners to be forked do. */
void wr__spawner_helper(wr__helper_fn *helper);

/** Fork the spawner, unless there is one.  Before any thread, connection or
 *  child; wr__spawner_ask() does it by itself if it has to. */
apr_status_t wr__spawner_start(void);

/**
 * Ask for a program to be started; a note will say whether it was.  Does not
 * wait.
 *
 * @owner  the descriptors stay the caller's.
 * @return APR_SUCCESS, ENAMETOOLONG when there is too much to say, or why it
 *         could not be asked.
 */
apr_status_t wr__spawner_ask(uint32_t id, const wr__command *command);

/**
 * The next note, without waiting.
 *
 * @return APR_SUCCESS, APR_EAGAIN, or APR_EOF when the spawner has died: then
 *         there is none from now on, and what it had started lives on alone.
 */
apr_status_t wr__spawner_read(wr__spawn_note *note);

/**
 * From now on processes that are forked from this one may ask for helpers, at
 * the door.  Also of a spawner that has to be forked anew.
 *
 * @param is_asker the calling process itself asks, too, and has no parent that
 *        would see to a new spawner: the door is shut with the spawner.
 */
apr_status_t wr__spawner_open_door(const wr__spawn_helpers *who, bool is_asker);
/** Where helpers are asked for (wr__helper_request), or -1. */
int wr__spawner_door(void);
/** Is there no spawner, though helpers may be asked for? */
bool wr__spawner_is_missed(void);

/** Readable when there is something to read; -1: no spawner. */
int wr__spawner_fd(void);

/** Is that the spawner, dead perhaps?  wr__spawner_finish() reaps it. */
bool wr__spawner_is(pid_t pid);

/** In a process forked from this one: let go of it. */
void wr__spawner_forget(void);

/** Wait for the programs to end, which must see the end of their input by now;
 *  those that do not are killed in the end. */
void wr__spawner_finish(void);

#endif
