/*
 * test_config_reader.c - from text to a tree of directives: what the tree
 * looks like, and every error with its file and line.
 */
#include "server/config_reader.h"

#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static apr_pool_t *pool;
static wr__errors *errors;
static char folder[64];

static bool has_module(void *baton, const char *name)
{
    (void)baton;
    return strcmp(name, "here") == 0;
}

static bool has_directive(void *baton, const char *name)
{
    (void)baton;
    return strcasecmp(name, "Known") == 0;
}

static const char *seen(void *baton, wr__reader *reader, const wr_directive *d)
{
    (void)baton;
    if (strcmp(d->name, "Root") == 0 && d->argc == 1) {
        wr__reader_set_root(reader, d->argv[0]);
    }
    return strcmp(d->name, "Wrong") == 0 ? "is wrong" : NULL;
}

static wr__reader *make_reader(void)
{
    wr__reader_options options = {
        .pool = pool,
        .server_root = folder,
        .seen = seen,
        .has_module = has_module,
        .has_directive = has_directive,
    };

    errors = wr__errors_create(pool);
    options.errors = errors;
    return wr__reader_create(&options);
}

/* A tree as one line: "name[arg|arg]@line{children} ...". */
static char *show(const wr_directive *d)
{
    char *text = apr_pstrdup(pool, "");

    for (; d; d = d->next) {
        text = apr_pstrcat(pool, text, *text ? " " : "", d->name, "[", NULL);
        for (int i = 0; i < d->argc; i++) {
            text = apr_pstrcat(pool, text, i > 0 ? "|" : "", d->argv[i], NULL);
        }
        text = apr_psprintf(pool, "%s]@%d", text, d->line);
        if (d->is_section) {
            text =
                apr_pstrcat(pool, text, "{", show(d->first_child), "}", NULL);
        }
    }
    return text;
}

static char *show_errors(void)
{
    return apr_array_pstrcat(pool, errors->texts, '\n');
}

static char *read_bytes(const char *text, size_t len)
{
    wr__reader *reader = make_reader();

    wr__reader_define(reader, "GIVEN");
    wr__reader_define(reader, "HOST=example.org");
    wr__reader_text(reader, "x.conf", text, len);
    return show(wr__reader_tree(reader));
}

static void expect_tree(const char *text, const char *tree)
{
    char *found = read_bytes(text, strlen(text));

    assert_string_equal(show_errors() ? show_errors() : "", "");
    assert_string_equal(found, tree);
}

static void expect_error(const char *text, const char *error)
{
    read_bytes(text, strlen(text));
    assert_string_equal(show_errors(), error);
}

static void write_file(const char *name, const char *text)
{
    char *path = apr_pstrcat(pool, folder, "/", name, NULL);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(apr_pstrcat(pool, folder, "/", name, NULL), 0755),
                     0);
}

static int set_up(void **state)
{
    (void)state;
    apr_pool_create(&pool, NULL);
    strcpy(folder, "/tmp/weir-reader-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (system(apr_pstrcat(pool, "rm -rf ", folder, NULL)) != 0) {
        return -1;
    }
    apr_pool_destroy(pool);
    return 0;
}

static void test_lines(void **state)
{
    (void)state;
    expect_tree("", "");
    expect_tree("\n\n  # comment\n\t\n", "");
    expect_tree("A", "A[]@1");
    expect_tree("A b\nC d e\n", "A[b]@1 C[d|e]@2");
    expect_tree("  A\tb   c  \r\n\r\nD\r\n", "A[b|c]@1 D[]@3");
    expect_tree("A b # not a comment\n", "A[b|#|not|a|comment]@1");
}

static void test_continuation(void **state)
{
    (void)state;
    expect_tree("A b\\\nc \\\r\n d\nE\n", "A[bc|d]@1 E[]@4");
    expect_tree("# comment \\\nA b\nC\n", "C[]@3");
    expect_error("A b\nC \\\n", "x.conf:2: the last line ends in a backslash, "
                                "but no line continues it");
}

static void test_quotes(void **state)
{
    (void)state;
    expect_tree("A \"b c\" 'd e'", "A[b c|d e]@1");
    expect_tree("A \"\" ''", "A[|]@1");
    expect_tree("A \"b \\\"c\\\" \\\\ \\d\"", "A[b \"c\" \\ \\d]@1");
    expect_tree("A 'b \\'c\\' \"'", "A[b 'c' \"]@1");
    expect_tree("A b\"c\\d", "A[b\"c\\d]@1");
    expect_error("A\nB \"c d\n",
                 "x.conf:2: a quote (\") is opened and not closed");
    expect_error("A 'b \\\nc\\'\n",
                 "x.conf:1: a quote (') is opened and not closed");
}

static void test_sections(void **state)
{
    (void)state;
    expect_tree("<A \"b c\" d>\nE\n  <f>\nG\n</F>\n</a>\nH",
                "A[b c|d]@1{E[]@2 f[]@3{G[]@4}} H[]@7");
    expect_tree("<A>\n</A>\n<B x >\n</B>\n", "A[]@1{} B[x]@3{}");
}

static void test_section_parents(void **state)
{
    wr__reader *reader = make_reader();
    const char *text = "<A>\n<IfModule here>\nB\n</IfModule>\n</A>\n";
    const wr_directive *a;

    (void)state;
    wr__reader_text(reader, "x.conf", text, strlen(text));
    a = wr__reader_tree(reader);
    assert_null(a->parent);
    assert_ptr_equal(a->first_child->parent, a);
}

static void test_section_errors(void **state)
{
    (void)state;
    expect_error("A\n<B>\nC\n", "x.conf:2: <B> is not closed by </B>");
    expect_error("</B>\n", "x.conf:1: </B> without a <B>");
    expect_error("<A>\n<B>\n</A>\n", "x.conf:3: </A>, but what is open is <B> "
                                     "of x.conf:2");
    expect_error("<A>\n</B>\n</A>\n", "x.conf:2: </B>, but what is open is <A> "
                                      "of x.conf:1");
    expect_error("<A b\n</A>\n",
                 "x.conf:1: <A lacks its \">\" at the end of the line");
    expect_error("<A>\n</A> x\n",
                 "x.conf:2: </A must end in \">\" and nothing more");
    expect_error("< A>\n</>\n", "x.conf:1: a section needs a name after the "
                                "\"<\"");
    expect_error("<A \"b>\n</A>\n",
                 "x.conf:1: a quote (\") is opened and not closed");
}

static void test_all_errors_are_found(void **state)
{
    (void)state;
    expect_error("A 'b\n</C>\nInclude\n<D>\n",
                 "x.conf:1: a quote (') is opened and not closed\n"
                 "x.conf:2: </C> without a <C>\n"
                 "x.conf:3: Include: takes one argument: path or pattern\n"
                 "x.conf:4: <D> is not closed by </D>");
}

static void test_errors_are_bounded(void **state)
{
    char *text = apr_pstrdup(pool, "");

    (void)state;
    for (int i = 0; i < WR__ERRORS_MAX + 5; i++) {
        text = apr_pstrcat(pool, text, "</A>\n", NULL);
    }
    read_bytes(text, strlen(text));
    assert_int_equal(errors->texts->nelts, WR__ERRORS_MAX);
}

static void test_control_characters_are_not_printed(void **state)
{
    (void)state;
    expect_error("</A\033[2J>\n", "x.conf:1: </A?[2J> without a <A?[2J>");
}

static void test_nul(void **state)
{
    (void)state;
    assert_string_equal(read_bytes("A\nB \\\nc\0d\nE\n", 12), "A[]@1");
    assert_string_equal(show_errors(),
                        "x.conf:3: a NUL byte: this is not a text file");
}

static void test_variables(void **state)
{
    (void)state;
    setenv("WEIR_TEST_ENVIRONMENT", "env", 1);
    expect_tree("Define x 1\nA ${x}${x} ${HOST}:80 -${GIVEN}-",
                "A[11|example.org:80|--]@2");
    expect_tree("Define x \"a b\"\nA ${x}\nB \"${x}\"\n", "A[a|b]@2 B[a b]@3");
    expect_tree("A ${WEIR_TEST_ENVIRONMENT}", "A[env]@1");
    expect_tree("Define HOST other\n<A ${HOST}>\n</A>", "A[other]@2{}");
    expect_tree("A ${map:key} $x {y} %{z}e $",
                "A[${map:key}|$x|{y}|%{z}e|$]@1");
    expect_tree("# ${nothing}\nA", "A[]@2");
    expect_tree("Define name A\n${name} b", "A[b]@2");
}

static void test_variable_errors(void **state)
{
    (void)state;
    expect_error("A\nB ${nothing_at_all}\n",
                 "x.conf:2: ${nothing_at_all} is not defined, neither here nor "
                 "in the environment");
    expect_error("A ${x\n", "x.conf:1: \"${\" without a \"}\"");
    expect_error("Define x 1\nUnDefine x\nA ${x}\n",
                 "x.conf:3: ${x} is not defined, neither here nor in the "
                 "environment");
    expect_error("<A ${nothing_at_all}>\nB\n</A>\n",
                 "x.conf:1: ${nothing_at_all} is not defined, neither here nor "
                 "in the environment");
    expect_error("Define\nDefine a b c\nDefine a:b\nUnDefine\n",
                 "x.conf:1: Define: takes one or two arguments: name [value]\n"
                 "x.conf:2: Define: takes one or two arguments: name [value]\n"
                 "x.conf:3: Define: \"a:b\" can't be a name to define\n"
                 "x.conf:4: UnDefine: takes one argument: name");
}

static void test_bad_definition_on_the_command_line(void **state)
{
    wr__reader *reader = make_reader();

    (void)state;
    wr__reader_define(reader, "=x");
    assert_string_equal(show_errors(), "-D:1: \"\" can't be a name to define");
}

static void test_conditions(void **state)
{
    (void)state;
    expect_tree("<IfDefine GIVEN>\nA\n</IfDefine>\n"
                "<IfDefine !GIVEN>\nB\n</IfDefine>\n"
                "<IfDefine not>\nC\n</IfDefine>\n"
                "<IfDefine !not>\nD\n</IfDefine>\n",
                "A[]@2 D[]@11");
    expect_tree("<IfModule here>\nA\n</IfModule>\n"
                "<IfModule !here>\nB\n</IfModule>\n"
                "<IfModule away>\nC\n</IfModule>\n"
                "<X>\n<IfModule !away>\nD\n</IfModule>\n</X>\n",
                "A[]@2 X[]@10{D[]@12}");
    expect_tree("<IfDirective known>\nA\n</IfDirective>\n"
                "<IfDirective !Known>\nB\n</IfDirective>\n"
                "<IfDirective other>\nC\n</IfDirective>\n"
                "<IfDirective !Other>\nD\n</IfDirective>\n",
                "A[]@2 D[]@11");
    write_file("is here", "");
    expect_tree("<IfFile \"is here\">\nA\n</IfFile>\n"
                "<IfFile !\"is here\">\nB\n</IfFile>\n"
                "<IfFile away>\nC\n</IfFile>\n"
                "<IfFile !/not/there>\nD\n</IfFile>\n"
                "<IfFile />\nE\n</IfFile>\n",
                "A[]@2 D[]@11 E[]@14");
    expect_tree("<IfDefine later>\nA\n</IfDefine>\nDefine later\n"
                "<IfDefine later>\nB\n</IfDefine>\n",
                "B[]@6");
}

static void test_what_is_skipped_is_not_looked_at(void **state)
{
    (void)state;
    expect_tree("<IfDefine not>\nA 'b\nC ${nothing_at_all}\nInclude none\n"
                "<D>\n<IfDefine GIVEN>\nDefine y\n</IfDefine>\n</D>\n"
                "</IfDefine>\n<IfDefine y>\nE\n</IfDefine>\nF",
                "F[]@14");
    expect_error("<IfDefine not>\n<A>\n</IfDefine>\n",
                 "x.conf:3: </IfDefine>, but what is open is <A> of x.conf:2");
    expect_error("<IfDefine not>\nA\n",
                 "x.conf:1: <IfDefine> is not closed by </IfDefine>");
}

static void test_condition_errors(void **state)
{
    (void)state;
    expect_error("<IfDefine>\n</IfDefine>\n<IfModule a b>\n</IfModule>\n"
                 "<IfModule !>\n</IfModule>\n<IfFile \"\">\n</IfFile>\n"
                 "<IfDirective ! a>\n</IfDirective>\n"
                 "<IfDefine !a b>\n</IfDefine>\n",
                 "x.conf:1: <IfDefine> takes one name, or one after a !\n"
                 "x.conf:3: <IfModule> takes one name, or one after a !\n"
                 "x.conf:5: <IfModule> takes one name, or one after a !\n"
                 "x.conf:7: <IfFile> takes one name, or one after a !\n"
                 "x.conf:11: <IfDefine> takes one name, or one after a !");
}

static void test_seen(void **state)
{
    (void)state;
    expect_error("A\nWrong x\n<B>\nWrong\n</B>\n", "x.conf:2: Wrong: is wrong");
}

static void test_line_bound(void **state)
{
    char *text = apr_palloc(pool, WR__LINE_MAX + 32);

    (void)state;
    memset(text, 'a', WR__LINE_MAX);
    strcpy(text + WR__LINE_MAX, "\nB\n");
    read_bytes(text, strlen(text));
    assert_int_equal(errors->texts->nelts, 0);
    strcpy(text + WR__LINE_MAX, "a\nB\n");
    assert_string_equal(read_bytes(text, strlen(text)), "B[]@2");
    assert_string_equal(show_errors(),
                        "x.conf:1: the line is longer than 32768 bytes");
    strcpy(text + WR__LINE_MAX, "\\\nxx\\\ny\nB\n");
    assert_string_equal(read_bytes(text, strlen(text)), "B[]@4");
    assert_string_equal(show_errors(),
                        "x.conf:1: the line is longer than 32768 bytes");
}

static void test_expansion_bound(void **state)
{
    char *text = apr_pstrdup(pool, "Define x 12345678\n");

    (void)state;
    for (int i = 0; i < 12; i++) {
        text = apr_pstrcat(pool, text, "Define x ${x}${x}\n", NULL);
    }
    text = apr_pstrcat(pool, text, "A ${x}\n", NULL);
    read_bytes(text, strlen(text));
    assert_string_equal(show_errors(),
                        "x.conf:13: with its variables the line is longer "
                        "than 32768 bytes");
}

static void test_text_bound(void **state)
{
    wr__reader_options options = {.pool = pool, .text_max = 10};
    wr__reader *reader;

    (void)state;
    options.errors = errors = wr__errors_create(pool);
    reader = wr__reader_create(&options);
    wr__reader_text(reader, "a", "A b c\n", 6);
    wr__reader_text(reader, "b", "D e f\n", 6);
    assert_string_equal(show(wr__reader_tree(reader)), "A[b|c]@1");
    assert_string_equal(show_errors(),
                        "b:1: the configuration has more than 10 bytes");
}

static void test_depth_bound(void **state)
{
    char *begin = apr_pstrdup(pool, ""), *end = apr_pstrdup(pool, "");

    (void)state;
    for (int i = 0; i < WR__SECTION_DEPTH; i++) {
        begin = apr_pstrcat(pool, begin, "<A>\n", NULL);
        end = apr_pstrcat(pool, end, "</A>\n", NULL);
    }
    read_bytes(apr_pstrcat(pool, begin, end, NULL),
               strlen(begin) + strlen(end));
    assert_int_equal(errors->texts->nelts, 0);
    expect_error(apr_pstrcat(pool, begin, "<A>\n", end, "</A>\n", NULL),
                 "x.conf:51: sections are nested deeper than 50");
}

static void test_directive_bound(void **state)
{
    size_t len = 2 * (WR__DIRECTIVES_MAX + 3);
    char *text = malloc(len);

    (void)state;
    for (size_t i = 0; i < len; i += 2) {
        memcpy(text + i, "A\n", 2);
    }
    make_reader();
    wr__reader_text(make_reader(), "x.conf", text, len);
    free(text);
    assert_string_equal(show_errors(),
                        "x.conf:1000001: more than 1000000 directives");
}

static char *read_file(const char *name)
{
    wr__reader *reader = make_reader();

    wr__reader_file(reader, name);
    return show(wr__reader_tree(reader));
}

/* The errors, the folder's name written as "~". */
static char *local_errors(void)
{
    char *text = show_errors(), *found;

    while (text && (found = strstr(text, folder))) {
        text = apr_pstrcat(pool,
                           apr_pstrmemdup(pool, text, (size_t)(found - text)),
                           "~", found + strlen(folder), NULL);
    }
    return text;
}

static void test_include(void **state)
{
    wr__reader *reader = make_reader();
    const wr_directive *d;

    (void)state;
    write_file("a.conf", "A\n<S>\nInclude sub.conf\n</S>\nC\n");
    write_file("sub.conf", "\nB x\n");
    wr__reader_file(reader, "a.conf");
    d = wr__reader_tree(reader);
    assert_int_equal(errors->texts->nelts, 0);
    assert_string_equal(show(d), "A[]@1 S[]@2{B[x]@2} C[]@5");
    assert_string_equal(d->next->first_child->file,
                        apr_pstrcat(pool, folder, "/sub.conf", NULL));
}

static void test_include_many(void **state)
{
    (void)state;
    make_folder("d");
    make_folder("d/sub");
    make_folder("e");
    write_file("d/2.conf", "Two\n");
    write_file("d/1.conf", "One\n");
    write_file("d/other", "Other\n");
    write_file("d/.hidden", "Hidden\n");
    write_file("d/sub/3.conf", "Three\n");
    write_file("e/1.conf", "E\n");
    write_file("a.conf", "Include d/*.conf\n");
    assert_string_equal(read_file("a.conf"), "One[]@1 Two[]@1");
    write_file("a.conf", "Include d\n");
    assert_string_equal(read_file("a.conf"),
                        "One[]@1 Two[]@1 Other[]@1 Three[]@1");
    write_file("a.conf", "Include ?/1.conf\n");
    assert_string_equal(read_file("a.conf"), "One[]@1 E[]@1");
    write_file("a.conf", "IncludeOptional none/*.conf\n"
                         "IncludeOptional none\nA\n");
    assert_string_equal(read_file("a.conf"), "A[]@3");
    assert_int_equal(errors->texts->nelts, 0);
}

static void test_include_below_a_new_root(void **state)
{
    (void)state;
    make_folder("d");
    write_file("d/x.conf", "X\n");
    write_file("a.conf", apr_pstrcat(pool, "Root ", folder,
                                     "/d\nInclude x.conf\n", NULL));
    assert_string_equal(read_file("a.conf"), apr_pstrcat(pool, "Root[", folder,
                                                         "/d]@1 X[]@1", NULL));
}

static void test_include_errors(void **state)
{
    (void)state;
    write_file("a.conf", "A\nInclude none.conf\nInclude none/*.conf\n");
    read_file("a.conf");
    assert_string_equal(local_errors(),
                        "~/a.conf:2: Include: could not open ~/none.conf: No "
                        "such file or directory\n"
                        "~/a.conf:3: Include: nothing matches ~/none/*.conf "
                        "(IncludeOptional would not mind)");
    write_file("a.conf", "Include b.conf\n</S>\n");
    write_file("b.conf", "<S>\n");
    read_file("a.conf");
    assert_string_equal(local_errors(),
                        "~/b.conf:1: <S> is not closed by </S>\n"
                        "~/a.conf:2: </S> without a <S>");
    write_file("a.conf", "<S>\nInclude b.conf\n</S>\n");
    write_file("b.conf", "</S>\n");
    read_file("a.conf");
    assert_string_equal(local_errors(), "~/b.conf:1: </S> without a <S>");
    read_file("none.conf");
    assert_string_equal(local_errors(),
                        "~/none.conf:1: could not open ~/none.conf: No such "
                        "file or directory");
    write_file("a.conf", "Include /dev/zero\n");
    read_file("a.conf");
    assert_string_equal(local_errors(), "~/a.conf:1: Include: /dev/zero is "
                                        "not a regular file");
}

static void test_include_depth_bound(void **state)
{
    (void)state;
    write_file("a.conf", "Include a.conf\n");
    read_file("a.conf");
    assert_string_equal(local_errors(),
                        "~/a.conf:1: ~/a.conf: files include each other "
                        "deeper than 20");
}

static void test_include_can_be_refused(void **state)
{
    wr__reader_options options = {.pool = pool, .no_include = true};

    (void)state;
    options.errors = errors = wr__errors_create(pool);
    wr__reader_text(wr__reader_create(&options), "x", "Include /dev/null\n",
                    18);
    assert_string_equal(show_errors(), "x:1: Include: is not allowed here");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_lines),
        TEST(test_continuation),
        TEST(test_quotes),
        TEST(test_sections),
        TEST(test_section_parents),
        TEST(test_section_errors),
        TEST(test_all_errors_are_found),
        TEST(test_errors_are_bounded),
        TEST(test_control_characters_are_not_printed),
        TEST(test_nul),
        TEST(test_variables),
        TEST(test_variable_errors),
        TEST(test_bad_definition_on_the_command_line),
        TEST(test_conditions),
        TEST(test_what_is_skipped_is_not_looked_at),
        TEST(test_condition_errors),
        TEST(test_seen),
        TEST(test_line_bound),
        TEST(test_expansion_bound),
        TEST(test_text_bound),
        TEST(test_depth_bound),
        TEST(test_directive_bound),
        TEST(test_include),
        TEST(test_include_many),
        TEST(test_include_below_a_new_root),
        TEST(test_include_errors),
        TEST(test_include_depth_bound),
        TEST(test_include_can_be_refused),
    };
    int failed;

    apr_initialize();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    apr_terminate();
    return failed;
}
