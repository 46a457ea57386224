/*
 * board.c - the scoreboard in shared memory; see wr_board.h.
 *
 * Mapped once, by the master, and inherited by all: so counters outlive
 * children and generations.  Pages that no row has used take no memory.
 *
 * A row is claimed by setting its pid from 0 to one's own, and then belongs to
 * one thread.  One that has ended is preferred if it had the same role, so that
 * its counters go on; only when there is no unused row left is one of another
 * role taken, whose counters go to the retired.
 */
#include "board.h"

#include <apr_strings.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ROWS_MAX 4096

struct board {
    uint32_t version;
    int64_t started_us;
    _Atomic int used; /* rows from here on were never claimed */
    _Atomic int64_t retired[WR_N_COUNT];
    wr_row rows[ROWS_MAX];
};

static struct board *board;
static int generation;

#define INFO(NUMBER, NAME, KIND, UNIT, HELP) \
    [WR_N_##NUMBER] = {NAME, WR_##KIND, UNIT, HELP},
const wr_counter_info wr_counter_infos[WR_N_COUNT] = {WR_BOARD_COUNTERS(INFO)};
#undef INFO

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

apr_status_t wr__board_create(void)
{
    void *mapped = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (mapped == MAP_FAILED) {
        return errno;
    }
    board = mapped;
    board->version = WR_BOARD_VERSION;
    board->started_us = now_us();
    return APR_SUCCESS;
}

void wr__board_set_generation(int number)
{
    generation = number;
}

/** Children write here, too, and are not trusted: what is read is bounded. */
static int rows_used(void)
{
    int used = board ? atomic_load(&board->used) : 0;

    return used < 0 ? 0 : used > ROWS_MAX ? ROWS_MAX : used;
}

/* Claiming. */

static bool take(wr_row *row)
{
    int32_t nobody = 0;

    return atomic_load_explicit(&row->pid, memory_order_relaxed) == 0
           && atomic_compare_exchange_strong(&row->pid, &nobody, getpid());
}

static void give_back(wr_row *row)
{
    atomic_store_explicit(&row->state, WR_ROLE_NONE, memory_order_relaxed);
    atomic_store(&row->pid, 0);
}

/* Texts of a row: of those who look at it while it is written none reads a
 * byte that is undefined. */

static void put_text(_Atomic char *to, const char *text, size_t size)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < size; i++) {
        char c = i < len && i < size - 1 ? text[i] : '\0';

        atomic_store_explicit(&to[i], c, memory_order_relaxed);
    }
}

static void get_text(char *to, const _Atomic char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = atomic_load_explicit(&text[i], memory_order_relaxed);
    }
    to[size - 1] = '\0';
}

static bool is_of(const wr_row *row, const char *mpm, const char *role)
{
    char text[sizeof(row->role)];

    get_text(text, row->role, sizeof(text));
    if (strcmp(text, role) != 0) {
        return false;
    }
    get_text(text, row->mpm, sizeof(text));
    return strcmp(text, mpm) == 0;
}

static wr_row *take_same(const char *mpm, const char *role)
{
    int used = rows_used();

    for (int i = 0; i < used; i++) {
        wr_row *row = &board->rows[i];

        if (is_of(row, mpm, role) && take(row)) {
            if (is_of(row, mpm, role)) {
                return row;
            }
            give_back(row); /* it changed hands in between */
        }
    }
    return NULL;
}

static wr_row *take_unused(void)
{
    int at = atomic_load(&board->used);

    while (at >= 0 && at < ROWS_MAX) {
        if (atomic_compare_exchange_weak(&board->used, &at, at + 1)) {
            return take(&board->rows[at]) ? &board->rows[at] : NULL;
        }
    }
    return NULL;
}

static void retire(wr_row *row)
{
    for (int i = 0; i < WR_N_COUNT; i++) {
        int64_t n =
            atomic_exchange_explicit(&row->n[i], 0, memory_order_relaxed);

        atomic_fetch_add_explicit(&board->retired[i], n, memory_order_relaxed);
    }
}

static wr_row *take_any(void)
{
    for (int i = 0; i < ROWS_MAX; i++) {
        if (take(&board->rows[i])) {
            retire(&board->rows[i]);
            return &board->rows[i];
        }
    }
    return NULL;
}

/** Where there is no board, or no room on it: seen by nobody. */
static wr_row *make_own(void)
{
    wr_row *row = aligned_alloc(_Alignof(wr_row), sizeof(*row));

    if (!row) {
        abort();
    }
    memset(row, 0, sizeof(*row));
    return row;
}

static bool is_on_board(const wr_row *row)
{
    return board && row >= board->rows && row < board->rows + ROWS_MAX;
}

/** The row gets another thread: who reads meanwhile sees an odd serial. */
static void begin(wr_row *row, const char *mpm, int child, const char *role)
{
    uint32_t serial = atomic_load(&row->serial) | 1; /* odd: one died here */

    atomic_store(&row->serial, serial);
    atomic_store(&row->generation, generation);
    atomic_store(&row->child, child);
    atomic_store(&row->since_us, now_us());
    atomic_store(&row->tid, gettid());
    put_text(row->role, role, sizeof(row->role));
    put_text(row->mpm, mpm, sizeof(row->mpm));
    for (int i = 0; i < WR_N_COUNT; i++) {
        atomic_store(&row->before[i], atomic_load(&row->n[i]));
    }
    atomic_store(&row->state, WR_ROLE_BUSY);
    atomic_store(&row->serial, serial + 1);
}

wr_row *wr__board_claim(const char *mpm, int child, const char *role)
{
    wr_row *row = NULL;

    if (board) {
        row = take_same(mpm, role);
        row = row ? row : take_unused();
        row = row ? row : take_any();
    }
    if (!row) {
        row = make_own();
    }
    begin(row, mpm, child, role);
    return row;
}

/** Gauges end with their thread, or go to @a heir. */
static void clear_gauges(wr_row *row, wr_row *heir)
{
    for (int i = 0; i < WR_N_COUNT; i++) {
        int64_t n;

        if (wr_counter_infos[i].kind != WR_GAUGE) {
            continue;
        }
        n = atomic_exchange_explicit(&row->n[i], 0, memory_order_relaxed);
        if (n != 0 && heir) {
            atomic_fetch_add_explicit(&heir->n[i], n, memory_order_relaxed);
        }
    }
}

void wr__board_release(wr_row *row, wr_row *heir)
{
    clear_gauges(row, heir);
    if (is_on_board(row)) {
        give_back(row);
    }
    else {
        free(row);
    }
}

void wr__board_reap(pid_t pid)
{
    int used = rows_used();

    for (int i = 0; i < used; i++) {
        if (atomic_load(&board->rows[i].pid) == pid) {
            clear_gauges(&board->rows[i], NULL);
            give_back(&board->rows[i]);
        }
    }
}

/* Reading. */

void wr_board_info_get(wr_board_info *info)
{
    *info = (wr_board_info){
        .version = WR_BOARD_VERSION,
        .rows = rows_used(),
        .generation = generation,
        .started_us = board ? board->started_us : 0,
    };
}

const wr_row *wr_board_row(int i)
{
    assert(board && i >= 0 && i < ROWS_MAX);
    return &board->rows[i];
}

static int64_t get(const _Atomic int64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

bool wr_board_read(int i, wr_row_view *view)
{
    const wr_row *row = wr_board_row(i);
    uint32_t serial = atomic_load(&row->serial);

    view->pid = atomic_load(&row->pid);
    view->tid = atomic_load(&row->tid);
    view->state = (wr_role_state)atomic_load(&row->state);
    view->generation = atomic_load(&row->generation);
    view->child = atomic_load(&row->child);
    view->since_us = atomic_load(&row->since_us);
    get_text(view->role, row->role, sizeof(view->role));
    get_text(view->mpm, row->mpm, sizeof(view->mpm));
    for (int k = 0; k < WR_N_COUNT; k++) {
        view->n[k] = get(&row->n[k]);
        view->before[k] = get(&row->before[k]);
    }
    atomic_thread_fence(memory_order_acquire);
    return serial > 0 && !(serial & 1) && atomic_load(&row->serial) == serial;
}

int64_t wr_board_retired(wr_counter counter)
{
    return board ? get(&board->retired[counter]) : 0;
}

int64_t wr_board_sum(wr_counter counter)
{
    int used = rows_used();
    int64_t sum = wr_board_retired(counter);

    for (int i = 0; i < used; i++) {
        sum += get(&board->rows[i].n[counter]);
    }
    return sum;
}
