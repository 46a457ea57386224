# A span is given back while the kernel still has it.
#
# source: mpm/common/ring_span.c
# mpm: proactor
# test: bytes
# reason: output: byte
s/e->in_flight |= WR_WRITE;/&\
    wr_end_advance(e, self, t->span.len);/
s/wr_end_advance(e, self, (size_t)result);/(void)self;/
