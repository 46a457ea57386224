# What MPMs share, a line a file; then each MPM: its files and what it links.

mpm_common_sources = \
    mpm/common/accept.c \
    mpm/common/dispatch.c \
    mpm/common/forks.c \
    mpm/common/helpers.c \
    mpm/common/loop.c \
    mpm/common/poller.c \
    mpm/common/pool_size.c \
    mpm/common/queue.c \
    mpm/common/room.c \
    mpm/common/serve.c \
    mpm/common/threads.c \
    mpm/common/timers.c \
    mpm/common/workers.c

libmpm_la_SOURCES = $(mpm_common_sources)
noinst_LTLIBRARIES += libmpm.la

mpms =

mpms += mpm/mp/mod_mpm_mp.la
mpm_mp_sources = mpm/mp/mpm_mp.c
mpm_mp_mod_mpm_mp_la_SOURCES = $(mpm_mp_sources)
mpm_mp_mod_mpm_mp_la_LIBADD = libmpm.la

mpms += mpm/mt/mod_mpm_mt.la
mpm_mt_sources = mpm/mt/mpm_mt.c
mpm_mt_mod_mpm_mt_la_SOURCES = $(mpm_mt_sources)
mpm_mt_mod_mpm_mt_la_LIBADD = libmpm.la

mpms += mpm/sped/mod_mpm_sped.la
mpm_sped_sources = mpm/sped/mpm_sped.c
mpm_sped_mod_mpm_sped_la_SOURCES = $(mpm_sped_sources)
mpm_sped_mod_mpm_sped_la_LIBADD = libmpm.la

mpms += mpm/amped/mod_mpm_amped.la
mpm_amped_sources = mpm/amped/mpm_amped.c
mpm_amped_mod_mpm_amped_la_SOURCES = $(mpm_amped_sources)
mpm_amped_mod_mpm_amped_la_LIBADD = libmpm.la

mpms += mpm/hybrid/mod_mpm_hybrid.la
mpm_hybrid_sources = mpm/hybrid/mpm_hybrid.c
mpm_hybrid_mod_mpm_hybrid_la_SOURCES = $(mpm_hybrid_sources)
mpm_hybrid_mod_mpm_hybrid_la_LIBADD = libmpm.la

# Where the kernel and liburing offer rings.

mpm_ring_sources = \
    mpm/common/ring.c \
    mpm/common/ring_accept.c \
    mpm/common/ring_input.c \
    mpm/common/ring_op.c \
    mpm/common/ring_pipe.c \
    mpm/common/ring_span.c

if HAVE_LIBURING
libring_la_SOURCES = $(mpm_ring_sources)
noinst_LTLIBRARIES += libring.la
mpms += mpm/proactor/mod_mpm_proactor.la
endif
mpm_proactor_sources = mpm/proactor/mpm_proactor.c
mpm_proactor_mod_mpm_proactor_la_SOURCES = $(mpm_proactor_sources)
mpm_proactor_mod_mpm_proactor_la_LIBADD = libring.la libmpm.la $(URING_LIBS)
