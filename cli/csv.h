/*
 * csv: reads CSV strictly (RFC 4180), a row at a time, in constant memory.
 *
 *  1. rows end with LF or CR LF, the last one also with the file; one byte order mark may come
 * first
 *  2. a cell is quoted as a whole or not at all; within quotes a quote is written twice
 *  3. well-formed UTF-8, no NUL; other controls within quotes only
 *  4. at most OXV_CSV_COLUMNS_MAX cells and OXV_CSV_ROW_MAX_BYTES in a row
 */
#ifndef OXV_CLI_CSV_H
#define OXV_CLI_CSV_H

#include <stdio.h>

#include "base/bytes.h"

#define OXV_CSV_COLUMNS_MAX   64u
#define OXV_CSV_ROW_MAX_BYTES 65536u

/* Zeroed but for the file, which is borrowed; release with oxv_csv_done(). */
struct oxv_csv {
    FILE *file;
    uint64_t line; /* where the row at hand begins, from 1 */
    size_t count;
    struct oxv_view cells[OXV_CSV_COLUMNS_MAX]; /* borrow `text`, until the next row */
    uint8_t *text;
    uint64_t lines; /* read so far */
};

void oxv_csv_done(struct oxv_csv *csv);

/*
 * The next row.
 *   OXV_E_NOT_FOUND  the file has ended
 *   OXV_E_FORMAT     it breaks a rule, *err says where and which
 *   OXV_E_LIMIT      rule 4
 *   OXV_E_IO, OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_csv_next(struct oxv_csv *csv, struct oxv_err *err);

#endif
