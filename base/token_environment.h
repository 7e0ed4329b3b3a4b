/* token_environment: the variables that tell PKCS#11 modules where their settings are. */
#ifndef OXV_BASE_TOKEN_ENVIRONMENT_H
#define OXV_BASE_TOKEN_ENVIRONMENT_H

#include <stddef.h>

#define OXV_TOKEN_ENVIRONMENT_MAX 16u

/*
 * Fills `variables` with those of this process's own environment that a token helper gets, as
 * "NAME=value" strings of environ (borrowed until the environment changes). Returns how many. No
 * one of them holds a secret, and HOME is none of them: it would let a user's files choose modules.
 */
size_t oxv_token_environment(char *variables[OXV_TOKEN_ENVIRONMENT_MAX]);

#endif
