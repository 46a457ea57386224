/*
 * driver.h - the clients' side of a contract test: starts a server, plays
 * scripted clients, opens gates, asks for drain and stop.
 *
 * A test is one process, and its server another.  Every wait here ends when the
 * test's time is up: the driver then says where the server stood and ends it.
 * What fails ends the driver's process; nothing here returns an error.
 */
#ifndef WR_TEST_DRIVER_H
#define WR_TEST_DRIVER_H

#include "wr_mpm.h"

#include "board.h"

/** A client. */
typedef struct client {
    int fd;
    uint64_t sent;     /**< bytes of the pattern */
    uint64_t received; /**< likewise */
} client;

/** Set the time for the test that begins now, in this process. */
void driver_init(int seconds);

/** Print why, end the server, and end the process. */
_Noreturn void driver_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/** The test does not concern this MPM: end the process. */
_Noreturn void driver_skip(const char *reason);

/** How many connections the MPM surely serves at once; many for most. */
int driver_slots(const wr_mpm *mpm);

void server_start(const wr_mpm *mpm);
/** Ask it to drain, or to stop; it may hear of that before it starts. */
void server_drain(void);
void server_stop(void);
/** Wait for its end, and fail unless it went well. */
void server_join(void);
/** Stop and join. */
void server_end(void);

void gate_open(int gate);
/** Wait until the machine says that now is the time, or a while has passed. */
void cue_wait(void);

/** Connect and send the script's line. */
client client_open(const char *script);
/** Send the next @a len bytes of the pattern. */
void client_send(client *c, size_t len);
/** Say that no more will be sent. */
void client_finish_sending(client *c);
/** The next @a len bytes must come, and be the pattern. */
void client_expect(client *c, size_t len);
/** A "T" must come next. */
void client_expect_timeout(client *c);
/** The end must come, in order or by a reset, perhaps behind more bytes. */
void client_expect_gone(client *c);
/** The end must come next, in order. */
void client_expect_end(client *c);
/** Does the end come, rather than the next byte? */
bool client_is_refused(client *c);
/** Nothing may have come. */
void client_expect_nothing(client *c);
void client_close(client *c);
/** Close by a reset. */
void client_reset(client *c);

/** Wait until a counter of the board has come to @a least. */
void counter_wait(const char *name, _Atomic int *counter, int least);
#define await(counter, least) counter_wait(#counter, &the_board->counter, least)
/** Wait until connection @a number wants @a want at a token; 0: at any.  They
 *  are numbered as they were accepted. */
void connection_wait(int number, int want, char letter);

/** Wait until no more is sent. */
void output_wait(void);

/** Milliseconds; for what has to be later than something else. */
void pause_ms(int ms);

/** Play many clients at once, each with its script; all must come out right.
 *  @a vanishing: a part of them goes away in between. */
void crowd_run(int count, int at_once, bool vanishing);

/** Who connects to the back end is sent @a len bytes.  One connection. */
void back_end_serve(size_t len);
/** Who connects to the back end must go away by itself. */
void back_end_see_end(void);
/** What is received from the pipe: the pattern from its beginning. */
void pipe_send(size_t len);

#endif
