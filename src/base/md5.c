/* MD5, block by block of 64 bytes. The constants are floor(2^32 |sin(i + 1)|), as RFC 1321 defines them. */
#include "base/md5.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void fa_md5_begin(fa_md5 *md5)
{
    *md5 = (fa_md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

static uint32_t rotate(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static void mix(uint32_t state[4], const uint8_t *block)
{
    static const int by[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t word[16], a = state[0], b = state[1], c = state[2], d = state[3];
    for (int i = 0; i < 16; i++, block += 4)
        word[i] = (uint32_t)block[0] | (uint32_t)block[1] << 8 | (uint32_t)block[2] << 16 | (uint32_t)block[3] << 24;
    for (int i = 0; i < 64; i++) {
        const int round = i / 16;
        const uint32_t f = round == 0   ? (b & c) | (~b & d)
                           : round == 1 ? (d & b) | (~d & c)
                           : round == 2 ? b ^ c ^ d
                                        : c ^ (b | ~d);
        const int at = round == 0 ? i : round == 1 ? 5 * i + 1 : round == 2 ? 3 * i + 5 : 7 * i;
        const uint32_t constant = (uint32_t)floor(0x1p32 * fabs(sin(i + 1)));
        const uint32_t turned = b + rotate(a + f + constant + word[at % 16], by[round][i % 4]);
        a = d;
        d = c;
        c = b;
        b = turned;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

void fa_md5_add(fa_md5 *md5, const void *data, size_t bytes)
{
    const uint8_t *from = data;
    size_t held = (size_t)(md5->bytes % 64);
    md5->bytes += bytes;
    while (bytes > 0) {
        size_t n = bytes < 64 - held ? bytes : 64 - held;
        memcpy(md5->block + held, from, n);
        from += n;
        bytes -= n;
        held += n;
        if (held == 64) {
            mix(md5->state, md5->block);
            held = 0;
        }
    }
}

void fa_md5_end(fa_md5 *md5, char digits[33])
{
    static const uint8_t padding[64] = {0x80};
    const uint64_t bits = md5->bytes * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (8 * i));
    fa_md5_add(md5, padding, 64 - (size_t)((md5->bytes + 8) % 64));
    fa_md5_add(md5, length, sizeof length);
    for (int i = 0; i < 16; i++)
        snprintf(digits + 2 * i, 3, "%02x", (unsigned)(md5->state[i / 4] >> (8 * (i % 4)) & 0xff));
}
