# Modules, a line each: modules/FAMILY/mod_NAME.c makes mod_NAME.so.

modules =
