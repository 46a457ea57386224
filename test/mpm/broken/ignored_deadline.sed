# A timer that fires is forgotten instead of posted.
#
# source: mpm/sped/mpm_sped.c
# mpm: sped
# test: deadline_idle
# reason: stuck: waited in vain for the deadline
s/wr_conn_post(c, WR_POST_TIMER);/continue;/
