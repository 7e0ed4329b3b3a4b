/*
 * fuzz_backup: a file from outside, as `oxvault restore` reads it: its head, and the rows that a
 * chunk holds. What decodes must encode to the same bytes.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "vault/backup_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
check_head(struct oxv_view bytes)
{
    struct oxv_backup_head head = { 0 };
    struct oxv_err err = { 0 };
    size_t len = 0;

    if (oxv_backup_head_read(bytes, &head, &len, &err) != OXV_OK) {
        require(err.text[0] != '\0');
        return;
    }
    uint8_t *again = malloc(len);
    struct oxv_writer w = oxv_writer(again, len);

    require(again != NULL && len <= bytes.len);
    oxv_fields_encode(&w, &oxv_backup_shape, &head);
    require(!w.failed && w.len == len - OXV_BACKUP_PREFIX_BYTES &&
            memcmp(again, bytes.data + OXV_BACKUP_PREFIX_BYTES, w.len) == 0);
    free(again);
}

static void
check_rows(struct oxv_view bytes)
{
    struct oxv_reader r = oxv_reader(bytes);
    struct oxv_store_row row = { 0 };
    uint8_t *again = malloc(bytes.len + 1);
    struct oxv_writer w = oxv_writer(again, bytes.len + 1);

    require(again != NULL);
    while (oxv_backup_row_read(&r, &row)) {
        size_t before = w.len;

        oxv_backup_row_write(&w, &row);
        require(!w.failed && w.len - before == oxv_backup_row_bytes(&row) &&
                memcmp(again, bytes.data, w.len) == 0);
    }
    free(again);
}

/* The whole file, with a key that opens nothing. */
static void
check_file(struct oxv_view bytes)
{
    static const struct oxv_secret *key;
    struct oxv_vault *vault = NULL;
    const struct oxv_backup_head *head = NULL;
    int fd = memfd_create("backup", MFD_CLOEXEC);

    key = key != NULL ? key : oxv_secret_random(OXV_KEYFILE_BYTES);
    require(fd >= 0 && key != NULL && oxv_write_all(fd, bytes) == OXV_OK &&
            lseek(fd, 0, SEEK_SET) == 0);
    if (oxv_backup_open(fd, &vault, &head, NULL) == OXV_OK) {
        struct oxv_seal_input input = { .kind = OXV_SEAL_KEYFILE, .keyfile = key };

        require(oxv_vault_unseal_copy(vault, &input, 0, NULL) != OXV_OK);
        oxv_vault_free(vault);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_set_up;

    if (!is_set_up) {
        require(oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) == OXV_OK);
        is_set_up = true;
    }
    check_head(oxv_view(data, size));
    check_rows(oxv_view(data, size));
    check_file(oxv_view(data, size));
    return 0;
}
