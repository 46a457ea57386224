/*
 * board.c - the memory that both processes of a contract test share, and the
 * pattern that travels between them.
 */
#include "board.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

board *the_board;

void board_create(void)
{
    the_board = mmap(NULL, sizeof(*the_board), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (the_board == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
}

void board_fail(const char *format, ...)
{
    int none = 0;
    va_list args;

    if (!atomic_compare_exchange_strong(&the_board->failed, &none, 1)) {
        return;
    }
    va_start(args, format);
    vsnprintf(the_board->reason, sizeof(the_board->reason), format, args);
    va_end(args);
    atomic_store(&the_board->failed, 2);
}

static const char *name_want(int want)
{
    static const char *const names[] = {"IO",    "RUN",  "CALL", "LOG",
                                        "YIELD", "DROP", "CLOSE"};

    return want < 0 || want > 6 ? "none" : names[want];
}

void board_describe(char *text, size_t size)
{
    size_t used = 0;
    int shown = 0;

    used += (size_t)snprintf(text, size, "%d created, %d freed",
                             the_board->created, the_board->freed);
    for (int i = 0; i < BOARD_CONNS && shown < 4 && used < size; i++) {
        board_conn *c = &the_board->conns[i];

        if (c->is_open) {
            used += (size_t)snprintf(
                text + used, size - used, "; #%d wants %s at '%c'%s", i,
                name_want(c->want), c->token ? c->token : '?',
                c->is_parked ? ", parked" : "");
            shown++;
        }
    }
}

unsigned char pattern_at(uint64_t position)
{
    unsigned p = (unsigned)(position % PATTERN_PERIOD);

    return (unsigned char)(p * 131u + (p >> 8) * 7u + 1u);
}

const unsigned char *pattern_bytes(void)
{
    static unsigned char *bytes;

    if (!bytes) {
        unsigned char *fresh = malloc(PATTERN_SIZE);

        if (!fresh) {
            abort();
        }
        for (unsigned i = 0; i < PATTERN_SIZE; i++) {
            fresh[i] = pattern_at(i);
        }
        bytes = fresh;
    }
    return bytes;
}
