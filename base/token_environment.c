#include "base/token_environment.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = { "SOFTHSM2_CONF",         "TPM2_PKCS11_STORE",
                                     "TPM2_PKCS11_TCTI",      "TPM2_PKCS11_LOG_LEVEL",
                                     "TPM2_PKCS11_BACKEND",   "DBUS_SESSION_BUS_ADDRESS",
                                     "YUBIHSM_PKCS11_CONF",   "KMS_PKCS11_CONFIG",
                                     "P11NETHSM_CONFIG_FILE", "ChrystokiConfigurationPath",
                                     "CS_PKCS11_R3_CFG",      "CS_PKCS11_R2_CFG" };

static bool
is_handed_on(const char *variable)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i]);

        if (strncmp(variable, names[i], len) == 0 && variable[len] == '=') {
            return true;
        }
    }
    return false;
}

size_t
oxv_token_environment(char *variables[OXV_TOKEN_ENVIRONMENT_MAX])
{
    size_t count = 0;

    for (char **one = environ; *one != NULL && count < OXV_TOKEN_ENVIRONMENT_MAX; one++) {
        if (is_handed_on(*one)) {
            variables[count++] = *one;
        }
    }
    return count;
}
