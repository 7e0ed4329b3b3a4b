/* listing: aligned columns for people. Cells are escaped, so any text from outside may go in. */
#ifndef OXV_CLI_LISTING_H
#define OXV_CLI_LISTING_H

#include "cli/cli.h"

#define OXV_LISTING_COLUMNS_MAX 12u

struct oxv_listing;

/* `titles` ends with NULL. NULL where memory is out. */
struct oxv_listing *oxv_listing_new(const char *const *titles);
void oxv_listing_free(struct oxv_listing *table);

/* Adds the next cell, row by row; an empty one is shown as "-". What does not fit memory is lost,
 * and oxv_listing_print() then says so. */
void oxv_listing_add(struct oxv_listing *table, struct oxv_view text);
void oxv_listing_add_integer(struct oxv_listing *table, uint64_t number);
/* A string member of a JSON object, or the items of an array with commas between. */
void oxv_listing_add_member(struct oxv_listing *table, struct oxv_view object, const char *name);

/* On stdout; `nothing` instead where there are no rows. */
enum oxv_exit oxv_listing_print(const struct oxv_cli *cli, const struct oxv_listing *table,
                                const char *nothing);

OXV_DEFINE_OWNER(oxv_listing);

#endif
