/* SPDX-License-Identifier: MIT */
/* A handler that throws, for handlers.c. */
extern "C" {
void throw_it(void);
int catch_it(int (*function)(void *), void *argument);
}

namespace
{
struct thrown {
};
} // namespace

void throw_it(void)
{
    throw thrown();
}

/* Returns 1 if the exception was thrown. */
int catch_it(int (*function)(void *), void *argument)
{
    try {
        function(argument);
        return 0;
    } catch (const thrown &) {
        return 1;
    }
}
