/*
 * http_parse.h - the head of an HTTP/1 request, byte by byte.
 *
 * Incremental: it may be called again with more of the same bytes and looks at
 * each once.  It refuses at the first byte that can't continue a valid head.
 * Knows memory only; nothing is allocated.
 */
#ifndef WR__HTTP_PARSE_H
#define WR__HTTP_PARSE_H

#include "wr_base.h"

/** What a head may hold; each bound has its directive.  A line's CR LF counts
 *  for the head alone. */
typedef struct wr__head_limits {
    uint32_t line;   /**< LimitRequestLine: bytes of the request line */
    uint32_t field;  /**< LimitRequestFieldSize: bytes of a field's line */
    uint32_t fields; /**< LimitRequestFields */
    uint32_t head;   /**< LimitRequestHead: bytes in all */
} wr__head_limits;

/** A field: offsets from the head's first byte. */
typedef struct wr__head_field {
    uint32_t name, value, value_len;
    uint16_t name_len;
} wr__head_field;

/** A head that is being parsed.  Offsets count from its first byte. */
typedef struct wr__head {
    uint8_t state;
    uint8_t major, minor;
    uint8_t escape_left; /**< private: hexadecimal digits that are due */
    bool is_connect;     /**< private */
    uint32_t pos;        /**< bytes looked at */
    uint32_t start;      /**< of the method: behind empty lines */
    uint32_t method_len;
    uint32_t target, target_len;
    uint32_t line_len;      /**< of the request line, without its CR LF */
    uint32_t mark;          /**< private: where the present part began */
    uint32_t value_end;     /**< private: behind its last visible byte */
    uint32_t count;         /**< fields so far */
    wr__head_field *fields; /**< limits->fields of them; the caller's */
} wr__head;

/** Make ready for a new head; fields stays. */
void wr__head_reset(wr__head *head);

/**
 * Go on with the head in data[0..len).
 *
 * @return 0: more is needed.  > 0: complete, and so many bytes long.  < 0: the
 *         negative status that refuses it (-400, -414, -431, -501, -505).
 */
int wr__head_parse(wr__head *head, const wr__head_limits *limits,
                   const unsigned char *data, size_t len);

/** Bit of a byte's classes: for tests and for others who check names. */
bool wr__is_token_byte(unsigned char byte);

#endif
