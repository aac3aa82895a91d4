/* Every single system call of a run fails in turn. */
#include "support/fault_runs.h"

int main(void)
{
    return fault_runs(1);
}
