/* The smallest program that uses an installed Facula; scripts/install_check.sh compiles and runs it. */
#include <facula.h>
#include <stdio.h>

int main(void)
{
    return puts(fa_version()) < 0;
}
