/*
 * log_target.c - what directives say a log is.
 *
 * While the configuration is read, by the one thread that reads it.
 */
#include "log_program.h"

#include "wr_command.h"

const char *wr_log_target(const wr_command_call *call, const char *text,
                          const char **target)
{
    char **argv;

    if (wr__log_program_is(text)) {
        const char *error = wr__log_program_parse(&argv, text, call->temp_pool);
        if (error == NULL) {
            *target = text;
        }
        return error;
    }
    *target = wr_server_root_relative(call, text);
    return NULL;
}
