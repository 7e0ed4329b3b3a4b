#include "cli/witness_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hook.h"
#include "base/io.h"
#include "base/text.h"

#define KEY_FILE       "witness.key"
#define KEY_PREFIX     "PRIVATE+KEY+"
#define KEY_MAX_BYTES  512u
#define KEYS_MAX_BYTES (OXV_WITNESS_KEYS_MAX * OXV_LOG_VKEY_MAX_BYTES)
#define FILE_NAME_MAX  96u

struct oxv_witness_dir {
    int logs_fd;
    int lock_fd;
    struct oxv_vkey vkey;
    struct oxv_secret *secret_key;
    struct oxv_hasher *hasher;
    uint8_t note[OXV_NOTE_MAX_BYTES]; /* read, or to be written */
};

void
oxv_witness_dir_free(struct oxv_witness_dir *dir)
{
    if (dir == NULL) {
        return;
    }
    oxv_closep(&dir->logs_fd);
    oxv_closep(&dir->lock_fd);
    oxv_secret_free(dir->secret_key);
    oxv_hasher_free(dir->hasher);
    free(dir);
}

/* ---- making ---- */

/* The seed follows, in base64, then a newline. */
static enum oxv_status
write_key(const struct oxv_vkey *vkey, const uint8_t typed[1 + OXV_NOTE_SEED_BYTES],
          struct oxv_secret *text)
{
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(text), oxv_secret_len(text));

    oxv_cosigner_key_id(vkey, id);
    oxv_write_text(&w, KEY_PREFIX);
    oxv_write_text(&w, vkey->name);
    oxv_write_u8(&w, '+');
    oxv_write_hex(&w, oxv_view(id, sizeof id));
    oxv_write_u8(&w, '+');
    oxv_write_base64(&w, oxv_view(typed, 1 + OXV_NOTE_SEED_BYTES));
    oxv_write_u8(&w, '\n');
    if (w.failed) {
        return OXV_E_LIMIT;
    }
    oxv_secret_shorten(text, w.len);
    return OXV_OK;
}

static enum oxv_status
make_key(int dir_fd, const char *name, struct oxv_vkey *vkey, struct oxv_err *err)
{
    OXV_AUTO(oxv_secret_freep)
    struct oxv_secret *secret_key = oxv_secret_new(OXV_NOTE_SECRET_KEY_BYTES);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *text = oxv_secret_new(KEY_MAX_BYTES);
    uint8_t typed[1 + OXV_NOTE_SEED_BYTES] = { OXV_NOTE_COSIGNATURE_TYPE };

    if (secret_key == NULL || text == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory");
    }
    if (oxv_text_copy(oxv_view_text(name), vkey->name, sizeof vkey->name) != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "the name is too long");
    }
    (void)crypto_sign_keypair(vkey->public_key, oxv_secret_bytes(secret_key)); /* cannot fail */
    (void)crypto_sign_ed25519_sk_to_seed(&typed[1], oxv_secret_bytes(secret_key));
    enum oxv_status st = write_key(vkey, typed, text);

    oxv_wipe(typed, sizeof typed);
    if (st != OXV_OK) {
        return oxv_fail(err, OXV_E_USAGE, "the name is too long");
    }
    return oxv_replace_file_at(dir_fd, KEY_FILE, 0600, oxv_secret_view(text), err);
}

enum oxv_status
oxv_witness_dir_make(const char *path, const char *name, struct oxv_vkey *vkey, struct oxv_err *err)
{
    if (!oxv_note_is_name(oxv_view_text(name))) {
        return oxv_fail(err, OXV_E_USAGE,
                        "a witness's name has no space and no +, like witness.example/1");
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return oxv_fail_errno(err, "cannot make the directory %s", path);
    }
    OXV_AUTO(oxv_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return oxv_fail_errno(err, "cannot open %s", path);
    }
    if (!oxv_dir_is_empty(fd)) {
        return oxv_fail(err, OXV_E_CONFLICT,
                        "%s is not empty: a witness needs a directory of its own", path);
    }
    if (mkdirat(fd, "logs", 0700) != 0) {
        return oxv_fail_errno(err, "cannot make %s/logs", path);
    }
    enum oxv_status st = make_key(fd, name, vkey, err);

    return st != OXV_OK ? st : oxv_sync_parent(path, err);
}

/* ---- opening ---- */

/* <name>+<key id>+<base64>: the name has no plus. */
static bool
parse_key(struct oxv_view text, struct oxv_secret *secret_key, struct oxv_vkey *vkey)
{
    struct oxv_view rest = oxv_view_from(text, strlen(KEY_PREFIX));
    size_t name_len = oxv_view_find(rest, '+');
    struct oxv_view name = oxv_view_slice(rest, 0, name_len);
    struct oxv_view id_text = oxv_view_slice(rest, name_len + 1, 2 * OXV_NOTE_KEY_ID_BYTES);
    struct oxv_view key = oxv_view_from(rest, name_len + 2 + 2 * OXV_NOTE_KEY_ID_BYTES);
    uint8_t typed[1 + OXV_NOTE_SEED_BYTES];
    uint8_t id[OXV_NOTE_KEY_ID_BYTES];
    uint8_t wanted[OXV_NOTE_KEY_ID_BYTES];
    size_t len = 0;
    bool is_key = oxv_view_has_prefix(text, KEY_PREFIX) && oxv_note_is_name(name) &&
                  oxv_text_copy(name, vkey->name, sizeof vkey->name) == OXV_OK &&
                  oxv_parse_hex(id_text, wanted, sizeof wanted) &&
                  oxv_parse_base64(key, typed, sizeof typed, &len) && len == sizeof typed &&
                  typed[0] == OXV_NOTE_COSIGNATURE_TYPE;

    if (is_key) {
        (void)crypto_sign_seed_keypair(vkey->public_key, oxv_secret_bytes(secret_key), &typed[1]);
        oxv_cosigner_key_id(vkey, id);
        is_key = memcmp(id, wanted, sizeof id) == 0;
    }
    oxv_wipe(typed, sizeof typed);
    return is_key;
}

static enum oxv_status
read_key(const char *path, struct oxv_witness_dir *dir, struct oxv_err *err)
{
    char file[4096];
    OXV_AUTO(oxv_closep) int fd = -1;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *text = NULL;

    if (oxv_format(file, sizeof file, "%s/" KEY_FILE, path) != OXV_OK) {
        return oxv_fail(err, OXV_E_LIMIT, "the path is too long");
    }
    if (access(file, F_OK) != 0) {
        return oxv_fail(err, OXV_E_NOT_FOUND,
                        "there is no witness in %s: oxvault --dir DIR witness init makes one",
                        path);
    }
    dir->secret_key = oxv_secret_new(OXV_NOTE_SECRET_KEY_BYTES);
    if (dir->secret_key == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory");
    }
    enum oxv_status st = oxv_open_secret_file(file, &fd, err);

    if (st == OXV_OK) {
        st = oxv_read_secret_fd(fd, KEY_MAX_BYTES, true, &text, err);
    }
    if (st == OXV_OK && !parse_key(oxv_secret_view(text), dir->secret_key, &dir->vkey)) {
        st = oxv_fail(err, OXV_E_FORMAT, "%s is no key of a witness", file);
    }
    return st;
}

static int
open_below(const char *path, const char *name, int flags)
{
    char file[4096];

    return oxv_format(file, sizeof file, "%s/%s", path, name) == OXV_OK
               ? open(file, flags | O_CLOEXEC | O_NOFOLLOW, 0600)
               : -1;
}

static enum oxv_status
lock(const char *path, struct oxv_witness_dir *dir, struct oxv_err *err)
{
    dir->lock_fd = open_below(path, "lock", O_RDWR | O_CREAT);
    if (dir->lock_fd < 0) {
        return oxv_fail_errno(err, "cannot open %s/lock", path);
    }
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? oxv_fail(err, OXV_E_CONFLICT,
                              "another process of this witness cosigns already in %s", path)
                   : oxv_fail_errno(err, "cannot lock %s/lock", path);
    }
    return OXV_OK;
}

enum oxv_status
oxv_witness_dir_open(const char *path, struct oxv_witness_dir **out, struct oxv_err *err)
{
    OXV_AUTO(oxv_witness_dir_freep) struct oxv_witness_dir *dir = calloc(1, sizeof *dir);

    if (dir == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no memory");
    }
    dir->logs_fd = -1;
    dir->lock_fd = -1;
    dir->hasher = oxv_hasher_new();
    enum oxv_status st =
        dir->hasher == NULL ? oxv_fail(err, OXV_E_MEMORY, "no SHA-256") : read_key(path, dir, err);

    if (st == OXV_OK) {
        st = lock(path, dir, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    dir->logs_fd = open_below(path, "logs", O_RDONLY | O_DIRECTORY);
    if (dir->logs_fd < 0) {
        return oxv_fail_errno(err, "cannot open %s/logs", path);
    }
    *out = oxv_witness_dir_take(&dir);
    return OXV_OK;
}

const struct oxv_vkey *
oxv_witness_dir_vkey(const struct oxv_witness_dir *dir)
{
    return &dir->vkey;
}

/* ---- logs ---- */

static void
file_name(const char *origin, const char *ending, char out[FILE_NAME_MAX])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    struct oxv_writer w = oxv_writer(out, FILE_NAME_MAX - 1);

    (void)crypto_hash_sha256(hash, (const uint8_t *)origin, strlen(origin)); /* cannot fail */
    oxv_write_hex(&w, oxv_view(hash, sizeof hash));
    oxv_write_text(&w, ending);
    out[w.len] = '\0';
}

static enum oxv_status
parse_keys(struct oxv_view text, const char *origin, struct oxv_witnessed_log *log,
           struct oxv_err *err)
{
    struct oxv_reader r = oxv_reader(text);
    struct oxv_view line;

    while (oxv_read_line(&r, &line)) {
        struct oxv_vkey *key = &log->keys[log->key_count];

        if (log->key_count == OXV_WITNESS_KEYS_MAX || oxv_vkey_parse(line, key, NULL) != OXV_OK ||
            strcmp(key->name, origin) != 0) {
            return oxv_fail(err, OXV_E_FORMAT, "the file of the keys of %s is damaged", origin);
        }
        log->key_count++;
    }
    return oxv_reader_at_end(&r)
               ? OXV_OK
               : oxv_fail(err, OXV_E_FORMAT, "the file of the keys of %s is damaged", origin);
}

/* A log without a file has no keys. */
static enum oxv_status
read_keys(int logs_fd, const char *origin, struct oxv_witnessed_log *log, struct oxv_err *err)
{
    char name[FILE_NAME_MAX];
    uint8_t text[KEYS_MAX_BYTES];
    size_t len = 0;

    *log = (struct oxv_witnessed_log){ .key_count = 0 };
    file_name(origin, ".keys", name);
    enum oxv_status st = oxv_read_file_at(logs_fd, name, text, sizeof text, &len, err);

    if (st == OXV_E_NOT_FOUND) {
        return OXV_OK;
    }
    return st != OXV_OK ? st : parse_keys(oxv_view(text, len), origin, log, err);
}

static enum oxv_status
add_key(int logs_fd, const struct oxv_vkey *log_key, struct oxv_err *err)
{
    struct oxv_witnessed_log log;
    char name[FILE_NAME_MAX];
    uint8_t text[KEYS_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    enum oxv_status st = read_keys(logs_fd, log_key->name, &log, err);

    if (st != OXV_OK) {
        return st;
    }
    for (size_t i = 0; i < log.key_count; i++) {
        if (memcmp(log.keys[i].public_key, log_key->public_key, OXV_NOTE_PUBLIC_KEY_BYTES) == 0) {
            return oxv_fail(err, OXV_E_CONFLICT, "the log %s is known by this key already",
                            log_key->name);
        }
        oxv_vkey_write(&w, &log.keys[i]);
        oxv_write_u8(&w, '\n');
    }
    oxv_vkey_write(&w, log_key);
    oxv_write_u8(&w, '\n');
    if (log.key_count == OXV_WITNESS_KEYS_MAX || w.failed) {
        return oxv_fail(err, OXV_E_LIMIT, "the log has %u keys already", OXV_WITNESS_KEYS_MAX);
    }
    file_name(log_key->name, ".keys", name);
    return oxv_replace_file_at(logs_fd, name, 0600, oxv_view(text, w.len), err);
}

enum oxv_status
oxv_witness_dir_add(const char *path, const struct oxv_vkey *log_key, struct oxv_err *err)
{
    OXV_AUTO(oxv_closep) int key_fd = open_below(path, KEY_FILE, O_RDONLY);
    OXV_AUTO(oxv_closep) int logs_fd = open_below(path, "logs", O_RDONLY | O_DIRECTORY);

    if (key_fd < 0 || logs_fd < 0) {
        return oxv_fail(err, OXV_E_NOT_FOUND,
                        "there is no witness in %s that is yours: oxvault --dir DIR witness init "
                        "makes one",
                        path);
    }
    if (flock(logs_fd, LOCK_EX) != 0) { /* against a second one of us; who cosigns only reads */
        return oxv_fail_errno(err, "cannot lock %s/logs", path);
    }
    return add_key(logs_fd, log_key, err);
}

/* What was cosigned last; *head stays as it is where nothing was. */
static enum oxv_status
read_note(struct oxv_witness_dir *dir, const char *origin, struct oxv_proof_head *head,
          struct oxv_err *err)
{
    char name[FILE_NAME_MAX];
    struct oxv_note note;
    struct oxv_saved_head said;
    uint64_t time_s;
    size_t len = 0;

    file_name(origin, ".checkpoint", name);
    enum oxv_status st =
        oxv_read_file_at(dir->logs_fd, name, dir->note, sizeof dir->note, &len, err);

    if (st != OXV_OK) {
        return st == OXV_E_NOT_FOUND ? OXV_OK : st;
    }
    if (oxv_note_parse(oxv_view(dir->note, len), &note, NULL) != OXV_OK ||
        oxv_checkpoint_parse(note.text, &said, NULL) != OXV_OK ||
        strcmp(said.origin, origin) != 0 ||
        oxv_note_check_cosigner(&note, &dir->vkey, &time_s) != OXV_OK) {
        return oxv_fail(err, OXV_E_FORMAT, "logs/%s is not what this witness cosigned", name);
    }
    *head = said.head;
    return OXV_OK;
}

/* Durable first, then the line is given out. */
static enum oxv_status
cosign(struct oxv_witness_dir *dir, const struct oxv_witness_request *request,
       const struct oxv_witnessed_log *log, struct oxv_writer *answer, struct oxv_err *err)
{
    const struct oxv_witness_signer signer = { .witness = &dir->vkey,
                                               .secret_key = dir->secret_key,
                                               .time_s = oxv_clock_wall_us() / 1000000u };
    struct oxv_writer note = oxv_writer(dir->note, sizeof dir->note);
    char name[FILE_NAME_MAX];

    oxv_witness_cosign(request, log, &signer, &note, answer);
    if (note.failed || answer->failed) {
        return oxv_fail(err, OXV_E_LIMIT, "the note is too long to be cosigned");
    }
    file_name(request->said.origin, ".checkpoint", name);
    if (oxv_hook("witness.save") != 0) {
        return oxv_fail_errno(err, "cannot write logs/%s", name);
    }
    enum oxv_status st =
        oxv_replace_file_at(dir->logs_fd, name, 0600, oxv_view(dir->note, note.len), err);

    if (st == OXV_OK && oxv_hook("witness.saved") != 0) {
        return oxv_fail_errno(err, "cannot answer");
    }
    return st;
}

enum oxv_status
oxv_witness_dir_cosign(struct oxv_witness_dir *dir, const struct oxv_witness_request *request,
                       enum oxv_witness_verdict *verdict, struct oxv_writer *answer,
                       struct oxv_err *err)
{
    struct oxv_witnessed_log log;
    enum oxv_status st = read_keys(dir->logs_fd, request->said.origin, &log, err);

    if (st == OXV_OK) {
        st = read_note(dir, request->said.origin, &log.head, err);
    }
    if (st != OXV_OK) {
        return st;
    }
    *verdict = oxv_witness_judge(dir->hasher, request, &log);
    if (*verdict == OXV_WITNESS_OTHER_SIZE) {
        oxv_write_decimal(answer, log.head.size);
        oxv_write_u8(answer, '\n');
    }
    return *verdict == OXV_WITNESS_GROWN ? cosign(dir, request, &log, answer, err) : OXV_OK;
}

enum oxv_status
oxv_witness_dir_note(const struct oxv_witness_dir *dir, const char hash[OXV_WITNESS_HASH_CHARS],
                     struct oxv_writer *note, struct oxv_err *err)
{
    char name[FILE_NAME_MAX];
    size_t len = 0;

    if (oxv_format(name, sizeof name, "%s.checkpoint", hash) != OXV_OK) {
        oxv_bug("a hash that is too long");
    }
    if (note->failed || note->max - note->len < OXV_NOTE_MAX_BYTES) {
        return oxv_fail(err, OXV_E_LIMIT, "no room for a note");
    }
    enum oxv_status st =
        oxv_read_file_at(dir->logs_fd, name, &note->data[note->len], OXV_NOTE_MAX_BYTES, &len, err);

    if (st == OXV_OK) {
        note->len += len;
    }
    return st;
}
