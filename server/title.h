/*
 * title.h - a process's name as ps and top show it.
 */
#ifndef WR__TITLE_H
#define WR__TITLE_H

/**
 * Take the memory of the arguments and the environment for the title; the
 * environment moves elsewhere.  First thing in main(), before anything keeps a
 * pointer into either.
 *
 * @return the arguments, copied.
 */
const char *const *wr__title_init(int argc, char **argv);

/** Name the calling process, which has one thread.  Cut off where the memory
 *  ends; without wr__title_init() only the short name is set. */
void wr__title_set(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
