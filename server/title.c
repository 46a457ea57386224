/*
 * title.c - a process's name as ps and top show it.
 *
 * Every process, while it has one thread.  The kernel shows the memory in which
 * it placed the arguments, so a title is written there; the environment, which
 * follows them, gives it room.  Threads are named by wr_thread_init().
 */
#include "title.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *title; /* what the kernel shows; NULL: unknown */
static size_t title_size;
static char **arguments; /* the copy, for as long as the process lasts */

/* The end of the strings that follow one another from `end` on. */
static char *contiguous_end(char **strings, char *end)
{
    for (; *strings != NULL; strings++) {
        if (*strings == end) {
            end += strlen(end) + 1;
        }
    }
    return end;
}

static char **copy_strings(char **strings)
{
    size_t count = 0;
    while (strings[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 1, sizeof(*copy));
    if (copy == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        copy[i] = strdup(strings[i]);
        if (copy[i] == NULL) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): at the start, once */
            return NULL;
        }
    }
    return copy;
}

const char *const *wr__title_init(int argc, char **argv)
{
    arguments = copy_strings(argv);
    char **environment = copy_strings(environ);
    if (arguments == NULL || environment == NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): at the start, once */
        return (const char *const *)argv;
    }
    if (argc > 0) {
        char *end = contiguous_end(argv, argv[0]);
        end = contiguous_end(environ, end);
        title = argv[0];
        title_size = (size_t)(end - title);
        environ = environment;
    }
    return (const char *const *)arguments;
}

void wr__title_set(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    prctl(PR_SET_NAME, text); /* the kernel cuts it to 15 characters */
    if (title != NULL) {
        size_t len = strlen(text);
        if (len >= title_size) {
            len = title_size - 1;
        }
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): see below */
        memcpy(title, text, len);
        memset(title + len, 0, title_size - len);
    }
}
