# A helper that dies takes its job with it: nobody else is given it.
#
# source: mpm/common/helpers.c
# mpm: amped
# test: helper_dies_at_work
# reason: stuck: waited in vain
s/^\( *\)try_again(&h->files, op);/\1(void)try_again;/
