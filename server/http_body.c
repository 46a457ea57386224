/*
 * http_body.c - see http_body.h.
 */
#include "http_body.h"

#include "http_parse.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define MAX_OVERHEAD 16384 /* bytes of chunk extensions and trailers in all */

/* What a head says about its content. */
enum {
    HAS_TE = 1,     /* Transfer-Encoding */
    TE_CHUNKED = 2, /* ... is "chunked" and nothing else */
    HAS_CL = 4,     /* Content-Length */
    CL_VALID = 8,   /* ... once, a number */
    IS_10 = 16,     /* HTTP/1.0 */
    TE_ENDS = 32    /* Transfer-Encoding's last coding is "chunked" */
};

/**
 * RFC 9112, section 6, for requests.  First line that fits: (seen & mask) ==
 * value.
 */
static const struct framing {
    unsigned mask, value;
    int status;
    wr__body_kind kind;
} framings[] = {
    /* 6.1: Transfer-Encoding in HTTP/1.0 means faulty framing. */
    {HAS_TE | IS_10, HAS_TE | IS_10, 400, WR__BODY_NONE},
    /* 6.1, 6.3 rule 3: both is a sign of smuggling: refuse and close. */
    {HAS_TE | HAS_CL, HAS_TE | HAS_CL, 400, WR__BODY_NONE},
    /* 6.3 rule 4: chunked is the final and, here, the only coding. */
    {HAS_TE | TE_CHUNKED, HAS_TE | TE_CHUNKED, 0, WR__BODY_CHUNKED},
    /* 6.1: a coding that is not understood, below chunks that are. */
    {HAS_TE | TE_ENDS, HAS_TE | TE_ENDS, 501, WR__BODY_NONE},
    /* 6.3 rule 4: chunked is not the last: nobody knows where it ends. */
    {HAS_TE, HAS_TE, 400, WR__BODY_NONE},
    /* 6.3 rule 6: one valid length. */
    {HAS_CL | CL_VALID, HAS_CL | CL_VALID, 0, WR__BODY_LENGTH},
    /* 6.3 rule 5: an invalid one, or several. */
    {HAS_CL, HAS_CL, 400, WR__BODY_NONE},
    /* 6.3 rule 7: neither: no content. */
    {0, 0, 0, WR__BODY_NONE},
};

/** RFC 9110, 8.6: 1*DIGIT; at most 18 of them, so that nothing overflows. */
static bool parse_length(const wr_field *field, int64_t *length)
{
    int64_t n = 0;

    if (field->value_len == 0 || field->value_len > 18) {
        return false;
    }
    for (uint32_t i = 0; i < field->value_len; i++) {
        char digit = field->value[i];

        if (digit < '0' || digit > '9') {
            return false;
        }
        n = n * 10 + (digit - '0');
    }
    *length = n;
    return true;
}

/** Bits for a field that stands once. */
static unsigned see(const wr_request *r, wr_known_field known, unsigned has,
                    unsigned valid,
                    bool (*is_valid)(const wr_field *, int64_t *),
                    int64_t *value)
{
    int first = r->known[known];

    if (!first) {
        return 0;
    }
    for (int i = first; i < r->field_count; i++) {
        if (r->fields[i].known == known) {
            return has; /* a second one: refused, even if it says the same */
        }
    }
    return is_valid(&r->fields[first - 1], value) ? has | valid : has;
}

static bool is_chunked(const wr_field *field, int64_t *unused)
{
    (void)unused;
    return strcasecmp(field->value, "chunked") == 0;
}

/** Is "chunked" what was applied last?  Fields of a name are one list. */
static unsigned see_end(const wr_request *r)
{
    const wr_field *last = NULL;
    const char *coding;

    for (int i = r->known[WR_F_TRANSFER_ENCODING] - 1; i < r->field_count;
         i++) {
        if (r->fields[i].known == WR_F_TRANSFER_ENCODING) {
            last = &r->fields[i];
        }
    }
    assert(last); /* or nobody would ask */
    coding = strrchr(last->value, ',');
    coding = coding ? coding + 1 : last->value;
    coding += strspn(coding, " \t");
    return strcasecmp(coding, "chunked") == 0 ? TE_ENDS : 0;
}

int wr__body_frame(const wr_request *r, wr__body *body)
{
    int64_t length = 0;
    unsigned seen = 0;
    const struct framing *f = framings;

    memset(body, 0, sizeof(*body));
    if (r->known[WR_F_CONTENT_LENGTH] || r->known[WR_F_TRANSFER_ENCODING]) {
        seen =
            see(r, WR_F_CONTENT_LENGTH, HAS_CL, CL_VALID, parse_length, &length)
            | see(r, WR_F_TRANSFER_ENCODING, HAS_TE, TE_CHUNKED, is_chunked,
                  &length)
            | (r->version_minor == 0 ? IS_10 : 0);
        if (seen & HAS_TE) {
            seen |= see_end(r);
        }
        while ((seen & f->mask) != f->value) {
            f++;
        }
        if (f->status) {
            return f->status;
        }
        body->kind = (uint8_t)f->kind;
    }
    body->left = body->kind == WR__BODY_LENGTH ? length : 0;
    body->is_done = body->kind == WR__BODY_NONE
                    || (body->kind == WR__BODY_LENGTH && length == 0);
    return 0;
}

/* The chunked coding (RFC 9112, 7.1). */

enum chunk_state {
    CH_SIZE_FIRST, /* a size has at least one digit */
    CH_SIZE,
    CH_SPACE, /* behind the size: an extension follows */
    CH_EXT,
    CH_SIZE_LF,
    CH_DATA,
    CH_DATA_CR,
    CH_DATA_LF,
    CH_TRAILER, /* first byte of a line behind the last chunk */
    CH_TRAILER_NAME,
    CH_TRAILER_LINE,
    CH_TRAILER_LF,
    CH_END_LF
};

static int hex(unsigned char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static int size_byte(wr__body *body, unsigned char byte)
{
    int digit = body->state == CH_SPACE ? -1 : hex(byte);

    if (digit >= 0) {
        if (body->left == 0 && ++body->overhead > MAX_OVERHEAD) {
            return 431; /* zeros without an end */
        }
        if (body->left >= (INT64_C(1) << 55)) {
            return 400;
        }
        body->left = body->left * 16 + digit;
        body->state = CH_SIZE;
        return 0;
    }
    if (body->state == CH_SIZE_FIRST) {
        return 400;
    }
    if (byte == '\r' && body->state == CH_SIZE) {
        body->state = CH_SIZE_LF;
        return 0;
    }
    if (++body->overhead > MAX_OVERHEAD) {
        return 431;
    }
    body->state = byte == ';' ? CH_EXT : CH_SPACE;
    return byte == ';' || byte == ' ' || byte == '\t' ? 0 : 400;
}

/** A byte that stands in a line whose content does not matter. */
static int skipped_byte(wr__body *body, unsigned char byte, uint8_t after_cr)
{
    if (byte == '\r') {
        body->state = after_cr;
        return 0;
    }
    if (++body->overhead > MAX_OVERHEAD) {
        return 431;
    }
    return byte < 0x20 && byte != '\t' ? 400 : byte == 0x7f ? 400 : 0;
}

/** Any byte but one of content. */
static int chunk_byte(wr__body *body, unsigned char byte)
{
    switch ((enum chunk_state)body->state) {
    case CH_SIZE_FIRST:
    case CH_SIZE:
    case CH_SPACE:
        return size_byte(body, byte);
    case CH_EXT:
        return skipped_byte(body, byte, CH_SIZE_LF);
    case CH_SIZE_LF:
        body->state = body->left ? CH_DATA : CH_TRAILER;
        return byte == '\n' ? 0 : 400;
    case CH_DATA_CR:
        body->state = CH_DATA_LF;
        return byte == '\r' ? 0 : 400;
    case CH_DATA_LF:
        body->state = CH_SIZE_FIRST;
        return byte == '\n' ? 0 : 400;
    case CH_TRAILER:
        if (byte == '\r') {
            body->state = CH_END_LF;
            return 0;
        }
        /* A trailer is a field line (RFC 9112, 7.1.2), and not folded. */
        body->state = CH_TRAILER_NAME;
        return wr__is_token_byte(byte) ? 0 : 400;
    case CH_TRAILER_NAME:
        if (++body->overhead > MAX_OVERHEAD) {
            return 431;
        }
        if (byte == ':') {
            body->state = CH_TRAILER_LINE;
            return 0;
        }
        return wr__is_token_byte(byte) ? 0 : 400;
    case CH_TRAILER_LINE:
        return skipped_byte(body, byte, CH_TRAILER_LF);
    case CH_TRAILER_LF:
        body->state = CH_TRAILER;
        return byte == '\n' ? 0 : 400;
    case CH_END_LF:
        body->is_done = true;
        return byte == '\n' ? 0 : 400;
    case CH_DATA:
        break;
    }
    return 400;
}

static void take_run(wr__body *body, size_t len, size_t *content_len)
{
    size_t n = (uint64_t)body->left < len ? (size_t)body->left : len;

    *content_len = n;
    body->left -= (int64_t)n;
    body->received += (int64_t)n;
}

int wr__body_take(wr__body *body, const unsigned char *data, size_t len,
                  size_t *used, const unsigned char **content,
                  size_t *content_len)
{
    size_t pos = 0;
    int status = 0;

    *content_len = 0;
    *content = data;
    if (body->kind == WR__BODY_LENGTH) {
        take_run(body, len, content_len);
        *used = *content_len;
        body->is_done = body->left == 0;
        return 0;
    }
    while (pos < len && !body->is_done && status == 0) {
        if (body->state == CH_DATA) {
            *content = data + pos;
            take_run(body, len - pos, content_len);
            pos += *content_len;
            if (body->left == 0) {
                body->state = CH_DATA_CR;
            }
            break;
        }
        status = chunk_byte(body, data[pos]);
        pos++;
    }
    *used = pos;
    return status;
}
