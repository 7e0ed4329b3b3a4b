/*
 * pkcs11_loop: how many HMAC-SHA256 a PKCS#11 module makes in its own process: C_SignInit and
 * C_Sign with a session object, one thread, nothing else. What a service around it can reach.
 *
 *   bench_pkcs11_loop SECONDS MODULE LABEL MESSAGE_BYTES    the PIN on stdin
 */
#include <dlfcn.h>
#include <err.h>
#include <p11-kit/pkcs11.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIN_MAX     256
#define SLOTS_MAX   16
#define MESSAGE_MAX 4096
#define KEY_BYTES   32
#define MAC_MAX     64
#define LABEL_BYTES 32 /* of CK_TOKEN_INFO, padded with spaces */

static void
must(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        errx(1, "%s: CKR 0x%lx", what, rv);
    }
}

static double
now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static CK_FUNCTION_LIST *
load_module(const char *path)
{
    CK_C_GetFunctionList get_list = NULL;
    CK_FUNCTION_LIST *list = NULL;
    void *module = dlopen(path, RTLD_NOW);

    if (module == NULL) {
        errx(1, "%s", dlerror());
    }
    *(void **)&get_list = dlsym(module, "C_GetFunctionList");
    if (get_list == NULL) {
        errx(1, "%s is no PKCS#11 module", path);
    }
    must(get_list(&list), "C_GetFunctionList");
    must(list->C_Initialize(NULL), "C_Initialize");
    return list;
}

static CK_SLOT_ID
find_slot(CK_FUNCTION_LIST *p11, const char *label)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    size_t len = strlen(label);

    must(p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count && len <= LABEL_BYTES; i++) {
        CK_TOKEN_INFO info;

        memset(&info, 0, sizeof info);
        must(p11->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (memcmp(info.label, label, len) == 0 && (len == LABEL_BYTES || info.label[len] == ' ')) {
            return slots[i];
        }
    }
    errx(1, "there is no token %s", label);
}

static CK_SESSION_HANDLE
log_in(CK_FUNCTION_LIST *p11, CK_SLOT_ID slot)
{
    CK_SESSION_HANDLE session;
    char pin[PIN_MAX];

    if (fgets(pin, sizeof pin, stdin) == NULL) {
        errx(2, "the PIN is expected on stdin");
    }
    pin[strcspn(pin, "\n")] = '\0';
    must(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session), "C_OpenSession");
    must(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)), "C_Login");
    return session;
}

static CK_OBJECT_HANDLE
make_key(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session)
{
    static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    static CK_BBOOL yes = CK_TRUE;
    static CK_BBOOL no = CK_FALSE;
    static uint8_t value[KEY_BYTES] = { 1 };
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &type, sizeof type },
        { CKA_TOKEN, &no, sizeof no },       { CKA_PRIVATE, &yes, sizeof yes },
        { CKA_SENSITIVE, &yes, sizeof yes }, { CKA_EXTRACTABLE, &no, sizeof no },
        { CKA_SIGN, &yes, sizeof yes },      { CKA_VALUE, value, sizeof value },
    };
    CK_OBJECT_HANDLE key;

    must(p11->C_CreateObject(session, template, sizeof template / sizeof template[0], &key),
         "C_CreateObject");
    return key;
}

static void
sign(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, size_t len)
{
    static uint8_t message[MESSAGE_MAX];
    CK_MECHANISM mechanism = { CKM_SHA256_HMAC, NULL, 0 };
    uint8_t mac[MAC_MAX];
    CK_ULONG mac_len = sizeof mac;

    must(p11->C_SignInit(session, &mechanism, key), "C_SignInit");
    must(p11->C_Sign(session, message, len, mac, &mac_len), "C_Sign");
    if (mac_len != KEY_BYTES) {
        errx(1, "the MAC has %lu bytes", mac_len);
    }
}

int
main(int argc, char **argv)
{
    uint64_t done = 0;

    if (argc != 5) {
        errx(2, "usage: bench_pkcs11_loop SECONDS MODULE LABEL MESSAGE_BYTES");
    }
    CK_FUNCTION_LIST *p11 = load_module(argv[2]);
    CK_SESSION_HANDLE session = log_in(p11, find_slot(p11, argv[3]));
    CK_OBJECT_HANDLE key = make_key(p11, session);
    size_t len = strtoul(argv[4], NULL, 10);

    if (len == 0 || len > MESSAGE_MAX) {
        errx(2, "a message has 1 to %d bytes", MESSAGE_MAX);
    }
    double start = now_s();
    double end = start + strtod(argv[1], NULL);
    double now;

    do {
        for (int i = 0; i < 100; i++) {
            sign(p11, session, key, len);
        }
        done += 100;
        now = now_s();
    } while (now < end);
    printf("%.0f\n", (double)done / (now - start));
    return 0;
}
