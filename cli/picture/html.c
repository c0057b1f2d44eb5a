/* SPDX-License-Identifier: MIT */
/*
 * The drawing in a page. The page's policy admits only its script, so that no text of a recording can be run as a
 * script, and nothing is loaded. If the browser runs no scripts, the page still shows the drawing.
 */
#include "label.h"
#include "picture.h"
#include "page.inc"

static void put_lines(FILE *out, const char *const *lines)
{
    while (*lines)
        fputs(*lines++, out);
}

static void put_head(FILE *out, const struct picture *p)
{
    fputs(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src '",
        out);
    put_lines(out, page_script_hash);
    fputs("'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>", out);
    xml_put(out, p->trace->n_processes ? p->trace->processes[0].command : "an empty recording");
    fputs(" · bough picture</title>\n<style>\n", out);
    put_lines(out, page_style);
    fputs("</style>\n</head>\n", out);
}

static void put_tools(FILE *out)
{
    fputs(
        "<body>\n<div id=\"tools\" hidden>\n"
        "<button data-key=\"-\" title=\"zoom out: - or s\">−</button><button data-key=\"+\" title=\"zoom in: + or w\">+</button>"
        "<button data-key=\"a\" title=\"earlier: a or left\">←</button><button data-key=\"d\" title=\"later: d or right\">→</button>"
        "<button data-key=\"0\" title=\"the whole recording: 0\">All</button>"
        "<button data-key=\"e\" title=\"fold or open all branches: e\">Fold</button>\n"
        "<span id=\"keys\">Ctrl+wheel zooms, drag moves, Shift+drag selects</span><span class=\"space\"></span>\n"
        "<output id=\"hits\"></output><input id=\"search\" type=\"search\" placeholder=\"Search: thread, branch, call, reason\" "
        "aria-label=\"Search\"><button data-key=\"N\" title=\"previous: N\">‹</button>"
        "<button data-key=\"n\" title=\"next: n or Enter\">›</button>\n</div>\n"
        "<noscript><p>Zoom, search and folding need scripts; the picture does not.</p></noscript>\n<main id=\"sheet\">\n",
        out);
}

bool picture_html(FILE *out, const struct picture *p)
{
    put_head(out, p);
    put_tools(out);
    if (!picture_svg(out, p))
        return false;
    fputs("</main>\n<div id=\"tip\" role=\"tooltip\" hidden></div>\n<script>", out);
    put_lines(out, page_script);
    fputs("</script>\n</body>\n</html>\n", out);
    return !ferror(out);
}
