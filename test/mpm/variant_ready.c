/*
 * variant_ready.c - helpers only bring into memory.
 */
#include "machine.h"

const char *const contract_directives[] = {"HelperReply", "ready", NULL};
