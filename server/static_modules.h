/*
 * static_modules.h - the modules that are compiled in.
 *
 * The table is made by the build from modules/sources.mk and mpm/sources.mk;
 * without --enable-static-modules it is empty.
 */
#ifndef WR__STATIC_MODULES_H
#define WR__STATIC_MODULES_H

#include "wr_module.h"

/** Ended by NULL; to be loaded only when the configuration says so. */
extern wr_module *const wr__static_modules[];

#endif
