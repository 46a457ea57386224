# An event makes the I/O thread run a connection that a worker owns.
#
# source: mpm/common/loop.c
# mpm: hybrid
# test: op_beside_input
# reason: two threads own
s/if (wr_conn_post(c, WR_POST_EVENT)) {/if (wr_conn_post(c, WR_POST_EVENT), true) {/
