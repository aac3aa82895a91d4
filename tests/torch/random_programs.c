/* Runs the program that comes on the standard input (support/program.h): the half of compare_programs.py that is ours.
 */
#include "support/program.h"

#include <stdlib.h>

int main(void)
{
    enum { ROOM = 1 << 20 };
    char *text = malloc(ROOM);
    if (!text)
        return 1;
    text[fread(text, 1, ROOM - 1, stdin)] = 0;
    program_run(text, stdout);
    free(text);
    return 0;
}
