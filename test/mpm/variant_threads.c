/*
 * variant_threads.c - helpers are threads.
 */
#include "machine.h"

const char *const contract_directives[] = {"HelperType", "thread", NULL};
