#include "signer/sort.h"

/* Up to here the simple way is the faster one. */
#define INSERTION_MAX 24u

static bool
is_before(const struct oxv_oauth1_parameter *a, const struct oxv_oauth1_parameter *b)
{
    int order = oxv_view_compare(a->name, b->name);

    return order != 0 ? order < 0 : oxv_view_compare(a->value, b->value) < 0;
}

static void
sort_by_insertion(struct oxv_oauth1_parameter *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct oxv_oauth1_parameter item = items[i];
        size_t to = i;

        while (to > 0 && is_before(&item, &items[to - 1])) {
            items[to] = items[to - 1];
            to--;
        }
        items[to] = item;
    }
}

/* Lets items[root] sink until no child comes after it. */
static void
sift_down(struct oxv_oauth1_parameter *items, size_t root, size_t count)
{
    struct oxv_oauth1_parameter item = items[root];
    size_t child;

    while ((child = 2 * root + 1) < count) {
        if (child + 1 < count && is_before(&items[child], &items[child + 1])) {
            child++;
        }
        if (!is_before(&item, &items[child])) {
            break;
        }
        items[root] = items[child];
        root = child;
    }
    items[root] = item;
}

static void
sort_by_heap(struct oxv_oauth1_parameter *items, size_t count)
{
    for (size_t root = count / 2; root > 0; root--) {
        sift_down(items, root - 1, count);
    }
    for (size_t end = count - 1; end > 0; end--) {
        struct oxv_oauth1_parameter largest = items[0];

        items[0] = items[end];
        items[end] = largest;
        sift_down(items, 0, end);
    }
}

void
oxv_sort_parameters(struct oxv_oauth1_parameter *items, size_t count)
{
    if (count <= INSERTION_MAX) {
        sort_by_insertion(items, count);
    } else {
        sort_by_heap(items, count);
    }
}
