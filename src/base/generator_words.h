/* What the two generator files share: words of the engine in bulk. */
#ifndef FA_BASE_GENERATOR_WORDS_H
#define FA_BASE_GENERATOR_WORDS_H

#include "base/generator.h"

/* Draws are made in chunks of this many elements, through arrays on the stack. */
enum { FA_MT_CHUNK = 512 };

/* The next n words, as n calls of fa_mt_u32 would give them. */
void fa_mt_words(fa_mt *mt, uint32_t *out, int64_t n);

#endif
