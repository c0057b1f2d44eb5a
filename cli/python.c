/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "python.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Is the name python, python3 or python3.11, for example? */
static bool names_interpreter(const char *path)
{
    const char *name = base_name(path);
    return strncmp(name, "python", 6) == 0 && name[6 + strspn(name + 6, "0123456789.")] == '\0';
}

static bool ends_in(const char *path, const char *end)
{
    size_t length = strlen(path), n = strlen(end);
    return length > n && strcmp(path + length - n, end) == 0;
}

/* ---- scripts ----------------------------------------------------------------------------------------------------- */

static bool is_folder_with_main(const char *path)
{
    char file[PATH_MAX];
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
           snprintf(file, sizeof file, "%s/__main__.py", path) < (int)sizeof file && access(file, F_OK) == 0;
}

/* The words of a first line `#!INTERPRETER [OPTION]` or `#!/usr/bin/env [-S] INTERPRETER [OPTION]`. */
static bool read_first_line(struct python *p, const char *path)
{
    static char line[256], *option[4];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    if (n < 3 || line[0] != '#' || line[1] != '!')
        return false;
    line[n] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    char *rest = line + 2, *word = strtok_r(rest, " \t", &rest);
    if (word && strcmp(base_name(word), "env") == 0 && (word = strtok_r(NULL, " \t", &rest)) && strcmp(word, "-S") == 0)
        word = strtok_r(NULL, " \t", &rest);
    if (!word || !names_interpreter(word))
        return false;
    p->interpreter = word;
    p->option = option;
    for (p->options = 0; p->options < 4 && (word = strtok_r(NULL, " \t", &rest));)
        option[p->options++] = word;
    return true;
}

/* Searches as execvp() does. */
static const char *in_path(const char *name, char *path)
{
    const char *list = getenv("PATH");
    for (const char *at = list; !strchr(name, '/') && at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
        if (snprintf(path, PATH_MAX, "%.*s/%s", (int)strcspn(at, ":"), at, name) < PATH_MAX && access(path, X_OK) == 0)
            return path;
    return name;
}

static bool find_script(struct python *p, char **argv)
{
    static char path[PATH_MAX];
    const char *found = in_path(argv[0], path);
    if (read_first_line(p, found))
        argv[0] = (char *)found;
    else if (!ends_in(argv[0], ".py") && !ends_in(argv[0], ".pyz") && !is_folder_with_main(argv[0]))
        return false;
    p->argument = argv;
    for (p->arguments = 0; argv[p->arguments];)
        p->arguments++;
    return true;
}

/* ---- an interpreter with its arguments --------------------------------------------------------------------------- */

/* One word of options: an option with a value takes the rest of the word, or the next word. Returns how many words that
 * is; 0: it has -m or -c. */
static size_t option_words(char *word, char **next)
{
    if (strcmp(word, "--check-hash-based-pycs") == 0)
        return *next ? 2 : 1;
    if (word[1] == '-')
        return 1;
    for (char *c = word + 1; *c; c++)
        if (*c == 'W' || *c == 'X')
            return c[1] || !*next ? 1 : 2;
        else if (*c == 'm' || *c == 'c')
            return 0;
    return 1;
}

/* Splits -Im MODULE, for example: the options before -m stay in the word. */
static void split(struct python *p, char **at)
{
    char *word = *at, *letter = word + strcspn(word, "mc");
    p->how = *letter == 'm' ? "-m" : "-c";
    bool alone = letter == word + 1, has_value = letter[1];
    p->argument = has_value ? at : at + 1;
    if (has_value)
        *at = letter + 1;
    if (!alone) {
        *letter = '\0';
        char **kept = calloc(p->options + 1, sizeof *kept);
        if (kept) {
            memcpy(kept, p->option, p->options * sizeof *kept);
            kept[p->options++] = has_value ? strdup(word) : word;
            p->option = kept;
        }
    }
}

static bool find_in_arguments(struct python *p, char **argv)
{
    char **at = argv + 1;
    p->interpreter = argv[0];
    p->option = at;
    for (size_t n; *at && (*at)[0] == '-' && (*at)[1]; at += n)
        if ((n = option_words(*at, at + 1)) == 0) {
            p->options = (size_t)(at - p->option);
            split(p, at);
            break;
        }
    if (!p->how)
        p->options = (size_t)(at - p->option), p->argument = at;
    while (p->argument[p->arguments])
        p->arguments++;
    return p->arguments > 0;
}

bool find_python(struct python *p, char **argv)
{
    return names_interpreter(argv[0]) ? find_in_arguments(p, argv) : find_script(p, argv);
}
