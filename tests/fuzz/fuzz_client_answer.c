/* client_answer: whatever a service answers becomes a result or an error, never both. */
#include <stdlib.h>

#include "base/json.h"
#include "client/answer.h"
#include "client/problem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct oxv_answer_shape *const shapes[] = {
    &oxv_answer_oauth1,     &oxv_answer_token_passport, &oxv_answer_connect_password,
    &oxv_answer_connection, &oxv_answer_health,
};

static void *
storage_of(const struct oxv_answer_shape *shape, const void *result)
{
    void *storage;

    memcpy(&storage, (const uint8_t *)result + shape->storage_offset, sizeof storage);
    return storage;
}

static void
check_texts(const struct oxv_answer_shape *shape, const void *result, size_t size)
{
    for (size_t i = 0; i < shape->count; i++) {
        const char *text;

        if (shape->fields[i].type == OXV_ANSWER_TEXT) {
            memcpy(&text, (const uint8_t *)result + shape->fields[i].offset, sizeof text);
            if (text == NULL || strlen(text) > size) {
                abort();
            }
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_view text = oxv_view(data, size);
    struct oxv_client_error error;

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        void *result = NULL;
        enum oxv_client_code code = oxv_answer_parse(shapes[i], text, &result, &error);

        if ((code == OXV_CLIENT_OK) != (result != NULL)) {
            abort();
        }
        if (result != NULL) {
            check_texts(shapes[i], result, size);
            oxv_arena_free(storage_of(shapes[i], result));
        }
    }
    if (oxv_problem_parse(text, 0, &error) == OXV_CLIENT_OK || error.code == OXV_CLIENT_OK) {
        abort();
    }
    return 0;
}
