# A closed connection's descriptor is closed again: by then it may be another's.
#
# source: mpm/common/loop.c
# mpm: sped
# test: bytes
# reason: not open
s/#include "loop.h"/&\n#include <unistd.h>/
s/return wr_conn_close(c, l->self);/int fd = c->ends->fd;\
    bool is_closed = wr_conn_close(c, l->self);\
    close(fd);\
    return is_closed;/
