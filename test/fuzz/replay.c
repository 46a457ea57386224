/*
 * replay.c - drives a fuzz target without libFuzzer: tries kept inputs once.
 *
 *     fuzz_NAME [FILE|FOLDER]...
 *
 * Without arguments, what lies in corpus/NAME and crashes/NAME of
 * $srcdir/test/fuzz.  A finding ends the process by a signal or a sanitizer;
 * the last line printed names the input.
 */
#include <dirent.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Not every target has one. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int tried;

static void try_file(const char *path, size_t size)
{
    FILE *in = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1); /* exact: overruns are seen */

    if (!in || !data || fread(data, 1, size, in) != size) {
        perror(path);
        exit(2);
    }
    fclose(in);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    tried++;
}

static void try_path(const char *path)
{
    struct dirent **names;
    struct stat st;
    char *inner;
    int count;

    if (stat(path, &st) != 0) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(st.st_mode)) {
        try_file(path, (size_t)st.st_size);
        return;
    }
    count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.'
            && asprintf(&inner, "%s/%s", path, names[i]->d_name) > 0) {
            try_path(inner);
            free(inner);
        }
        free(names[i]);
    }
    if (count >= 0) {
        free(names);
    }
}

/* A folder of kept inputs need not be there. */
static void try_kept(const char *kind, const char *target)
{
    const char *srcdir = getenv("srcdir");
    const char *name = strstr(target, "fuzz_");
    struct stat st;
    char *path;

    if (!name
        || asprintf(&path, "%s/test/fuzz/%s/%s", srcdir ? srcdir : ".", kind,
                    name + strlen("fuzz_"))
               < 0) {
        return;
    }
    if (stat(path, &st) == 0) {
        try_path(path);
    }
    free(path);
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    for (int i = 1; i < argc; i++) {
        try_path(argv[i]);
    }
    if (argc == 1) {
        try_kept("corpus", basename(argv[0]));
        try_kept("crashes", basename(argv[0]));
    }
    printf("%d inputs tried\n", tried);
    return tried > 0 ? 0 : 1;
}
