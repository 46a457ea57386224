/*
 * log_line.c - see log_line.h.  In whatever thread logs; nothing is allocated,
 * locked or asked of the system.
 */
#include "log_line.h"

#include <arpa/inet.h>
#include <stdbool.h>

void wr__put_number(wr__log_line *out, uint64_t value, int width)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
        width--;
    } while (value > 0 || width > 0);
    wr__put_bytes(out, digits + at, sizeof(digits) - at);
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/** A byte that is not plain; whole or not at all. */
static void put_escape(wr__log_line *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "\"\\\b\n\r\t\v", meant[] = "\"\\bnrtv";
    char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
    const char *letter = c ? strchr(letters, c) : NULL;
    size_t len = letter ? 2 : 4;

    if (letter) {
        escape[1] = meant[letter - letters];
    }
    if ((size_t)(out->end - out->at) < len) {
        out->end = out->at; /* the value is cut here */
        return;
    }
    wr__put_bytes(out, escape, len);
}

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

static inline uint64_t find_less(uint64_t word, unsigned limit)
{
    return (word - EACH_BYTE * limit) & ~word & HIGH_BITS;
}

/** Are eight bytes plain?  The same as is_plain() on each of them. */
static inline bool are_plain(uint64_t word)
{
    uint64_t not_plain = (word | (word + EACH_BYTE)) & HIGH_BITS;

    not_plain |= find_less(word, ' ');
    not_plain |= find_less(word ^ (EACH_BYTE * '"'), 1);
    not_plain |= find_less(word ^ (EACH_BYTE * '\\'), 1);
    return not_plain == 0;
}

void wr__put_escaped(wr__log_line *out, const char *text, size_t len)
{
    const char *stop = text + len;

    while (text < stop) {
        uint64_t word;

        if (stop - text >= 8 && out->end - out->at >= 8) {
            memcpy(&word, text, 8);
            if (are_plain(word)) {
                memcpy(out->at, &word, 8);
                out->at += 8;
                text += 8;
                continue;
            }
        }
        if (is_plain((unsigned char)*text)) {
            wr__put_char(out, *text);
        }
        else {
            put_escape(out, (unsigned char)*text);
        }
        text++;
    }
}

void wr__put_text(wr__log_line *out, const char *text)
{
    if (text) {
        wr__put_escaped(out, text, strlen(text));
    }
    else {
        wr__put_char(out, '-');
    }
}

/** Four numbers with dots; inet_ntop() goes through printf() for that. */
static void put_ipv4(wr__log_line *out, const unsigned char *bytes)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            wr__put_char(out, '.');
        }
        wr__put_number(out, bytes[i], 1);
    }
}

void wr__put_address(wr__log_line *out, const struct sockaddr *address)
{
    const void *any = address;
    const struct in6_addr *v6;
    char text[INET6_ADDRSTRLEN];

    if (address && address->sa_family == AF_INET) {
        put_ipv4(out, (const unsigned char *)&((const struct sockaddr_in *)any)
                          ->sin_addr);
        return;
    }
    if (!address || address->sa_family != AF_INET6) {
        wr__put_char(out, '-');
        return;
    }
    v6 = &((const struct sockaddr_in6 *)any)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) {
        put_ipv4(out, v6->s6_addr + 12);
    }
    else if (inet_ntop(AF_INET6, v6, text, sizeof(text))) {
        wr__put_bytes(out, text, strlen(text));
    }
}
