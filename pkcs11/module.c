#include "pkcs11/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pkcs11/module_file.h"

struct oxv_p11_module {
    CK_FUNCTION_LIST *calls;
    pid_t owner;
    bool is_started;
    bool is_stuck; /* it would not be finalized */
    struct oxv_p11_module_file file;
};

static enum oxv_token_trouble
refuse(const struct oxv_p11_module *module, const char *reason, struct oxv_p11_fault *fault)
{
    return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "module %s: %s", module->file.path,
                         reason);
}

static enum oxv_token_trouble
load_object(struct oxv_p11_module *module, struct oxv_p11_fault *fault)
{
    void *library = dlopen(module->file.path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get_list = NULL;

    if (library == NULL) {
        const char *why = dlerror();

        return refuse(module, why == NULL ? "it cannot be loaded" : why, fault);
    }
    void *symbol = dlsym(library, "C_GetFunctionList");

    if (symbol == NULL) {
        return refuse(module, "it has no C_GetFunctionList: no PKCS#11 module", fault);
    }
    memcpy(&get_list, &symbol, sizeof get_list); /* ISO C has no cast from object to function */
    CK_RV rv = get_list(&module->calls);

    if (rv != CKR_OK || module->calls == NULL) {
        (void)oxv_p11_call_failed(fault, "C_GetFunctionList",
                                  rv == CKR_OK ? CKR_GENERAL_ERROR : rv);
        return refuse(module, "it gives no functions", fault);
    }
    if (module->calls->version.major != 2 && module->calls->version.major != 3) {
        return refuse(module, "it speaks no version of PKCS#11 that we know", fault);
    }
    return OXV_TOKEN_FINE;
}

enum oxv_token_trouble
oxv_p11_module_load(struct oxv_view name, uint64_t owner_uid_plus1, struct oxv_p11_module **out,
                    struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_p11_module_freep) struct oxv_p11_module *module = calloc(1, sizeof *module);

    if (module == NULL) {
        return oxv_p11_fault(fault, OXV_TOKEN_BUSY, CKR_HOST_MEMORY, "no memory");
    }
    enum oxv_token_trouble t = oxv_p11_module_find(name, owner_uid_plus1, &module->file, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    module->owner = getpid();
    t = load_object(module, fault);
    if (t == OXV_TOKEN_FINE) {
        *out = oxv_p11_module_take(&module);
    }
    return t;
}

void
oxv_p11_module_free(struct oxv_p11_module *module)
{
    if (module != NULL) {
        oxv_p11_module_stop(module);
        free(module);
    }
}

CK_RV
oxv_p11_module_start(struct oxv_p11_module *module)
{
    CK_C_INITIALIZE_ARGS args = { 0 };

    if (module->is_started) {
        return CKR_OK;
    }
    args.flags = CKF_OS_LOCKING_OK;
    if (module->file.reserved[0] != '\0') {
        args.pReserved = module->file.reserved;
    }
    CK_RV rv = module->calls->C_Initialize(&args);

    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED && module->is_stuck) {
        (void)fprintf(stderr, "the module %s cannot be finalized: only a new process helps\n",
                      module->file.path);
        _exit(1); /* the keeper starts one; in this process the token is absent for ever */
    }
    module->is_started = rv == CKR_OK;
    return rv;
}

void
oxv_p11_module_stop(struct oxv_p11_module *module)
{
    if (module->is_started && oxv_p11_module_is_ours(module)) {
        module->is_stuck = module->calls->C_Finalize(NULL) != CKR_OK;
        module->is_started = false;
    }
}

const CK_FUNCTION_LIST *
oxv_p11_module_calls(const struct oxv_p11_module *module)
{
    return module->calls;
}

bool
oxv_p11_module_is_ours(const struct oxv_p11_module *module)
{
    return getpid() == module->owner;
}
