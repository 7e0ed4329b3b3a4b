/* Any bytes as log/pending: opening mends it once and for all. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "vault/log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/oxv-fuzz-XXXXXX";
static int vault_fd = -1;

static void
remove_vault(void)
{
    (void)unlinkat(vault_fd, "log/pending", 0); /* best effort at the very end */
    (void)unlinkat(vault_fd, "log", AT_REMOVEDIR);
    (void)rmdir(path);
}

static void
make_vault(void)
{
    if (mkdtemp(path) == NULL) {
        abort();
    }
    vault_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (vault_fd < 0 || mkdirat(vault_fd, "log", 0700) != 0 || atexit(remove_vault) != 0) {
        abort();
    }
}

static off_t
size_after_open(void)
{
    OXV_AUTO(oxv_log_pending_freep) struct oxv_log_pending *pending = NULL;
    struct stat st;

    if (oxv_log_pending_open(vault_fd, &pending, NULL) != OXV_OK ||
        fstatat(vault_fd, "log/pending", &st, 0) != 0) {
        abort();
    }
    return st.st_size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (vault_fd < 0) {
        make_vault();
    }
    int fd = openat(vault_fd, "log/pending", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || oxv_write_all(fd, oxv_view(data, size)) != OXV_OK) {
        abort();
    }
    (void)close(fd); /* only read again below */
    off_t mended = size_after_open();

    if (mended > 65536 || size_after_open() != mended) {
        abort();
    }
    return 0;
}
