/*
 * hostile_pkcs11: a PKCS#11 module that does what no module may, by a script beside it
 * (hostile.conf in its directory), and else is SoftHSM. A line of the script:
 *
 *   CALL VERB [NUMBER [SKIP [TIMES]]]      CALL "all" is any call but C_Initialize and C_Finalize
 *
 *   return N      the call is not made, N is returned
 *   length N      the call is made, and tells the length N
 *   write N       the call is made, and N bytes are written to its output, whatever was declared
 *   delay T N     after T ms: returns N; or makes the call, where N is 0
 *   hang, crash
 *   pad N         C_Login: N is what somebody types at the PIN pad
 *   flags N       C_GetTokenInfo: these flags too
 *   serial N      C_GetTokenInfo: this serial number
 *   double        C_GetSlotList: every slot twice
 *   give T N      C_GetAttributeValue of attribute T: one byte N, whatever the object is
 *   private T N   the same, where the object is a private key
 *   bare          C_UnwrapKey: what is unwrapped without CKA_EXTRACTABLE is extractable
 *   refuse T N    C_GetAttributeValue of attribute T: returns N
 *   value N       C_GetAttributeValue of CKA_VALUE: N bytes
 *   gcm N         C_Encrypt by AES-GCM: 2 writes an IV back, 3 appends one, 9 says it did and did
 * not sessions N    C_GetTokenInfo: so many sessions at most late N        C_CreateObject: makes
 * the object, and returns N empty         C_FindObjectsInit: finds nothing yubihsm C_CreateObject,
 * C_FindObjectsInit: as a YubiHSM's module does
 *
 * SKIP calls go by before the line applies, then TIMES calls (0: all). The name of every call is
 * appended to hostile.log beside it. Numbers are in any base that C knows.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#define SOFTHSM      "/usr/lib/softhsm/libsofthsm2.so"
#define RULES_MAX    32
#define SCRIPT_MAX   8192
#define GCM_IV_BYTES 12u
#define GCM_LONG_IV  16u
#define BARE_MAX     32u

struct rule {
    char call[40];
    char verb[16];
    unsigned long number;
    unsigned long second;
    unsigned long skip;
    unsigned long times;
    unsigned long seen;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char script[SCRIPT_MAX];
static struct rule rules[RULES_MAX];
static size_t rule_count;
static CK_FUNCTION_LIST ours;
static CK_FUNCTION_LIST_PTR theirs;
static CK_GCM_PARAMS *gcm_params; /* of the last C_EncryptInit; tests encrypt one at a time */
static CK_OBJECT_HANDLE gcm_key;
static CK_OBJECT_HANDLE bare_key = CK_INVALID_HANDLE; /* see "bare" */

static void
beside(const char *name, char *out, size_t out_size)
{
    Dl_info info;
    const char *slash;

    if (dladdr(&ours, &info) == 0 || (slash = strrchr(info.dli_fname, '/')) == NULL ||
        snprintf(out, out_size, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, name) >=
            (int)out_size) {
        abort();
    }
}

static void
parse_line(const char *line)
{
    struct rule r = { .call = "" };
    long numbers[4] = { 0 };
    int n = sscanf(line, "%39s %15s %li %li %li %li", r.call, r.verb, &numbers[0], &numbers[1],
                   &numbers[2], &numbers[3]);

    if (n < 2 || rule_count == RULES_MAX) {
        return;
    }
    size_t next = 1;

    r.number = (unsigned long)numbers[0];
    if (strcmp(r.verb, "give") == 0 || strcmp(r.verb, "private") == 0 ||
        strcmp(r.verb, "delay") == 0 || strcmp(r.verb, "refuse") == 0) {
        r.second = (unsigned long)numbers[next++];
    }
    r.skip = (unsigned long)numbers[next];
    r.times = next + 1 < 4 ? (unsigned long)numbers[next + 1] : 0;
    rules[rule_count++] = r;
}

/* A script that changed begins with all counts at zero. */
static void
read_script(void)
{
    char path[4096];
    char text[SCRIPT_MAX] = "";

    beside("hostile.conf", path, sizeof path);
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        size_t len = fread(text, 1, sizeof text - 1, file);

        text[len] = '\0';
        (void)fclose(file);
    }
    if (strcmp(text, script) == 0) {
        return;
    }
    memcpy(script, text, sizeof script);
    rule_count = 0;
    for (char *line = text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        parse_line(line);
    }
}

static void
note_call(const char *call)
{
    char path[4096];

    beside("hostile.log", path, sizeof path);
    FILE *file = fopen(path, "ae");

    if (file != NULL) {
        (void)fprintf(file, "%s\n", call);
        (void)fclose(file);
    }
}

/* The first rule that applies to this call now; false: none does. */
static bool
find_rule(const char *call, struct rule *out)
{
    bool is_plain = strcmp(call, "C_Initialize") != 0 && strcmp(call, "C_Finalize") != 0;
    bool found = false;

    (void)pthread_mutex_lock(&lock);
    read_script();
    note_call(call);
    for (size_t i = 0; i < rule_count && !found; i++) {
        struct rule *r = &rules[i];

        if (strcmp(r->call, call) != 0 && !(is_plain && strcmp(r->call, "all") == 0)) {
            continue;
        }
        r->seen++;
        found = r->seen > r->skip && (r->times == 0 || r->seen <= r->skip + r->times);
        *out = *r;
    }
    (void)pthread_mutex_unlock(&lock);
    if (found && strcmp(out->verb, "hang") == 0) {
        for (;;) {
            (void)pause();
        }
    }
    if (found && strcmp(out->verb, "delay") == 0) {
        (void)usleep((useconds_t)out->number * 1000);
        found = out->second != 0;
        out->number = out->second;
        memcpy(out->verb, "return", sizeof "return");
    }
    if (found && strcmp(out->verb, "crash") == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    }
    return found;
}

static bool
is(const struct rule *r, bool found, const char *verb)
{
    return found && strcmp(r->verb, verb) == 0;
}

/* A call that is passed on, or answered with a code. */
#define PASS_TO(name, parameters, call)                                                            \
    static CK_RV hostile_##name parameters                                                         \
    {                                                                                              \
        struct rule r;                                                                             \
        bool found = find_rule(#name, &r);                                                         \
        CK_RV rv = is(&r, found, "return") ? (CK_RV)r.number : call;                               \
                                                                                                   \
        return rv == CKR_OK && is(&r, found, "late") ? (CK_RV)r.number : rv;                       \
    }
#define PASS(name, parameters, arguments) PASS_TO(name, parameters, theirs->name arguments)

PASS(C_Initialize, (void *args), (args))
PASS(C_Finalize, (void *reserved), (reserved))
PASS(C_OpenSession,
     (CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *out),
     (slot, flags, app, notify, out))
PASS(C_CloseSession, (CK_SESSION_HANDLE s), (s))
PASS(C_CloseAllSessions, (CK_SLOT_ID slot), (slot))
PASS(C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE *out, CK_ULONG *count),
     (slot, out, count))
PASS(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info),
     (slot, type, info))
PASS(C_DestroyObject, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object), (s, object))
PASS(C_CopyObject,
     (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *t, CK_ULONG n,
      CK_OBJECT_HANDLE *out),
     (s, object, t, n, out))
PASS(C_FindObjects, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *count),
     (s, out, max, count))
PASS(C_FindObjectsFinal, (CK_SESSION_HANDLE s), (s))
PASS(C_SignInit, (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key), (s, m, key))
PASS(C_DecryptInit, (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key), (s, m, key))
PASS(C_GenerateKey,
     (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *out),
     (s, m, t, n, out))
PASS(C_GenerateKeyPair,
     (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *pub, CK_ULONG pub_n, CK_ATTRIBUTE *priv,
      CK_ULONG priv_n, CK_OBJECT_HANDLE *pub_out, CK_OBJECT_HANDLE *priv_out),
     (s, m, pub, pub_n, priv, priv_n, pub_out, priv_out))
PASS(C_WrapKey,
     (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
      CK_BYTE *out, CK_ULONG *len),
     (s, m, wrapping, key, out, len))
PASS(C_DeriveKey,
     (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_ATTRIBUTE *t, CK_ULONG n,
      CK_OBJECT_HANDLE *out),
     (s, m, key, t, n, out))

static CK_RV
hostile_C_Login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG len)
{
    struct rule r;
    bool found = find_rule("C_Login", &r);
    char typed[16];

    if (is(&r, found, "return")) {
        return r.number;
    }
    if (is(&r, found, "pad")) {
        (void)snprintf(typed, sizeof typed, "%lu", r.number);
        return theirs->C_Login(s, user, (CK_UTF8CHAR_PTR)typed, strlen(typed));
    }
    return theirs->C_Login(s, user, pin, len);
}

/* What C_UnwrapKey was called with. */
struct unwrapping {
    CK_SESSION_HANDLE session;
    CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE key;
    CK_BYTE *wrapped;
    CK_ULONG len;
    CK_ATTRIBUTE *template;
    CK_ULONG count;
    CK_OBJECT_HANDLE *out;
};

static CK_RV
unwrap(const struct unwrapping *u, bool is_bare)
{
    static CK_BBOOL yes = CK_TRUE;
    static CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE whole[BARE_MAX] = { { CKA_SENSITIVE, &yes, sizeof yes },
                                     { CKA_EXTRACTABLE, &no, sizeof no },
                                     { CKA_DERIVE, &no, sizeof no } };

    for (CK_ULONG i = 0; i < u->count; i++) {
        is_bare = is_bare && u->template[i].type != CKA_EXTRACTABLE;
    }
    if (!is_bare || u->count + 3 > BARE_MAX) {
        return theirs->C_UnwrapKey(u->session, u->mechanism, u->key, u->wrapped, u->len,
                                   u->template, u->count, u->out);
    }
    memcpy(whole + 3, u->template, u->count * sizeof whole[0]); /* SoftHSM wants these three too */
    CK_RV rv = theirs->C_UnwrapKey(u->session, u->mechanism, u->key, u->wrapped, u->len, whole,
                                   u->count + 3, u->out);

    bare_key = rv == CKR_OK ? *u->out : bare_key;
    return rv;
}

PASS_TO(C_UnwrapKey,
        (CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_BYTE *wrapped, CK_ULONG len,
         CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *out),
        unwrap(&(struct unwrapping){ s, m, key, wrapped, len, t, n, out }, is(&r, found, "bare")))

static void
spoil_output(const struct rule *r, bool found, CK_BYTE *out, CK_ULONG *len)
{
    if (is(r, found, "length")) {
        *len = r->number;
    }
    if (is(r, found, "write")) {
        memset(out, 0xaa, r->number);
    }
}

static CK_RV
hostile_C_Sign(CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out, CK_ULONG *len)
{
    struct rule r;
    bool found = find_rule("C_Sign", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    CK_RV rv = theirs->C_Sign(s, data, data_len, out, len);

    spoil_output(&r, found, out, len);
    return rv;
}

static CK_RV
hostile_C_Decrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *len)
{
    struct rule r;
    bool found = find_rule("C_Decrypt", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    CK_RV rv = theirs->C_Decrypt(s, in, in_len, out, len);

    spoil_output(&r, found, out, len);
    return rv;
}

/* SoftHSM takes the IV when the operation begins, so ours begins only with C_Encrypt. */
static CK_RV
hostile_C_EncryptInit(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    struct rule r;
    bool found = find_rule("C_EncryptInit", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    gcm_params = m->mechanism == CKM_AES_GCM ? m->pParameter : NULL;
    gcm_key = key;
    return gcm_params != NULL ? CKR_OK : theirs->C_EncryptInit(s, m, key);
}

/* What C_Encrypt was called with. */
struct call {
    CK_SESSION_HANDLE session;
    CK_BYTE *in;
    CK_ULONG in_len;
    CK_BYTE *out;
    CK_ULONG *len;
};

static CK_RV
encrypt_gcm(const struct call *c, CK_GCM_PARAMS *params)
{
    CK_MECHANISM m = { CKM_AES_GCM, params, sizeof *params };
    CK_RV rv = theirs->C_EncryptInit(c->session, &m, gcm_key);

    return rv == CKR_OK ? theirs->C_Encrypt(c->session, c->in, c->in_len, c->out, c->len) : rv;
}

static CK_RV
encrypt_dialect(const struct call *c, unsigned long dialect)
{
    CK_GCM_PARAMS params = *gcm_params;
    CK_BYTE iv[GCM_LONG_IV] = { 0 };

    if (dialect != 9 && getrandom(iv, sizeof iv, 0) != sizeof iv) {
        abort();
    }
    params.pIv = iv;
    params.ulIvLen = dialect == 3 ? GCM_LONG_IV : GCM_IV_BYTES;
    params.ulIvBits = params.ulIvLen * 8;
    CK_RV rv = encrypt_gcm(c, &params);

    if (rv == CKR_OK && dialect == 3) {
        memcpy(c->out + *c->len, iv, sizeof iv);
        *c->len += sizeof iv;
    } else if (rv == CKR_OK && dialect == 2) {
        memcpy(gcm_params->pIv, iv, GCM_IV_BYTES);
    }
    return rv;
}

static CK_RV
hostile_C_Encrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *len)
{
    struct rule r;
    bool found = find_rule("C_Encrypt", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    struct call c = { s, in, in_len, out, len };
    CK_RV rv = gcm_params == NULL     ? theirs->C_Encrypt(s, in, in_len, out, len)
               : is(&r, found, "gcm") ? encrypt_dialect(&c, r.number)
                                      : encrypt_gcm(&c, gcm_params);

    spoil_output(&r, found, out, len);
    return rv;
}

static CK_RV
hostile_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    struct rule r;
    bool found = find_rule("C_GetTokenInfo", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    CK_RV rv = theirs->C_GetTokenInfo(slot, info);

    if (is(&r, found, "flags")) {
        info->flags |= r.number;
    }
    if (is(&r, found, "serial")) {
        char serial[17];

        (void)snprintf(serial, sizeof serial, "%016lx", r.number);
        memcpy(info->serialNumber, serial, sizeof info->serialNumber);
    }
    if (is(&r, found, "sessions")) {
        info->ulMaxSessionCount = r.number;
    }
    return rv;
}

static CK_RV
hostile_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *out, CK_ULONG *count)
{
    struct rule r;
    bool found = find_rule("C_GetSlotList", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    CK_RV rv = theirs->C_GetSlotList(present, out, count);

    if (rv == CKR_OK && is(&r, found, "double")) {
        memcpy(out + *count, out, *count * sizeof *out);
        *count *= 2;
    }
    if (rv == CKR_OK && is(&r, found, "length")) {
        *count = r.number;
    }
    return rv;
}

static bool
is_private_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
    CK_OBJECT_CLASS class = 0;
    CK_ATTRIBUTE t = { CKA_CLASS, &class, sizeof class };

    return theirs->C_GetAttributeValue(s, object, &t, 1) == CKR_OK && class == CKO_PRIVATE_KEY;
}

static CK_RV
hostile_C_GetAttributeValue(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *t,
                            CK_ULONG n)
{
    struct rule r;
    bool found = find_rule("C_GetAttributeValue", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    if (is(&r, found, "refuse") && n == 1 && t->type == r.number) {
        return r.second;
    }
    if ((is(&r, found, "give") || (is(&r, found, "private") && is_private_key(s, object))) &&
        n == 1 && t->type == r.number) {
        *(CK_BYTE *)t->pValue = (CK_BYTE)r.second;
        t->ulValueLen = 1;
        return CKR_OK;
    }
    if (is(&r, found, "value") && n == 1 && t->type == CKA_VALUE) {
        memset(t->pValue, 0x5a, r.number);
        t->ulValueLen = r.number;
        return CKR_OK;
    }
    CK_RV rv = theirs->C_GetAttributeValue(s, object, t, n);

    if (rv == CKR_OK && n == 1 && t->type == CKA_EXTRACTABLE && object == bare_key) {
        *(CK_BYTE *)t->pValue = CK_TRUE;
    }
    if (is(&r, found, "length")) {
        t->ulValueLen = r.number;
    }
    return rv;
}

static bool
yubihsm_knows(CK_ATTRIBUTE_TYPE type)
{
    static const CK_ATTRIBUTE_TYPE known[] = {
        CKA_CLASS,   CKA_KEY_TYPE, CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE,  CKA_EXTRACTABLE,
        CKA_SIGN,    CKA_VERIFY,   CKA_WRAP,  CKA_UNWRAP,  CKA_DERIVE,     CKA_ENCRYPT,
        CKA_DECRYPT, CKA_ID,       CKA_LABEL, CKA_VALUE,   CKA_MODIFIABLE, CKA_COPYABLE,
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == type) {
            return true;
        }
    }
    return false;
}

static CK_RV
yubihsm_create(const CK_ATTRIBUTE *t, CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n; i++) {
        if (!yubihsm_knows(t[i].type)) {
            return CKR_ATTRIBUTE_TYPE_INVALID;
        }
        if (t[i].type == CKA_KEY_TYPE && *(const CK_KEY_TYPE *)t[i].pValue == CKK_GENERIC_SECRET) {
            return CKR_TEMPLATE_INCONSISTENT;
        }
        if (t[i].type == CKA_TOKEN && *(const CK_BBOOL *)t[i].pValue == CK_FALSE) {
            return CKR_TEMPLATE_INCONSISTENT; /* it has no keys of a session */
        }
    }
    return CKR_OK;
}

static CK_RV
hostile_C_CreateObject(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *out)
{
    struct rule r;
    bool found = find_rule("C_CreateObject", &r);
    CK_RV rv = is(&r, found, "return")    ? (CK_RV)r.number
               : is(&r, found, "yubihsm") ? yubihsm_create(t, n)
                                          : CKR_OK;

    if (rv != CKR_OK) {
        return rv;
    }
    rv = theirs->C_CreateObject(s, t, n, out);
    return is(&r, found, "late") ? (CK_RV)r.number : rv; /* made, and then said that it failed */
}

static CK_RV
hostile_C_FindObjectsInit(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n)
{
    static CK_BYTE nothing[] = "no such label in the world";
    static CK_ATTRIBUTE none[] = { { CKA_LABEL, nothing, sizeof nothing } };
    struct rule r;
    bool found = find_rule("C_FindObjectsInit", &r);

    if (is(&r, found, "return")) {
        return r.number;
    }
    for (CK_ULONG i = 0; is(&r, found, "yubihsm") && i < n; i++) {
        if (t[i].type == CKA_KEY_TYPE) {
            return theirs->C_FindObjectsInit(s, none, 1);
        }
    }
    return is(&r, found, "empty") ? theirs->C_FindObjectsInit(s, none, 1)
                                  : theirs->C_FindObjectsInit(s, t, n);
}

#define OURS(name) ours.name = hostile_##name

static void
replace_calls(void)
{
    OURS(C_Initialize);
    OURS(C_Finalize);
    OURS(C_OpenSession);
    OURS(C_CloseSession);
    OURS(C_CloseAllSessions);
    OURS(C_Login);
    OURS(C_GetMechanismList);
    OURS(C_GetMechanismInfo);
    OURS(C_DestroyObject);
    OURS(C_CopyObject);
    OURS(C_FindObjectsInit);
    OURS(C_FindObjects);
    OURS(C_FindObjectsFinal);
    OURS(C_SignInit);
    OURS(C_Sign);
    OURS(C_EncryptInit);
    OURS(C_Encrypt);
    OURS(C_DecryptInit);
    OURS(C_Decrypt);
    OURS(C_GenerateKey);
    OURS(C_GenerateKeyPair);
    OURS(C_WrapKey);
    OURS(C_UnwrapKey);
    OURS(C_DeriveKey);
    OURS(C_CreateObject);
    OURS(C_GetTokenInfo);
    OURS(C_GetSlotList);
    OURS(C_GetAttributeValue);
}

CK_RV
C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
    CK_C_GetFunctionList get_list = NULL;
    void *library = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");

    if (symbol == NULL) {
        return CKR_GENERAL_ERROR;
    }
    memcpy(&get_list, &symbol, sizeof get_list);
    CK_RV rv = get_list(&theirs);

    if (rv == CKR_OK) {
        ours = *theirs;
        replace_calls();
        *list = &ours;
    }
    return rv;
}
