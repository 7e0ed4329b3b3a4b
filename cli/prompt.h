/* prompt: asks for a secret on the terminal without showing it. */
#ifndef OXV_CLI_PROMPT_H
#define OXV_CLI_PROMPT_H

#include "base/secret.h"

/* Is there a terminal to ask at? */
bool oxv_prompt_possible(void);

/*
 * Writes `question` to /dev/tty and reads one line of at most `max` bytes from it, without echo.
 * The terminal is as before afterwards, also where a signal ends or stops the program meanwhile.
 *   OXV_E_NOT_FOUND  there is no terminal
 *   OXV_E_LIMIT      empty, or too long
 *   OXV_E_IO         the terminal is gone, or its input ended
 */
OXV_MUST_USE enum oxv_status oxv_prompt_secret(const char *question, size_t max,
                                               struct oxv_secret **out, struct oxv_err *err);

/* The same, where an empty answer is one too. */
OXV_MUST_USE enum oxv_status oxv_prompt_optional(const char *question, size_t max,
                                                 struct oxv_secret **out, struct oxv_err *err);

/*
 * Reads one line from a descriptor byte by byte, so that the next line is left there. Errors as
 * above.
 */
OXV_MUST_USE enum oxv_status oxv_prompt_read_line(int fd, size_t max, struct oxv_secret **out,
                                                  struct oxv_err *err);

#endif
