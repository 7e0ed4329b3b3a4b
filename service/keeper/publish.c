#include "service/keeper/publish.h"

#include "service/keeper/tokens.h"

#define TEXT_MAX_BYTES 60416u /* OXV_TOKEN_ROWS_MAX lines */

enum oxv_status
oxv_keeper_publish(struct oxv_keeper *k, struct oxv_err *err)
{
    uint8_t text[TEXT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_msg_publish message = { 0 };
    enum oxv_status st = oxv_vault_pub_write(&w, oxv_vault_id(k->vault), k->box_public);
    struct oxv_token *t = oxv_keeper_is_open(k) ? oxv_vault_next_token(k->vault, 0) : NULL;

    while (st == OXV_OK && t != NULL) {
        st = oxv_vault_pub_write_token(&w, t->id, &t->record);
        t = oxv_vault_next_token(k->vault, t->id);
    }
    if (st != OXV_OK || oxv_writer_finish(&w, &message.text) != OXV_OK ||
        oxv_channel_put_fields(k->control, OXV_MSG_PUBLISH, 0, &oxv_msg_publish_shape, &message) !=
            OXV_OK) {
        return oxv_fail(err, OXV_E_INTERNAL, "the keys for sealed boxes cannot be published");
    }
    k->tokens->published++;
    return OXV_OK;
}
