# A worker parks a connection and does not look whether that worked: what was
# posted just before is never seen.
#
# source: mpm/hybrid/mpm_hybrid.c
# mpm: hybrid
# test: resume_before_parking
# reason: stuck: waited in vain
s/return wr_conn_park(c);/return wr_conn_park(c), true;/
