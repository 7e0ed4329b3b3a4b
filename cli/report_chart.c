/* Two charts over the same time, each with its own scale: few refusals among many signatures show.
 */
#include "cli/report_page.h"

#define WIDTH       960.0
#define HEIGHT      150.0
#define LEFT        64.0
#define BOTTOM      24.0
#define TOP         10.0
#define PLOT_WIDTH  (WIDTH - LEFT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)

enum part { SIGNATURES, REFUSALS };

static uint64_t
height_of(const struct oxv_counts *c, enum part part)
{
    return part == SIGNATURES ? c->allowed : c->denied + c->failed;
}

static uint64_t
highest(const struct oxv_span *span, enum part part)
{
    uint64_t most = 1;

    for (size_t i = 0; i < span->used; i++) {
        uint64_t here = height_of(&span->buckets[i], part);

        most = here > most ? here : most;
    }
    return most;
}

struct box {
    double x;
    double floor;
    double width;
};

static void
print_bar(FILE *out, const char *kind, const struct box *box, double height)
{
    (void)fprintf(out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
                  kind, box->x, box->floor - height, box->width, height);
}

/* One bucket: a bar, or two on each other, and what they stand for. */
static void
print_bucket(FILE *out, const struct oxv_span *span, size_t i, enum part part, double most)
{
    const struct oxv_counts *c = &span->buckets[i];
    double step = PLOT_WIDTH / (double)span->used;
    double gap = step > 4 ? 1.5 : 0.25;
    struct box box = { .x = LEFT + (double)i * step + gap / 2,
                       .floor = TOP + PLOT_HEIGHT,
                       .width = step - gap };
    double first = PLOT_HEIGHT * (double)(part == SIGNATURES ? c->allowed : c->denied) / most;
    double second = part == SIGNATURES ? 0 : PLOT_HEIGHT * (double)c->failed / most;

    if (height_of(c, part) == 0) {
        return;
    }
    (void)fputs("<g><title>", out);
    oxv_page_time(out, (span->begin_s + i * oxv_span_width_s(span)) * 1000000u);
    (void)fputs(": ", out);
    oxv_page_number(out, height_of(c, part));
    (void)fputs("</title>", out);
    print_bar(out, part == SIGNATURES ? "ok" : "no", &box, first);
    if (second > 0) {
        box.floor -= first;
        print_bar(out, "bad", &box, second);
    }
    (void)fputs("</g>", out);
}

static void
print_label(FILE *out, double x, double y, const char *anchor)
{
    (void)fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
}

static void
print_axes(FILE *out, const struct oxv_span *span, uint64_t most)
{
    double floor = TOP + PLOT_HEIGHT;
    uint64_t width_us = oxv_span_width_s(span) * 1000000u;

    (void)fprintf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1fM%.1f %.1fH%.1f\"/>", LEFT, floor,
                  WIDTH, LEFT, TOP, WIDTH);
    print_label(out, LEFT - 6, TOP + 4, "end");
    oxv_page_number(out, most);
    (void)fputs("</text>", out);
    print_label(out, LEFT - 6, floor + 4, "end");
    (void)fputs("0</text>", out);
    for (size_t i = 0; i <= 2; i++) {
        static const char *const anchors[] = { "start", "middle", "end" };

        print_label(out, LEFT + PLOT_WIDTH * (double)i / 2, HEIGHT - 6, anchors[i]);
        oxv_page_time(out, span->begin_s * 1000000u + width_us * span->used * i / 2);
        (void)fputs("</text>", out);
    }
}

static void
print_part(FILE *out, const struct oxv_span *span, enum part part, const char *title)
{
    uint64_t most = highest(span, part);

    (void)fprintf(out,
                  "<figure><figcaption>%s</figcaption><svg class=\"chart\" role=\"img\" "
                  "aria-label=\"%s\" viewBox=\"0 0 %.0f %.0f\">",
                  title, title, WIDTH, HEIGHT);
    print_axes(out, span, most);
    for (size_t i = 0; i < span->used; i++) {
        print_bucket(out, span, i, part, (double)most);
    }
    (void)fputs("</svg></figure>\n", out);
}

void
oxv_page_chart(FILE *out, const struct oxv_span *span)
{
    if (span->used == 0) {
        (void)fputs("<p>There is no entry in this time.</p>\n", out);
        return;
    }
    print_part(out, span, SIGNATURES, "Signatures");
    print_part(out, span, REFUSALS, "Refusals and failures");
}
