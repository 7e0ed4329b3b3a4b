/* sort: the order of RFC 5849 3.4.1.3.2, in place and without allocation (glibc's qsort makes one).
 */
#ifndef OXV_SIGNER_SORT_H
#define OXV_SIGNER_SORT_H

#include "signer/oauth1.h"

/* By the bytes of the encoded name, then of the encoded value. In the worst case n log n steps. */
void oxv_sort_parameters(struct oxv_oauth1_parameter *items, size_t count);

#endif
