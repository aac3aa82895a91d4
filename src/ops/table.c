/* The table of ops: fa_op -> definition, in the order of ops.def. */
#include "base/opdef.h"

const fa_op_def *const fa_op_table[FA_OP_COUNT] = {
#define FA_OP(name) &fa_op_##name,
#include "base/ops.def"
#undef FA_OP
};
