# A timer that fires is forgotten instead of posted.
#
# source: mpm/common/loop.c
# mpm: sped
# test: deadline_idle
# reason: stuck: waited in vain for the deadline
s/^\( *\)wr_conn_post(c, WR_POST_TIMER);/\1return;/
