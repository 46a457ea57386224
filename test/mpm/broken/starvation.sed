# A connection that could always go on is let go on: no other has its turn.
#
# source: mpm/sped/mpm_sped.c
# mpm: sped
# test: yield_lets_others_go
# reason: stuck: waited in vain
/case WR_WANT_YIELD:/,/return;/ {
    s/wr__loop_put_last(l, c);//
    s/return;/break;/
}
