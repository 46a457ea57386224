# The clock is not looked at after a call that blocked: what came too late is
# taken for timely.
#
# source: mpm/sped/mpm_sped.c
# mpm: sped
# test: deadline_beats_completion
# reason: the deadline was not told of
/^static void call(/,/^}/ s/wr_op_run_timed(op, l->self);/wr_op_run(op);/
