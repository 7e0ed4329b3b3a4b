/* material: passphrases and key files, as the user gives them, and what opens a seal. */
#ifndef OXV_CLI_MATERIAL_H
#define OXV_CLI_MATERIAL_H

#include "base/secret.h"
#include "cli/cli.h"
#include "vault/vault.h"

/* Where a passphrase comes from: the options' names, and what is asked where none is given. */
struct oxv_passphrase_source {
    const char *file_option; /* "passphrase-file" */
    const char *fd_option;
    const char *question;
    bool twice; /* ask again, and compare: for a new one */
};

/* One that opens the vault now: --passphrase-file, --passphrase-fd. */
extern const struct oxv_passphrase_source oxv_vault_passphrase;

/* What a secret of one line is called in messages, and how long it may be. */
struct oxv_material_kind {
    const char *name; /* "passphrase" */
    size_t max;
    bool has_no_nul; /* a NUL in it is refused */
};

/* Before the first secret: closes this process to others, and honours --allow-unlocked-memory of
 * the command. */
enum oxv_exit oxv_material_setup(const struct oxv_cli *cli);

/* An open descriptor number of the command line; *out is a copy, owned by the caller. */
enum oxv_exit oxv_material_open_fd(const struct oxv_cli *cli, const char *text, int *out);

/*
 * From file, descriptor, terminal, or without a terminal one line from standard input. *out is
 * owned by the caller.
 */
enum oxv_exit oxv_material_passphrase(const struct oxv_cli *cli,
                                      const struct oxv_passphrase_source *source,
                                      struct oxv_secret **out);

/*
 * One line of at most `max` bytes (base/io.h) from the file or descriptor that one of the two
 * options names; `what` names it in messages: "passphrase". Where neither is given *out stays NULL,
 * and no error is told.
 */
enum oxv_exit oxv_material_given(const struct oxv_cli *cli, const char *file_option,
                                 const char *fd_option, const struct oxv_material_kind *kind,
                                 struct oxv_secret **out);

/* The reading end of a pipe that holds the secret already, which fits any pipe's buffer. */
enum oxv_exit oxv_material_pipe(const struct oxv_cli *cli, const struct oxv_secret *secret,
                                int *out);

/* Opens a key file, 32 bytes; with `create` it is made where it is absent, and *created says so. */
enum oxv_exit oxv_material_open_keyfile(const struct oxv_cli *cli, const char *path, bool create,
                                        bool *created, int *out_fd);
enum oxv_exit oxv_material_keyfile(const struct oxv_cli *cli, const char *path, bool create,
                                   struct oxv_secret **out);

/* One seal of this vault, as the service tells it. */
struct oxv_seal_info {
    uint64_t id;
    struct oxv_seal_record record; /* kind and KDF parameters */
    uint8_t salt[16];              /* backs the record's view: do not copy the struct */
};

/* The label of the token that a seal is in, by its URI; "" where none is told. */
void oxv_seal_info_label(struct oxv_view object, char *out, size_t out_size);
/* Reads one element of the service's list of seals. False where it is malformed. */
bool oxv_seal_info_read(struct oxv_view object, struct oxv_seal_info *out);
/* The next good element of the list of seals that `answer` holds, with *at from 0. */
bool oxv_seal_info_next(struct oxv_view answer, size_t *at, struct oxv_seal_info *out);
size_t oxv_seal_info_count(struct oxv_view answer, enum oxv_seal_kind kind);
/* Has the list a seal of that kind (and of that id, if not 0)? */
bool oxv_seal_info_has(struct oxv_view answer, enum oxv_seal_kind kind, uint64_t id);

#endif
