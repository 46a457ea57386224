/*
 * wr_version.h - which Weir this is.
 */
#ifndef WR_VERSION_H
#define WR_VERSION_H

#define WR_VERSION_MAJOR  "0"
#define WR_VERSION_MINOR  "1"
#define WR_VERSION        "0.1.0"
#define WR_SERVER_PRODUCT "Weir"

#endif
