/* SPDX-License-Identifier: MIT */
/* The command `bough`. */
#include <stdio.h>
#include <stdlib.h>
#include "command.h"

/* Output that could not be written is a failure, even if that is detected only at the end. */
int main(int argc, char **argv)
{
    int status = run_command(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_SUCCESS)
        return fail("cannot write the output");
    return status;
}
