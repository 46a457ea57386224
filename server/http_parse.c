/*
 * http_parse.c - see http_parse.h.
 *
 * The grammar is RFC 9112, sections 2 to 5, strictly: lines end in CR LF, no
 * line is folded, nothing stands between a field's name and its colon.  In the
 * target it takes all visible ASCII but '"', '<', '>' and '#': that is RFC 3986
 * and, beside it, what browsers send as it is (WHATWG URL).  What stands
 * between a host's brackets is looked at when the host is (request.c).
 *
 * One switch over the states.  The two that see nearly all bytes, the target
 * and a field's value, have inner loops.
 */
#include "http_parse.h"

#include <string.h>

enum head_state {
    ST_START, /* before the method; empty lines are passed over */
    ST_START_LF,
    ST_METHOD,
    ST_TARGET, /* its first byte */
    ST_SCHEME, /* absolute-form: before the ":" */
    ST_SLASH1, /* behind the ":" */
    ST_SLASH2,
    ST_HOST1, /* the first byte of the authority */
    ST_HOST,
    ST_LITERAL, /* in "[...]" */
    ST_LITERAL_END,
    ST_PORT,
    ST_PATH,
    ST_STAR, /* behind the "*" */
    ST_H,    /* the letters of "HTTP/" */
    ST_HT,
    ST_HTT,
    ST_HTTP,
    ST_HTTP_SLASH,
    ST_MAJOR,
    ST_DOT,
    ST_MINOR,
    ST_LINE_CR,
    ST_LINE_LF,
    ST_FIELD, /* first byte of a line */
    ST_NAME,
    ST_VALUE_SPACE,
    ST_VALUE,
    ST_VALUE_LF,
    ST_END_LF
};

enum {
    C_TOKEN = 1,  /* RFC 9110, 5.6.2 */
    C_TARGET = 2, /* a byte of a path or query, "%" apart */
    C_VALUE = 4,  /* RFC 9110, 5.5: visible, obs-text, space, tab */
    C_SCHEME = 8, /* RFC 3986, 3.1 */
    C_NAME = 16,  /* of a host: RFC 3986, 3.2.2; "%" apart */
    C_HEX = 32,
    C_ALPHA = 64,
    C_DIGIT = 128
};

#define MAX_METHOD 32 /* longer names no method that anybody has */
#define MAX_EMPTY  8  /* bytes of empty lines before a request */

static const unsigned char classes[256] = {
    ['\t'] = C_VALUE,
    [' '] = C_VALUE,
    ['!'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME,
    ['"'] = C_VALUE,
    ['#'] = C_TOKEN | C_VALUE,
    ['$'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME,
    ['%'] = C_TOKEN | C_VALUE,
    ['&'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME,
    ['\''] = C_TOKEN | C_TARGET | C_VALUE | C_NAME,
    ['('] = C_TARGET | C_VALUE | C_NAME,
    [')'] = C_TARGET | C_VALUE | C_NAME,
    ['*'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME,
    ['+'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME,
    [','] = C_TARGET | C_VALUE | C_NAME,
    ['-'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME,
    ['.'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME,
    ['/'] = C_TARGET | C_VALUE,
    ['0' ... '9'] =
        C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME | C_HEX | C_DIGIT,
    [':'] = C_TARGET | C_VALUE,
    [';'] = C_TARGET | C_VALUE | C_NAME,
    ['<'] = C_VALUE,
    ['='] = C_TARGET | C_VALUE | C_NAME,
    ['>'] = C_VALUE,
    ['?'] = C_TARGET | C_VALUE,
    ['@'] = C_TARGET | C_VALUE,
    ['A' ... 'F'] =
        C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME | C_HEX | C_ALPHA,
    ['G' ... 'Z'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME | C_ALPHA,
    ['['] = C_TARGET | C_VALUE,
    ['\\'] = C_TARGET | C_VALUE,
    [']'] = C_TARGET | C_VALUE,
    ['^'] = C_TOKEN | C_TARGET | C_VALUE,
    ['_'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME,
    ['`'] = C_TOKEN | C_TARGET | C_VALUE,
    ['a' ... 'f'] =
        C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME | C_HEX | C_ALPHA,
    ['g' ... 'z'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME | C_SCHEME | C_ALPHA,
    ['{'] = C_TARGET | C_VALUE,
    ['|'] = C_TOKEN | C_TARGET | C_VALUE,
    ['}'] = C_TARGET | C_VALUE,
    ['~'] = C_TOKEN | C_TARGET | C_VALUE | C_NAME,
    [0x80 ... 0xff] = C_VALUE,
};

static bool is(unsigned char byte, unsigned class)
{
    return classes[byte] & class;
}

bool wr__is_token_byte(unsigned char byte)
{
    return is(byte, C_TOKEN);
}

void wr__head_reset(wr__head *head)
{
    wr__head_field *fields = head->fields;

    memset(head, 0, sizeof(*head));
    head->fields = fields;
}

/** A byte of a "%XX": true if it was one, with the verdict in *result. */
static bool take_escape(wr__head *head, unsigned char byte, int *result)
{
    if (head->escape_left) {
        head->escape_left--;
        *result = is(byte, C_HEX) ? 0 : -400;
        return true;
    }
    if (byte == '%') {
        head->escape_left = 2;
        *result = 0;
        return true;
    }
    return false;
}

/** The first byte of a host.  None would be no host (RFC 9110, 4.2.1). */
static int host_first(wr__head *head, unsigned char byte)
{
    int result;

    head->state = byte == '[' ? ST_LITERAL : ST_HOST;
    if (byte == '[' || take_escape(head, byte, &result)) {
        return 0;
    }
    return is(byte, C_NAME) ? 0 : -400;
}

/** The first byte of the target decides on its form (RFC 9112, 3.2). */
static int start_target(wr__head *head, const unsigned char *data,
                        unsigned char byte)
{
    const unsigned char *method = data + head->start;

    if (head->method_len == 7 && memcmp(method, "CONNECT", 7) == 0) {
        head->is_connect = true;
        return host_first(head, byte);
    }
    if (byte == '/') {
        head->state = ST_PATH;
        return 0;
    }
    if (byte == '*' && head->method_len == 7
        && memcmp(method, "OPTIONS", 7) == 0) {
        head->state = ST_STAR;
        return 0;
    }
    head->state = ST_SCHEME;
    return is(byte, C_ALPHA) ? 0 : -400;
}

static void end_target(wr__head *head)
{
    head->target_len = head->pos - head->target;
    head->state = ST_H;
}

/** Behind the authority's first byte: host [ ":" port ], and what may follow
 *  it.  CONNECT's has a port and nothing behind it (RFC 9112, 3.2.3). */
static int authority_byte(wr__head *head, unsigned char byte)
{
    int result;

    if (head->state == ST_LITERAL) {
        if (byte == ']') {
            head->state = ST_LITERAL_END;
            return 0;
        }
        return is(byte, C_NAME) || byte == ':' ? 0 : -400;
    }
    if (head->state == ST_HOST && take_escape(head, byte, &result)) {
        return result;
    }
    if (head->state == ST_PORT ? is(byte, C_DIGIT)
                               : head->state == ST_HOST && is(byte, C_NAME)) {
        return 0;
    }
    if (byte == ':' && head->state != ST_PORT) {
        head->state = ST_PORT;
        return 0;
    }
    if (byte == ' ') {
        bool is_complete = !head->is_connect || head->state == ST_PORT;

        end_target(head);
        return is_complete ? 0 : -400;
    }
    head->state = ST_PATH;
    return (byte == '/' || byte == '?') && !head->is_connect ? 0 : -400;
}

/** The states of the target, but for its first byte. */
static int target_byte(wr__head *head, unsigned char byte)
{
    int result;

    switch (head->state) {
    case ST_SCHEME:
        if (byte == ':') {
            head->state = ST_SLASH1;
            return 0;
        }
        return is(byte, C_SCHEME) ? 0 : -400;
    case ST_SLASH1:
        head->state = ST_SLASH2;
        return byte == '/' ? 0 : -400;
    case ST_SLASH2:
        head->state = ST_HOST1;
        return byte == '/' ? 0 : -400;
    case ST_HOST1:
        return host_first(head, byte);
    case ST_HOST:
    case ST_LITERAL:
    case ST_LITERAL_END:
    case ST_PORT:
        return authority_byte(head, byte);
    case ST_STAR:
        end_target(head);
        return byte == ' ' ? 0 : -400;
    default:
        if (take_escape(head, byte, &result)) {
            return result;
        }
        if (byte == ' ') {
            end_target(head);
            return 0;
        }
        return is(byte, C_TARGET) ? 0 : -400;
    }
}

/** The states from "HTTP/" to the line's end. */
static int version_byte(wr__head *head, unsigned char byte)
{
    static const unsigned char letters[] = "HTTP/";

    switch (head->state) {
    case ST_MAJOR:
        head->major = (uint8_t)(byte - '0');
        head->state = ST_DOT;
        return is(byte, C_DIGIT) ? 0 : -400;
    case ST_DOT:
        head->state = ST_MINOR;
        return byte == '.' ? 0 : -400;
    case ST_MINOR:
        head->minor = (uint8_t)(byte - '0');
        head->state = ST_LINE_CR;
        return is(byte, C_DIGIT) ? 0 : -400;
    case ST_LINE_CR:
        head->line_len = head->pos - head->start;
        head->state = ST_LINE_LF;
        return byte == '\r' ? 0 : -400;
    case ST_LINE_LF:
        head->state = ST_FIELD;
        if (byte != '\n') {
            return -400;
        }
        return head->major == 1 ? 0 : -505;
    default: {
        unsigned letter = head->state - ST_H;

        head->state++;
        return byte == letters[letter] ? 0 : -400;
    }
    }
}

static int start_byte(wr__head *head, unsigned char byte)
{
    switch (head->state) {
    case ST_START:
        if (byte == '\r' && head->pos < MAX_EMPTY) {
            head->state = ST_START_LF;
            return 0;
        }
        head->start = head->pos;
        head->state = ST_METHOD;
        return is(byte, C_TOKEN) ? 0 : -400;
    case ST_START_LF:
        head->state = ST_START;
        return byte == '\n' ? 0 : -400;
    default:
        if (byte == ' ') {
            head->method_len = head->pos - head->start;
            head->target = head->pos + 1;
            head->state = ST_TARGET;
            return 0;
        }
        if (head->pos - head->start >= MAX_METHOD) {
            return is(byte, C_TOKEN) ? -501 : -400;
        }
        return is(byte, C_TOKEN) ? 0 : -400;
    }
}

/** A field's name and the line's first byte. */
static int name_byte(wr__head *head, const wr__head_limits *limits,
                     unsigned char byte)
{
    if (head->state == ST_FIELD) {
        head->mark = head->pos;
        if (byte == '\r') {
            head->state = ST_END_LF;
            return 0;
        }
        if (head->count == limits->fields) {
            return is(byte, C_TOKEN) ? -431 : -400;
        }
        head->state = ST_NAME;
        return is(byte, C_TOKEN) ? 0 : -400;
    }
    if (byte == ':') {
        wr__head_field *field = &head->fields[head->count];

        if (head->pos - head->mark > UINT16_MAX) {
            return -431; /* whatever LimitRequestFieldSize allows */
        }
        field->name = head->mark;
        field->name_len = (uint16_t)(head->pos - head->mark);
        field->value = head->value_end = head->pos + 1;
        head->state = ST_VALUE_SPACE;
        return 0;
    }
    return is(byte, C_TOKEN) ? 0 : -400;
}

static int value_byte(wr__head *head, unsigned char byte)
{
    wr__head_field *field = &head->fields[head->count];

    if (head->state == ST_VALUE_LF) {
        if (byte != '\n') {
            return -400;
        }
        field->value_len = head->value_end - field->value;
        head->count++;
        head->state = ST_FIELD;
        return 0;
    }
    if (byte == '\r') {
        head->state = ST_VALUE_LF;
        return 0;
    }
    if (head->state == ST_VALUE_SPACE) {
        if (byte == ' ' || byte == '\t') {
            return 0;
        }
        field->value = head->value_end = head->pos;
        head->state = ST_VALUE;
    }
    if (!is(byte, C_VALUE)) {
        return -400;
    }
    if (byte != ' ' && byte != '\t') {
        head->value_end = head->pos + 1;
    }
    return 0;
}

/** Is a bound passed by the byte at head->pos?  Or 0. */
static int check_limits(const wr__head *head, const wr__head_limits *limits,
                        unsigned char byte)
{
    if (head->state < ST_LINE_CR) {
        return head->pos - head->start >= limits->line ? -414 : 0;
    }
    if (head->pos >= limits->head) {
        return -431;
    }
    if (head->state > ST_FIELD && head->state < ST_VALUE_LF && byte != '\r'
        && head->pos - head->mark >= limits->field) {
        return -431;
    }
    return 0;
}

/** What nearly all request lines end with, at once if all of it is there and
 *  within the bounds.  @return the position behind it, or the present one. */
static uint32_t skip_version(wr__head *head, const wr__head_limits *limits,
                             const unsigned char *data, size_t len)
{
    static const char usual[] = "HTTP/1.1\r\n";
    const uint32_t size = sizeof(usual) - 1;
    uint32_t pos = head->pos;

    if (len - pos < size || memcmp(data + pos, usual, size) != 0
        || pos + size - 2 - head->start > limits->line
        || pos + size > limits->head) {
        return pos;
    }
    head->major = head->minor = 1;
    head->line_len = pos + size - 2 - head->start;
    head->state = ST_FIELD;
    return pos + size;
}

/** Pass over bytes that change nothing.  Stops before any that might, and
 *  before a bound. */
static void skip_plain(wr__head *head, const wr__head_limits *limits,
                       const unsigned char *data, size_t len)
{
    uint32_t pos = head->pos, from, end;

    if (head->state == ST_METHOD) {
        end = MAX_METHOD < limits->line ? MAX_METHOD : limits->line;
        end = head->start + end < len ? head->start + end : (uint32_t)len;
        while (pos < end && is(data[pos], C_TOKEN)) {
            pos++;
        }
    }
    else if (head->state == ST_H) {
        pos = skip_version(head, limits, data, len);
    }
    else if (head->state == ST_PATH && !head->escape_left) {
        end = head->start + limits->line;
        end = end < len ? end : (uint32_t)len;
        while (pos < end && is(data[pos], C_TARGET)) {
            pos++;
        }
    }
    else if (head->state == ST_NAME) {
        end = head->mark + limits->field;
        end = end < limits->head ? end : limits->head;
        end = end < len ? end : (uint32_t)len;
        while (pos < end && is(data[pos], C_TOKEN)) {
            pos++;
        }
    }
    else if (head->state == ST_VALUE) {
        from = pos;
        end = head->mark + limits->field;
        end = end < limits->head ? end : limits->head;
        end = end < len ? end : (uint32_t)len;
        while (pos < end && is(data[pos], C_VALUE)) {
            pos++;
        }
        for (uint32_t last = pos; last > from; last--) {
            if (data[last - 1] != ' ' && data[last - 1] != '\t') {
                head->value_end = last;
                break;
            }
        }
    }
    head->pos = pos;
}

int wr__head_parse(wr__head *head, const wr__head_limits *limits,
                   const unsigned char *data, size_t len)
{
    int result;

    for (;;) {
        unsigned char byte;

        skip_plain(head, limits, data, len);
        if (head->pos >= len) {
            return 0;
        }
        byte = data[head->pos];
        result = check_limits(head, limits, byte);
        if (result) {
            return result;
        }
        switch ((enum head_state)head->state) {
        case ST_START:
        case ST_START_LF:
        case ST_METHOD:
            result = start_byte(head, byte);
            break;
        case ST_TARGET:
            result = start_target(head, data, byte);
            break;
        case ST_SCHEME:
        case ST_SLASH1:
        case ST_SLASH2:
        case ST_HOST1:
        case ST_HOST:
        case ST_LITERAL:
        case ST_LITERAL_END:
        case ST_PORT:
        case ST_PATH:
        case ST_STAR:
            result = target_byte(head, byte);
            break;
        case ST_H:
        case ST_HT:
        case ST_HTT:
        case ST_HTTP:
        case ST_HTTP_SLASH:
        case ST_MAJOR:
        case ST_DOT:
        case ST_MINOR:
        case ST_LINE_CR:
        case ST_LINE_LF:
            result = version_byte(head, byte);
            break;
        case ST_FIELD:
        case ST_NAME:
            result = name_byte(head, limits, byte);
            break;
        case ST_VALUE_SPACE:
        case ST_VALUE:
        case ST_VALUE_LF:
            result = value_byte(head, byte);
            break;
        case ST_END_LF:
            return byte == '\n' ? (int)head->pos + 1 : -400;
        }
        if (result) {
            return result;
        }
        head->pos++;
    }
}
