/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "reader/html.h"

static void test_text(void **state)
{
    static const struct {
        const char *html, *expected;
    } cases[] = {
        {"plain", "plain\n"},
        {"  a \n\t b  ", "a b\n"},
        {"<b>a</b><i>b</i>", "ab\n"},
        {"a<br>b<br/>c", "a\nb\nc\n"},
        {"<p>a</p><p>b</p>", "a\n\nb\n"},
        {"<div>a<div>b</div></div>c", "a\nb\nc\n"},
        {"<ul><li>a<li>b</ul>", "* a\n* b\n"},
        {"<tr><td>a</td><td>b</td></tr><tr><th>c", "a b\nc\n"},
        {"a<hr>b", "a\n----------\nb\n"},
        {"<pre>\n a\n  b</pre>c", " a\n  b\n\nc\n"},
        /* What is no text. */
        {"<title>x</title>a<script>x<b>y</script>b<STYLE>z</StYlE>c", "abc\n"},
        {"<!-- <b>x --> a <!DOCTYPE x>b<?x y?>c", "a bc\n"},
        {"<script>never ended", ""},
        {"a<!-- never ended", "a\n"},
        {"a<b title=\"x>y\">c", "ac\n"},
        {"a<b title='never ended>c", "a\n"},
        /* What is no tag. */
        {"1 < 2 > 1 <3", "1 < 2 > 1 <3\n"},
        {"<>", "<>\n"},
        {"a<", "a<\n"},
        /* References. */
        {"&lt;&gt;&amp;&quot;&apos;&euro;&uuml", "<>&\"'\xE2\x82\xAC\xC3\xBC\n"},
        {"&#65;&#x42;&#X43;&#8364;", "ABC\xE2\x82\xAC\n"},
        {"&#27;&#0;&#155;&#xD800;&#x7f;",
         "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n"},
        {"&nothing; & &; &#; &#x; &#99999999999;", "&nothing; & &; &#; &#x; &#99999999999;\n"},
        {"a&nbsp;b", "a b\n"},
        /* Links. */
        {"<a href=\"https://a/\">b</a>", "b <https://a/>\n"},
        {"<a href=https://a/>https://a/</a>", "https://a/\n"},
        {"<a href=\"mailto:a@b\">a@b</a>", "a@b\n"},
        {"<a href='javascript:x'>b</a>", "b\n"},
        {"<a name=x>b</a>", "b\n"},
        {"<a HREF = 'http://a/?x&amp;y'>b", "b <http://a/?x&y>\n"},
        {"<img src=http://x alt=\"a &lt;\">", "[a <]\n"},
        {"<img src=http://x>", ""},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        html_append_text(out, bytes_of(cases[i].html));
        assert_string_equal(out->str, cases[i].expected);
    }
}

static void test_every_prefix_is_read(void **state)
{
    static const char html[] =
        "<!-- x --><p a=\"b\">&euro;<a href='http://x'>y</a><script>z</script><pre>\nq";
    (void)state;
    for (size_t size = 0; size < sizeof html; size++) {
        /* Of its own size, so that a sanitizer sees what is read beyond. */
        g_autofree uint8_t *copy = g_memdup2(html, size + 1);
        g_autoptr(GString) out = g_string_new(NULL);
        uint8_t *exact = g_realloc(g_steal_pointer(&copy), size == 0 ? 1 : size);
        html_append_text(out, (struct bytes){.data = exact, .size = size});
        g_autofree char *charset = html_charset((struct bytes){.data = exact, .size = size});
        assert_null(charset);
        g_free(exact);
    }
}

static void test_charset(void **state)
{
    static const struct {
        const char *html, *expected;
    } cases[] = {{"<meta charset=\"koi8-r\">", "koi8-r"},
                 {"<META CONTENT='text/html; CHARSET=utf-8'>", "utf-8"},
                 {"<meta charset=>", NULL},
                 {"charset=", NULL},
                 {"<p>nothing", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autofree char *charset = html_charset(bytes_of(cases[i].html));
        if (cases[i].expected == NULL) {
            assert_null(charset);
        } else {
            assert_string_equal(charset, cases[i].expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_every_prefix_is_read),
        cmocka_unit_test(test_charset),
    };
    return cmocka_run_group_tests_name("html", tests, NULL, NULL);
}
