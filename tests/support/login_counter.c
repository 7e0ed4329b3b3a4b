/*
 * A PKCS#11 module around SoftHSM that writes down each C_Login: one byte to the file that
 * OXV_LOGIN_COUNTER_FILE names. Built by the test that uses it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"

static CK_FUNCTION_LIST ours;
static CK_FUNCTION_LIST_PTR theirs;

static CK_RV
count_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG pin_len)
{
    int fd = open(OXV_LOGIN_COUNTER_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0) {
        return CKR_HOST_MEMORY; /* a test that counts nothing must not pass */
    }
    return theirs->C_Login(session, user, pin, pin_len);
}

CK_RV
C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
    if (theirs == NULL) {
        void *module = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
        CK_C_GetFunctionList get = NULL;

        if (module != NULL) {
            *(void **)&get = dlsym(module, "C_GetFunctionList");
        }
        if (get == NULL || get(&theirs) != CKR_OK) {
            return CKR_GENERAL_ERROR;
        }
        ours = *theirs;
        ours.C_Login = count_login;
        ours.C_GetFunctionList = C_GetFunctionList;
    }
    *list = &ours;
    return CKR_OK;
}
