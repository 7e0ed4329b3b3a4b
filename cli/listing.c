#include "cli/listing.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/escape.h"

#define CELL_MAX_BYTES 4096u

struct cell {
    size_t offset; /* in the table's text */
    size_t len;
    size_t width;
};

struct oxv_listing {
    const char *const *titles;
    size_t columns;
    size_t widths[OXV_LISTING_COLUMNS_MAX];
    struct cell *cells;
    size_t count;
    size_t capacity;
    struct oxv_buffer text;
    bool failed;
};

struct oxv_listing *
oxv_listing_new(const char *const *titles)
{
    struct oxv_listing *table = calloc(1, sizeof *table);

    if (table == NULL) {
        return NULL;
    }
    table->titles = titles;
    while (titles[table->columns] != NULL) {
        if (table->columns == OXV_LISTING_COLUMNS_MAX) {
            oxv_bug("a table with too many columns");
        }
        table->widths[table->columns] = strlen(titles[table->columns]);
        table->columns++;
    }
    return table;
}

void
oxv_listing_free(struct oxv_listing *table)
{
    if (table != NULL) {
        oxv_buffer_done(&table->text);
        free(table->cells);
        free(table);
    }
}

static bool
make_room(struct oxv_listing *table)
{
    if (table->count < table->capacity) {
        return true;
    }
    size_t capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
    struct cell *cells = reallocarray(table->cells, capacity, sizeof *cells);

    if (cells == NULL) {
        return false;
    }
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

static void
add_escaped(struct oxv_listing *table, struct oxv_view escaped)
{
    struct cell cell = { .offset = table->text.len,
                         .len = escaped.len,
                         .width = oxv_escape_width(escaped) };
    size_t column = table->count % table->columns;

    if (!make_room(table) || !oxv_buffer_add(&table->text, escaped, SIZE_MAX / 8)) {
        table->failed = true;
        return;
    }
    table->cells[table->count++] = cell;
    table->widths[column] = cell.width > table->widths[column] ? cell.width : table->widths[column];
}

void
oxv_listing_add(struct oxv_listing *table, struct oxv_view text)
{
    uint8_t buffer[10 * CELL_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    if (text.len == 0) {
        add_escaped(table, oxv_view_text("-"));
        return;
    }
    if (text.len > CELL_MAX_BYTES) {
        text.len = CELL_MAX_BYTES;
    }
    oxv_escape_write(&w, text);
    add_escaped(table, oxv_view(w.data, w.len));
}

void
oxv_listing_add_integer(struct oxv_listing *table, uint64_t number)
{
    char text[24];

    if (oxv_format(text, sizeof text, "%llu", (unsigned long long)number) != OXV_OK) {
        oxv_bug("a number that is too long");
    }
    oxv_listing_add(table, oxv_view_text(text));
}

static void
write_items(struct oxv_writer *w, struct oxv_view array)
{
    struct oxv_json_items items = oxv_json_items(array);
    struct oxv_view name;
    struct oxv_view item;

    for (bool first = true; oxv_json_next(&items, &name, &item); first = false) {
        oxv_write_text(w, first ? "" : ",");
        if (!oxv_json_write_string(w, item)) {
            oxv_write_view(w, item);
        }
    }
}

void
oxv_listing_add_member(struct oxv_listing *table, struct oxv_view object, const char *name)
{
    char buffer[CELL_MAX_BYTES];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view value;

    if (!oxv_json_get(object, name, &value)) {
        oxv_listing_add(table, oxv_view(NULL, 0));
        return;
    }
    if (oxv_json_type(value) == OXV_JSON_ARRAY) {
        write_items(&w, value);
    } else if (!oxv_json_write_string(&w, value)) {
        oxv_write_view(&w, value);
    }
    oxv_listing_add(table, oxv_view(w.data, w.len));
}

static void
print_cell(const struct oxv_listing *table, size_t column, struct oxv_view text, size_t width)
{
    oxv_cli_print(text);
    if (column + 1 < table->columns) {
        (void)printf("%*s", (int)(table->widths[column] - width + 2), "");
    } else {
        (void)putchar('\n');
    }
}

enum oxv_exit
oxv_listing_print(const struct oxv_cli *cli, const struct oxv_listing *table, const char *nothing)
{
    if (table->failed) {
        return oxv_cli_fail(cli, OXV_EXIT_FAILED, "no memory for so long a table");
    }
    if (table->count == 0) {
        (void)printf("%s\n", nothing);
        return OXV_EXIT_DONE;
    }
    (void)fputs(oxv_cli_bold(cli), stdout);
    for (size_t i = 0; i < table->columns; i++) {
        if (i + 1 == table->columns) {
            (void)printf("%s%s\n", table->titles[i], oxv_cli_plain(cli));
        } else {
            print_cell(table, i, oxv_view_text(table->titles[i]), strlen(table->titles[i]));
        }
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct cell *cell = &table->cells[i];

        print_cell(table, i % table->columns, oxv_view(table->text.data + cell->offset, cell->len),
                   cell->width);
    }
    return OXV_EXIT_DONE;
}
