/*
 * variant_apart.c - a thread is made for each connection.
 */
#include "machine.h"

const char *const contract_directives[] = {"ThreadPool", "off", NULL};
