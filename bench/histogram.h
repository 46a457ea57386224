/*
 * histogram.h - latencies counted in slots of 1.6 %: 64 to a power of two.
 *
 * Plain counts, so that histograms of several runs can be added.  For the
 * programs of bench/ only; one thread.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_SLOTS (64 * 59)

struct histogram {
    uint64_t slots[HISTOGRAM_SLOTS];
    uint64_t count, max;
    double sum;
};

static inline int histogram_slot(uint64_t value)
{
    if (value < 64) {
        return (int)value;
    }
    int shift = 63 - __builtin_clzll(value) - 6;
    return (shift + 1) * 64 + (int)((value >> shift) - 64);
}

/* The least value of a slot. */
static inline uint64_t histogram_value(int slot)
{
    if (slot < 64) {
        return (uint64_t)slot;
    }
    return (uint64_t)(64 + slot % 64) << (slot / 64 - 1);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->slots[histogram_slot(value)]++;
    h->count++;
    h->sum += (double)value;
    if (value > h->max) {
        h->max = value;
    }
}

/* The value that a share of all (0 to 1) do not exceed; 0 of none. */
static inline uint64_t histogram_share(const struct histogram *h, double share)
{
    uint64_t seen = 0;
    uint64_t wanted = (uint64_t)(share * (double)h->count);
    for (int i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += h->slots[i];
        if (h->slots[i] > 0 && seen >= wanted) {
            uint64_t end =
                i + 1 < HISTOGRAM_SLOTS ? histogram_value(i + 1) - 1 : h->max;
            return end < h->max ? end : h->max;
        }
    }
    return h->max;
}

/* As a JSON object: the usual shares, in microseconds of nanoseconds. */
static inline void histogram_print_shares(const struct histogram *h, FILE *out)
{
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    fprintf(out, "{\"count\": %llu, \"mean\": %.1f",
            (unsigned long long)h->count,
            h->count > 0 ? h->sum / (double)h->count / 1e3 : 0);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        fprintf(out, ", \"%s\": %.1f", shares[i].name,
                (double)histogram_share(h, shares[i].share) / 1e3);
    }
    fprintf(out, ", \"max\": %.1f}", (double)h->max / 1e3);
}

/* As a JSON array of [microseconds, count], without the empty slots. */
static inline void histogram_print_slots(const struct histogram *h, FILE *out)
{
    const char *between = "";
    fputc('[', out);
    for (int i = 0; i < HISTOGRAM_SLOTS; i++) {
        if (h->slots[i] > 0) {
            fprintf(out, "%s[%.3f, %llu]", between,
                    (double)histogram_value(i) / 1e3,
                    (unsigned long long)h->slots[i]);
            between = ", ";
        }
    }
    fputc(']', out);
}

#endif
