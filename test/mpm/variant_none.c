/*
 * variant_none.c - an MPM is tested as it is without a directive.
 */
#include "machine.h"

const char *const contract_directives[] = {NULL};
