#include "cli/command.h"

/* clang-format off: one line, one option. */
const struct oxv_option oxv_global_options[] = {
    { "dir", 0, false, "DIR", "the vault (default: $OXVAULT_DIR or /var/lib/oxvault)" },
    { "run", 0, false, "DIR", "the service's doors (default: $OXVAULT_RUN or /run/oxvault)" },
    { "json", 0, false, NULL, "print JSON with stable keys" },
    { "no-color", 0, false, NULL, "print without colours" },
    { "help", 'h', false, NULL, "show help" },
    { "version", 0, false, NULL, "show the version" },
    { 0 },
};

#define UNLOCKED_MEMORY                                                                            \
    {                                                                                              \
        "allow-unlocked-memory", 0, false, NULL, "go on where memory for secrets cannot be locked" \
    }

#define SERVICE_UID                                                                                \
    {                                                                                              \
        "service-uid", 0, false, "N",                                                              \
            "the user the service runs as, where not root, you or oxvault"                         \
    }

#define PIN_OPTIONS                                                                                \
    { "pin-file", 0, false, "FILE", "read the PIN of the token from this file" },                  \
    {                                                                                              \
        "pin-fd", 0, false, "N", "read the PIN from this open descriptor"                          \
    }

#define TOKEN_SEAL_OPTIONS                                                                         \
    { "module", 0, false, "MODULE", "token: its PKCS#11 module, a path or a p11-kit name" },       \
        PIN_OPTIONS, { "generate", 0, false, NULL, "token: make a key for this seal" },            \
        { "key-id", 0, false, "HEX", "token: seal with the key of this CKA_ID" },                  \
        { "mechanism", 0, false, "NAME", "token: seal by this and no other, like aes-gcm" },       \
        { "gcm-iv", 0, false, "NAME", "aes-gcm: host (default), hsm-writeback, hsm-appended" },    \
        { "allow-oaep-sha1", 0, false, NULL, "token: RSA-OAEP with SHA-1 will do" },               \
    {                                                                                              \
        "allow-pkcs1", 0, false, NULL, "token: RSA PKCS#1 v1.5 will do"                            \
    }

#define PLACE_OPTIONS                                                                              \
    { "in-token", 0, false, "URI", "the key goes into this token, like pkcs11:token=LABEL" },      \
        { "module", 0, false, "MODULE",                                                            \
          "its PKCS#11 module, where the service does not know it" },                              \
        { "key-id", 0, false, "HEX", "the key is in the token already, under this CKA_ID" },       \
        { "objects-only", 0, false, NULL,                                                          \
          "make the key an object of the token, use no RSA pair" },                                \
        PIN_OPTIONS

#define HELPER_OPTIONS                                                                             \
    { "users", 0, false, "roles|none", "as root: run the helper as oxvault-token, or as root" },   \
    {                                                                                              \
        "libexec", 0, false, "DIR", "where oxvault-token is (default: beside this program)"        \
    }

static const struct oxv_option init_options[] = {
    { "seal", 0, false, "KIND", "what opens the vault: passphrase, keyfile, or a token's URI" },
    { "passphrase-file", 0, false, "FILE", "read the passphrase from this file" },
    { "passphrase-fd", 0, false, "N", "read the passphrase from this open descriptor" },
    { "keyfile", 0, false, "FILE", "the key file; made (0600, 32 random bytes) if absent" },
    TOKEN_SEAL_OPTIONS,
    { "single-seal", 0, false, NULL, "token: no second seal is wanted" },
    { "users", 0, false, "roles|none",
      "as root: make it for the user oxvault, or for root itself" },
    { "secret-memory", 0, false, "KIND", "memory for keys: auto, memfd or sodium" },
    { "libexec", 0, false, "DIR", "where oxvault-keeper is (default: beside this program)" },
    UNLOCKED_MEMORY,
    { 0 },
};
#define COPY_OPTIONS                                                                               \
    { "passphrase-file", 0, false, "FILE", "read the passphrase from this file" },                 \
        { "passphrase-fd", 0, false, "N", "read the passphrase from this open descriptor" },       \
        { "keyfile", 0, false, "FILE", "open with this key file" }, PIN_OPTIONS,                   \
        { "seal", 0, false, "ID", "the seal that the PIN is for, where there are several" },       \
        { "users", 0, false, "roles|none",                                                         \
          "as root: make it for the user oxvault, or for root itself" },                           \
        { "secret-memory", 0, false, "KIND", "memory for keys: auto, memfd or sodium" },           \
        { "libexec", 0, false, "DIR", "where oxvault-keeper is (default: beside this program)" },  \
        UNLOCKED_MEMORY

static const struct oxv_option backup_options[] = {
    { "output", 'o', false, "FILE", "the backup (0600)" },
    { "force", 0, false, NULL, "replace FILE where it is there" },
    { 0 },
};
static const struct oxv_option rekey_options[] = {
    { "passphrase-file", 0, true, "FILE", "a passphrase whose seal stays" },
    { "passphrase-fd", 0, false, "N", "the same, from an open descriptor" },
    { "keyfile", 0, true, "FILE", "a key file whose seal stays" },
    { "drop-other-seals", 0, false, NULL, "remove every seal whose secret is not given" },
    SERVICE_UID,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option copy_options[] = {
    COPY_OPTIONS,
    { 0 },
};
static const struct oxv_option unseal_options[] = {
    { "passphrase-file", 0, false, "FILE", "read the passphrase from this file" },
    { "passphrase-fd", 0, false, "N", "read the passphrase from this open descriptor" },
    { "keyfile", 0, false, "FILE", "open with this key file" },
    PIN_OPTIONS,
    { "seal", 0, false, "ID", "try this seal only (see: seal list)" },
    SERVICE_UID,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option seal_add_options[] = {
    { "keyfile", 0, false, "FILE", "the new key file; made (0600, 32 random bytes) if absent" },
    { "passphrase-file", 0, false, "FILE", "read the new passphrase from this file" },
    { "passphrase-fd", 0, false, "N", "read the new passphrase from this open descriptor" },
    { "existing-passphrase-file", 0, false, "FILE", "a passphrase that opens the vault now" },
    { "existing-passphrase-fd", 0, false, "N", "the same, from an open descriptor" },
    { "existing-keyfile", 0, false, "FILE", "a key file that opens the vault now" },
    { "existing-pin-file", 0, false, "FILE", "the PIN of a token that opens the vault now" },
    { "existing-pin-fd", 0, false, "N", "the same, from an open descriptor" },
    { "existing-seal", 0, false, "ID", "open with this seal only (see: seal list)" },
    { "uri", 0, false, "URI", "seal add token: the token, like pkcs11:token=LABEL" },
    TOKEN_SEAL_OPTIONS,
    SERVICE_UID,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option connection_add_options[] = {
    { "system", 0, false, "SYSTEM", "netsuite or oauth1" },
    { "account-id", 0, false, "ID", "NetSuite account, like 1234567 or 1234567_SB1" },
    { "consumer-key", 0, false, "KEY", "public identifier of the integration" },
    { "token-id", 0, false, "ID", "public identifier of the token" },
    { "role-id", 0, false, "ID", "for your records and for Order Exchange; not signed" },
    { "application-id", 0, false, "ID", "for your records and for Order Exchange; not signed" },
    { "realm", 0, false, "TEXT", "oauth1: realm of the header" },
    { "origin", 0, true, "URL", "a further https://host[:port] it may sign for" },
    { "signature-method", 0, false, "NAME", "HMAC-SHA256 (default), HMAC-SHA512, RSA-SHA256, ..." },
    { "secrets-file", 0, false, "FILE", "{\"consumer_secret\":\"...\",\"token_secret\":\"...\"}" },
    { "secrets-fd", 0, false, "N", "the same, from an open descriptor" },
    { "private-key-file", 0, false, "PEM", "RSA methods: the private key" },
    { "keep-secrets", 0, false, NULL, "keep both secrets too, sealed (default: the signing key)" },
    PLACE_OPTIONS,
    SERVICE_UID,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option move_options[] = {
    PLACE_OPTIONS,
    { "in-vault", 0, false, NULL, "the key is in the vault, as without a token" },
    { "new-secrets", 0, false, NULL, "the secrets are others than before: do not compare the key" },
    { "secrets-file", 0, false, "FILE", "{\"consumer_secret\":\"...\",\"token_secret\":\"...\"}" },
    { "secrets-fd", 0, false, "N", "the same, from an open descriptor" },
    { "keep-secrets", 0, false, NULL, "keep both secrets too, sealed (default: the signing key)" },
    SERVICE_UID,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option token_list_options[] = {
    { "module", 0, false, "MODULE", "ask no service: the tokens that this module sees" },
    HELPER_OPTIONS,
    { 0 },
};
static const struct oxv_option token_probe_options[] = {
    { "module", 0, false, "MODULE", "its PKCS#11 module, a path or a p11-kit name" },
    PIN_OPTIONS,
    HELPER_OPTIONS,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option token_login_options[] = {
    PIN_OPTIONS,
    SERVICE_UID,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option import_options[] = {
    { "keep-secrets", 0, false, NULL, "keep both secrets too, sealed (default: the signing key)" },
    SERVICE_UID,
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option uid_options[] = {
    { "uid", 0, false, "N", "the user by number" },
    { "user", 0, false, "NAME", "the user by name" },
    { 0 },
};
static const struct oxv_option grant_add_options[] = {
    { "kind", 0, true, "KINDS", "oauth1, token-passport, connect-password" },
    { "method", 0, true, "METHODS", "oauth1: HTTP methods (default: any)" },
    { "path", 0, true, "GLOB", "oauth1: * within a segment, ** across" },
    { "query", 0, true, "NAME=VALUE", "oauth1: parameters that must be there" },
    { "rate", 0, false, "N/s", "at most N signatures a second, minute (m) or hour (h)" },
    { "not-before", 0, false, "TIME", "valid from: 2026-01-31, RFC 3339, or +2h" },
    { "not-after", 0, false, "TIME", "valid until" },
    { 0 },
};
static const struct oxv_option grant_list_options[] = {
    { "caller", 0, false, "NAME", "only of this caller" },
    { "connection", 0, false, "NAME", "only for this connection" },
    { 0 },
};
static const struct oxv_option sign_options[] = {
    { "form", 0, true, "NAME=VALUE", "a parameter of a form-encoded body" },
    { "kind", 0, false, "KIND", "oauth1 (default), token-passport or connect-password" },
    { "soap-version", 0, false, "VERSION", "token-passport: like 2025_2" },
    { "proof", 0, false, "FILE", "write the proof there that the log has this signature" },
    { 0 },
};

#define LOG_FILTERS                                                                                \
    { "since", 0, false, "TIME", "from then on: 2026-01-31, RFC 3339, or 2h, 3d (ago)" },          \
        { "until", 0, false, "TIME", "before then" },                                              \
        { "connection", 0, false, "NAME", "only of this connection" },                             \
        { "caller", 0, false, "NAME", "only of this caller" },                                     \
        { "outcome", 0, false, "NAME", "only allowed, denied or failed" },                         \
    {                                                                                              \
        "type", 0, false, "NAME", "only of this type, like sign or grant.add"                      \
    }

static const struct oxv_option log_show_options[] = {
    LOG_FILTERS,
    { "limit", 'n', false, "N", "the last N that match (default: 50; 0: all)" },
    { 0 },
};
static const struct oxv_option log_follow_options[] = {
    LOG_FILTERS,
    { 0 },
};
static const struct oxv_option log_export_options[] = {
    LOG_FILTERS,
    { "format", 0, false, "FORMAT",
      "jsonl (default), csv, ocsf, ecs, cef, leef, rfc5424 or tiles" },
    { "output", 'o', false, "FILE", "write to this file (0600) instead of stdout" },
    { 0 },
};
static const struct oxv_option log_report_options[] = {
    { "from", 0, false, "TIME", "from then on: 2026-01-31, RFC 3339, or 2h, 3d (ago)" },
    { "to", 0, false, "TIME", "before then" },
    { "output", 'o', false, "FILE", "the HTML file (0600)" },
    { "key", 0, false, "FILE", "the log's first key: checks the log folder too" },
    { "log", 0, false, "DIR", "with --key: the log folder (default: log/ of the vault)" },
    { 0 },
};
static const struct oxv_option log_explain_options[] = {
    { "signature", 0, false, "TEXT", "the entry of this signature: base64, or the header" },
    { "nonce", 0, false, "TEXT", "the entry of this nonce" },
    { "index", 0, false, "N", "entry N" },
    { 0 },
};
static const struct oxv_option log_reconcile_options[] = {
    { "column", 0, true, "FIELD=TITLE", "the title of date, user, status, token, ..." },
    { "date-order", 0, false, "ORDER", "of dates in the file: mdy (default), dmy or ymd" },
    { "utc-offset", 0, false, "OFFSET", "of times in the file, like -08:00 (default: UTC)" },
    { "window", 0, false, "SECONDS", "between login and signature, at most (default: 300)" },
    { "token", 0, true, "NAME=CONNECTION", "logins by this token are of that connection" },
    { 0 },
};
static const struct oxv_option log_checkpoint_options[] = {
    { "output", 'o', false, "FILE", "write to this file (0600) instead of stdout" },
    { 0 },
};
static const struct oxv_option log_prove_options[] = {
    { "from", 0, false, "OLD", "that nothing was changed since: a kept checkpoint, or a size" },
    { "log", 0, false, "DIR", "from a copy of the log folder instead of the running service" },
    { "checkpoint", 0, false, "FILE", "with --log: the kept checkpoint that the proof leads to" },
    { "output", 'o', false, "FILE", "write to this file (0600) instead of stdout" },
    { 0 },
};
static const struct oxv_option log_verify_options[] = {
    { "log", 0, false, "DIR", "the log folder, or a copy (default: log/ of the vault)" },
    { "key", 0, false, "FILE", "the log's first key, as kept by the auditor" },
    { "checkpoint", 0, true, "FILE", "a checkpoint kept from earlier, which the log must contain" },
    { "proof", 0, false, "FILE", "check this proof instead of a folder (see: log prove)" },
    { "entry", 0, false, "FILE", "with --proof: the entry it is about, where that is not in it" },
    { "manifest", 0, false, "FILE", "check an export, by the manifest beside it" },
    { "jobs", 'j', false, "N", "threads (default: one for each core)" },
    { "finals-only", 0, false, NULL, "leave out signatures that a later one covers" },
    { "state", 0, false, "FILE", "go on where FILE says; if all is well, save there how far" },
    { 0 },
};
static const struct oxv_option witness_options[] = {
    { "listen", 0, false, "ADDRESS:PORT", "serve there (default: 127.0.0.1:7444)" },
    { "socket", 0, false, "PATH", "serve on this Unix socket instead" },
    { "allow-remote", 0, false, NULL, "--listen may be an address that others can reach" },
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option witness_init_options[] = {
    { "name", 0, false, "NAME", "its name, like witness.example/1" },
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option witness_sign_options[] = {
    { "output", 'o', false, "FILE", "write the cosignature to this file instead of stdout" },
    UNLOCKED_MEMORY,
    { 0 },
};
static const struct oxv_option help_options[] = {
    { "words", 0, false, NULL, "print what can stand next, for shell completion" },
    { 0 },
};

#define UID_TEXT "NAME is yours to choose. The uid is that of the process that connects."

const struct oxv_command oxv_commands[] = {
    { "init", "", 0, 0, "make a new vault",
      "Makes the vault in --dir, which must be empty or absent, and prints the first key of its\n"
      "access log: give that key, or its fingerprint, to your auditor at once.",
      init_options, oxv_cmd_init },
    { "status", "", 0, 0, "show the state of the service", NULL, NULL, oxv_cmd_status },
    { "health", "", 0, 0, "show whether signatures can be had (no admin needed)", NULL, NULL,
      oxv_cmd_health },
    { "doctor", "", 0, 0, "check memory, sandbox and surroundings of the running service",
      "Exit code 1 where a check fails.", NULL, oxv_cmd_doctor },
    { "unseal", "", 0, 0, "open the vault of a service that came up sealed", NULL, unseal_options,
      oxv_cmd_unseal },
    { "lock", "", 0, 0, "wipe the keys from the service's memory at once", NULL, NULL,
      oxv_cmd_lock },
    { "backup", "", 0, 0, "write records and seals of the running service to one encrypted file",
      "Any seal that the vault has now opens it. The access log and its key are never in it.\n"
      "Signatures and changes go on meanwhile; the backup is as the vault was at its begin.",
      backup_options, oxv_cmd_backup },
    { "rekey", "", 0, 0, "draw a new root key, so that removed seals and old backups open nothing",
      "All records are sealed anew and the log's epoch ends. Give what opens each seal that is to\n"
      "stay; a token's seal cannot stay, add it again afterwards. Make a new backup then.",
      rekey_options, oxv_cmd_rekey },
    { "restore", "FILE", 1, 1, "make a vault of a backup, as a new node",
      "--dir must be empty or absent. The new node has an access log of its own, whose first\n"
      "entries name the log before; give its key to your auditor at once. Exit code 6 where FILE\n"
      "is damaged or was changed.",
      copy_options, oxv_cmd_restore },
    { "adopt", "", 0, 0, "make a new node of a vault that was moved, cloned or put back",
      "For a vault that the service refuses: on another machine, or where vault.db and log do not\n"
      "belong together. Its old log is kept beside the new one. Stop oxvaultd first, and make "
      "sure\n"
      "that no other machine goes on with the same vault.",
      copy_options, oxv_cmd_adopt },
    { "seal add", "KIND|URI", 1, 1, "add a way to open the vault",
      "KIND is passphrase or keyfile; a token is named by its URI, or as token with --uri. Asks "
      "for\n"
      "a passphrase (or --existing-keyfile, or the PIN of a token) that opens the vault now. "
      "Without\n"
      "a terminal that passphrase is read from standard input, one line.",
      seal_add_options, oxv_cmd_seal_add },
    { "seal list", "", 0, 0, "list the ways to open the vault", NULL, NULL, oxv_cmd_seal_list },
    { "seal remove", "ID", 1, 1, "remove a way to open the vault",
      "It still opens copies of the vault that were made before: run oxvault rekey to revoke it.",
      NULL, oxv_cmd_seal_remove },
    { "connection add", "NAME", 1, 1, "import an account and its secrets",
      "The secrets are prompted for without echo, or come from --secrets-file or --secrets-fd.\n"
      "From them the signing key is computed; the vault keeps only that. With --in-token it goes\n"
      "into a token, and the vault has no key: there is no way out of a token.",
      connection_add_options, oxv_cmd_connection_add },
    { "connection import", "FILE", 1, 1, "import many connections, all or none",
      "FILE has one JSON object a line: name, system, account_id, consumer_key, token_id, "
      "role_id,\n"
      "application_id, realm, origins, signature_method, consumer_secret, token_secret.",
      import_options, oxv_cmd_connection_import },
    { "connection move", "NAME", 1, 1,
      "put a connection's key into a token, or back into the vault",
      "Its two secrets are entered again: there is no way out of a token.", move_options,
      oxv_cmd_connection_move },
    { "connection list", "", 0, 0, "list the connections", NULL, NULL, oxv_cmd_connection_list },
    { "connection show", "NAME", 1, 1, "show a connection's public fields", NULL, NULL,
      oxv_cmd_connection_show },
    { "connection remove", "NAME", 1, 1, "remove a connection, its key and its grants", NULL, NULL,
      oxv_cmd_connection_remove },
    { "caller add", "NAME", 1, 1, "make a program known, by its uid", UID_TEXT, uid_options,
      oxv_cmd_caller_add },
    { "caller list", "", 0, 0, "list the callers", NULL, NULL, oxv_cmd_caller_list },
    { "caller disable", "NAME", 1, 1, "refuse a caller everything, keeping its grants", NULL, NULL,
      oxv_cmd_caller_disable },
    { "caller enable", "NAME", 1, 1, "undo caller disable", NULL, NULL, oxv_cmd_caller_enable },
    { "caller remove", "NAME", 1, 1, "remove a caller and its grants", NULL, NULL,
      oxv_cmd_caller_remove },
    { "grant add", "CALLER CONNECTION", 2, 2, "let a caller have signatures of a connection",
      "--kind, --method and --query take several, separated by commas; they and --path can be\n"
      "given more than once. A comma within a query value is written \\,",
      grant_add_options, oxv_cmd_grant_add },
    { "grant list", "", 0, 0, "list the grants", NULL, grant_list_options, oxv_cmd_grant_list },
    { "grant remove", "ID", 1, 1, "remove a grant", NULL, NULL, oxv_cmd_grant_remove },
    { "admin add", "", 0, 0, "let a user administer the service", NULL, uid_options,
      oxv_cmd_admin_add },
    { "admin list", "", 0, 0, "list the admins", NULL, NULL, oxv_cmd_admin_list },
    { "admin remove", "", 0, 0, "take the admin right from a user", NULL, uid_options,
      oxv_cmd_admin_remove },
    { "token list", "", 0, 0, "list the tokens of the service, or those that a module sees", NULL,
      token_list_options, oxv_cmd_token_list },
    { "token probe", "URI", 1, 1, "try what a token can do for us, and say why where it cannot",
      "Asks no service. It makes keys for a moment and leaves nothing. Without a PIN only what\n"
      "needs none is tried.",
      token_probe_options, oxv_cmd_token_probe },
    { "token login", "[TOKEN]", 0, 1, "give the service a token's PIN",
      "TOKEN is an id, a label or a URI (see: token list). Also after the token refused a PIN: "
      "one\n"
      "try, and tokens count.",
      token_login_options, oxv_cmd_token_login },
    { "token remove", "TOKEN", 1, 1, "let the service forget a token that no connection uses",
      "What is on the token stays there.", NULL, oxv_cmd_token_remove },
    { "sign", "CONNECTION [METHOD URL]", 1, 3, "print the Authorization header for one request",
      "For --kind token-passport and connect-password there is no METHOD and no URL; printed is\n"
      "the SOAP header element, or the password. The proof of --proof holds its entry, and is\n"
      "checked by: log verify --proof FILE --key KEY",
      sign_options, oxv_cmd_sign },
    { "log show", "", 0, 0, "show entries of the access log", NULL, log_show_options,
      oxv_cmd_log_show },
    { "log follow", "", 0, 0, "show entries as they are written", NULL, log_follow_options,
      oxv_cmd_log_follow },
    { "log export", "", 0, 0, "write entries of the access log to a file",
      "Every format is one record a line. Beside FILE a manifest is written, FILE.manifest.json,\n"
      "that log verify --manifest checks.",
      log_export_options, oxv_cmd_log_export },
    { "log report", "", 0, 0, "make a report on the access log, as one HTML file",
      "It needs nothing but a browser: no script, nothing loaded. All entries are read, whatever\n"
      "--from and --to select, and compared with the log's checkpoint. Exit code 6 where they are\n"
      "not what was written; the report is there all the same.",
      log_report_options, oxv_cmd_log_report },
    { "log explain", "", 0, 0, "show what is behind a signature, and which grant allowed it",
      "Exit code 5 where no entry is about it: then this vault did not sign it.",
      log_explain_options, oxv_cmd_log_explain },
    { "log reconcile", "FILE", 1, 1, "compare with the logins that NetSuite saw",
      "FILE is an export of the Login Audit Trail as CSV, with the columns Date, User, Status,\n"
      "IP Address, Detail, Token-based Access Token Name and Token-based Application Name. Exit\n"
      "code 6 where there are logins without a signature in the log.",
      log_reconcile_options, oxv_cmd_log_reconcile },
    { "log checkpoint", "", 0, 0, "print the newest signed checkpoint of the access log",
      "Keep it where the log's holder cannot reach it: log verify --checkpoint compares.",
      log_checkpoint_options, oxv_cmd_log_checkpoint },
    { "log rotate-key", "", 0, 0, "end the access log's epoch: its key is wiped, a new one signs",
      "It also happens by itself: after 300 s with entries, after 65,536 entries, at each unseal "
      "and\n"
      "at each change of a seal or grant.",
      NULL, oxv_cmd_log_rotate_key },
    { "log prove", "[INDEX]", 0, 1, "prove that an entry is in the log, or that it only grew",
      "The proof holds its checkpoint and, of an entry, the entry; check it by log verify --proof.",
      log_prove_options, oxv_cmd_log_prove },
    { "log verify", "", 0, 0, "check a log folder, or one proof, offline",
      "Exit code 6 where something is wrong, with entry and byte. A key from inside the folder\n"
      "proves only that the folder agrees with itself. Cutting off the end is only seen with a\n"
      "--checkpoint from before.",
      log_verify_options, oxv_cmd_log_verify },
    { "witness", "", 0, 0, "serve as a witness: cosign checkpoints of logs that only grew",
      "A C2SP tlog-witness (POST /add-checkpoint), for a machine and a person apart from the "
      "vault.\n"
      "--dir is the witness's own directory. What it cosigned is on disk before it answers, so "
      "the\n"
      "directory must never be put back from a copy.",
      witness_options, oxv_cmd_witness },
    { "witness init", "", 0, 0, "make a witness with a key of its own in --dir", NULL,
      witness_init_options, oxv_cmd_witness_init },
    { "witness add-log", "FILE", 1, 1, "let the witness know a log by a key of it",
      "FILE has a verifier key: the log key (entry log.key), or log/genesis.vkey, which signs the\n"
      "first epoch only. A log may have several.",
      NULL, oxv_cmd_witness_add_log },
    { "witness sign", "FILE", 1, 1, "cosign a request that came as a file",
      "FILE is the body of add-checkpoint, as oxvault log prove --from SIZE writes it; before the\n"
      "first one it is the line old 0, an empty line and the checkpoint. Exit code 6 where the "
      "log\n"
      "was changed or cut.",
      witness_sign_options, oxv_cmd_witness_sign },
    { "help", "[COMMAND]", 0, 2, "show help", NULL, help_options, oxv_cmd_help },
    { "version", "", 0, 0, "show the version", NULL, NULL, oxv_cmd_version },
    { 0 },
};
/* clang-format on */
