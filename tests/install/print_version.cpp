// An installed Facula used from C++.
#include <cstdio>
#include <facula.h>

int main()
{
    return std::puts(fa_version()) < 0;
}
