/*
 * contract.c - the contract test: what every MPM promises, one test a promise.
 *
 * Linked with one MPM and with the scripted machine in place of the core (see
 * machine.h for the scripts).  Each test is a driver process with a server
 * process below it, so that a hang or a crash fails one test only.
 *
 *     contract [-l] [-s SECONDS] [NAME...]      all tests, or those named
 *     contract -c DIRECTIVE... [NAME...]        with the MPM set otherwise
 *     contract -f TEST REASON                   succeed if TEST fails for that
 *                                               reason: for broken MPMs
 */
#include "driver.h"
#include "machine.h"

#include "wr_module.h"

#include <apr_general.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/** The linker makes it another name of mpm_NAME_module. */
extern wr_module contract_module;

static const wr_mpm *mpm;

static bool has_trait(unsigned trait)
{
    return (mpm->traits & trait) != 0;
}

/** Does a connection that waits leave its thread to others? */
static bool shares_threads(void)
{
    return driver_slots(mpm) > 8;
}

/** Does an op that blocks leave its connection to be stepped? */
static bool calls_aside(void)
{
    return has_trait(WR_MPM_COMPLETION | WR_MPM_HELPERS)
           && !has_trait(WR_MPM_CALLS_INLINE);
}

/** Does it ask for helper processes? */
static bool has_helpers(void)
{
    for (const char *const *d = contract_directives; *d; d += 2) {
        if (!strcmp(d[1], "thread")) {
            return false;
        }
    }
    return has_trait(WR_MPM_HELPERS);
}

static void start_with_helpers(void)
{
    if (!has_helpers()) {
        driver_skip("it has no helper processes");
    }
    server_start(mpm);
}

/** Does an op that blocks leave other connections to be served?  Not those
 *  that wait behind it in a worker's own queue. */
static bool blocks_alone(void)
{
    for (int i = 0; i < machine_directive_count; i++) {
        if (!strncmp(machine_directives[i], "TaskDispatch r", 14)) {
            return false;
        }
    }
    return has_trait(WR_MPM_THREADED | WR_MPM_PROCESS)
           || !has_trait(WR_MPM_CALLS_INLINE);
}

/* Bytes. */

/** Let connection @a number wait for a byte, so that the MPM has all that it
 *  makes for one that waits; then go on. */
static void wait_once(client *c, int number)
{
    connection_wait(number, WR_WANT_IO, 'r');
    pause_ms(5);
    client_send(c, 1);
}

static void test_nothing(void)
{
    server_start(mpm);
    pause_ms(20);
    server_end();
}

static void test_bytes(void)
{
    client c;

    server_start(mpm);
    c = client_open("r10 w100 r5 f70 w1 x");
    client_send(&c, 10);
    client_expect(&c, 100);
    client_send(&c, 5);
    client_expect(&c, 71);
    client_expect_end(&c);
    server_end();
}

static void test_bytes_one_by_one(void)
{
    client c;

    server_start(mpm);
    c = client_open("r40 w1 r1 w1");
    for (int i = 0; i < 40; i++) {
        client_send(&c, 1);
        if (i % 10 == 0) {
            pause_ms(1);
        }
    }
    client_expect(&c, 1);
    client_send(&c, 1);
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

static void test_many_bytes(void)
{
    client c;

    server_start(mpm);
    c = client_open("w3000000 f3000000 w100 f100 w1000000");
    pause_ms(30); /* the socket is full by now */
    client_expect(&c, 7000200);
    client_expect_end(&c);
    c = client_open("r3000000 w1");
    client_send(&c, 3000000);
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

static void test_end_behind_bytes(void)
{
    client c;

    server_start(mpm);
    c = client_open("r100 z w50");
    client_send(&c, 100);
    client_finish_sending(&c);
    client_expect(&c, 50);
    client_expect_end(&c);
    c = client_open("r100 z w50");
    connection_wait(1, WR_WANT_IO, 'r');
    client_send(&c, 100);
    connection_wait(1, WR_WANT_IO, 'z');
    client_finish_sending(&c);
    client_expect(&c, 50);
    client_expect_end(&c);
    server_end();
}

static void test_client_gone(void)
{
    client c;

    server_start(mpm);
    c = client_open("r100");
    client_close(&c);
    await(freed, 1);
    c = client_open("r100");
    connection_wait(1, WR_WANT_IO, 'r');
    client_reset(&c);
    await(freed, 2);
    c = client_open("w100000000");
    client_expect(&c, 10);
    client_reset(&c);
    await(freed, 3);
    c = client_open("g1 w10");
    await(ops_waiting, 1);
    client_reset(&c);
    gate_open(1);
    await(freed, 4);
    c = client_open("r1 g1 r1");
    wait_once(&c, 4);
    client_reset(&c);
    await(freed, 5);
    server_end();
}

static void test_second_end(void)
{
    client c;

    server_start(mpm);
    c = client_open("w1 e50000 r1 w1");
    client_expect(&c, 1);
    back_end_serve(50000);
    client_expect(&c, 50000);
    client_send(&c, 1);
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

/** Ends come and go while the client stays. */
static void test_dropped_end(void)
{
    client c;

    server_start(mpm);
    c = client_open("w1 e100 k r1 w1 u e3000 k w1 p10 k r1 p20000 u k c1 e10 w1"
                    " k r1 p1");
    client_expect(&c, 1);
    back_end_serve(100);
    client_expect(&c, 100);
    await(dropped, 1);
    client_send(&c, 1);
    client_expect(&c, 1);
    back_end_serve(3000);
    client_expect(&c, 3001);
    pipe_send(10);
    client_expect(&c, 10);
    await(dropped, 3);
    client_send(&c, 1);
    pipe_send(20000);
    client_expect(&c, 20000);
    back_end_serve(10);
    client_expect(&c, 11);
    await(dropped, 5);
    client_close(&c); /* while a pipe is wanted next */
    await(freed, 1);
    server_end();
}

/** An end by the number of the last one, and of the same open file: what is
 *  known of that one must be forgotten by more than its closing. */
static void test_same_file_again(void)
{
    client c;

    server_start(mpm);
    c = client_open("w1 p10 k p10 k u p10 k p10 k w1");
    client_expect(&c, 1);
    for (int i = 1; i <= 4; i++) {
        connection_wait(0, WR_WANT_IO, 'p');
        pause_ms(5);
        pipe_send(10);
        client_expect(&c, 10);
        await(dropped, i);
    }
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

/** An end is dropped while it is wanted, and the client leaves or stays. */
static void test_end_dropped_while_wanted(void)
{
    client c;

    server_start(mpm);
    for (int i = 1; i <= 3; i++) {
        c = client_open("w1 j1 k w1 j1 u k w1 r1 w1");
        client_expect(&c, 1);
        for (int k = 1; k <= 2; k++) {
            pause_ms(5);
            client_send(&c, 1);
            back_end_see_end();
            client_expect(&c, 1);
        }
        client_send(&c, 1);
        client_expect(&c, 1);
        client_expect_end(&c);
        c = client_open("w1 j1");
        client_expect(&c, 1);
        pause_ms(5);
        client_close(&c);
        back_end_see_end();
        await(freed, 2 * i);
    }
    server_end();
}

/* Wants. */

static void test_all_wants(void)
{
    client c;

    server_start(mpm);
    c = client_open("u l y3 c1 w1 l u c3 r1 o6 l w1 y1 u u l l w1 u");
    client_send(&c, 1);
    client_expect(&c, 3);
    client_expect_end(&c);
    server_end();
}

static void test_ops(void)
{
    client c;

    server_start(mpm);
    c = client_open("o1 w1 o2 w1 o6 w1 o40 w1 c40 w1");
    client_expect(&c, 5);
    client_expect_end(&c);
    server_end();
}

static void test_op_beside_input(void)
{
    client c;

    server_start(mpm);
    c = client_open("r1 b10 w1"); /* the bytes are there first */
    wait_once(&c, 0);
    await(ops_waiting, 1);
    client_send(&c, 10);
    pause_ms(10);
    gate_open(0);
    client_expect(&c, 1);
    client_expect_end(&c);
    c = client_open("w1 b10 w1"); /* the op is back first */
    client_expect(&c, 1);
    await(ops_run, 2);
    client_send(&c, 10);
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

static void test_blocked_op_blocks_no_other(void)
{
    client a, b;

    if (!blocks_alone()) {
        driver_skip("an op that blocks stops others, by design");
    }
    server_start(mpm);
    a = client_open("g1 w1");
    await(ops_waiting, 1);
    b = client_open("r1 w1 l u o6 w1");
    client_send(&b, 1);
    client_expect(&b, 2);
    client_expect_end(&b);
    gate_open(1);
    client_expect(&a, 1);
    client_expect_end(&a);
    server_end();
}

/* Helpers. */

static void test_blocked_helper_blocks_no_other(void)
{
    client a, b;

    start_with_helpers();
    a = client_open("s1 w1");
    await(ops_waiting, 1);
    b = client_open("r1 w1 l u o6 c1 w1");
    client_send(&b, 1);
    client_expect(&b, 2);
    client_expect_end(&b);
    gate_open(1);
    client_expect(&a, 1);
    client_expect_end(&a);
    server_end();
}

/** More ops than there are helpers: all have their turn. */
static void test_helpers_are_bounded(void)
{
    client clients[60];

    start_with_helpers();
    for (int i = 0; i < 60; i++) {
        clients[i] = client_open("s1 o6 w1");
    }
    await(ops_waiting, 32);
    pause_ms(20);
    if (the_board->helpers_started > 32) {
        driver_fail("%d helpers", the_board->helpers_started);
    }
    gate_open(1);
    for (int i = 0; i < 60; i++) {
        client_expect(&clients[i], 1);
        client_expect_end(&clients[i]);
    }
    server_end();
}

static void test_helper_dies_at_work(void)
{
    client c;

    start_with_helpers();
    c = client_open("r1 w1 q1 w1 o6 r1 w1");
    client_send(&c, 1);
    client_expect(&c, 2);
    client_send(&c, 1);
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

/** Its job is given to another one, but once. */
static void test_two_helpers_die_at_work(void)
{
    client c;

    start_with_helpers();
    for (int i = 0; i < 3; i++) {
        c = client_open("o2 q2 w1 o6 w1");
        client_expect(&c, 2);
        client_expect_end(&c);
    }
    server_end();
}

static void test_idle_helper_dies(void)
{
    client c;

    start_with_helpers();
    for (int i = 0; i < 3; i++) {
        c = client_open("o6 w1 r1 o6 w1");
        client_expect(&c, 1);
        kill(the_board->helper_pid, SIGKILL);
        client_send(&c, 1);
        client_expect(&c, 1);
        client_expect_end(&c);
    }
    server_end();
}

static void test_no_helper_to_be_had(void)
{
    client c;

    the_board->refuse_helpers = 1000;
    start_with_helpers();
    c = client_open("r1 o6 w1 o6 w1");
    client_send(&c, 1);
    client_expect(&c, 2);
    client_expect_end(&c);
    the_board->refuse_helpers = 0;
    pause_ms(200);
    c = client_open("o6 w1");
    client_expect(&c, 1);
    client_expect_end(&c);
    if (!the_board->helpers_started) {
        driver_fail("no helper was asked for again");
    }
    server_end();
}

/** What a helper brought into memory has gone again. */
static void test_brought_in_vain(void)
{
    client c;

    start_with_helpers();
    for (int i = 0; i < 3; i++) {
        the_board->refuse_tries = i;
        c = client_open("o6 w1");
        client_expect(&c, 1);
        client_expect_end(&c);
    }
    server_end();
}

static void test_client_gone_with_job_out(void)
{
    client c;

    start_with_helpers();
    c = client_open("r1 s1 w1");
    wait_once(&c, 0);
    await(ops_waiting, 1);
    client_reset(&c);
    c = client_open("d30 s1 w1");
    await(ops_waiting, 2);
    pause_ms(50);
    gate_open(1);
    await(freed, 2);
    server_end();
}

static void test_stop_with_job_out(void)
{
    client a, b;

    start_with_helpers();
    a = client_open("r1 s1 w1");
    wait_once(&a, 0);
    await(ops_waiting, 1);
    b = client_open("s1 w1 l");
    await(ops_waiting, 2);
    server_stop();
    pause_ms(50);
    gate_open(1);
    server_join();
    client_expect_gone(&a);
    client_expect_gone(&b);
}

static void test_stop_with_helper_dead(void)
{
    client c;

    start_with_helpers();
    c = client_open("r1 s1 w1");
    wait_once(&c, 0);
    await(ops_waiting, 1);
    server_stop();
    kill(the_board->helper_pid, SIGKILL);
    gate_open(1);
    server_join();
    client_expect_gone(&c);
}

static void test_records(void)
{
    client c;

    server_start(mpm);
    for (int i = 0; i < 20; i++) {
        c = client_open("l l w1 l");
        client_expect(&c, 1);
        client_expect_end(&c);
    }
    server_end();
    if (the_board->records_logged != 60) {
        driver_fail("%d records logged", the_board->records_logged);
    }
}

/* Deadlines. */

static void test_deadline_idle(void)
{
    client c;

    server_start(mpm);
    c = client_open("d50 r1");
    client_expect_timeout(&c);
    client_expect_end(&c);
    server_end();
}

static void test_deadline_moves(void)
{
    client c;

    server_start(mpm);
    c = client_open("d10000 r1 d50 r1"); /* to an earlier time */
    connection_wait(0, WR_WANT_IO, 'r');
    pause_ms(10);
    client_send(&c, 1);
    client_expect_timeout(&c);
    client_expect_end(&c);
    c = client_open("d300 r1 d20000 r1 w1 d50 r1"); /* to a later one */
    client_send(&c, 1);
    pause_ms(400);
    client_send(&c, 1);
    client_expect(&c, 1);
    client_expect_timeout(&c);
    client_expect_end(&c);
    c = client_open("d300 r1 d0 r1 w1"); /* away */
    client_send(&c, 1);
    pause_ms(400);
    client_send(&c, 1);
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

static void test_deadline_while_sending(void)
{
    client c;

    server_start(mpm);
    c = client_open("d80 w100000000");
    await(timed_out, 1);
    await(freed, 1);
    client_expect_gone(&c);
    server_end();
}

/** Who never has to wait has a deadline, too. */
static void test_deadline_while_yielding(void)
{
    client c;

    server_start(mpm);
    c = client_open("d50 Y");
    client_expect_timeout(&c);
    client_expect_end(&c);
    server_end();
}

/** The deadline passes while an op is out: the op's result counts no more. */
static void test_deadline_beats_completion(void)
{
    client c;

    server_start(mpm);
    c = client_open("r1 d50 g1 w1000");
    wait_once(&c, 0);
    await(ops_waiting, 1);
    if (calls_aside()) {
        client_expect_timeout(&c);
        pause_ms(20);
        if (the_board->freed) {
            driver_fail("freed while an op was out");
        }
    }
    else {
        pause_ms(100);
    }
    gate_open(1);
    if (!calls_aside()) {
        client_expect_timeout(&c);
    }
    client_expect_end(&c);
    await(freed, 1);
    server_end();
    if (the_board->timed_out != 1
        || (calls_aside() && the_board->ops_late != 1)) {
        driver_fail("%d timed out, %d ops late", the_board->timed_out,
                    the_board->ops_late);
    }
}

static void test_many_deadlines(void)
{
    int count = driver_slots(mpm) < 40 ? driver_slots(mpm) : 40;
    client clients[40];
    char script[32];

    server_start(mpm);
    for (int i = 0; i < count; i++) {
        snprintf(script, sizeof(script), "d%d r1", 20 + i * 37 % 100);
        clients[i] = client_open(script);
    }
    for (int i = 0; i < count; i++) {
        client_expect_timeout(&clients[i]);
        client_expect_end(&clients[i]);
    }
    server_end();
}

/* Resuming. */

/** A byte comes just when the script parks.  @a has_waited: it begins by
 *  waiting for one. */
static void resume_at(const char *script, bool has_waited)
{
    client c;

    if (!the_board->dir_fd) {
        server_start(mpm);
    }
    for (int i = 0; i < 3; i++) {
        int number = the_board->created;

        c = client_open(script);
        if (has_waited) {
            wait_once(&c, number);
        }
        client_expect(&c, 1);
        cue_wait();
        client_send(&c, 1);
        client_expect(&c, 1);
        client_expect_end(&c);
    }
}

static void test_resume_before_parking(void)
{
    client c;

    server_start(mpm);
    for (int i = 0; i < 10; i++) {
        c = client_open("w1 h1 r1 w1 u w1 h1 r1 w1 c1 h1 r1 w1");
        client_expect(&c, 1);
        for (int k = 1; k <= 3; k++) {
            pause_ms(2);
            client_send(&c, 1);
            client_expect(&c, k == 1 ? 2 : 1);
        }
        client_expect_end(&c);
    }
    server_end();
}

/* The thread that accepted a connection parks it; or, since it is run after an
 * event and wants no more than bytes, perhaps another. */

static void test_event_before_parking(void)
{
    resume_at("w1 h2 r1 w1", false);
    resume_at("r1 u w1 h2 r1 w1", true);
    resume_at("r1 c1 w1 h2 r1 w1", true);
    server_end();
}

static void test_event_while_parking(void)
{
    resume_at("w1 h3 r1 w1", false);
    resume_at("r1 u w1 h3 r1 w1", true);
    resume_at("r1 c1 w1 h3 r1 w1", true);
    server_end();
}

static void test_gone_while_parking(void)
{
    client c;

    server_start(mpm);
    for (int i = 1; i <= 4; i++) {
        c = client_open(i % 2 ? "w1 r1 u w1 h3 r1 w1" : "w1 r1 w1 h3 r1 w1");
        client_expect(&c, 1);
        client_send(&c, 1);
        client_expect(&c, 1);
        cue_wait();
        client_reset(&c);
        await(freed, i);
    }
    server_end();
}

/** A worker's turn after another: bytes that come at every moment. */
static void test_ping_pong(void)
{
    client c;

    server_start(mpm);
    c = client_open("r1 w1 u r1 w1 l r1 w1 c1 r1 w1 y1 r1 w1 c3 u r1 w1 r1 w1 "
                    "r1 w1 r1 w1 o3 r1 w1 r1 w1 u u r1 w1");
    for (int i = 0; i < 12; i++) {
        client_send(&c, 1);
        client_expect(&c, 1);
    }
    client_expect_end(&c);
    server_end();
}

/* Fairness. */

/** Those that always could go on must let a small one through. */
static void test_yield_lets_others_go(void)
{
    int count = shares_threads() ? 10 : driver_slots(mpm) - 1;
    client clients[10], small;

    server_start(mpm);
    for (int i = 0; i < count; i++) {
        clients[i] = client_open("Y w1");
    }
    for (int i = 0; i < count; i++) {
        connection_wait(i, WR_WANT_YIELD, 'Y');
    }
    small = client_open("r1 w10 u m w1");
    client_send(&small, 1);
    client_expect(&small, 11);
    client_expect_end(&small);
    for (int i = 0; i < count; i++) {
        client_expect(&clients[i], 1);
        client_expect_end(&clients[i]);
    }
    server_end();
}

static void test_small_among_large(void)
{
    client a, b, small;

    server_start(mpm);
    a = client_open("w20000000");
    b = client_open("f20000000");
    client_expect(&a, 100000);
    client_expect(&b, 100000);
    small = client_open("r1 w10 l");
    client_send(&small, 1);
    client_expect(&small, 10);
    client_expect_end(&small);
    client_expect(&a, 19900000);
    client_expect_end(&a);
    client_expect(&b, 19900000);
    client_expect_end(&b);
    server_end();
}

/** Clients that do not receive keep nobody else from it. */
static void test_small_beside_stalled(void)
{
    int count = shares_threads() ? 150 : driver_slots(mpm) - 1;
    client clients[150], small;

    the_board->buffer = 4096;
    server_start(mpm);
    for (int i = 0; i < count; i++) {
        clients[i] = client_open(i % 4 ? "f90000000" : "w90000000");
    }
    for (int i = 0; i < count; i++) {
        connection_wait(i, WR_WANT_IO, 0);
    }
    output_wait(); /* their sockets are full */
    small = client_open("r1 f20000 w10");
    client_send(&small, 1);
    client_expect(&small, 20010);
    client_expect_end(&small);
    for (int i = 0; i < count; i++) {
        client_reset(&clients[i]);
    }
    server_end();
}

/* Crowds. */

static void test_crowd(void)
{
    server_start(mpm);
    crowd_run(300, 40, false);
    server_end();
}

static void test_vanishing_crowd(void)
{
    server_start(mpm);
    crowd_run(300, 40, true);
    server_end();
}

/* Accepting. */

static void test_failed_accept(void)
{
    client c;

    the_board->accept_failures = 3;
    server_start(mpm);
    for (int i = 0; i < 4; i++) {
        c = client_open("r1 w1");
        client_send(&c, 1);
        client_expect(&c, 1);
        client_expect_end(&c);
    }
    server_end();
}

/** The system has no room for a process: the client waits, and is served. */
static void test_failed_fork(void)
{
    client c;

    if (!has_trait(WR_MPM_PROCESS)) {
        driver_skip("it forks nothing");
    }
    the_board->fork_failures = 3;
    server_start(mpm);
    for (int i = 0; i < 2; i++) {
        c = client_open("r1 w1");
        client_send(&c, 1);
        client_expect(&c, 1);
        client_expect_end(&c);
    }
    the_board->fork_failures = INT_MAX; /* in vain, to the end */
    c = client_open("r1");
    pause_ms(20);
    server_end();
    client_expect_gone(&c);
}

static void test_no_room_for_connection(void)
{
    client c;

    the_board->refuse = 2;
    server_start(mpm);
    for (int i = 0; i < 2; i++) {
        c = client_open("r1 w1");
        client_expect_gone(&c);
    }
    c = client_open("r1 w1");
    client_send(&c, 1);
    client_expect(&c, 1);
    client_expect_end(&c);
    server_end();
}

/** There are as many connections as may be: the next one is served when another
 *  has gone, or refused. */
static void test_max_connections(void)
{
    client clients[4], next;

    the_board->max_connections = 4;
    server_start(mpm);
    for (int i = 0; i < 4; i++) {
        clients[i] = client_open("w1 r1 w1");
        client_expect(&clients[i], 1);
    }
    next = client_open("w1 r1 w1");
    pause_ms(20);
    for (int i = 0; i < 4; i++) {
        client_send(&clients[i], 1);
        client_expect(&clients[i], 1);
        client_expect_end(&clients[i]);
    }
    await(freed, 4);
    if (client_is_refused(&next)) {
        next = client_open("w1 r1 w1");
        client_expect(&next, 1);
    }
    client_send(&next, 1);
    client_expect(&next, 1);
    client_expect_end(&next);
    server_end();
}

/** No descriptor is left: the next one is served when another has gone, and
 *  nobody burns the processor until then. */
static void test_no_descriptor_left(void)
{
    client clients[6];
    int count = 0, failed;

    if (has_trait(WR_MPM_PROCESS)) {
        driver_skip("a connection has a process's descriptors to itself");
    }
    the_board->spare_descriptors = 4;
    server_start(mpm);
    do {
        if (count == 6) {
            driver_fail("descriptors for six, though there are but four");
        }
        clients[count++] = client_open("w1 r1 w1");
        pause_ms(50);
    } while (the_board->created == count);
    failed = the_board->failed_accepts;
    pause_ms(200);
    client_expect_nothing(&clients[count - 1]);
    if (the_board->failed_accepts > failed + 100) {
        driver_fail("accept failed %d times in 200 ms",
                    the_board->failed_accepts - failed);
    }
    for (int i = 0; i < count; i++) {
        client_expect(&clients[i], 1);
        client_send(&clients[i], 1);
        client_expect(&clients[i], 1);
        client_expect_end(&clients[i]);
    }
    server_end();
}

/* Ending. */

static void test_stop_idle(void)
{
    int count = shares_threads() ? 100 : driver_slots(mpm);
    client clients[100];

    server_start(mpm);
    for (int i = 0; i < count; i++) {
        clients[i] = client_open(i % 2 ? "r1" : "d60000 w1 r1");
    }
    await(created, count);
    connection_wait(count - 1, WR_WANT_IO, 'r');
    server_end();
    for (int i = 0; i < count; i++) {
        client_expect_gone(&clients[i]);
    }
}

static void test_stop_busy(void)
{
    client clients[4];

    server_start(mpm);
    clients[0] = client_open("Y");
    connection_wait(0, WR_WANT_YIELD, 'Y');
    clients[1] = client_open("w900000000");
    clients[2] = client_open("f900000000");
    clients[3] = client_open("l r1");
    client_expect(&clients[1], 100000);
    client_expect(&clients[2], 100000);
    await(created, 4);
    server_end();
    for (int i = 0; i < 4; i++) {
        client_expect_gone(&clients[i]);
    }
}

static void test_stop_blocked(void)
{
    client a, b;

    server_start(mpm);
    a = client_open("r1 g1 w1");
    wait_once(&a, 0);
    await(ops_waiting, 1);
    b = client_open("g1 w1 l");
    if (blocks_alone()) {
        await(ops_waiting, 2);
    }
    server_stop();
    pause_ms(50);
    gate_open(1);
    server_join();
    client_expect_gone(&a);
    if (blocks_alone()) {
        client_expect_gone(&b); /* else it was perhaps never accepted */
    }
}

static void test_stop_before_any(void)
{
    server_stop();
    server_start(mpm);
    server_join();
}

static void test_drain(void)
{
    client a, b;
    int created;

    server_start(mpm);
    a = client_open("r1 w100 r1 l w1");
    connection_wait(0, WR_WANT_IO, 'r');
    server_drain();
    /* One that comes while the MPM hears of it may still be taken. */
    do {
        created = the_board->created;
        b = client_open("r1 w1");
        pause_ms(50);
        client_close(&b);
    } while (the_board->created > created);
    client_send(&a, 1);
    client_expect(&a, 100);
    client_send(&a, 1);
    client_expect(&a, 1);
    client_expect_end(&a);
    server_join();
}

static void test_drain_then_stop(void)
{
    client a;

    server_start(mpm);
    a = client_open("w1 r1");
    client_expect(&a, 1);
    server_drain();
    pause_ms(20);
    server_end();
    client_expect_gone(&a);
}

static void test_drain_idle(void)
{
    client c;

    server_start(mpm);
    c = client_open("w1");
    client_expect(&c, 1);
    client_expect_end(&c);
    server_drain();
    server_join();
}

static const struct test {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"nothing", test_nothing},
    {"bytes", test_bytes},
    {"bytes_one_by_one", test_bytes_one_by_one},
    {"many_bytes", test_many_bytes},
    {"end_behind_bytes", test_end_behind_bytes},
    {"client_gone", test_client_gone},
    {"second_end", test_second_end},
    {"dropped_end", test_dropped_end},
    {"same_file_again", test_same_file_again},
    {"end_dropped_while_wanted", test_end_dropped_while_wanted},
    {"all_wants", test_all_wants},
    {"ops", test_ops},
    {"op_beside_input", test_op_beside_input},
    {"blocked_op_blocks_no_other", test_blocked_op_blocks_no_other},
    {"blocked_helper_blocks_no_other", test_blocked_helper_blocks_no_other},
    {"helpers_are_bounded", test_helpers_are_bounded},
    {"helper_dies_at_work", test_helper_dies_at_work},
    {"two_helpers_die_at_work", test_two_helpers_die_at_work},
    {"idle_helper_dies", test_idle_helper_dies},
    {"no_helper_to_be_had", test_no_helper_to_be_had},
    {"brought_in_vain", test_brought_in_vain},
    {"client_gone_with_job_out", test_client_gone_with_job_out},
    {"stop_with_job_out", test_stop_with_job_out},
    {"stop_with_helper_dead", test_stop_with_helper_dead},
    {"records", test_records},
    {"deadline_idle", test_deadline_idle},
    {"deadline_moves", test_deadline_moves},
    {"deadline_while_sending", test_deadline_while_sending},
    {"deadline_while_yielding", test_deadline_while_yielding},
    {"deadline_beats_completion", test_deadline_beats_completion},
    {"many_deadlines", test_many_deadlines},
    {"resume_before_parking", test_resume_before_parking},
    {"event_before_parking", test_event_before_parking},
    {"event_while_parking", test_event_while_parking},
    {"gone_while_parking", test_gone_while_parking},
    {"ping_pong", test_ping_pong},
    {"yield_lets_others_go", test_yield_lets_others_go},
    {"small_among_large", test_small_among_large},
    {"small_beside_stalled", test_small_beside_stalled},
    {"crowd", test_crowd},
    {"vanishing_crowd", test_vanishing_crowd},
    {"failed_accept", test_failed_accept},
    {"failed_fork", test_failed_fork},
    {"no_room_for_connection", test_no_room_for_connection},
    {"max_connections", test_max_connections},
    {"no_descriptor_left", test_no_descriptor_left},
    {"stop_idle", test_stop_idle},
    {"stop_busy", test_stop_busy},
    {"stop_blocked", test_stop_blocked},
    {"stop_before_any", test_stop_before_any},
    {"drain", test_drain},
    {"drain_then_stop", test_drain_then_stop},
    {"drain_idle", test_drain_idle},
};

#define TEST_COUNT (sizeof(tests) / sizeof(*tests))

/** Run a test in a process of its own.  @return NULL, or why it failed. */
static const char *run_test(const struct test *t, int seconds)
{
    pid_t pid;
    int status;

    board_create();
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        driver_init(seconds);
        t->run();
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        board_fail("no process");
    }
    else if (status != 0) {
        board_fail("the driver ended with status %d", status);
    }
    return the_board->failed ? the_board->reason : NULL;
}

static const struct test *find_test(const char *name)
{
    for (size_t i = 0; i < TEST_COUNT; i++) {
        if (!strcmp(tests[i].name, name)) {
            return &tests[i];
        }
    }
    fprintf(stderr, "no test %s\n", name);
    exit(2);
}

/** Run a test and print a line.  @return 1 if it failed. */
static int report_test(const struct test *t, int seconds)
{
    const char *reason = run_test(t, seconds);

    if (reason) {
        printf("not ok %s %s: %s\n", mpm->name, t->name, reason);
    }
    else if (the_board->skipped[0]) {
        printf("skip %s %s: %s\n", mpm->name, t->name, the_board->skipped);
    }
    else {
        printf("ok %s %s\n", mpm->name, t->name);
    }
    fflush(stdout);
    return reason != NULL;
}

/** The test must fail, and for that reason. */
static int expect_failure(const struct test *t, const char *expected,
                          int seconds)
{
    const char *reason = run_test(t, seconds);

    if (!reason) {
        printf("not ok %s: passed, though the MPM is broken\n", t->name);
        return 1;
    }
    if (!strstr(reason, expected)) {
        printf("not ok %s: failed for another reason: %s\n", t->name, reason);
        return 1;
    }
    printf("ok %s failed: %s\n", t->name, reason);
    return 0;
}

int main(int argc, char **argv)
{
    int seconds = 10, failed = 0, option;
    const char *must_fail = NULL;

    mpm = contract_module.mpm;
    apr_initialize();
    while ((option = getopt(argc, argv, "c:lf:s:")) != -1) {
        switch (option) {
        case 'c':
            if (machine_directive_count == MACHINE_DIRECTIVES) {
                return 2;
            }
            machine_directives[machine_directive_count++] = optarg;
            break;
        case 'l':
            for (size_t i = 0; i < TEST_COUNT; i++) {
                puts(tests[i].name);
            }
            return 0;
        case 'f':
            must_fail = optarg;
            break;
        case 's':
            seconds = atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    if (must_fail) {
        return expect_failure(find_test(must_fail),
                              optind < argc ? argv[optind] : "", seconds);
    }
    for (int i = optind; i < argc; i++) {
        failed += report_test(find_test(argv[i]), seconds);
    }
    for (size_t i = 0; i < TEST_COUNT && optind == argc; i++) {
        failed += report_test(&tests[i], seconds);
    }
    return failed > 0;
}
