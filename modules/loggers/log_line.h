/*
 * log_line.h - a line of the access log while it is made, piece by piece.
 *
 * Part of mod_log_config.  What a client sent goes through wr__put_escaped() or
 * wr__put_text(); what does not fit any more is cut.
 */
#ifndef WR__LOG_LINE_H
#define WR__LOG_LINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/** A line being made, and where the item at work has to stop. */
typedef struct wr__log_line {
    char *at;
    const char *end;
} wr__log_line;

static inline void wr__put_bytes(wr__log_line *out, const char *text,
                                 size_t len)
{
    size_t room = (size_t)(out->end - out->at);

    len = len < room ? len : room;
    memcpy(out->at, text, len);
    out->at += len;
}

static inline void wr__put_char(wr__log_line *out, char c)
{
    if (out->at < out->end) {
        *out->at++ = c;
    }
}

/** At least @a width digits. */
void wr__put_number(wr__log_line *out, uint64_t value, int width);

/** As httpd escapes it: no control character, quote or backslash as itself. */
void wr__put_escaped(wr__log_line *out, const char *text, size_t len);

/** The same of a string; NULL: "-". */
void wr__put_text(wr__log_line *out, const char *text);

/** Without its port; "-" if it is of no family that is known. */
void wr__put_address(wr__log_line *out, const struct sockaddr *address);

#endif
