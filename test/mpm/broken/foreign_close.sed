# A worker closes, while the I/O thread may hold events of the connection.
#
# source: mpm/hybrid/mpm_hybrid.c
# mpm: hybrid
# test: all_wants
# reason: another thread than the one that accepted it
/^static void run_conn/,/^}/ {
    s/case WR_WANT_CLOSE:/case WR_WANT_YIELD:/
    t
    s/case WR_WANT_YIELD:/case WR_WANT_CLOSE:\
            if (wr_conn_close(c, self)) {\
                return;\
            }\
            __attribute__((fallthrough));/
}
