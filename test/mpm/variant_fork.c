/*
 * variant_fork.c - a process is forked for each connection.
 */
#include "machine.h"

const char *const contract_directives[] = {"ProcessPool", "off", NULL};
