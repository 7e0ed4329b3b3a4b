/* answer: fills a result struct from a JSON object, as a table of its members says. */
#ifndef OXV_CLIENT_ANSWER_H
#define OXV_CLIENT_ANSWER_H

#include "client/arena.h"
#include "client/error.h"

enum oxv_answer_type {
    OXV_ANSWER_TEXT,  /* struct member: const char *; "" where it is missing */
    OXV_ANSWER_U64,   /* uint64_t */
    OXV_ANSWER_TEXTS, /* const char *const *, ends with NULL */
};

struct oxv_answer_field {
    const char *parent; /* the object within the object that has it; NULL: none */
    const char *name;
    enum oxv_answer_type type;
    bool required;
    size_t offset;
};

struct oxv_answer_shape {
    const struct oxv_answer_field *fields;
    size_t count;
    size_t struct_size;
    size_t storage_offset; /* of the member `storage` */
};

/* Signatures as they are made: a program sees the first member, and asks for the others. */
struct oxv_proved_oauth1 {
    struct oxv_client_oauth1 result;
    const char *proof;
};
struct oxv_proved_token_passport {
    struct oxv_client_token_passport result;
    const char *proof;
};
struct oxv_proved_connect_password {
    struct oxv_client_connect_password result;
    const char *proof;
};

/* What the library gives out; of signatures the structs above. */
extern const struct oxv_answer_shape oxv_answer_oauth1;
extern const struct oxv_answer_shape oxv_answer_token_passport;
extern const struct oxv_answer_shape oxv_answer_connect_password;
extern const struct oxv_answer_shape oxv_answer_connection;
extern const struct oxv_answer_shape oxv_answer_health;

/*
 * Reads a checked JSON object into *out (struct_size bytes, zeroed) whose texts lie in `arena`.
 * Members that the shape does not name are a newer service's and are passed over.
 *   OXV_CLIENT_BAD_ANSWER  a required member is missing, or one has another type: *error names it
 */
enum oxv_client_code oxv_answer_read(const struct oxv_answer_shape *shape, struct oxv_view object,
                                     struct oxv_arena *arena, void *out,
                                     struct oxv_client_error *error);

/* Checks a whole text, then reads it into a struct of its own, which owns its storage. */
enum oxv_client_code oxv_answer_parse(const struct oxv_answer_shape *shape, struct oxv_view text,
                                      void **out, struct oxv_client_error *error);

#endif
