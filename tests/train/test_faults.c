/* Some of the failing system calls of test_faults_long.c. */
#include "support/fault_runs.h"

int main(void)
{
    return fault_runs(11);
}
