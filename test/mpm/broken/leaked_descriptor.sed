# The poller's descriptor outlives the child's pool.
#
# source: mpm/common/poller.c
# mpm: sped
# test: bytes
# reason: is left open
s/close(p->fd);/(void)p;/
